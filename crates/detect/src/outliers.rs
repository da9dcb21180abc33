//! Who differs from its peers: one host of a group that does what all others do not.
//!
//! 1. At each step the group has a median m and a scale `max(1.4826·MAD, 5 % of |m|, floor)`; a peer's score is its
//!    distance from m in scales.
//! 2. A peer is an outlier if its score is beyond [`SCORE`] on one side in at least [`SHARE`] of the steps, of which it
//!    has most: what lasts a quarter of an hour counts, one wild value does not.
//! 3. Where more than a quarter of the group would be outliers, the group is not alike (half of it stands by, or serves
//!    another shard), and there are none.

use crate::rank;

/// A group needs so many peers that have a value.
pub const LEAST_PEERS: usize = 5;
/// So many scales from the median is far.
const SCORE: f64 = 6.0;
/// In this share of the steps.
const SHARE: f64 = 0.8;
/// The scale is at least this share of the median.
const LEAST_SHARE: f64 = 0.05;
/// At most this share of the group can be outliers.
const MOST_OUTLIERS: f64 = 0.25;

/// A peer that differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlier {
    /// Its place among the peers that were given.
    pub peer: usize,
    /// Its median distance from the group's median, in scales, with sign.
    pub score: f64,
    /// Its median value over the steps.
    pub value: f64,
    /// The same of the group: the median of its medians.
    pub usual: f64,
}

/// The outliers of a group, the farthest first.
///
/// `peers` holds the values of each at the same steps (15 minutes of them are a good measure); what is missing is no
/// number, and a row may be shorter than others. `floor`, zero or more and in the values' unit, is too small a
/// difference to matter. Fewer than [`LEAST_PEERS`] peers have no outliers.
pub fn outliers<Row: AsRef<[f64]>>(peers: &[Row], floor: f64) -> Vec<Outlier> {
    let steps = peers.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let mut scores: Vec<Vec<f64>> = vec![Vec::with_capacity(steps); peers.len()];
    let mut medians = Vec::with_capacity(steps);
    for step in 0..steps {
        let at = |row: &Row| row.as_ref().get(step).copied().filter(|value| value.is_finite());
        let Some((median, scale)) = group(peers.iter().filter_map(at), floor) else { continue };
        medians.push(median);
        for (row, scores) in peers.iter().zip(&mut scores) {
            scores.extend(at(row).map(|value| (value - median) / scale));
        }
    }
    let counted = medians.len();
    let Some(usual) = rank::median(&mut medians) else { return Vec::new() };
    let mut found: Vec<Outlier> = Vec::new();
    for (peer, (row, scores)) in peers.iter().zip(&mut scores).enumerate() {
        if differs(scores, counted) {
            let mut values: Vec<f64> =
                row.as_ref().iter().copied().filter(|value| value.is_finite()).collect();
            let medians = rank::median(scores).zip(rank::median(&mut values));
            found.extend(medians.map(|(score, value)| Outlier { peer, score, value, usual }));
        }
    }
    let alive = scores.iter().filter(|scores| !scores.is_empty()).count();
    if found.len() as f64 > (MOST_OUTLIERS * alive as f64).max(1.0) {
        return Vec::new();
    }
    found.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    found
}

/// The median of a group at one step, and its scale.
fn group(values: impl Iterator<Item = f64>, floor: f64) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = values.collect();
    if values.len() < LEAST_PEERS {
        return None;
    }
    let median = rank::median(&mut values)?;
    let spread = rank::sigma(values.iter().map(|value| value - median))?;
    Some((median, spread.max(LEAST_SHARE * median.abs()).max(floor).max(f64::MIN_POSITIVE)))
}

/// Whether a peer is far on one side for long enough, of `steps` at which there was a group.
fn differs(scores: &[f64], steps: usize) -> bool {
    let above = scores.iter().filter(|score| **score > SCORE).count();
    let below = scores.iter().filter(|score| **score < -SCORE).count();
    2 * scores.len() > steps && above.max(below) as f64 >= SHARE * scores.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outliers among peers that have had each value for three steps, give or take a little.
    #[track_caller]
    fn check(peers: &[f64], floor: f64, expected: &[usize]) {
        let rows: Vec<[f64; 3]> = peers.iter().map(|at| [*at, at * 1.01, at * 0.99]).collect();
        let found: Vec<usize> = outliers(&rows, floor).iter().map(|found| found.peer).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn one_that_differs_is_found() {
        check(&[10.0, 11.0, 9.0, 10.5, 60.0], 0.0, &[4]);
        check(&[10.0, 11.0, 9.0, 10.5, 10.2], 0.0, &[]);
        check(&[50.0, 51.0, 2.0, 52.0, 49.5, 50.5], 0.0, &[2]);
        check(&[10.0; 8], 0.0, &[]);
        check(&[10.0, 10.0, 90.0, 10.0, 10.0, 10.0, 10.0, 50.0], 0.0, &[2, 7]);
    }

    #[test]
    fn small_groups_and_small_differences_have_none() {
        check(&[10.0, 10.0, 10.0, 90.0], 0.0, &[]);
        check(&[0.0, 0.0, 0.0, 0.0, 0.5], 0.1, &[]);
        check(&[0.0, 0.0, 0.0, 0.0, 0.5], 0.01, &[4]);
        check(&[10.0, 10.0, f64::NAN, 10.0, 90.0], 0.0, &[]);
    }

    #[test]
    fn a_group_that_is_not_alike_has_none() {
        check(&[10.0, 10.0, 10.0, 90.0, 90.0], 0.0, &[]);
        check(&[10.0, 10.0, 10.0, 10.0, 10.0, 90.0, 90.0, 90.0], 0.0, &[]);
    }

    #[test]
    fn what_does_not_last_is_none() {
        let mut rows = vec![vec![10.0; 10]; 6];
        rows[3][4] = 1e9;
        rows[2][..7].fill(90.0);
        assert_eq!(outliers(&rows, 0.0), []);
        rows[2][..8].fill(90.0);
        let found = outliers(&rows, 0.0);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].peer, found[0].value, found[0].usual), (2, 90.0, 10.0));
        assert!(found[0].score > SCORE);
    }

    #[test]
    fn nothing_has_no_outliers() {
        assert_eq!(outliers::<Vec<f64>>(&[], 0.0), []);
        assert_eq!(outliers(&vec![vec![]; 9], 0.0), []);
        assert_eq!(outliers(&vec![vec![f64::NAN]; 9], 0.0), []);
    }
}
