//! When each file system will be full, of bytes and of inodes, by what the store holds.
//!
//! 1. A file system that is new here is read once, over a week ([`Lows`]); its stored forecasts of that time are
//!    compared with what came of them, so that a restart forgets no error.
//! 2. Every five minutes the least that was left since then joins, by one query for all, and all are judged again.
//! 3. What cannot be written does not fill and is left out.

use std::collections::{BTreeMap, HashMap, HashSet};

use muster_detect::{Date, Forecast, NoDate, Record, Side, Target, forecast};
use muster_series::{Labels, METRIC_NAME, Matcher, SeriesColumns, TimeRange, is_stale_marker};

use super::lows::{KEPT_MS, Lows};
use super::written::Written;
use crate::ask::{file_system_metric, vector};
use crate::store::{MetricStore, QueryRun};

/// From one judgement to the next, in milliseconds; so much of the past a query for the newest lows covers.
const STEP_MS: i64 = 300_000;
/// A stored forecast stands for this long, in milliseconds.
const STANDS_MS: i64 = 300_000;
const DAY_MS: f64 = 86_400_000.0;
/// So many hosts are read in one look: some seconds of work.
const HOSTS_A_LOOK: usize = 200;

/// What can run out: the names of what is left, of the whole, and of the series that are told of it.
#[derive(Debug)]
struct Stock {
    left: &'static str,
    whole: &'static str,
    full: &'static str,
    earliest: &'static str,
    latest: &'static str,
    growth: &'static str,
}

const BYTES: Stock = Stock {
    left: "avail_bytes",
    whole: "size_bytes",
    full: FULL,
    earliest: EARLIEST,
    latest: LATEST,
    growth: GROWTH,
};
const INODES: Stock = Stock {
    left: "files_free",
    whole: "files",
    full: "muster_filesystem_inodes_full_seconds",
    earliest: "muster_filesystem_inodes_full_earliest_seconds",
    latest: "muster_filesystem_inodes_full_latest_seconds",
    growth: "muster_filesystem_inodes_growth_per_second",
};
const STOCKS: [&Stock; 2] = [&BYTES, &INODES];

/// Seconds until a file system is full, and the range of that; the bytes a second by which it fills.
pub(crate) const FULL: &str = "muster_filesystem_full_seconds";
pub(crate) const EARLIEST: &str = "muster_filesystem_full_earliest_seconds";
pub(crate) const LATEST: &str = "muster_filesystem_full_latest_seconds";
pub(crate) const GROWTH: &str = "muster_filesystem_growth_bytes_per_second";

/// What is known of one stock of one file system.
#[derive(Debug)]
struct Track {
    lows: Lows,
    record: Record,
    told: Forecast,
}

/// Of one file system: bytes, and inodes where it has a limit of them.
type Tracks = [Option<Track>; 2];

/// All that is remembered between judgements.
#[derive(Debug, Default)]
pub(crate) struct Forecasts {
    tracks: HashMap<Labels, Tracks>,
    /// Hosts whose file systems could not be read; they are not asked again before the next step.
    unread: HashSet<String>,
    step: i64,
}

/// The forecasts of all file systems, by their labels without the metric's name: bytes, and inodes.
#[derive(Debug, Default)]
pub(crate) struct ForecastTable {
    pub(crate) by_labels: HashMap<Labels, [Option<Forecast>; 2]>,
    /// Whether some were not read yet.
    pub(crate) more: bool,
}

impl Forecasts {
    /// Judges all file systems that are there at a moment, as far as that is due.
    pub(crate) fn look(&mut self, store: &dyn MetricStore, now_ms: i64) -> ForecastTable {
        let wholes = STOCKS.map(|stock| writable(store, stock, now_ms));
        let step = now_ms.div_euclid(STEP_MS);
        if step != self.step {
            self.step = step;
            self.unread.clear();
            self.grow(store, &wholes, now_ms);
        }
        let more = self.read_new(store, &wholes, now_ms);
        let all = wholes[0].keys().filter_map(|labels| {
            let tracks = self.tracks.get(labels)?;
            Some((labels.clone(), [0, 1].map(|at| tracks[at].as_ref().map(|track| track.told))))
        });
        ForecastTable { by_labels: all.collect(), more }
    }

