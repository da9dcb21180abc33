//! What the recorder gives back: when asked, after a restart, a crash, damage, on a full disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use muster_environment::{Crash, Disk, FailingDisk, MemoryDisk};
use muster_series::stale_marker;
use proptest::prelude::*;

use super::disk::{Left, RecorderDisk};
use super::*;
use crate::spool::Spool;

const DIR: &str = "/recorder";
const BOOT: &str = "boot-1";
const NOON: i64 = 1_795_300_000_000;

/// Values by series name; what a group means, however it is numbered.
type Told = BTreeMap<String, u64>;

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name)]).unwrap()
}

/// A recorder whose every second is known, and its folder on some disk.
struct Host {
    recorder: Recorder,
    table: SeriesTable,
    folder: Option<RecorderDisk>,
    second: i64,
    recorded: BTreeMap<i64, (bool, Told)>,
}

impl Host {
    fn new(limit_bytes: usize, disk: Option<&MemoryDisk>) -> Self {
        let folder = disk.map(|disk| open(disk, BOOT, NOON, 0).0);
        Self::with(Recorder::new(limit_bytes, Vec::new()), folder)
    }

    fn with(recorder: Recorder, folder: Option<RecorderDisk>) -> Self {
        let (table, recorded) = (SeriesTable::default(), BTreeMap::new());
        Self { recorder, table, folder, second: 0, recorded }
    }

    /// One second: a few steady series, one that lives five seconds, every fifth one sent.
    fn pass_second(&mut self) {
        let second = self.second;
        let mut told: Told =
            (0..20).map(|at| (format!("steady_{at}"), ((second * at) as f64).to_bits())).collect();
        let ends = second % 5 == 4;
        let value = if ends { stale_marker() } else { second as f64 / 10.0 };
        told.insert(format!("brief_{}", second / 5), value.to_bits());
        self.record(&told, second % 5 == 0);
    }

    fn record(&mut self, told: &Told, sent: bool) {
        let timestamp_ms = NOON + self.second * 1_000;
        let samples = told
            .iter()
            .map(|(name, bits)| (self.table.number_of(labels(name)), f64::from_bits(*bits)))
            .collect();
        let (group, table) = (Group { timestamp_ms, samples }, &self.table);
        let labels_of = |number| table.labels_of(number);
        self.recorder.record(&group, sent, labels_of, self.second * 1_000);
        self.recorded.insert(timestamp_ms, (sent, told.clone()));
        self.second += 1;
        self.write();
    }

    fn write(&mut self) {
        let Some(folder) = &mut self.folder else { return };
        while let Some(write) = self.recorder.poll_write() {
            let done = folder.write(&write).is_ok();
            if let Some(append) = write.append {
                self.recorder.written(append.segment, append.bytes.len(), done);
            }
        }
    }

    /// All that is handed out, each time once.
    fn recall(&mut self, from: i64, to: i64) -> BTreeMap<i64, Told> {
        self.recorder.recall(NOON + from * 1_000, NOON + to * 1_000);
        let mut all = BTreeMap::new();
        while let Some(groups) = self.recorder.next_recalled(&mut self.table) {
            assert!(!groups.is_empty());
            for group in groups {
                let name = |number| self.table.labels_of(number).unwrap();
                let one = |(number, value): &(u32, f64)| {
                    (name(*number).metric_name().unwrap().to_owned(), value.to_bits())
                };
                let told = group.samples.iter().map(one).collect();
                assert!(all.insert(group.timestamp_ms, told).is_none(), "twice");
            }
        }
        assert!(!self.recorder.is_recalling());
        all
    }

    /// What was recorded in this time and not sent.
    fn unsent(&self, from: i64, to: i64) -> BTreeMap<i64, Told> {
        self.recorded
            .range(NOON + from * 1_000..=NOON + to * 1_000)
            .filter(|(_, (sent, _))| !sent)
            .map(|(time, (_, told))| (*time, told.clone()))
            .collect()
    }
}

fn open(
    disk: &MemoryDisk,
    boot_id: &str,
    now_ms: i64,
    monotonic_ms: i64,
) -> (RecorderDisk, Left, Vec<Segment>) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    RecorderDisk::open(disk, Path::new(DIR), boot_id, now_ms, monotonic_ms).unwrap()
}

