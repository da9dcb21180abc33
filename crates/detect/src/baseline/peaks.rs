//! How high the scores of a series usually rise: a wild series rises high in health too, and is not unusual for that.
//!
//! The largest score of each block of hours, on either side, is compared with what one block in five exceeds: more
//! raises that by a share, less lowers it by a smaller one. So a fault teaches by its length, however large it is.

const BLOCK_MS: i64 = 6 * 3_600_000;
/// A peak that is exceeded by this share of the blocks is usual.
const EXCEEDED: f64 = 0.2;
/// How fast the usual peaks follow, at the least, and in the first blocks.
const FOLLOWS: f64 = 0.3;
const FOLLOWS_FIRST: f64 = 2.0;
/// The peaks of tame series, in scales: no series counts as tamer than that.
const TAME: f64 = 2.0;
/// What is usual of a series that is not known yet, and the least that it can fall to.
const AT_FIRST: f64 = 3.0;
const LEAST: f64 = 0.5;

/// The usual peaks of one series: of scores above zero, and of those below.
#[derive(Debug, Clone)]
pub(super) struct Peaks {
    block: i64,
    /// How many blocks are over.
    blocks: f32,
    present: [f32; 2],
    usual: [f32; 2],
}

impl Peaks {
    pub(super) fn new(at_ms: i64) -> Self {
        Self {
            block: at_ms.div_euclid(BLOCK_MS),
            blocks: 0.0,
            present: [0.0; 2],
            usual: [AT_FIRST as f32; 2],
        }
    }

    /// How many times wilder than tame the series is, one or more: above what is expected, and below.
    pub(super) fn wildness(&self) -> [f64; 2] {
        self.usual.map(|usual| (f64::from(usual) / TAME).max(1.0))
    }

    /// Learns a score with its sign.
    pub(super) fn learn(&mut self, at_ms: i64, score: f64) {
        let block = at_ms.div_euclid(BLOCK_MS);
        if block != self.block {
            self.block = block;
            self.settle();
        }
        let present = &mut self.present[usize::from(score < 0.0)];
        *present = present.max(score.abs() as f32);
    }

    /// Learns the peaks of a block that is over.
    fn settle(&mut self) {
        self.blocks += 1.0;
        let follows = FOLLOWS.max(FOLLOWS_FIRST / (f64::from(self.blocks) + 1.0));
        for (usual, present) in self.usual.iter_mut().zip(&mut self.present) {
            let step = if *present > *usual { 1.0 - EXCEEDED } else { -EXCEEDED };
            *usual = (*usual * (follows * step).exp() as f32).max(LEAST as f32);
            *present = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wildness after so many blocks with these peaks above, in turn.
    fn after(blocks: i64, peaks: &[f64]) -> [f64; 2] {
        let mut known = Peaks::new(0);
        for (block, peak) in (0..blocks).zip(peaks.iter().cycle()) {
            known.learn(block * BLOCK_MS, *peak);
        }
        known.wildness()
    }

    #[test]
    fn what_is_usual_is_learned_on_either_side() {
        assert_eq!(after(40, &[1.0]), [1.0, 1.0]);
        let [above, below] = after(200, &[20.0]);
        assert!((7.0..15.0).contains(&above) && below == 1.0, "{above} {below}");
        let [above, below] = after(200, &[-20.0]);
        assert!((7.0..15.0).contains(&below) && above == 1.0, "{above} {below}");
        // Rare peaks are not usual, those of every other block are.
        assert!(after(400, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 20.0])[0] < 2.0);
        assert!(after(400, &[1.0, 20.0])[0] > 5.0);
    }

    #[test]
    fn one_fault_teaches_little_however_large_it_is() {
        let mut known = Peaks::new(0);
        for block in 0..60 {
            known.learn(block * BLOCK_MS, if block == 58 { 1e30 } else { 1.0 });
        }
        assert!(known.wildness()[0] < 1.2, "{:?}", known.wildness());
    }
}
