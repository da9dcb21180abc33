//! Merging of blocks: nothing is lost or changed by it, the newest write holds, and a settled day is one small block.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use muster_environment::{ManualClock, MemoryDisk};
use muster_series::{Labels, Matcher, TimeRange};
use muster_tsdb::Db;

use crate::harness::{DIR, append, contents, labels, options, select};

const DAY_MS: i64 = 86_400_000;
/// Noon of a day; it is evening when a test begins.
const NOON_MS: i64 = 20_000 * DAY_MS + DAY_MS / 2;
const EVENING_MS: i64 = NOON_MS + DAY_MS / 3;
const STEP_MS: i64 = 15_000;

/// A store, its clock, and what must be in it.
struct Checked {
    db: Db,
    clock: Arc<ManualClock>,
    model: BTreeMap<(Labels, i64), u64>,
}

impl Checked {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(EVENING_MS));
        let disk = Arc::new(MemoryDisk::new());
        let (db, _) = Db::open(Path::new(DIR), disk, clock.clone(), options()).unwrap();
        Self { db, clock, model: BTreeMap::new() }
    }

    /// Writes three series at so many instants from the time on, and makes a block of it.
    fn write_block(&mut self, start_ms: i64, scrapes: i64) {
        for scrape in 0..scrapes {
            let time = start_ms + scrape * STEP_MS;
            let noise = (time / STEP_MS).pow(2).wrapping_mul(0x9e37_79b9_7f4a) >> 20 & 0xfff;
            let samples = [(1, 5.0), (2, noise as f64 / 100.0), (3, (time / 1000) as f64)];
            append(&self.db, time, &samples).unwrap();
            for (series, value) in samples {
                self.model.insert((labels(series), time), value.to_bits());
            }
        }
        self.db.flush().unwrap();
    }

    fn overwrite(&mut self, time: i64, series: u8, value: f64) {
        append(&self.db, time, &[(series, value)]).unwrap();
        self.model.insert((labels(series), time), value.to_bits());
        self.db.flush().unwrap();
    }

    #[track_caller]
    fn check(&self, blocks: u64) {
        assert_eq!(self.db.stats().blocks, blocks);
        let all: Vec<(Labels, i64, u64)> = self
            .model
            .iter()
            .map(|((labels, time), bits)| (labels.clone(), *time, *bits))
            .collect();
        assert!(contents(&self.db) == all, "all samples");
        let range = TimeRange::new(NOON_MS + 100 * STEP_MS + 1, NOON_MS + 400 * STEP_MS);
        let found = select(&self.db, &[Matcher::equal("host", "web-2")], range);
        let expected: Vec<_> = all
            .into_iter()
            .filter(|(own, time, _)| *own == labels(2) && range.contains(*time))
            .collect();
        assert!(found == expected, "one series in a range");
    }
}

#[test]
fn eight_blocks_become_one_and_a_settled_day_one_small_one() {
    let mut store = Checked::new();
    for block in 0..7 {
        // Short chunks are joined and long ones copied.
        store.write_block(NOON_MS + block * 120 * STEP_MS, if block % 3 == 1 { 10 } else { 120 });
    }
    store.check(7);
    store.write_block(NOON_MS + 7 * 120 * STEP_MS, 120);
    store.check(1);
    let growing = store.db.stats().block_bytes;
    store.clock.jump_to(NOON_MS + DAY_MS / 2 + 3_600_000 - 1);
    store.db.flush().unwrap();
    store.check(1);
    assert_eq!(store.db.stats().compactions, 1, "the hour after midnight is not over");
    store.clock.advance(1);
    store.db.flush().unwrap();
    store.check(1);
    assert_eq!(store.db.stats().compactions, 2);
    assert!(store.db.stats().block_bytes < growing);
    store.db.flush().unwrap();
    assert_eq!(store.db.stats().compactions, 2, "a settled block is left alone");
}

#[test]
fn the_last_written_sample_holds_through_merges() {
    let mut store = Checked::new();
    let midnight_ms = NOON_MS - DAY_MS / 2;
    store.write_block(midnight_ms + 600 * STEP_MS, 1000);
    store.overwrite(midnight_ms + 900 * STEP_MS, 2, -1.0);
    store.overwrite(midnight_ms + 900 * STEP_MS, 2, -2.0);
    store.overwrite(midnight_ms + 900 * STEP_MS + 7, 2, -3.0);
    for block in 1..4 {
        store.write_block(midnight_ms + (600 + block * 1000) * STEP_MS, 1000);
    }
    store.check(7);
    store.clock.advance(DAY_MS);
    store.db.flush().unwrap();
    store.check(1);
    // Late samples are not worth it to write a settled day again.
    store.overwrite(NOON_MS + 151 * STEP_MS, 2, -4.0);
    store.overwrite(NOON_MS + 152 * STEP_MS, 3, -5.0);
    store.check(3);
    store.write_block(midnight_ms, 600);
    store.check(1);
}

#[test]
fn more_samples_than_a_chunk_holds_are_cut_and_read() {
    let mut store = Checked::new();
    let start_ms = NOON_MS - DAY_MS / 2;
    let mut written = Vec::new();
    for second in 0..20_000_i64 {
        let value = (second * second % 977) as f64;
        append(&store.db, start_ms + second * 1000, &[(2, value)]).unwrap();
        written.push((labels(2), start_ms + second * 1000, value.to_bits()));
    }
    store.clock.advance(DAY_MS);
    store.db.flush().unwrap();
    assert_eq!((store.db.stats().blocks, store.db.stats().compactions), (1, 1));
    assert!(contents(&store.db) == written);
    for (from, to) in [(0, 0), (8191, 8193), (19_999, 30_000), (5000, 15_000)] {
        let range = TimeRange::new(start_ms + from * 1000, start_ms + to * 1000);
        let expected: Vec<_> =
            written.iter().filter(|sample| range.contains(sample.1)).cloned().collect();
        assert!(select(&store.db, &[], range) == expected, "{from} to {to}");
    }
    store.model = written.into_iter().map(|(labels, at, bits)| ((labels, at), bits)).collect();
    store.check(1);
}
