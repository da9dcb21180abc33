//! What comes back from a spool: after a restart, a full disk, damage.

use muster_environment::{Crash, FailingDisk, MemoryDisk};
use muster_series::stale_marker;

use super::*;

const DIR: &str = "/spool";

fn labels(number: u32) -> Option<Labels> {
    Labels::from_pairs([("__name__".to_owned(), format!("s{number}"))]).ok()
}

fn group(timestamp_ms: i64, samples: &[(u32, f64)]) -> Vec<Group> {
    vec![Group { timestamp_ms, samples: samples.to_vec() }]
}

fn spill(batches: &[Vec<Group>]) -> Spill {
    let batch = |groups: &Vec<Group>| QueuedBatch {
        urgent: false,
        groups: groups.clone(),
        segment: None,
        since_ms: 0,
    };
    let taken = Taken { moved: batches.iter().map(batch).collect(), copied: vec![] };
    Spill::of(taken, labels)
}

/// The only file in the folder.
fn content(disk: &MemoryDisk) -> Vec<u8> {
    read_all(disk, &disk.files()[0]).unwrap()
}

fn timestamps(segment: &Segment) -> Vec<i64> {
    let first = |groups: &Vec<Group>| groups[0].timestamp_ms;
    segment.batches.iter().map(first).collect()
}

fn open(disk: &MemoryDisk, cap_bytes: u64) -> Spool {
    Spool::open(Arc::new(disk.clone()), Path::new(DIR), cap_bytes).unwrap()
}

/// Name and value of every sample, batch by batch.
fn named(segment: &Segment) -> Vec<Vec<(String, u64)>> {
    let one = |(place, value): &(u32, f64)| {
        (segment.series[*place as usize].to_string(), value.to_bits())
    };
    segment.batches.iter().map(|groups| groups[0].samples.iter().map(one).collect()).collect()
}

#[test]
fn batches_come_back_after_a_restart() {
    let disk = MemoryDisk::new();
    // Two series share the number of the record: the second takes it after the first has ended.
    let batches = [group(1, &[(5, 1.0)]), group(2, &[(5, stale_marker())]), group(3, &[(6, 2.0)])];
    assert_eq!(open(&disk, 1 << 20).append(&spill(&batches)).unwrap(), 0);
    let mut spool = open(&disk, 1 << 20);
    let number = spool.numbers().next().unwrap();
    let segment = spool.read(number).unwrap();
    let expected = [
        vec![("s5".to_owned(), 1.0_f64.to_bits())],
        vec![("s5".to_owned(), stale_marker().to_bits())],
        vec![("s6".to_owned(), 2.0_f64.to_bits())],
    ];
    assert_eq!(named(&segment), expected);
    assert_eq!((segment.damaged, segment.batches[2][0].timestamp_ms), (0, 3));
}

#[test]
fn what_follows_is_appended_until_somebody_reads() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk, 1 << 20);
    let batches: Vec<_> = (0..3).map(|at| group(at, &[(1, at as f64)])).collect();
    spool.append(&spill(&batches[..1])).unwrap();
    let first = spool.bytes();
    spool.append(&spill(&batches[1..2])).unwrap();
    assert!(spool.bytes() - first < first - MAGIC.len() as u64, "the name is there once");
    assert_eq!(open(&disk, 1 << 20).segments[&1].batches, 2, "counted at a start too");
    let segment = spool.read(1).unwrap();
    assert_eq!((timestamps(&segment), segment.damaged), (vec![0, 1], 0));
    spool.append(&spill(&batches[2..])).unwrap();
    assert_eq!(spool.numbers().collect::<Vec<_>>(), [1, 2]);
    let segment = spool.read(2).unwrap();
    assert_eq!(segment.series, [labels(1).unwrap()]);
}

#[test]
fn a_segment_does_not_grow_for_ever() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk, 1 << 30);
    let many: Vec<_> = (0..20_000).map(|number| (number % 500, 1.0)).collect();
    for at in 0..4 {
        spool.append(&spill(&[group(at, &many)])).unwrap();
    }
    assert_eq!(spool.numbers().count(), 4);
}