/// Lets the next run take over what a crash has left. Tells what is in its spool then.
fn taken_over(disk: &MemoryDisk) -> BTreeMap<i64, Told> {
    let (mut folder, left, segments) = open(disk, BOOT, NOON + 1_000_000, 0);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut spool = Spool::open(shared, Path::new("/spool"), 1 << 30).unwrap();
    if left == Left::Abruptly {
        folder.hand_over(&segments, &mut spool).unwrap();
    }
    let mut all = BTreeMap::new();
    for number in spool.numbers().collect::<Vec<_>>() {
        let read = spool.read(number).unwrap();
        assert_eq!(read.damaged, 0);
        for group in read.batches.into_iter().flatten() {
            let one = |(place, value): &(u32, f64)| {
                let name = read.series[*place as usize].metric_name().unwrap();
                (name.to_owned(), value.to_bits())
            };
            all.insert(group.timestamp_ms, group.samples.iter().map(one).collect());
        }
    }
    let left_over = disk.files().into_iter().filter(|path| path.starts_with(DIR)).count();
    assert!(left == Left::Cleanly || left_over == 0, "what is in the spool is not kept twice");
    all
}

#[test]
fn what_was_not_sent_is_handed_out_once() {
    let mut host = Host::new(4 << 20, None);
    (0..200).for_each(|_| host.pass_second());
    assert_eq!(host.recall(50, 120), host.unsent(50, 120));
    assert!(host.recall(50, 120).is_empty());
    let mut rest = host.unsent(0, 199);
    rest.retain(|time, _| !(NOON + 50_000..=NOON + 120_000).contains(time));
    assert_eq!(host.recall(i64::MIN / 10_000, i64::MAX / 10_000), rest);
    (0..3).for_each(|_| host.pass_second());
    assert_eq!(host.recall(0, 500).len(), 2, "what came since");
}

#[test]
fn a_recall_that_is_under_way_grows() {
    let mut host = Host::new(4 << 20, None);
    (0..100).for_each(|_| host.pass_second());
    host.recorder.recall(NOON + 90_000, NOON + 95_000);
    let first = host.recorder.next_recalled(&mut host.table).unwrap();
    let rest = host.recall(10, 20);
    assert_eq!(first.len() + rest.len(), host.unsent(10, 95).len());
}

#[test]
fn the_ring_holds_ten_minutes_in_few_bytes() {
    let mut host = Host::new(4 << 20, None);
    (0..2_000).for_each(|_| host.pass_second());
    let held = host.recorder.held(2_000_000);
    assert!((RING_MS..RING_MS + 2 * SEGMENT_MS).contains(&held.span_ms), "{held:?}");
    assert!(held.bytes < 100_000, "{held:?}");
    let first = *host.recall(0, 2_000).first_key_value().unwrap().0;
    assert!((1_280..1_400).contains(&((first - NOON) / 1_000)));
}

#[test]
fn a_host_with_much_to_tell_shortens_the_ring() {
    let mut host = Host::new(400_000, None);
    for second in 0..300_u32 {
        let value = |at: u32| (f64::from(at.wrapping_mul(second)) * 0.37).to_bits();
        let told = (0..1_500).map(|at| (format!("series_{at}"), value(at))).collect();
        host.record(&told, false);
    }
    let held = host.recorder.held(300_000);
    assert!(held.bytes <= 400_000 && held.bytes > 200_000, "{held:?}");
    assert!((1_000..200_000).contains(&held.span_ms), "{held:?}");
    let recalled = host.recall(0, 300);
    assert!(!recalled.is_empty());
    assert!(recalled.iter().all(|(time, told)| host.recorded[time].1 == *told));
}

#[test]
fn after_a_clean_end_the_ring_is_there_again_and_nothing_is_sent_by_itself() {
    let disk = MemoryDisk::new();
    let mut host = Host::new(4 << 20, Some(&disk));
    (0..150).for_each(|_| host.pass_second());
    host.recorder.finish();
    host.write();
    host.folder.take().unwrap().end_cleanly(BOOT).unwrap();
    let unsent = host.unsent(0, 150);

    let disk = disk.crash_image(Crash::LoseUnsynced);
    let (folder, left, segments) = open(&disk, BOOT, NOON + 160_000, 7_000);
    assert_eq!(left, Left::Cleanly);
    let mut host = Host::with(Recorder::new(4 << 20, segments), Some(folder));
    assert_eq!(host.recorder.held(7_000).span_ms, 160_000);
    assert_eq!(host.recall(0, 150), unsent);
    host.second = 10;
    (0..20).for_each(|_| host.pass_second());
    drop(host);

    let (_, left, segments) = open(&disk, BOOT, NOON + 170_000, 0);
    assert_eq!((left, segments.len()), (Left::Abruptly, 4), "the note is good for one start");
}

#[test]
fn what_a_clean_run_left_long_ago_is_removed() {
    let disk = MemoryDisk::new();
    let mut host = Host::new(4 << 20, Some(&disk));
    (0..150).for_each(|_| host.pass_second());
    host.folder.take().unwrap().end_cleanly(BOOT).unwrap();
    let (_, left, segments) = open(&disk, BOOT, NOON + 86_400_000, 0);
    assert_eq!((left, segments.len(), disk.files().len()), (Left::Cleanly, 0, 0));
}

