//! The values of a window in order, as it slides: each value enters and leaves it once.
//!
//! They stand in chunks of bounded length, so that a value is put in or taken out by moving few others, and the value of a
//! rank is found by the lengths of the chunks.

/// The most values of a chunk; a full one is halved.
const CHUNK: usize = 512;

/// Values in order, NaN before all others, equal ones as often as they are there.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// None of them empty. What stands here are keys, whose order as numbers is that of the values.
    chunks: Vec<Vec<u64>>,
    len: usize,
}

impl Ordered {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.len = 0;
    }

    /// Puts a value in.
    pub(super) fn insert(&mut self, value: f64) {
        let key = key(value);
        self.len += 1;
        let at = self.chunk_of(key).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(vec![key]);
            return;
        };
        chunk.insert(chunk.partition_point(|&other| other < key), key);
        if chunk.len() > CHUNK {
            let half = chunk.split_off(CHUNK / 2);
            self.chunks.insert(at + 1, half);
        }
    }

    /// Takes out a value that was put in.
    pub(super) fn remove(&mut self, value: f64) {
        let key = key(value);
        let at = self.chunk_of(key);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let Ok(place) = chunk.binary_search(&key) else { return };
        chunk.remove(place);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
    }

    /// The value of a rank, counted from 0, which must be less than [`Self::len`].
    pub(super) fn at(&self, rank: usize) -> f64 {
        let mut left = rank;
        for chunk in &self.chunks {
            match chunk.get(left) {
                Some(&key) => return value(key),
                None => left -= chunk.len(),
            }
        }
        f64::NAN
    }

    /// How many values are less than this one, which is not NaN.
    pub(super) fn less_than(&self, value: f64) -> usize {
        // Both zeros are equal, and the negative one has the lesser key.
        let key = key(if value == 0.0 { -0.0 } else { value });
        let at = self.chunk_of(key);
        let before: usize = self.chunks[..at].iter().map(Vec::len).sum();
        before + self.chunks.get(at).map_or(0, |one| one.partition_point(|&other| other < key))
    }

    /// The first chunk that ends with this key or a greater one.
    fn chunk_of(&self, key: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_some_and(|&last| last < key))
    }
}

const SIGN: u64 = 1 << 63;

/// A number that is the greater the greater the value is; 0 for NaN.
fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    match value.is_nan() {
        true => 0,
        false if bits & SIGN == 0 => bits | SIGN,
        false => !bits,
    }
}

fn value(key: u64) -> f64 {
    match key {
        0 => f64::NAN,
        key if key & SIGN == 0 => f64::from_bits(!key),
        key => f64::from_bits(key & !SIGN),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_keep_values_and_their_order() {
        let values = [f64::NEG_INFINITY, -1e300, -1.0, -0.0, 0.0, 5e-324, 1.5, f64::INFINITY];
        for (at, &one) in values.iter().enumerate() {
            assert_eq!(value(key(one)).to_bits(), one.to_bits());
            assert!(key(f64::NAN) < key(one));
            assert!(values[..at].iter().all(|&less| key(less) < key(one)));
        }
        assert!(value(key(f64::NAN)).is_nan());
    }

    proptest! {
        /// Whatever enters and leaves, it is what a sorted list of the same values is.
        #[test]
        fn it_is_a_sorted_list(values in prop::collection::vec(-300_i32..300, 1..3_000), window in 1_usize..2_000) {
            let mut ordered = Ordered::default();
            let at = |n: usize| f64::from(values[n]) / 4.0;
            for n in 0..values.len() {
                ordered.insert(at(n));
                if n >= window {
                    ordered.remove(at(n - window));
                }
                if n % 500 == 499 || n + 1 == values.len() {
                    let mut sorted: Vec<f64> = ((n + 1).saturating_sub(window)..=n).map(at).collect();
                    sorted.sort_by(f64::total_cmp);
                    prop_assert_eq!(ordered.len(), sorted.len());
                    let all: Vec<f64> = (0..sorted.len()).map(|rank| ordered.at(rank)).collect();
                    prop_assert_eq!(&all, &sorted);
                    let less = sorted.iter().filter(|&&one| one < 0.0).count();
                    prop_assert_eq!(ordered.less_than(0.0), less);
                }
            }
        }
    }
}
