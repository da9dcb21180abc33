//! When a series became another: points at which its level changed, and whether two spans of it differ.
//!
//! 1. Two spans are compared by their medians, in σ of what is left within them, and by the test of Mann and Whitney:
//!    U counts the pairs of which the later value is higher. Without a change its mean is `nm/2` and its variance
//!    `nm/12 · (N+1 − Σ(t³−t)/(N(N−1)))`, where t are the sizes of groups of equal values and N = n+m.
//! 2. A change point is where the spans before and after differ by both, and by more than anywhere near. A slow slope is
//!    none: within the spans it spreads about as much as between them.

use crate::rank;
use muster_series::Sample;

/// Medians must differ by so many σ.
const SCALES: f64 = 3.0;
/// U must be so many deviations away: among hundreds of places, no chance at one in ten thousand.
const SURE: f64 = 4.5;
/// Spans of fewer values than this cannot be that sure.
pub const LEAST_SPAN: usize = 10;

/// How two spans of values differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The median of the earlier span.
    pub before: f64,
    /// The median of the later.
    pub after: f64,
    /// The difference of the medians in σ of what is left within the spans, with sign; infinite if nothing is left.
    pub scales: f64,
    /// Mann and Whitney's U as a normal deviate, with sign.
    pub surety: f64,
}

impl Difference {
    /// Whether the level has changed by both measures.
    pub fn is_change(&self) -> bool {
        self.scales.abs() > SCALES && self.surety.abs() > SURE
    }
}

/// A time at which a level changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePoint {
    /// The time of the first value of the new level.
    pub at_ms: i64,
    /// How the spans before and after differ.
    pub difference: Difference,
}

/// How `after` differs from `before`; values that are not finite are left out, and of nothing there is no difference.
pub fn difference(before: &[f64], after: &[f64]) -> Option<Difference> {
    let finite = |values: &[f64]| -> Vec<f64> {
        values.iter().copied().filter(|value| value.is_finite()).collect()
    };
    let (mut early, mut late) = (finite(before), finite(after));
    let (before, after) = (rank::median(&mut early)?, rank::median(&mut late)?);
    let left = early.iter().map(|value| value - before);
    let sigma = rank::sigma(left.chain(late.iter().map(|value| value - after)))?;
    let shift = after - before;
    let scales = if shift == 0.0 { 0.0 } else { shift / sigma };
    Some(Difference { before, after, scales, surety: mann_whitney(&early, &late) })
}

/// The level changes in `history` (in time order), of spans of so many values before and after, at least
/// [`LEAST_SPAN`]; in time order. An hour's values are a good span. The cost grows with the length times the span.
pub fn change_points(history: &[Sample], span: usize) -> Vec<ChangePoint> {
    let span = span.max(LEAST_SPAN);
    let known: Vec<&Sample> = history.iter().filter(|sample| sample.value.is_finite()).collect();
    let values: Vec<f64> = known.iter().map(|sample| sample.value).collect();
    let places = span..(values.len() + 1).saturating_sub(span);
    let mut found: Vec<(usize, Difference)> = Vec::new();
    for place in places {
        let compared = difference(&values[place - span..place], &values[place..place + span]);
        let Some(compared) = compared.filter(Difference::is_change) else { continue };
        match found.last_mut() {
            // Of places within a span of each other the surest is the change.
            Some((best, known)) if place - *best < span => {
                if compared.surety.abs() > known.surety.abs() {
                    (*best, *known) = (place, compared);
                }
            }
            _ => found.push((place, compared)),
        }
    }
    let point = |(place, difference): (usize, Difference)| ChangePoint {
        at_ms: known[place].timestamp_ms,
        difference,
    };
    found.into_iter().map(point).collect()
}

/// U of Mann and Whitney as a normal deviate, with the correction for ties: above zero if the later values are higher.
fn mann_whitney(early: &[f64], late: &[f64]) -> f64 {
    let (n, m) = (early.len() as f64, late.len() as f64);
    let total = n + m;
    let mut all: Vec<(f64, bool)> = early.iter().map(|value| (*value, false)).collect();
    all.extend(late.iter().map(|value| (*value, true)));
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks_late, mut ties, mut below) = (0.0, 0.0, 0.0);
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let count = equal.len() as f64;
        let late = equal.iter().filter(|(_, late)| *late).count() as f64;
        ranks_late += late * (below + f64::midpoint(count, 1.0));
        ties += count.powi(3) - count;
        below += count;
    }
    let u = ranks_late - m * (m + 1.0) / 2.0;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)).max(1.0));
    if variance > 0.0 { (u - n * m / 2.0) / variance.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A noise that is the same at each run, within ±1.
    fn noise(at: usize) -> f64 {
        ((at as f64 * 12.989_8).sin() * 43_758.547).fract()
    }

    #[track_caller]
    fn check(value: impl Fn(usize) -> f64, expected: &[usize]) {
        let history: Vec<Sample> = (0..300)
            .map(|at| Sample { timestamp_ms: at as i64 * 1_000, value: value(at) })
            .collect();
        let found: Vec<usize> = change_points(&history, 20)
            .iter()
            .map(|found| (found.at_ms / 1_000) as usize)
            .collect();
        let near = |(found, expected): (&usize, &usize)| found.abs_diff(*expected) <= 1;
        assert!(
            found.len() == expected.len() && found.iter().zip(expected).all(near),
            "{found:?} {expected:?}"
        );
    }

    #[test]
    fn a_new_level_is_found_where_it_began() {
        check(|at| if at < 120 { 1.0 } else { 2.0 }, &[120]);
        check(|at| noise(at) + if at < 120 { 0.0 } else { 4.0 }, &[120]);
        check(|at| noise(at) - if at < 200 { 0.0 } else { 4.0 }, &[200]);
        check(|at| noise(at) + if (90..180).contains(&at) { 5.0 } else { 0.0 }, &[90, 180]);
    }

    #[test]
    fn noise_spikes_slopes_and_gaps_are_no_change() {
        check(|_| 5.0, &[]);
        check(noise, &[]);
        check(|at| noise(at) + if at % 50 == 0 { 100.0 } else { 0.0 }, &[]);
        check(|at| noise(at) + 0.05 * at as f64, &[]);
        check(|at| 0.3 * at as f64, &[]);
        check(|at| if (100..180).contains(&at) { f64::NAN } else { noise(at) }, &[]);
        check(|_| f64::NAN, &[]);
    }

    #[test]
    fn two_spans_differ_by_rank() {
        let early: Vec<f64> = (0..20).map(noise).collect();
        let late: Vec<f64> = (20..40).map(|at| noise(at) + 9.0).collect();
        let found = difference(&early, &late).unwrap();
        // All of 400 pairs rise: U = 400, of mean 200 and variance 400·41/12.
        assert!(
            (found.surety - 200.0 / (400.0_f64 * 41.0 / 12.0).sqrt()).abs() < 1e-9,
            "{found:?}"
        );
        assert!(found.is_change() && found.scales > 3.0);
        let back = difference(&late, &early).unwrap();
        assert_eq!(back.surety, -found.surety);
        assert_eq!(difference(&early, &[]), None);
        let same = difference(&[1.0; 9], &[1.0; 9]).unwrap();
        assert_eq!((same.scales, same.surety, same.is_change()), (0.0, 0.0, false));
    }
}