#[test]
fn after_another_boot_the_minutes_before_it_are_sent() {
    let disk = MemoryDisk::new();
    let mut host = Host::new(4 << 20, Some(&disk));
    (0..150).for_each(|_| host.pass_second());
    host.recorder.finish();
    host.write();
    host.folder.take().unwrap().end_cleanly("another boot").unwrap();
    let mut expected = host.unsent(0, 150);
    // Of what was sent the last may not have arrived.
    expected.extend((130..150).filter(|second| second % 5 == 0).map(|second| {
        let time = NOON + second * 1_000;
        (time, host.recorded[&time].1.clone())
    }));
    assert_eq!(taken_over(&disk), expected);
}

#[test]
fn a_crash_at_any_second_leaves_all_but_the_last_seconds() {
    for seconds in (1..130).step_by(7) {
        for crash in [Crash::LoseUnsynced, Crash::KeepUnsynced, Crash::Torn(seconds as u64)] {
            let disk = MemoryDisk::new();
            let mut host = Host::new(4 << 20, Some(&disk));
            (0..seconds).for_each(|_| host.pass_second());
            let left = taken_over(&disk.crash_image(crash));
            let lost: BTreeSet<i64> = host
                .unsent(0, seconds)
                .into_keys()
                .filter(|time| !left.contains_key(time))
                .collect();
            assert!(lost.len() <= 10, "{seconds} {crash:?} {lost:?}");
            for (time, told) in left {
                assert_eq!(host.recorded[&time].1, told);
            }
        }
    }
}

#[test]
fn damage_anywhere_costs_what_comes_after_it_in_its_segment() {
    let disk = MemoryDisk::new();
    let mut host = Host::new(4 << 20, Some(&disk));
    (0..70).for_each(|_| host.pass_second());
    let path = disk.files()[0].clone();
    let length = muster_environment::read_all(&disk, &path).unwrap().len();
    for at in (0..length).step_by(3) {
        let damaged = disk.crash_image(Crash::KeepUnsynced);
        damaged.corrupt(&path, |bytes| bytes[at] ^= 1 << (at % 8)).unwrap();
        for (time, told) in taken_over(&damaged) {
            assert_eq!(host.recorded[&time].1, told, "byte {at}");
        }
        let cut = disk.crash_image(Crash::KeepUnsynced);
        cut.corrupt(&path, |bytes| bytes.truncate(at)).unwrap();
        taken_over(&cut);
    }
}

#[test]
fn a_disk_that_fails_leaves_the_ring_in_memory_and_is_tried_again() {
    let disk = FailingDisk::new(MemoryDisk::new());
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (folder, ..) = RecorderDisk::open(shared, Path::new(DIR), BOOT, NOON, 0).unwrap();
    let mut host = Host::with(Recorder::new(4 << 20, Vec::new()), Some(folder));
    disk.set_full(true);
    (0..130).for_each(|_| host.pass_second());
    let failures = host.recorder.held(0).write_failures;
    assert!((2..5).contains(&failures), "once a segment, not once a second: {failures}");
    disk.set_full(false);
    (0..130).for_each(|_| host.pass_second());
    assert_eq!(host.recorder.held(0).write_failures, failures);
    assert_eq!(host.recall(0, 300), host.unsent(0, 300));
}

#[test]
fn each_operation_of_the_disk_may_fail() {
    for nth in 1..60 {
        let memory = MemoryDisk::new();
        let disk = FailingDisk::new(memory.clone());
        disk.fail_nth(nth);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let Ok((folder, ..)) = RecorderDisk::open(shared, Path::new(DIR), BOOT, NOON, 0) else {
            continue;
        };
        let mut host = Host::with(Recorder::new(4 << 20, Vec::new()), Some(folder));
        (0..200).for_each(|_| host.pass_second());
        assert_eq!(host.recall(0, 200), host.unsent(0, 200), "operation {nth}");
        for (time, told) in taken_over(&memory.crash_image(Crash::KeepUnsynced)) {
            assert_eq!(host.recorded[&time].1, told, "operation {nth}");
        }
    }
}

#[test]
fn the_spool_keeps_what_was_to_be_sent_rather_than_detail() {
    let disk = MemoryDisk::new();
    let mut host = Host::new(4 << 20, Some(&disk));
    (0..100).for_each(|_| host.pass_second());
    let (mut folder, _, segments) = open(&disk, BOOT, NOON, 0);
    let shared: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let mut spool = Spool::open(shared, Path::new("/spool"), 2_000).unwrap();
    assert_eq!(folder.hand_over(&segments, &mut spool).unwrap(), 0);
    assert_eq!(spool.bytes(), 0);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(mut bytes: Vec<u8>) {
        bytes.splice(0..0, segment::MAGIC.iter().copied());
        let _ = segment::scan(&bytes);
        let _ = SegmentReader::new().next(&bytes);
    }
}
