//! The ups and downs of a series: where it turned, and what its rises and falls were.
//!
//! A turn is a highest or lowest point after which the series went back by more than a threshold (a zigzag). Log
//! rotation, nightly clean-ups and the rhythm of a day leave rises that were taken back; the present rise is judged by
//! them.

use crate::trend::Point;

/// One rise that ended in a fall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rise {
    pub(crate) from: Point,
    /// The highest point, the first of several.
    pub(crate) peak: Point,
    /// The lowest point after it, before the next rise or the end.
    pub(crate) trough: Point,
}

/// The ended rises of a series, and what came since.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Swings {
    pub(crate) rises: Vec<Rise>,
    /// Where the present rise began: the last trough, or the first point. It is the place in the points.
    pub(crate) since: usize,
}

/// The swings of `points` (in time order) that exceed `threshold`, which is more than nothing.
pub(crate) fn swings(points: &[Point], threshold: f64) -> Swings {
    let mut found = Swings { rises: Vec::new(), since: 0 };
    let Some(first) = points.first() else { return found };
    let (mut low, mut low_place, mut high) = (*first, 0, *first);
    let mut falling = false;
    for (place, point) in points.iter().enumerate() {
        if falling {
            if point.value <= low.value {
                (low, low_place) = (*point, place);
            } else if point.value > low.value + threshold {
                end_fall(&mut found, low, low_place);
                (falling, high) = (false, *point);
            }
        } else if point.value > high.value {
            high = *point;
        } else if point.value < high.value - threshold {
            let from = points[found.since];
            found.rises.push(Rise { from, peak: high, trough: *point });
            (falling, low, low_place) = (true, *point, place);
        }
    }
    if falling {
        end_fall(&mut found, low, low_place);
    }
    found
}

fn end_fall(found: &mut Swings, low: Point, low_place: usize) {
    found.since = low_place;
    if let Some(rise) = found.rises.last_mut() {
        rise.trough = low;
    }
}

impl Swings {
    /// The height of the highest ended rise, and the length of the longest, in the value's unit and in hours.
    pub(crate) fn largest(&self) -> (f64, f64) {
        self.rises.iter().fold((0.0, 0.0), |(height, length), rise| {
            let risen: f64 = rise.peak.value - rise.from.value;
            (risen.max(height), (rise.peak.at - rise.from.at).max(length))
        })
    }

    /// The pace of the steepest ended rise, in an hour.
    pub(crate) fn steepest(&self) -> f64 {
        let pace = |rise: &Rise| {
            let length = rise.peak.at - rise.from.at;
            if length > 0.0 { (rise.peak.value - rise.from.value) / length } else { 0.0 }
        };
        self.rises.iter().map(pace).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[f64], threshold: f64) -> Swings {
        let points: Vec<Point> = values
            .iter()
            .enumerate()
            .map(|(at, value)| Point { at: at as f64, value: *value })
            .collect();
        swings(&points, threshold)
    }

    #[track_caller]
    fn check(values: &[f64], peaks_and_troughs: &[(f64, f64)], since: usize) {
        let swings = found(values, 2.0);
        let turns: Vec<_> =
            swings.rises.iter().map(|rise| (rise.peak.value, rise.trough.value)).collect();
        assert_eq!((turns.as_slice(), swings.since), (peaks_and_troughs, since));
    }

    #[test]
    fn turns_are_found_and_small_ones_are_not() {
        check(&[], &[], 0);
        check(&[1.0, 2.0, 3.0], &[], 0);
        check(&[1.0, 3.0, 2.0, 5.0, 4.0], &[], 0);
        check(&[1.0, 5.0, 2.0, 3.0], &[(5.0, 2.0)], 2);
        check(&[1.0, 5.0, 2.0, 1.0, 4.0, 9.0, 0.0, 1.0], &[(5.0, 1.0), (9.0, 0.0)], 6);
        check(&[9.0, 5.0, 1.0], &[(9.0, 1.0)], 2);
    }

    #[test]
    fn the_largest_rise_is_known() {
        let swings = found(&[0.0, 4.0, 0.0, 3.0, 6.0, 1.0], 2.0);
        assert_eq!(swings.largest(), (6.0, 2.0));
        assert_eq!(swings.steepest(), 4.0);
    }
}