#[test]
fn a_crash_at_any_moment_keeps_what_was_appended_before() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk, 1 << 20);
    for at in 0..3 {
        spool.append(&spill(&[group(at, &[(1, 1.0)])])).unwrap();
        let mut after = open(&disk.crash_image(Crash::LoseUnsynced), 1 << 20);
        let kept = timestamps(&after.read(1).unwrap());
        assert_eq!(kept, (0..=at).collect::<Vec<_>>());
    }
    let whole = content(&disk);
    for end in 0..whole.len() {
        let segment = decode(&whole[..end]);
        assert!(segment.batches.len() < 3 && segment.damaged <= 1);
    }
}

#[test]
fn a_failed_write_leaves_only_what_was_there() {
    for nth in 1..8 {
        let memory = MemoryDisk::new();
        let disk = Arc::new(FailingDisk::new(memory.clone()));
        let mut spool = Spool::open(disk.clone(), Path::new(DIR), 1 << 20).unwrap();
        spool.append(&spill(&[group(1, &[(1, 1.0)])])).unwrap();
        disk.fail_nth(disk.operations() + nth);
        let second = spool.append(&spill(&[group(2, &[(1, 1.0)])]));
        let third = spool.append(&spill(&[group(3, &[(1, 1.0)])]));
        let expected: Vec<i64> = [(1, true), (2, second.is_ok()), (3, third.is_ok())]
            .into_iter()
            .filter_map(|(at, written)| written.then_some(at))
            .collect();
        let mut spool = open(&memory, 1 << 20);
        let mut found = Vec::new();
        for number in spool.numbers().collect::<Vec<_>>() {
            let segment = spool.read(number).unwrap();
            assert_eq!(segment.damaged, 0);
            found.extend(timestamps(&segment));
        }
        assert_eq!(found, expected, "operation {nth}");
    }
}

#[test]
fn the_oldest_segment_makes_room_and_is_counted() {
    let disk = MemoryDisk::new();
    let two = spill(&[group(1, &[(1, 1.0)]), group(2, &[(1, 2.0)])]);
    let mut spool = open(&disk, 1 << 20);
    spool.append(&two).unwrap();
    let size = spool.bytes();
    spool.cap_bytes = size * 2 + size / 2;
    let mut lost = Vec::new();
    for number in 1..=3 {
        spool.read(number).unwrap();
        lost.push(spool.append(&two).unwrap());
    }
    assert_eq!(lost, [0, 2, 2]);
    assert_eq!(spool.numbers().collect::<Vec<_>>(), [3, 4]);
    assert_eq!(spool.bytes(), size * 2);
    spool.remove(3).unwrap();
    assert_eq!(spool.numbers().collect::<Vec<_>>(), [4]);
    assert_eq!(open(&disk, size).bytes(), size);
}

#[test]
fn a_spool_with_room_for_one_segment_keeps_the_newest() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk, 1 << 20);
    spool.append(&spill(&[group(0, &[(1, 0.5)])])).unwrap();
    let cap_bytes = spool.bytes() + 10;
    spool.cap_bytes = cap_bytes;
    let lost: u64 =
        (1..=9).map(|at| spool.append(&spill(&[group(at, &[(1, 0.5)])])).unwrap()).sum();
    assert!(spool.bytes() <= cap_bytes);
    let numbers: Vec<u64> = spool.numbers().collect();
    let kept = timestamps(&spool.read(numbers[0]).unwrap());
    assert_eq!((numbers.len(), kept.last()), (1, Some(&9)));
    assert_eq!(lost + kept.len() as u64, 10);
}

#[test]
fn damage_costs_the_rest_of_its_segment_and_is_counted() {
    let batches: Vec<_> = (0..4).map(|at| group(at, &[(1, at as f64)])).collect();
    let disk = MemoryDisk::new();
    open(&disk, 1 << 20).append(&spill(&batches)).unwrap();
    let whole = content(&disk);
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        let segment = decode(&bad);
        assert!(segment.batches.len() < 4, "byte {at}");
        assert!((1..=4).contains(&segment.damaged), "byte {at}");
        for (batch, original) in segment.batches.iter().zip(&batches) {
            assert_eq!(batch[0].timestamp_ms, original[0].timestamp_ms);
        }
    }
    let mut bad = whole.clone();
    bad[MAGIC.len() + RECORD_HEADER_BYTES] ^= 1;
    assert_eq!(decode(&bad).damaged, 4, "the lengths are whole");
    assert_eq!(decode(&whole).damaged, 0);
}
