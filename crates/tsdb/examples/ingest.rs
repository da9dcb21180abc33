//! Measures the engine once: samples a second taken, bytes a sample on disk, time of a start and of a query.
//!
//! `cargo run --release -p muster-tsdb --example ingest [HOSTS] [SCRAPES]`; 200 series a host, 15 s apart.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]

use std::error::Error;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use muster_environment::{ManualClock, RealDisk};
use muster_series::{Labels, Matcher, TimeRange};
use muster_tsdb::{Db, Options, SelectLimits, SeriesId, WriteBatch};

const SERIES_PER_HOST: usize = 200;
const START_MS: i64 = 1_790_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let hosts = arguments.next().transpose()?.unwrap_or(500);
    let scrapes = arguments.next().transpose()?.unwrap_or(240);
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(ManualClock::at(START_MS + scrapes as i64 * 15_000));
    let open = || Db::open(folder.path(), Arc::new(RealDisk), clock.clone(), Options::default());
    let (db, _) = open()?;
    let series = register(&db, hosts)?;

    let started = Instant::now();
    let (sender, receiver) = mpsc::channel();
    for scrape in 0..scrapes {
        for (host, series) in series.iter().enumerate() {
            let sender = sender.clone();
            db.append(scraped(scrape, host, series), move |result| {
                let _ = sender.send(result.map(|appended| appended.samples));
            });
        }
        for _ in 0..hosts {
            receiver.recv()??;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let samples = (hosts * SERIES_PER_HOST * scrapes) as f64;
    let stats = db.stats();
    println!("{samples} samples in {seconds:.2} s: {:.0} a second", samples / seconds);
    println!("log: {:.2} bytes a sample", stats.wal_written_bytes as f64 / samples);
    println!(
        "head: {:.2} bytes a sample",
        stats.head_bytes as f64 / stats.head_samples.max(1) as f64
    );

    db.close()?;
    let started = Instant::now();
    let (db, report) = open()?;
    println!("start with {} samples: {:?}", report.replayed_samples, started.elapsed());
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
fn scraped(scrape: usize, host: usize, series: &[SeriesId]) -> WriteBatch {
    let jitter = (scrape * 7919 + host * 104_729) % 13;
    let value = |number: usize| {
        let noise = ((scrape * 31 + host * 17 + number * 131) * 2_654_435_761) >> 7;
        match number % 3 {
            0 => (number * 1024) as f64,
            1 => (scrape * 1500 + noise % 97) as f64 / 100.0,
            _ => (4_000_000 + noise % 4096 * 4) as f64,
        }
    };
    let samples = series.iter().enumerate().map(|(number, &id)| (id, value(number)));
    WriteBatch::scrape(START_MS + (scrape * 15_000 + jitter) as i64, samples)
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
