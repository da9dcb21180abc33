//! A look at a store from outside tells all that is in it, and each kind of damage; it changes nothing.

use std::path::{Path, PathBuf};

use muster_environment::{Disk, MemoryDisk, read_all};
use muster_tsdb::{Inspection, inspect, inspect_block, inspect_segment};
use proptest::prelude::*;

use crate::harness::{DIR, NOW_MS, append, open};

const DAY_MS: i64 = 86_400_000;

/// Three days with two series each, and a log in several segments.
fn store() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let db = open(disk.clone());
    for day in 0..3 {
        for step in 0..20 {
            append(&db, NOW_MS - day * DAY_MS - step, &[(1, 1.0), (2, step as f64)]).unwrap();
        }
    }
    db.flush().unwrap();
    for step in 0..300 {
        append(&db, NOW_MS + step, &[(2, 0.1 / step as f64), (3, 3.0)]).unwrap();
    }
    db.close().unwrap();
    disk
}

fn look(disk: &MemoryDisk) -> Inspection {
    inspect(disk, Path::new(DIR)).unwrap()
}

fn files(disk: &MemoryDisk, folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(DIR).join(folder);
    disk.files().into_iter().filter(|path| path.starts_with(&folder)).collect()
}

#[test]
fn all_that_is_there_is_counted_beside_an_open_store_too() {
    let disk = store();
    let before = disk.files();
    let found = look(&disk);
    assert_eq!(disk.files(), before);
    assert_eq!((found.blocks.len(), found.samples(), &found.damage[..]), (3, 720, &[][..]));
    assert_eq!(found.segments.len(), files(&disk, "wal").len());
    assert_eq!(found.range().unwrap().start_ms, NOW_MS - 2 * DAY_MS - 19);
    assert_eq!(found.cardinality.series, 3);
    assert_eq!(found.cardinality.values_by_label[0], ("host".to_owned(), 3));
    assert_eq!(found.cardinality.series_by_metric, [("load".to_owned(), 3)]);
    let sizes: Vec<u64> = found.blocks.values().map(|block| block.bytes).collect();
    assert_eq!(found.block_bytes(), sizes.iter().sum::<u64>());
    // Blocks of the two days that are over.
    assert!(found.bytes_a_day().unwrap() <= sizes.iter().sum::<u64>() / 2);
    let _db = open(disk.clone());
    assert_eq!(look(&disk), found);
}

/// Changes one file of the store; which file is told as damaged, and why.
#[track_caller]
fn check(file: &Path, change: impl FnOnce(&MemoryDisk, &Path), expected: &str, reason: &str) {
    let disk = store();
    change(&disk, file);
    let found = look(&disk);
    let told: Vec<&str> = found.damage.iter().map(|damage| &*damage.file).collect();
    assert_eq!(told, [expected]);
    assert!(found.damage[0].reason.contains(reason), "{}", found.damage[0].reason);
}

#[test]
fn each_kind_of_damage_is_told() {
    let disk = store();
    let flip = |at: usize| {
        move |disk: &MemoryDisk, path: &Path| disk.corrupt(path, |bytes| bytes[at] ^= 1).unwrap()
    };
    let remove = |disk: &MemoryDisk, path: &Path| disk.remove(path).unwrap();
    let name = |path: &Path| path.strip_prefix(DIR).unwrap().display().to_string();

    let block = files(&disk, "blocks").remove(1);
    check(&block, flip(12), &name(&block), "is damaged at byte 0");
    check(&block, |disk, path| disk.truncate(path, 9).unwrap(), &name(&block), "too short");
    check(&block, remove, &name(&block), "missing");
    let segment = files(&disk, "wal").remove(1);
    check(&segment, flip(40), &name(&segment), "at byte 16");
    check(&segment, remove, &name(&segment), "missing");
    let manifest = Path::new(DIR).join("MANIFEST");
    check(&manifest, flip(20), "MANIFEST", "does not check");
    check(&manifest, remove, "MANIFEST", "missing");
}

#[test]
fn what_was_set_aside_and_what_no_manifest_names_is_listed() {
    let disk = store();
    let block = files(&disk, "blocks").remove(0);
    let bytes = read_all(&disk, &block).unwrap();
    disk.create(&block.with_file_name("0_7-7_7.blk")).unwrap().write_all(&bytes).unwrap();
    let aside = Path::new(DIR).join("quarantine/old.blk");
    disk.create(&aside).unwrap().write_all(b"12345").unwrap();
    let found = look(&disk);
    assert_eq!(found.unnamed_blocks, ["0_7-7_7.blk"]);
    assert_eq!(found.quarantine, [("old.blk".to_owned(), 5)]);
    assert_eq!(found.damage, []);
}

#[test]
fn every_flipped_byte_of_a_block_is_found() {
    let disk = store();
    let block = files(&disk, "blocks").remove(0);
    let len = read_all(&disk, &block).unwrap().len();
    inspect_block(&disk, &block).unwrap();
    for at in 0..len {
        disk.corrupt(&block, |bytes| bytes[at] ^= 0x10).unwrap();
        assert!(inspect_block(&disk, &block).is_err(), "byte {at}");
        disk.corrupt(&block, |bytes| bytes[at] ^= 0x10).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_looked_at_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        at in 0_usize..3000,
        keep in 0_usize..3000,
    ) {
        let disk = store();
        let paths = [files(&disk, "blocks").remove(0), files(&disk, "wal").remove(0)];
        for path in paths {
            disk.corrupt(&path, |file| {
                let at = at.min(file.len());
                let end = (at + bytes.len()).min(file.len());
                file.splice(at..end, bytes.iter().copied());
                file.truncate(keep.max(at + bytes.len()));
            })
            .unwrap();
            // Whatever they say, they come to an end.
            let _ = inspect_block(&disk, &path);
            let _ = inspect_segment(&disk, &path);
        }
        let _ = inspect(&disk, Path::new(DIR));
    }
}
