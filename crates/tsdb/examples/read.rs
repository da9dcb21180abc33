//! Measures the index and the reading path once: memory and time a series, time of selections from memory and from blocks.
//!
//! `cargo run --release -p muster-tsdb --example read [SERIES_TO_REGISTER] [HOSTS]`; 200 series a host, an hour at 15 s.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use muster_environment::{ManualClock, MemoryDisk, RealDisk};
use muster_series::{Matcher, SeriesColumns, TimeRange};
use muster_tsdb::{Db, Options, SelectLimits, SeriesId, WriteBatch};

const SERIES_PER_HOST: usize = 200;
const START_MS: i64 = 1_790_000_000_000;
const SCRAPES: i64 = 240;
const STEP_MS: i64 = 15_000;
const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let register = arguments.next().transpose()?.unwrap_or(1_000_000);
    let hosts = arguments.next().transpose()?.unwrap_or(500);
    measure_registry(register)?;

    let folder = tempfile::tempdir()?;
    let clock = Arc::new(ManualClock::at(START_MS + SCRAPES * STEP_MS));
    let options = Options { head_bytes: 1 << 30, ..Options::default() };
    let (db, _) = Db::open(folder.path(), Arc::new(RealDisk), clock, options)?;
    write(&db, hosts)?;
    read(&db, "head")?;
    db.flush()?;
    read(&db, "block")?;
    Ok(())
}

/// Labels as `node_exporter` has them: name, instance, job, and up to four more.
fn with_labels<T>(host: usize, number: usize, take: impl FnOnce(&[(&str, &str)]) -> T) -> T {
    let (instance, rack) =
        (format!("web-{host:05}.example.org:9100"), format!("rack-{}", host / 40));
    if number < 64 {
        let (cpu, mode) = (format!("{}", number / 8), format!("mode-{}", number % 8));
        let name = "node_cpu_seconds_total";
        let rest = [("cluster", "production"), ("cpu", &*cpu), ("instance", &*instance)];
        let more = [("job", "node"), ("mode", &*mode), ("rack", &*rack)];
        return take(&[&[("__name__", name)], &rest[..], &more[..]].concat());
    }
    let name = format!("node_metric_number_{}_bytes_total", number / 4);
    let device = format!("device-{}", number % 4);
    take(&[
        ("__name__", &name),
        ("cluster", "production"),
        ("device", &device),
        ("instance", &instance),
        ("job", "node"),
        ("rack", &rack),
    ])
}

/// Time that this thread has computed, in nanoseconds.
fn thread_cpu_ns() -> Result<usize, Box<dyn Error>> {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(spent.split_whitespace().next().unwrap_or("0").parse()?)
}

fn resident_kib() -> Result<usize, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn measure_registry(count: usize) -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(ManualClock::at(START_MS));
    let disk = Arc::new(MemoryDisk::new());
    let (db, _) = Db::open(Path::new("/data"), disk, clock, Options::default())?;
    let place = |number: usize| (number / SERIES_PER_HOST, number % SERIES_PER_HOST);
    let started = thread_cpu_ns()?;
    let mut labels = 0;
    for (host, number) in (0..count).map(place) {
        labels += with_labels(host, number, |pairs| std::hint::black_box(pairs).len());
    }
    let making = thread_cpu_ns()? - started;
    println!("{:.1} labels a series", labels as f64 / count.max(1) as f64);
    for what in ["register", "look up"] {
        let (before, started) = (resident_kib()?, thread_cpu_ns()?);
        for (host, number) in (0..count).map(place) {
            with_labels(host, number, |pairs| db.series_from_pairs(pairs))?;
        }
        let spent = (thread_cpu_ns()? - started).saturating_sub(making);
        let bytes = resident_kib()?.saturating_sub(before) * 1024;
        let each = |what: usize| what / count.max(1);
        println!("{what} {count} series: {} ns, {} bytes each", each(spent), each(bytes));
    }
    Ok(())
}