    /// Adds what was left since the last step, and judges all.
    fn grow(&mut self, store: &dyn MetricStore, wholes: &[HashMap<Labels, f64>; 2], now_ms: i64) {
        for (at, stock) in STOCKS.into_iter().enumerate() {
            let left = file_system_metric(stock.left);
            let newest = format!("min_over_time({left}[{}s])", STEP_MS / 1_000);
            for (labels, left) in vector(store, &newest, now_ms) {
                let labels = labels.without_metric_name();
                let Some(Some(track)) = self.tracks.get_mut(&labels).map(|of| of[at].as_mut())
                else {
                    continue;
                };
                track.lows.push(now_ms, left);
                if let Some(whole) = wholes[at].get(&labels) {
                    track.judge(*whole, now_ms);
                }
            }
        }
        let gone = |track: &Track| track.lows.is_older(now_ms - KEPT_MS);
        self.tracks.retain(|_, tracks| !tracks.iter().flatten().all(gone));
    }

    /// Reads the past of file systems that are new here; tells whether there are more.
    fn read_new(
        &mut self,
        store: &dyn MetricStore,
        wholes: &[HashMap<Labels, f64>; 2],
        now_ms: i64,
    ) -> bool {
        let mut new: BTreeMap<&str, HashSet<&Labels>> = BTreeMap::new();
        for labels in wholes[0].keys().filter(|labels| !self.tracks.contains_key(labels)) {
            let Some(instance) = labels.get("instance") else { continue };
            if !self.unread.contains(instance) {
                new.entry(instance).or_default().insert(labels);
            }
        }
        let more = new.len() > HOSTS_A_LOOK;
        for (instance, new) in new.into_iter().take(HOSTS_A_LOOK) {
            let pasts = STOCKS.map(|stock| read(store, stock, instance, now_ms));
            let [Some(bytes), Some(inodes)] = pasts else {
                self.unread.insert(instance.to_owned());
                continue;
            };
            for labels in new {
                let track = |past: &HashMap<Labels, (Lows, Record)>, at: usize| {
                    let (lows, record) = past.get(labels).cloned()?;
                    let told = Forecast::NoDate(NoDate::Flat);
                    let mut track = Track { lows, record, told };
                    track.judge(*wholes[at].get(labels)?, now_ms);
                    Some(track)
                };
                let tracks = [track(&bytes, 0), track(&inodes, 1)];
                self.tracks.insert(labels.clone(), tracks);
            }
        }
        more
    }
}

impl Track {
    fn judge(&mut self, whole: f64, now_ms: i64) {
        let history: Vec<_> = self.lows.samples().collect();
        let target = Target { limit: 0.0, side: Side::Falling, size: whole };
        self.told = forecast(&history, target, now_ms, &self.record);
        if let Some(newest) = history.last() {
            self.record.note(&self.told, Side::Falling, newest.value, now_ms);
        }
    }
}

/// The sizes of the file systems that can be written.
fn writable(store: &dyn MetricStore, stock: &Stock, now_ms: i64) -> HashMap<Labels, f64> {
    let [whole, read_only, failed] =
        [stock.whole, "readonly", "device_error"].map(file_system_metric);
    let writable = format!("{whole} > 0 unless {read_only} == 1 unless {failed} == 1");
    let sizes = vector(store, &writable, now_ms).into_iter();
    sizes.map(|(labels, size)| (labels.without_metric_name(), size)).collect()
}

