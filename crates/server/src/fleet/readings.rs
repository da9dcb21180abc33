//! What was left on each file system at the moments from which its growth is told.
//!
//! The moments stand on a grid, so that only the newest has to be asked for at each look. All are asked for anew now
//! and then, as agents may tell of the past later.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use muster_api::Growth;
use muster_series::Labels;

use super::growth::{Reading, WINDOWS, Window, growth};
use crate::ask::{file_system_metric, vector};
use crate::store::MetricStore;

/// After this time all moments are asked for anew.
const FORGET_MS: i64 = 600_000;

/// How each file system fills, by its labels without the metric's name.
pub(crate) type GrowthTable = HashMap<Labels, Growth>;

/// The readings of all file systems.
#[derive(Debug, Default)]
pub(super) struct Readings {
    numbers: HashMap<Labels, usize>,
    /// By moment: what was left, by the number of the file system; NaN where it was not told.
    columns: BTreeMap<i64, Vec<f64>>,
    begun_ms: i64,
}

impl Readings {
    /// The growth of all file systems that are there at a moment.
    pub(super) fn growths(&mut self, store: &dyn MetricStore, now_ms: i64) -> GrowthTable {
        let available = file_system_metric("avail_bytes");
        self.update(now_ms, |at_ms| vector(store, &available, at_ms));
        let sizes = vector(store, &file_system_metric("size_bytes"), now_ms);
        sizes
            .into_iter()
            .map(|(labels, size)| {
                let labels = labels.without_metric_name();
                let readings = WINDOWS.map(|window| self.of(&labels, window, now_ms));
                let growth = growth(size, &readings, now_ms);
                (labels, growth)
            })
            .collect()
    }

    fn update(&mut self, now_ms: i64, read: impl Fn(i64) -> Vec<(Labels, f64)>) {
        if now_ms - self.begun_ms >= FORGET_MS || now_ms < self.begun_ms {
            *self = Self { begun_ms: now_ms, ..Self::default() };
        }
        let wanted = wanted(now_ms);
        self.columns.retain(|at_ms, column| wanted.contains(at_ms) && !column.is_empty());
        for at_ms in wanted {
            if self.columns.contains_key(&at_ms) {
                continue;
            }
            let mut column = Vec::new();
            for (labels, left) in read(at_ms) {
                let next = self.numbers.len();
                let number = *self.numbers.entry(labels.without_metric_name()).or_insert(next);
                if column.len() <= number {
                    column.resize(number + 1, f64::NAN);
                }
                column[number] = left;
            }
            self.columns.insert(at_ms, column);
        }
    }

    fn of(&self, labels: &Labels, window: Window, now_ms: i64) -> Vec<Reading> {
        let Some(&number) = self.numbers.get(labels) else {
            return Vec::new();
        };
        moments(window, now_ms)
            .filter_map(|at_ms| {
                let left = *self.columns.get(&at_ms)?.get(number)?;
                left.is_finite().then_some(Reading { at_ms, left })
            })
            .collect()
    }
}

/// The moments of a window before now, in time order.
fn moments(window: Window, now_ms: i64) -> impl Iterator<Item = i64> {
    let last_ms = now_ms - now_ms.rem_euclid(window.step_ms);
    (0..=window.span_ms / window.step_ms).rev().map(move |step| last_ms - step * window.step_ms)
}

fn wanted(now_ms: i64) -> BTreeSet<i64> {
    WINDOWS.into_iter().flat_map(|window| moments(window, now_ms)).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use muster_api::GrowthKind;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const NOW_MS: i64 = 20_000 * 24 * HOUR_MS + 123_456;

    fn labels(mountpoint: &str) -> Labels {
        Labels::from_pairs([("instance", "web-1"), ("mountpoint", mountpoint)]).unwrap()
    }

    #[test]
    fn a_moment_is_asked_for_once_and_an_empty_one_again() {
        let asked = RefCell::new(Vec::new());
        let mut readings = Readings::default();
        let read = |at_ms: i64| {
            asked.borrow_mut().push(at_ms);
            let known = at_ms > NOW_MS - 10 * HOUR_MS;
            if known { vec![(labels("/"), at_ms as f64)] } else { vec![] }
        };
        readings.update(NOW_MS, read);
        let first = asked.take();
        assert_eq!(first.len(), wanted(NOW_MS).len());
        readings.update(NOW_MS + 60_000, read);
        let again = asked.take();
        assert!(!again.is_empty() && again.iter().all(|&at_ms| at_ms <= NOW_MS - 10 * HOUR_MS));
        readings.update(NOW_MS + FORGET_MS, read);
        assert_eq!(asked.take().len(), wanted(NOW_MS + FORGET_MS).len());
    }

    #[test]
    fn readings_keep_to_their_file_systems() {
        let mut readings = Readings::default();
        readings.update(NOW_MS, |at_ms| {
            let mut told = vec![(labels("/data"), 1e12 - at_ms as f64 / 1e3)];
            if at_ms > NOW_MS - 2 * HOUR_MS {
                told.push((labels("/new"), 5.0));
            }
            told
        });
        let day = WINDOWS[1];
        assert_eq!(readings.of(&labels("/data"), day, NOW_MS).len(), 25);
        assert_eq!(readings.of(&labels("/new"), day, NOW_MS).len(), 2);
        assert_eq!(readings.of(&labels("/none"), day, NOW_MS), []);
        let all = WINDOWS.map(|window| readings.of(&labels("/data"), window, NOW_MS));
        assert_eq!(growth(1e8, &all, NOW_MS).kind, GrowthKind::Steady);
    }
}
