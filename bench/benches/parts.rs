//! The parts that every sample passes, alone and through their public functions: `cargo xtask bench parts`.
//!
//! Whole servers are measured by the binary of this package; this tells which part a change made faster or slower.
#![expect(missing_docs, reason = "Criterion's macros make functions without documentation")]

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use muster_environment::{ManualClock, MemoryDisk, RealDisk};
use muster_exposition::{Family, Kind};
use muster_series::{Labels, Matcher, TimeRange};
use muster_tsdb::{Db, Options, SelectLimits, SeriesId, SeriesSample, WriteBatch};
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, Group, Limits, OsFacts, ServerSession, Welcome,
};

const NOW_MS: i64 = 1_790_000_000_000;
const HOSTS: usize = 100;
const SERIES: usize = 200;
/// Scrapes of each host in a store that is read.
const SCRAPES: i64 = 240;

fn labels(host: usize, series: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("node_metric_{}", series / 8)),
        ("instance", format!("node-{host:05}.example.net:9100")),
        ("job", "node".to_owned()),
        ("mode", format!("mode-{}", series % 8)),
    ])
    .expect("four different names")
}

/// A third stands still, a third counts, a third wanders.
fn value(scrape: i64, host: usize, series: usize) -> f64 {
    let noise = (scrape * 31 + (host * 17 + series * 131) as i64).wrapping_mul(2_654_435_761) >> 7;
    match series % 3 {
        0 => (series * 1024) as f64,
        1 => (scrape * 1500 + noise.rem_euclid(97)) as f64 / 100.0,
        _ => (4_000_000 + noise.rem_euclid(4096) * 4) as f64,
    }
}

/// A store on a real disk in a temporary folder, and the series of each host.
fn store(folder: &Path) -> (Db, Vec<Vec<SeriesId>>) {
    let options = Options { maintenance_interval: Duration::from_hours(1), ..Options::default() };
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let (db, _) = Db::open(folder, Arc::new(RealDisk), clock, options).expect("a new folder");
    let series = (0..HOSTS)
        .map(|host| {
            let ids = (0..SERIES).map(|series| db.series(&labels(host, series)));
            ids.collect::<Result<_, _>>().expect("there are few series")
        })
        .collect();
    (db, series)
}

/// Appends and waits until it is durable.
fn append(db: &Db, batch: WriteBatch) {
    let (sender, receiver) = mpsc::channel();
    db.append(batch, move |result| sender.send(result).expect("somebody waits"));
    receiver.recv().expect("every append is answered").expect("there is room");
}

fn scrape(scrape: i64, host: usize, series: &[SeriesId]) -> WriteBatch {
    let samples = series.iter().enumerate();
    let samples = samples.map(|(number, &id)| (id, value(scrape, host, number)));
    WriteBatch::scrape(NOW_MS - (SCRAPES - scrape) * 15_000, samples)
}

