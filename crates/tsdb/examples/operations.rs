//! Measures once what an administrator does: delete and clean, snapshot, copy, and a look at everything.
//!
//! `cargo run --release -p muster-tsdb --example operations [SERIES] [SCRAPES]`; scrapes are 15 s apart.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]

use std::error::Error;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use muster_environment::{ManualClock, RealDisk};
use muster_series::{Labels, Matcher, TimeRange};
use muster_tsdb::{
    Db, Options, SelectLimits, SeriesId, TsdbError, Unreadable, WriteBatch, copy_store, inspect,
};

const START_MS: i64 = 1_790_000_000_000;
/// Series of one host.
const PER_HOST: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let series = arguments.next().transpose()?.unwrap_or(20_000);
    let scrapes = arguments.next().transpose()?.unwrap_or(480);
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("store");
    let clock = Arc::new(ManualClock::at(START_MS + scrapes as i64 * 15_000));
    let (db, _) = Db::open(&dir, Arc::new(RealDisk), clock, Options::default())?;
    fill(&db, series, scrapes)?;
    db.flush()?;
    let stats = db.stats();
    println!("{} samples in {} bytes of blocks", stats.block_samples, stats.block_bytes);

    let host = [Matcher::equal("instance", "host-7")];
    let read = |db: &Db| {
        let found = db.select(&host, TimeRange::ALL, &SelectLimits::default())?;
        assert_eq!(found.len(), PER_HOST);
        Ok(())
    };
    timed("read one host", || read(&db))?;
    timed("delete another host", || {
        let other = vec![Matcher::equal("instance", "host-8")];
        db.delete_series(&[other], TimeRange::ALL)
    })?;
    timed("read one host beside the deletion", || read(&db))?;
    timed("snapshot", || db.snapshot(&folder.path().join("snapshot"), true).map(drop))?;
    timed("clean", || db.clean_tombstones())?;
    timed("copy", || {
        copy_store(&RealDisk, &dir, &folder.path().join("copy"), Unreadable::Refuse).map(drop)
    })?;
    timed("look at everything", || {
        let found = inspect(&RealDisk, &dir)?;
        assert_eq!((found.damage.len(), found.cardinality.series), (0, (series - PER_HOST) as u64));
        Ok(())
    })?;
    Ok(())
}

fn timed(what: &str, work: impl FnOnce() -> Result<(), TsdbError>) -> Result<(), TsdbError> {
    let started = Instant::now();
    work()?;
    println!("{what}: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// Counters, gauges of few values, and constants, in turn.
fn fill(db: &Db, series: usize, scrapes: usize) -> Result<(), Box<dyn Error>> {
    let ids = (0..series)
        .map(|number| {
            let (host, name) = (number / PER_HOST, number % PER_HOST);
            let pairs =
                [("__name__", format!("metric_{name}")), ("instance", format!("host-{host}"))];
            Ok(db.series(&Labels::from_pairs(pairs)?)?)
        })
        .collect::<Result<Vec<SeriesId>, Box<dyn Error>>>()?;
    let (sender, receiver) = mpsc::channel();
    for scrape in 0..scrapes {
        let samples: Vec<(SeriesId, f64)> = ids
            .iter()
            .enumerate()
            .map(|(at, id)| {
                let value = match at % 3 {
                    0 => (scrape * 37 + scrape * at % 11) as f64,
                    1 => (scrape * (at + 7) % 13) as f64 / 100.0,
                    _ => at as f64,
                };
                (*id, value)
            })
            .collect();
        let sender = sender.clone();
        let batch = WriteBatch::scrape(START_MS + scrape as i64 * 15_000, samples);
        db.append(batch, move |done| sender.send(done).unwrap_or_default());
        receiver.recv()??;
    }
    Ok(())
}