fn write(db: &Db, hosts: usize) -> Result<(), Box<dyn Error>> {
    let mut series: Vec<Vec<SeriesId>> = Vec::new();
    for host in 0..hosts {
        let of_host = (0..SERIES_PER_HOST)
            .map(|number| with_labels(host, number, |pairs| db.series_from_pairs(pairs)));
        series.push(of_host.collect::<Result<_, _>>()?);
    }
    let (sender, receiver) = mpsc::channel();
    for scrape in 0..SCRAPES {
        for (host, series) in series.iter().enumerate() {
            let timestamp = START_MS + scrape * STEP_MS + host as i64 % 17;
            let value = |number: usize| match number % 3 {
                0 => (number * 1024) as f64,
                1 => (scrape as usize * 1500 + number * host % 97) as f64 / 100.0,
                _ => (4_000_000 + (scrape as usize * 31 + host * 17 + number) % 4096 * 4) as f64,
            };
            let samples = series.iter().enumerate().map(|(number, &id)| (id, value(number)));
            let sender = sender.clone();
            db.append(WriteBatch::scrape(timestamp, samples), move |result| {
                let _ = sender.send(result.map(drop));
            });
        }
        for _ in 0..hosts {
            receiver.recv()??;
        }
    }
    Ok(())
}

/// Tells the best and the median time of some rounds, and what the last of them gave.
fn timed<T>(
    what: &str,
    mut run: impl FnMut() -> Result<T, muster_tsdb::TsdbError>,
    tell: impl Fn(&T) -> String,
) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    let mut told = String::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let made = run()?;
        times.push(started.elapsed());
        told = tell(&made);
    }
    times.sort_unstable();
    println!("{what}: best {:?}, median {:?}; {told}", times[0], times[ROUNDS / 2]);
    Ok(())
}

fn read(db: &Db, place: &str) -> Result<(), Box<dyn Error>> {
    let end = START_MS + SCRAPES * STEP_MS;
    let hour = TimeRange::new(START_MS, end);
    let minutes = TimeRange::new(end - 300_000, end);
    let limits = SelectLimits::default();
    let matcher = Matcher::parse_pair;
    let host = Matcher::equal("instance", "web-00007.example.org:9100");
    let cpu = Matcher::equal("__name__", "node_cpu_seconds_total");
    let told = |found: &Vec<SeriesColumns>| {
        let samples: usize = found.iter().map(SeriesColumns::len).sum();
        format!("{} series, {samples} samples", found.len())
    };
    let selections = [
        (
            "one series, 1 h",
            hour,
            vec![
                cpu.clone(),
                host.clone(),
                matcher("cpu", "=", "3")?,
                matcher("mode", "=", "mode-2")?,
            ],
        ),
        ("one host, 1 h", hour, vec![host.clone()]),
        ("CPU of all hosts, 1 h", hour, vec![cpu.clone()]),
        (
            "hosts by prefix, 5 min",
            minutes,
            vec![matcher("instance", "=~", "web-0001.*")?, cpu.clone()],
        ),
        (
            "hosts by expression, 5 min",
            minutes,
            vec![matcher("instance", "=~", r"web-\d+1\..*")?, cpu.clone()],
        ),
        ("everything, 5 min", minutes, vec![matcher("__name__", "=~", ".+")?]),
    ];
    for (what, range, matchers) in selections {
        timed(&format!("{place}: {what}"), || db.select(&matchers, range, &limits), told)?;
    }
    let all = [matcher("__name__", "=~", ".+")?];
    timed(
        &format!("{place}: last of everything, 5 min"),
        || db.select_last(&all, minutes, &limits),
        told,
    )?;
    let count = |found: &Vec<String>| format!("{} texts", found.len());
    let of_host = [vec![host]];
    timed(
        &format!("{place}: values of instance"),
        || db.label_values("instance", &[], hour, 100_000),
        count,
    )?;
    timed(
        &format!("{place}: values of device, one host"),
        || db.label_values("device", &of_host, hour, 100),
        count,
    )?;
    timed(&format!("{place}: label names"), || db.label_names(&[], hour, 100), count)?;
    let series = |found: &Vec<_>| format!("{} series", found.len());
    timed(
        &format!("{place}: series of one host"),
        || db.series_labels(&of_host, hour, 1000),
        series,
    )?;
    Ok(())
}