fn appending(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is room");
    let (db, series) = store(folder.path());
    let mut group = criterion.benchmark_group("append, durable");
    let mut next = 0;
    group.throughput(Throughput::Elements((HOSTS * SERIES) as u64));
    group.bench_function("a scrape of each of 100 hosts", |bencher| {
        bencher.iter(|| {
            next += 1;
            let (sender, receiver) = mpsc::channel();
            for (host, series) in series.iter().enumerate() {
                let sender = sender.clone();
                db.append(scrape(next, host, series), move |result| {
                    sender.send(result).expect("somebody waits");
                });
            }
            drop(sender);
            assert!(receiver.into_iter().all(|result| result.is_ok()), "there is room");
        });
    });
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("ten samples of each of 1,000 series", |bencher| {
        let backfill = |next: i64| {
            let ids = series.iter().flatten().take(1_000).enumerate();
            let rows = ids.flat_map(|(number, &series)| {
                (0..10).map(move |step| SeriesSample {
                    series,
                    timestamp_ms: NOW_MS + (next * 10 + step - 100_000_000) * 10,
                    value: value(next * 10 + step, 0, number),
                })
            });
            WriteBatch { samples: rows.collect() }
        };
        bencher.iter_batched(
            || {
                next += 1;
                backfill(next)
            },
            |batch| append(&db, batch),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn selecting(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is room");
    let (db, series) = store(folder.path());
    for number in 0..SCRAPES {
        for (host, series) in series.iter().enumerate() {
            append(&db, scrape(number, host, series));
        }
    }
    let matchers = [
        (
            "one series",
            vec![
                Matcher::equal("__name__", "node_metric_3"),
                Matcher::equal("instance", "node-00007.example.net:9100"),
                Matcher::equal("mode", "mode-1"),
            ],
        ),
        ("one host", vec![Matcher::equal("instance", "node-00007.example.net:9100")]),
        ("one metric of all hosts", vec![Matcher::equal("__name__", "node_metric_3")]),
    ];
    let mut group = criterion.benchmark_group("select, 1 h at 15 s");
    for place in ["head", "blocks"] {
        for (name, matchers) in &matchers {
            group.bench_function(format!("{name}, {place}"), |bencher| {
                bencher.iter(|| {
                    let limits = SelectLimits::default();
                    let found = db.select(black_box(matchers), TimeRange::ALL, &limits);
                    assert!(!found.expect("the store is whole").is_empty());
                });
            });
        }
        db.flush().expect("there is room");
    }
    group.finish();
}

fn opening(criterion: &mut Criterion) {
    let disk = MemoryDisk::new();
    let open = |disk: &MemoryDisk| {
        let clock = Arc::new(ManualClock::at(NOW_MS));
        Db::open(Path::new("/data"), Arc::new(disk.clone()), clock, Options::default())
            .expect("the store is whole")
            .0
    };
    let db = open(&disk);
    let ids: Vec<SeriesId> = (0..HOSTS * SERIES)
        .map(|at| db.series(&labels(at / SERIES, at % SERIES)).expect("there are few series"))
        .collect();
    for number in 0..20 {
        append(&db, scrape(number, 0, &ids));
    }
    db.close().expect("there is room");
    let mut group = criterion.benchmark_group("open");
    group.throughput(Throughput::Elements(ids.len() as u64 * 20)).sample_size(10);
    group.bench_function("replay of 20 scrapes of 20,000 series", |bencher| {
        bencher.iter(|| open(&disk).close());
    });
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let hello = AgentHello {
        instance: "node-00007".into(),
        public_key: [7; 32],
        enroll_token: None,
        agent_version: "0.1.0".into(),
        boot_id: String::new(),
        nonce: [1; 32],
        os: OsFacts::default(),
    };
    let mut agent = AgentSession::new(hello, 0);
    let mut server = ServerSession::new(Limits::default(), [2; 32], 0);
    let welcome =
        Welcome { session: 1, server_time_ms: 0, instance: "x".into(), interval_ms: 5_000 };
    for _ in 0..2 {
        while let Some(frame) = agent.poll_transmit() {
            server.handle_frame(&frame, 0).expect("the agent speaks the protocol");
        }
        server.accept(welcome.clone());
        while let Some(frame) = server.poll_transmit() {
            let event = agent.handle_frame(&frame, 0).expect("the server speaks the protocol");
            if matches!(event, Some(AgentEvent::Challenged { .. })) {
                agent.prove([5; 64]).expect("it was just asked for");
            }
        }
    }
    let mut group = criterion.benchmark_group("agent frames");
    group.throughput(Throughput::Elements(SERIES as u64));
    let mut next = 0;
    group.bench_function("encode and decode a scrape of 200 series", |bencher| {
        bencher.iter(|| {
            next += 1;
            let samples =
                (0..SERIES).map(|number| (number as u32, value(next, 7, number))).collect();
            let groups = [Group { timestamp_ms: next * 15_000, samples }];
            let named = |number: u32| Some(labels(7, number as usize));
            agent.send_batch(false, &groups, named).expect("the session is open");
            while let Some(frame) = agent.poll_transmit() {
                let event = server.handle_frame(&frame, 0).expect("the agent speaks the protocol");
                black_box(event);
            }
        });
    });
    group.finish();
}

fn text(criterion: &mut Criterion) {
    let families: Vec<Family> = (0..SERIES / 8)
        .map(|metric| {
            let name = format!("node_metric_{metric}");
            let mut family = Family::new(&name, Kind::Gauge, "What it is.");
            for mode in 0..8 {
                let at = metric * 8 + mode;
                family.push_labels(labels(7, at), value(9, 7, at));
            }
            family
        })
        .collect();
    let text = muster_exposition::write(&families);
    let mut group = criterion.benchmark_group("text");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("parse 200 lines", |bencher| {
        bencher.iter(|| muster_exposition::parse(black_box(&text)).expect("it was just written"));
    });
    group.finish();
}

criterion_group!(parts, appending, selecting, opening, frames, text);
criterion_main!(parts);
