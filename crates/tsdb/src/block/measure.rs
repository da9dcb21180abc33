//! Measures columns and blocks on series as servers report them; the figures are in docs/decisions/0004.
//!
//! `cargo test --release -p muster-tsdb --lib measure -- --ignored --nocapture --test-threads 1`

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use muster_environment::{Disk, ManualClock, MemoryDisk};
use muster_series::{Labels, TimeRange};

use super::page::PageCache;
use super::shapes::{HOST, Shape, values};
use super::{Block, BlockWriter, PARTITION_MS, Recent};
use crate::codec::column::{Effort, ValueEncoder, read_values};
use crate::{Db, Options, SeriesId, SeriesSample, WriteBatch};

/// The processor time that this thread has taken, so that other work on the machine does not count.
struct Stopwatch(u64);

impl Stopwatch {
    fn start() -> Self {
        Self(Self::now())
    }

    fn now() -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    fn ns(&self) -> f64 {
        (Self::now() - self.0) as f64
    }
}

const STEP_MS: i64 = 15_000;
const DIR: &str = "/blocks";

/// Bits of an encoder after Gorilla (<http://www.vldb.org/pvldb/vol8/p1816-teller.pdf>, section 4.1.2), to compare with.
fn gorilla_bits(values: &[f64]) -> u64 {
    let (mut total, mut window) = (64_u64, None);
    for pair in values.windows(2) {
        let changed = pair[0].to_bits() ^ pair[1].to_bits();
        if changed == 0 {
            total += 1;
            continue;
        }
        let (leading, trailing) = (changed.leading_zeros().min(31), changed.trailing_zeros());
        match window {
            Some((lead, trail)) if leading >= lead && trailing >= trail => {
                total += 2 + u64::from(64 - lead - trail);
            }
            _ => {
                window = Some((leading, trailing));
                total += 2 + 5 + 6 + u64::from(64 - leading - trailing);
            }
        }
    }
    total
}

/// What a way of packing takes for some series.
#[derive(Default)]
struct Cost {
    bytes: f64,
    pack_ns: f64,
    read_ns: f64,
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.pack_ns += other.pack_ns;
        self.read_ns += other.read_ns;
    }

    fn show(&self, samples: f64) -> String {
        let per = |amount: f64| amount / samples;
        format!("{:.3} B {:3.0}/{:2.0} ns", per(self.bytes), per(self.pack_ns), per(self.read_ns))
    }
}

fn gorilla(series: &[Vec<f64>]) -> Cost {
    let started = Stopwatch::start();
    let bits: u64 = series.iter().map(|values| gorilla_bits(values)).sum();
    Cost { bytes: bits as f64 / 8.0, pack_ns: started.ns(), read_ns: 0.0 }
}

/// Columns as blocks have them; those that are not packed go through zstd together.
fn columns(series: &[Vec<f64>], effort: Effort, level: i32) -> Cost {
    let mut encoder = ValueEncoder::new(effort).unwrap();
    let started = Stopwatch::start();
    let encoded: Vec<Vec<u8>> =
        series.iter().map(|values| encoder.encode(values).unwrap()).collect();
    let (packed, plain): (Vec<&Vec<u8>>, Vec<&Vec<u8>>) =
        encoded.iter().partition(|column| crate::codec::column::is_packed(column));
    let mut bytes: usize = packed.iter().map(|column| column.len()).sum();
    let mut page: Vec<u8> = Vec::new();
    for column in plain {
        page.extend(column);
        if page.len() > 32 << 10 {
            bytes += zstd::bulk::compress(&page, level).unwrap().len();
            page.clear();
        }
    }
    bytes += zstd::bulk::compress(&page, level).unwrap().len();
    let pack_ns = started.ns();
    let started = Stopwatch::start();
    let mut out = Vec::new();
    for (column, values) in encoded.iter().zip(series) {
        out.clear();
        read_values(column, values.len(), 0..values.len(), &mut out).unwrap();
        assert_eq!(out.len(), values.len());
    }
    Cost { bytes: bytes as f64, pack_ns, read_ns: started.ns() }
}

