//! Measures the engine once: samples a second taken and the processor time for them, bytes a sample on disk, memory, time of
//! a start and of a query.
//!
//! `cargo run --release -p muster-tsdb --example ingest [HOSTS] [SCRAPES] [ROWS]`; 200 series a host, 15 s apart. With ROWS above
//! 1 each batch holds so many samples of each series, one series after another, as a backfill does.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]

use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use muster_environment::{ManualClock, RealDisk};
use muster_series::{Labels, Matcher, TimeRange};
use muster_tsdb::{Db, Options, SelectLimits, SeriesId, SeriesSample, WriteBatch};

const SERIES_PER_HOST: usize = 200;
const START_MS: i64 = 1_790_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let hosts = arguments.next().transpose()?.unwrap_or(500);
    let scrapes = arguments.next().transpose()?.unwrap_or(240);
    let rows = arguments.next().transpose()?.unwrap_or(1);
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(ManualClock::at(START_MS + scrapes as i64 * 15_000));
    let open = || Db::open(folder.path(), Arc::new(RealDisk), clock.clone(), Options::default());
    let (db, _) = open()?;
    let series = register(&db, hosts)?;

    let started = (Instant::now(), processor_seconds()?);
    let (sender, receiver) = mpsc::channel();
    for scrape in (0..scrapes).step_by(rows) {
        for (host, series) in series.iter().enumerate() {
            let sender = sender.clone();
            db.append(scraped(scrape..(scrape + rows).min(scrapes), host, series), move |result| {
                let _ = sender.send(result.map(|appended| appended.samples));
            });
        }
        for _ in 0..hosts {
            receiver.recv()??;
        }
    }
    let seconds = started.0.elapsed().as_secs_f64();
    let processor = processor_seconds()? - started.1;
    let samples = (hosts * SERIES_PER_HOST * scrapes) as f64;
    println!("{samples} samples in {seconds:.2} s: {:.0} a second", samples / seconds);
    println!("processor: {processor:.2} s, {:.0} ns a sample", processor * 1e9 / samples);
    println!("memory: {:.0} MiB", resident_mib()?);
    let stats = db.stats();
    println!("log: {:.2} bytes a sample", stats.wal_written_bytes as f64 / samples);
    println!(
        "head: {:.2} bytes a sample",
        stats.head_bytes as f64 / stats.head_samples.max(1) as f64
    );

    db.close()?;
    let started = (Instant::now(), processor_seconds()?);
    let (db, report) = open()?;
    println!("start with {} samples: {:?}", report.replayed_samples, started.0.elapsed());
    println!("processor: {:.2} s", processor_seconds()? - started.1);
    query(&db, "head")?;
    let started = Instant::now();
    db.flush()?;
    let stats = db.stats();
    println!("flush: {:?}", started.elapsed());
    println!("blocks: {:.3} bytes a sample", stats.block_bytes as f64 / stats.block_samples as f64);
    query(&db, "blocks, first")?;
    query(&db, "blocks, again")?;
    Ok(())
}

fn register(db: &Db, hosts: usize) -> Result<Vec<Vec<SeriesId>>, Box<dyn Error>> {
    let mut series = Vec::new();
    for host in 0..hosts {
        let of_host: Result<Vec<SeriesId>, Box<dyn Error>> = (0..SERIES_PER_HOST)
            .map(|number| {
                let labels = Labels::from_pairs([
                    ("__name__", format!("node_metric_{}", number / 8)),
                    ("instance", format!("web-{host}")),
                    ("job", "node".into()),
                    ("mode", format!("mode-{}", number % 8)),
                ])?;
                Ok(db.series(&labels)?)
            })
            .collect();
        series.push(of_host?);
    }
    Ok(series)
}

/// A third constants, a third counters in hundredths, a third gauges; times jitter by some milliseconds.
fn scraped(scrapes: Range<usize>, host: usize, series: &[SeriesId]) -> WriteBatch {
    let time = |scrape: usize| {
        let jitter = (scrape * 7919 + host * 104_729) % 13;
        START_MS + (scrape * 15_000 + jitter) as i64
    };
    let value = |scrape: usize, number: usize| {
        let noise = scrambled(scrape * 1_000_000_007 + host * 1009 + number);
        match number % 3 {
            0 => (number * 1024) as f64,
            1 => (scrape * 1500 + noise % 97) as f64 / 100.0,
            _ => (4_000_000 + noise % 4096 * 4) as f64,
        }
    };
    let mut batch = WriteBatch::default();
    for (number, &id) in series.iter().enumerate() {
        for scrape in scrapes.clone() {
            let (timestamp_ms, value) = (time(scrape), value(scrape, number));
            batch.samples.push(SeriesSample { series: id, timestamp_ms, value });
        }
    }
    batch
}

/// A number that looks as if drawn by chance (the finisher of `SplitMix64`), so that nothing packs better than it should.
fn scrambled(number: usize) -> usize {
    let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31) >> 8
}

/// Processor time of this process so far, of user and system together. The kernel counts it in hundredths.
fn processor_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

/// Memory of this process.
fn resident_mib() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("");
    Ok(line.split_whitespace().nth(1).unwrap_or("0").parse::<f64>()? / 1024.0)
}

fn query(db: &Db, what: &str) -> Result<(), Box<dyn Error>> {
    for (name, value) in [("instance", "web-7"), ("__name__", "node_metric_3")] {
        let started = Instant::now();
        let matcher = Matcher::equal(name, value);
        let found = db.select(&[matcher], TimeRange::ALL, &SelectLimits::default())?;
        let samples: usize = found.iter().map(muster_series::SeriesColumns::len).sum();
        let took = started.elapsed();
        println!("{what}: {name}={value}: {} series, {samples} samples, {took:?}", found.len());
    }
    Ok(())
}
