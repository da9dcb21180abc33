//! What the tests of the engine share: a store on a disk in memory, and short ways to write and read.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use muster_environment::{Disk, ManualClock};
use muster_series::{Labels, Matcher, TimeRange};
use muster_tsdb::{Appended, Db, OpenReport, Options, SelectLimits, Stats, TsdbError, WriteBatch};

pub(crate) const NOW_MS: i64 = 1_790_000_000_000;
pub(crate) const DIR: &str = "/data";
/// How long the work in the background may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(2);

/// Small segments and no work in the background but what a test asks for.
pub(crate) fn options() -> Options {
    Options {
        wal_segment_bytes: 2_000,
        reserve_bytes: Some(1),
        maintenance_interval: Duration::from_hours(1),
        ..Options::default()
    }
}

pub(crate) fn try_open(disk: impl Disk + 'static) -> Result<(Db, OpenReport), TsdbError> {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    Db::open(Path::new(DIR), Arc::new(disk), clock, options())
}

#[track_caller]
pub(crate) fn open(disk: impl Disk + 'static) -> Db {
    try_open(disk).unwrap().0
}

pub(crate) fn labels(series: u8) -> Labels {
    let host = format!("web-{series}");
    Labels::from_pairs([("__name__", "load"), ("host", &host)]).unwrap()
}

/// Appends one scrape and waits for what comes of it.
pub(crate) fn append(
    db: &Db,
    timestamp_ms: i64,
    samples: &[(u8, f64)],
) -> Result<Appended, TsdbError> {
    let samples = samples
        .iter()
        .map(|&(series, value)| Ok((db.series(&labels(series))?, value)))
        .collect::<Result<Vec<_>, TsdbError>>()?;
    let (sender, receiver) = mpsc::channel();
    let batch = WriteBatch::scrape(timestamp_ms, samples);
    db.append(batch, move |result| sender.send(result).unwrap());
    receiver.recv().expect("every append is answered")
}

/// Every sample of the store: label set, time, bits of the value.
#[track_caller]
pub(crate) fn contents(db: &Db) -> Vec<(Labels, i64, u64)> {
    select(db, &[], TimeRange::ALL)
}

#[track_caller]
pub(crate) fn select(db: &Db, matchers: &[Matcher], range: TimeRange) -> Vec<(Labels, i64, u64)> {
    let mut found = db.select(matchers, range, &SelectLimits::default()).unwrap();
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    found
        .iter()
        .flat_map(|series| {
            let samples = series.samples();
            samples.map(|s| (series.labels.clone(), s.timestamp_ms, s.value.to_bits()))
        })
        .collect()
}

/// Looks at the store until it is as wanted.
#[track_caller]
pub(crate) fn wait_for(db: &Db, wanted: impl Fn(&Stats) -> bool) {
    let started = Instant::now();
    while !wanted(&db.stats()) {
        assert!(started.elapsed() < PATIENCE, "{:?}", db.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
}
