//! The pace of a noisy line: the slope of Theil and Sen with the bounds of Kendall's rank test.
//!
//! 1. The slope is the median of the slopes between all pairs of points. Up to 29 % of the points may be wild before
//!    it breaks down (Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968).
//! 2. S counts the rising pairs less the falling. Without a trend its variance is
//!    `(n(n−1)(2n+5) − Σ t(t−1)(2t+5)) / 18`, where t are the sizes of groups of equal values.
//! 3. Neighbouring points of real series are alike, which makes S look surer than it is; the variance is multiplied by
//!    `(1+ρ)/(1−ρ)` with ρ the lag-1 autocorrelation of what the line leaves over (Yue and Wang, 2004).
//! 4. The slopes at the ranks `(N ± 1.96 √var)/2` of the N pairs bound the slope with 95 % confidence.

use crate::rank;

/// More points than this are not looked at: 288 make 41,328 pairs.
pub(crate) const MOST_POINTS: usize = 288;
/// The quantile of the normal distribution that leaves 2.5 % on each side.
const CONFIDENCE: f64 = 1.96;
/// Autocorrelation is believed up to this.
const MOST_ALIKE: f64 = 0.9;

/// A value at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// In hours, from anywhere.
    pub(crate) at: f64,
    pub(crate) value: f64,
}

/// The line through points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trend {
    /// Change in an hour, with its bounds of 95 %.
    pub(crate) slope: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Kendall's S as a normal deviate: above 2.58 a rise is no chance at 1 %.
    pub(crate) surety: f64,
}

/// The trend of `points`, which are in time order, at different times, at most [`MOST_POINTS`]; of fewer than three
/// there is none.
pub(crate) fn trend(points: &[Point]) -> Option<Trend> {
    debug_assert!(points.len() <= MOST_POINTS, "thin the points first");
    if points.len() < 3 {
        return None;
    }
    let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    let mut rising = 0_i64;
    for (place, from) in points.iter().enumerate() {
        for to in &points[place + 1..] {
            let slope = (to.value - from.value) / (to.at - from.at);
            rising += i64::from(slope > 0.0) - i64::from(slope < 0.0);
            slopes.push(slope);
        }
    }
    let slope = rank::median(&mut slopes)?;
    let spread = (variance(points) * likeness(points, slope)).sqrt();
    let pairs = slopes.len() as f64;
    let half = CONFIDENCE * spread / pairs;
    Some(Trend {
        slope,
        low: rank::quantile(&mut slopes, f64::midpoint(1.0, -half))?.min(slope),
        high: rank::quantile(&mut slopes, f64::midpoint(1.0, half))?.max(slope),
        surety: if spread > 0.0 { (rising - rising.signum()) as f64 / spread } else { 0.0 },
    })
}

/// The variance of Kendall's S where there is no trend.
fn variance(points: &[Point]) -> f64 {
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut values: Vec<f64> = points.iter().map(|point| point.value).collect();
    values.sort_unstable_by(f64::total_cmp);
    let ties: f64 = values.chunk_by(|a, b| a == b).map(|equal| term(equal.len() as f64)).sum();
    (term(points.len() as f64) - ties).max(0.0) / 18.0
}

/// What the likeness of neighbours multiplies the variance by, 1 or more.
fn likeness(points: &[Point], slope: f64) -> f64 {
    let mut left: Vec<f64> = points.iter().map(|point| point.value - slope * point.at).collect();
    let mean = left.iter().sum::<f64>() / left.len() as f64;
    for value in &mut left {
        *value -= mean;
    }
    let power: f64 = left.iter().map(|value| value * value).sum();
    let shared: f64 = left.windows(2).map(|pair| pair[0] * pair[1]).sum();
    // What rounding leaves over of a perfect line is no noise.
    let size = points.iter().map(|point| point.value.abs()).fold(0.0, f64::max);
    if power <= (1e-12 * size).powi(2) * points.len() as f64 {
        return 1.0;
    }
    let alike = (shared / power).clamp(0.0, MOST_ALIKE);
    (1.0 + alike) / (1.0 - alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(count: usize, value: impl Fn(f64) -> f64) -> Vec<Point> {
        (0..count).map(|at| Point { at: at as f64, value: value(at as f64) }).collect()
    }

    #[test]
    fn a_line_has_its_slope() {
        let found = trend(&line(50, |at| 7.0 + 3.0 * at)).unwrap();
        assert_eq!((found.slope, found.low, found.high), (3.0, 3.0, 3.0));
        assert!(found.surety > 9.0, "{found:?}");
    }

    #[test]
    fn a_quarter_of_wild_points_does_not_bend_it() {
        let found = trend(&line(100, |at| if at % 4.0 == 1.0 { 1e9 } else { 2.0 * at })).unwrap();
        assert!((found.slope - 2.0).abs() < 0.2, "{found:?}");
    }

    #[test]
    fn no_trend_is_not_sure() {
        assert_eq!(trend(&line(50, |_| 5.0)).unwrap().surety, 0.0);
        let found = trend(&line(200, |at| (at * 12.9).sin() * 43.0 % 1.0)).unwrap();
        assert!(found.surety.abs() < 2.58 && found.low < 0.0 && found.high > 0.0, "{found:?}");
    }

    #[test]
    fn alike_neighbours_make_less_sure() {
        let wave = |at: f64| 0.02 * at + (at / 6.0).sin();
        let found = trend(&line(100, wave)).unwrap();
        let scrambled = trend(&line(100, |at| 0.02 * at + (at * 37.0).sin())).unwrap();
        assert!(found.surety < 0.6 * scrambled.surety, "{found:?} {scrambled:?}");
    }

    #[test]
    fn two_points_are_no_trend() {
        assert_eq!(trend(&line(2, |at| at)), None);
    }
}