/// What was left on the file systems of a host, and how wrong its forecasts were, by a week of what is stored; none where
/// that cannot be read.
fn read(
    store: &dyn MetricStore,
    stock: &Stock,
    instance: &str,
    now_ms: i64,
) -> Option<HashMap<Labels, (Lows, Record)>> {
    let series = |name: &str| -> Option<HashMap<Labels, SeriesColumns>> {
        let matchers = [Matcher::equal(METRIC_NAME, name), Matcher::equal("instance", instance)];
        let range = TimeRange::new(now_ms - KEPT_MS, now_ms);
        match store.select(&matchers, range, &QueryRun::default()) {
            Ok(found) => {
                let found = found.into_iter();
                Some(found.map(|series| (series.labels.without_metric_name(), series)).collect())
            }
            Err(error) => {
                tracing::error!(instance, name, %error, "what was left on disks could not be read");
                None
            }
        }
    };
    let left = series(&format!("node_filesystem_{}", stock.left))?;
    let (full, growth) = (series(stock.full)?, series(stock.growth)?);
    let past = left.into_iter().map(|(labels, left)| {
        let mut lows = Lows::default();
        for (at_ms, left) in left.timestamps.iter().zip(&left.values) {
            lows.push(*at_ms, *left);
        }
        let told = full.get(&labels).zip(growth.get(&labels));
        let record =
            told.map_or_else(Record::default, |(full, growth)| outcomes(&lows, full, growth));
        (labels, (lows, record))
    });
    Some(past.collect())
}

/// The errors of the forecasts of a week, found as they were when it passed.
fn outcomes(lows: &Lows, full: &SeriesColumns, growth: &SeriesColumns) -> Record {
    let mut record = Record::default();
    for low in lows.samples() {
        let now_ms = low.timestamp_ms;
        let told = match (value_at(full, now_ms), value_at(growth, now_ms)) {
            (Some(seconds), Some(a_second)) => Forecast::Date(Date {
                at_ms: now_ms.saturating_add((seconds * 1_000.0) as i64),
                earliest_ms: now_ms,
                latest_ms: None,
                per_day: a_second * DAY_MS / 1_000.0,
                window_ms: 0,
            }),
            _ => Forecast::NoDate(NoDate::Flat),
        };
        record.note(&told, Side::Falling, low.value, now_ms);
    }
    record
}

/// The newest value at a moment, if it still stands.
fn value_at(series: &SeriesColumns, at_ms: i64) -> Option<f64> {
    let after = series.timestamps.partition_point(|timestamp_ms| *timestamp_ms <= at_ms);
    let newest = after.checked_sub(1)?;
    let value = series.values[newest];
    let stands = at_ms - series.timestamps[newest] < STANDS_MS;
    (stands && !is_stale_marker(value) && value.is_finite()).then_some(value)
}

impl ForecastTable {
    /// The series that tell of all forecasts, at a moment.
    pub(super) fn series(&self, now_ms: i64) -> Vec<Written> {
        let mut written = Vec::new();
        for (labels, told) in &self.by_labels {
            for (stock, told) in STOCKS.into_iter().zip(told) {
                let mut tell = |name, value| written.push((name, labels.clone(), value));
                let seconds = |at_ms: i64| (at_ms - now_ms).max(0) as f64 / 1_000.0;
                match told {
                    Some(Forecast::Date(date)) => {
                        tell(stock.full, seconds(date.at_ms));
                        tell(stock.earliest, seconds(date.earliest_ms));
                        if let Some(latest_ms) = date.latest_ms {
                            tell(stock.latest, seconds(latest_ms));
                        }
                        tell(stock.growth, a_second(date.per_day));
                    }
                    Some(Forecast::Reached) => tell(stock.full, 0.0),
                    Some(Forecast::NoDate(NoDate::TooFar { per_day })) => {
                        tell(stock.growth, a_second(*per_day));
                    }
                    Some(Forecast::NoDate(_)) => tell(stock.growth, 0.0),
                    Some(Forecast::Unknown(_)) | None => {}
                }
            }
        }
        written
    }
}