#[test]
#[ignore = "measures columns: cargo test --release -p muster-tsdb --lib measure -- --ignored --nocapture"]
fn measure_columns() {
    for len in [5760, 400, 120] {
        let hosts = (20_000 / len).clamp(4, 40) as u64;
        let mut totals = [Cost::default(), Cost::default(), Cost::default()];
        println!("\n{len} samples, values only; bytes, ns to pack / to read, a sample");
        for (shape, count) in HOST {
            let series: Vec<Vec<f64>> = (0..hosts * count as u64)
                .map(|at| values(shape, at * 31 + shape as u64 * 131, len, 15.0))
                .collect();
            let costs = [
                gorilla(&series),
                columns(&series, Effort::Fast, 1),
                columns(&series, Effort::Small, 9),
            ];
            let samples = (series.len() * len) as f64;
            let shown: Vec<String> = costs.iter().map(|cost| cost.show(samples)).collect();
            println!("{:12} {}", format!("{shape:?}"), shown.join(" | "));
            totals.iter_mut().zip(&costs).for_each(|(total, cost)| total.add(cost));
        }
        let samples = (hosts * 200) as f64 * len as f64;
        let shown: Vec<String> = totals.iter().map(|cost| cost.show(samples)).collect();
        println!("{:12} {}  (Gorilla | fast | small)", "all", shown.join(" | "));
    }
}

