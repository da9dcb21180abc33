//! Changes of good bytes, as a bad disk, a bad sender or a fuzzer would make them; the same for the same seed.

/// `count` changed copies of `good`: flipped bits, other numbers, pieces cut out, doubled or moved, ends cut off.
pub fn mutations(good: &[u8], seed: u64, count: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut random = Random(seed | 1);
    (0..count).map(move |_| {
        let mut bytes = good.to_vec();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &mut random);
        }
        bytes
    })
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(random.next() as u8);
        return;
    }
    let at = random.below(bytes.len());
    let length = random.below((bytes.len() - at).min(64)) + 1;
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        2 => bytes[at..at + length].fill(0xff),
        3 => drop(bytes.drain(at..at + length)),
        4 => {
            let piece = bytes[at..at + length].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        5 => bytes.truncate(at),
        _ => bytes.insert(at, random.next() as u8),
    }
}

/// Xorshift: enough to vary bytes, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_changes_again_and_others_give_others() {
        let good: Vec<u8> = (0..200).collect();
        let all = |seed| mutations(&good, seed, 50).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(3));
        assert!(all(1).iter().filter(|bytes| **bytes != good).count() > 45);
        assert_eq!(mutations(&[], 1, 5).count(), 5);
    }
}