fn a_second(per_day: f64) -> f64 {
    per_day * 1_000.0 / DAY_MS
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use muster_environment::ManualClock;
    use muster_tsdb::{SeriesSample, WriteBatch};

    use super::*;
    use crate::store::Embedded;

    const HOUR_MS: i64 = 3_600_000;
    const NOW_MS: i64 = 1_790_000_000_000 - 1_790_000_000_000 % HOUR_MS;
    const SIZE: f64 = 1e12;

    fn put(store: &dyn MetricStore, name: &str, samples: impl Iterator<Item = (i64, f64)>) {
        let pairs = [(METRIC_NAME, name), ("instance", "db-1"), ("mountpoint", "/data")];
        let series = store.series(&Labels::from_pairs(pairs).unwrap()).unwrap();
        let samples =
            samples.map(|(timestamp_ms, value)| SeriesSample { series, timestamp_ms, value });
        let (sender, done) = mpsc::channel();
        let batch = WriteBatch { samples: samples.collect() };
        store.append(batch, Box::new(move |result| sender.send(result).unwrap()));
        assert_eq!(done.recv().unwrap().unwrap().refused.unknown_series, 0);
    }

    /// Tells the file system's size and what is left of it, every five minutes of so many hours before `until_ms`.
    fn fill(store: &dyn MetricStore, hours: i64, until_ms: i64, left: impl Fn(i64) -> f64) {
        let moments = || (0..=hours * 12).rev().map(|step| until_ms - step * STEP_MS);
        put(store, "node_filesystem_size_bytes", moments().map(|at_ms| (at_ms, SIZE)));
        put(store, "node_filesystem_avail_bytes", moments().map(|at_ms| (at_ms, left(at_ms))));
    }

    /// How far ahead of `now_ms` the date is, in hours.
    #[track_caller]
    fn ahead(table: &ForecastTable, now_ms: i64) -> f64 {
        let told: Vec<_> = table.by_labels.values().collect();
        match told.as_slice() {
            [[Some(Forecast::Date(date)), None]] => (date.at_ms - now_ms) as f64 / HOUR_MS as f64,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_comes_later_is_judged_like_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let (store, _) =
            Embedded::open(folder.path(), clock.clone(), muster_tsdb::Options::default()).unwrap();
        let pace = |at_ms: i64| 1e11 - 1e9 * (at_ms - NOW_MS) as f64 / HOUR_MS as f64;
        fill(&store, 48, NOW_MS, pace);
        let mut kept = Forecasts::default();
        let first = ahead(&kept.look(&store, NOW_MS), NOW_MS);
        assert!((first - 100.0).abs() < 2.0, "{first}");
        // Two hours later, told step by step, it is as one that has just been read.
        let mut now_ms = NOW_MS;
        while now_ms < NOW_MS + 2 * HOUR_MS {
            now_ms += STEP_MS;
            clock.advance(STEP_MS);
            fill(&store, 0, now_ms, pace);
            kept.look(&store, now_ms);
        }
        let later = ahead(&kept.look(&store, now_ms), now_ms);
        assert!((later - 98.0).abs() < 2.0, "{later}");
        let anew = ahead(&Forecasts::default().look(&store, now_ms), now_ms);
        assert!((later - anew).abs() < 1.0, "{later} {anew}");
        // What is read-only has no forecast any more.
        put(&store, "node_filesystem_readonly", std::iter::once((now_ms, 1.0)));
        assert!(kept.look(&store, now_ms).by_labels.is_empty());
        store.close().unwrap();
    }

    #[test]
    fn stored_forecasts_that_were_wrong_widen_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let (store, _) =
            Embedded::open(folder.path(), clock, muster_tsdb::Options::default()).unwrap();
        let hours = |at_ms: i64| (at_ms - NOW_MS) as f64 / HOUR_MS as f64;
        fill(&store, 72, NOW_MS, |at_ms| 1e11 - 1e9 * hours(at_ms));
        let earliest = |store: &dyn MetricStore| {
            let table = Forecasts::default().look(store, NOW_MS);
            match table.by_labels.values().next().unwrap()[0] {
                Some(Forecast::Date(date)) => hours(date.earliest_ms),
                other => panic!("{other:?}"),
            }
        };
        let without = earliest(&store);
        // It was told to fill at a third of its pace, and soon, so that each promise was due within the hour.
        let moments = || (0..72 * 12).map(|step| NOW_MS - step * STEP_MS / 2);
        put(&store, FULL, moments().map(|at_ms| (at_ms, 7_200.0)));
        put(&store, GROWTH, moments().map(|at_ms| (at_ms, 1e9 / 3.0 / 3_600.0)));
        let with = earliest(&store);
        assert!(with < 0.6 * without, "{with} {without}");
        store.close().unwrap();
    }
}