/// The label sets of some hosts in their order, each with its host, its shape and its number.
fn host_series(hosts: u64) -> Vec<(Labels, u64, Shape, u64)> {
    let mut all = Vec::new();
    for host in 0..hosts {
        let mut number = 0;
        for (shape, count) in HOST {
            for _ in 0..count {
                let family = format!("node_{shape:?}_{}_total", number / 8).to_lowercase();
                let labels = Labels::from_pairs([
                    ("__name__", family.as_str()),
                    ("device", &format!("device-{}", number % 8 / 4)),
                    ("instance", &format!("web-{host:04}.example.org:9100")),
                    ("job", "node"),
                    ("mode", ["user", "system", "idle", "iowait"][number as usize % 4]),
                    ("region", ["eu-west", "us-east"][host as usize % 2]),
                ]);
                all.push((labels.unwrap(), host, shape, number));
                number += 1;
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn samples_of(host: u64, shape: Shape, number: u64, len: usize) -> Vec<(i64, f64)> {
    let mixed = |at: u64| (at.wrapping_mul(7919) ^ host.wrapping_mul(104_729)) * 2_654_435_761;
    let time = |at: u64| at as i64 * STEP_MS + ((mixed(at) >> 9) % 13) as i64;
    let values = values(shape, host * 1000 + number, len, 15.0);
    (0..).map(time).zip(values).collect()
}

fn write(disk: &MemoryDisk, hosts: u64, len: usize, effort: Effort) -> (PathBuf, f64) {
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).unwrap();
    let mut writer = BlockWriter::create(disk, dir, 0, (1, 1), 0, effort).unwrap();
    let all: Vec<(Labels, Vec<(i64, f64)>)> = host_series(hosts)
        .into_iter()
        .map(|(labels, host, shape, number)| (labels, samples_of(host, shape, number, len)))
        .collect();
    let started = Stopwatch::start();
    for (labels, samples) in &all {
        writer.add(labels, samples).unwrap();
    }
    let meta = writer.finish(&mut || Ok(())).unwrap().unwrap();
    (dir.join(meta.file_name()), started.ns())
}

#[test]
#[ignore = "measures blocks: cargo test --release -p muster-tsdb --lib measure -- --ignored --nocapture"]
fn measure_blocks() {
    for (hosts, len, effort) in [
        (10, 5760, Effort::Small),
        (50, 400, Effort::Small),
        (50, 400, Effort::Fast),
        (50, 120, Effort::Fast),
    ] {
        let disk = MemoryDisk::new();
        let (path, ns) = write(&disk, hosts, len, effort);
        let block = Block::open(&disk, &path, 0).unwrap();
        let samples = block.meta.samples as f64;
        println!(
            "\n{hosts} hosts, {len} samples, {effort:?}: {:.3} bytes a sample, {:.0} ns to write",
            block.meta.bytes as f64 / samples,
            ns / samples
        );
        for (kind, bytes) in block.bytes_by_kind().unwrap() {
            println!("  {kind:16} {:.4} bytes a sample", bytes as f64 / samples);
        }
        measure_reading(&block, len);
    }
}

fn measure_reading(block: &Block, len: usize) {
    let series = block.meta.series as u32;
    let end = len as i64 * STEP_MS;
    let hour = TimeRange::new(end / 2, end / 2 + 3_600_000);
    for (what, range) in [("all", TimeRange::ALL), ("an hour", hour)] {
        let cache = PageCache::new(256 << 20);
        for state in ["cold", "warm"] {
            let (started, mut samples) = (Stopwatch::start(), 0);
            for number in 0..series {
                let at = block.series(number, &cache).unwrap();
                samples +=
                    block.columns(&at, range, &cache, &mut Recent::default()).unwrap().times.len();
            }
            let ns = started.ns();
            println!(
                "  {what}, {state}: {:.1} ns a sample, {:.1} us a series",
                ns / samples.max(1) as f64,
                ns / 1e3 / f64::from(series)
            );
        }
    }
    let started = Stopwatch::start();
    for number in (0..series).step_by(97) {
        let cache = PageCache::new(1 << 20);
        let at = block.series(number, &cache).unwrap();
        block.columns(&at, hour, &cache, &mut Recent::default()).unwrap();
    }
    let reads = f64::from(series.div_ceil(97));
    println!("  one series alone: {:.0} us", started.ns() / 1e3 / reads);
}

/// The processor time that all threads have taken, in steps of 10 ms.
fn process_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = text.rsplit(')').next().unwrap();
    let ticks = after_name.split(' ').skip(12).take(2).map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() * 1e7
}

/// Blocks of half an hour of some hosts, as heads become them; then their merges, the last of which settles the day.
#[test]
#[ignore = "measures merges: cargo test --release -p muster-tsdb --lib measure -- --ignored --nocapture"]
fn measure_merges() {
    const HOSTS: u64 = 40;
    const SCRAPES: usize = 120;
    const HEADS: usize = 16;
    let start_ms = 20_000 * PARTITION_MS;
    let clock = Arc::new(ManualClock::at(start_ms + PARTITION_MS - 1));
    let disk = Arc::new(MemoryDisk::new());
    let (db, _) = Db::open(Path::new(DIR), disk, clock.clone(), Options::default()).unwrap();
    let series: Vec<(SeriesId, Vec<(i64, f64)>)> = host_series(HOSTS)
        .into_iter()
        .map(|(labels, host, shape, number)| {
            (db.series(&labels).unwrap(), samples_of(host, shape, number, SCRAPES * HEADS))
        })
        .collect();
    let (per_head, mut growing_ns) = ((series.len() * SCRAPES) as f64, 0.0);
    for head in 0..HEADS {
        for at in head * SCRAPES..(head + 1) * SCRAPES {
            let sample = |(series, samples): &(SeriesId, Vec<(i64, f64)>)| SeriesSample {
                series: *series,
                timestamp_ms: start_ms + samples[at].0,
                value: samples[at].1,
            };
            let batch = WriteBatch { samples: series.iter().map(sample).collect() };
            let (sender, receiver) = mpsc::channel();
            db.append(batch, move |result| sender.send(result).unwrap());
            receiver.recv().unwrap().unwrap();
        }
        let started_ns = process_ns();
        db.flush().unwrap();
        growing_ns += process_ns() - started_ns;
    }
    println!("growing: {:.0} ns a sample", growing_ns / (per_head * HEADS as f64));
    clock.jump_to(start_ms + 2 * PARTITION_MS);
    let started_ns = process_ns();
    db.flush().unwrap();
    let (all, stats) = (per_head * HEADS as f64, db.stats());
    println!(
        "settling: {:.0} ns a sample, {} blocks of {:.3} bytes a sample",
        (process_ns() - started_ns) / all,
        stats.blocks,
        stats.block_bytes as f64 / all
    );
}
