//! A store that may take only so much room drops its oldest days, and tells it.

use std::path::Path;
use std::sync::Arc;

use muster_environment::{ManualClock, MemoryDisk};
use muster_tsdb::{Db, Options};

use crate::harness::{DIR, NOW_MS, append, contents, options};

const DAY_MS: i64 = 86_400_000;

#[test]
fn the_oldest_days_go_when_the_store_is_too_large() {
    let disk = MemoryDisk::new();
    let open = |retention_bytes| {
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let options = Options { retention_bytes, ..options() };
        Db::open(Path::new(DIR), Arc::new(disk.clone()), clock, options).unwrap().0
    };
    let db = open(None);
    for day in 0..5 {
        append(&db, NOW_MS - day * DAY_MS, &[(1, 1.0)]).unwrap();
    }
    db.flush().unwrap();
    let bytes = db.stats().block_bytes + db.stats().wal_bytes_on_disk;
    assert_eq!((db.stats().blocks, db.stats().dropped_for_size), (5, 0));
    db.close().unwrap();

    let db = open(Some(bytes));
    db.flush().unwrap();
    assert_eq!(db.stats().blocks, 5, "it may be so large");
    db.close().unwrap();
    let db = open(Some(bytes - 1));
    db.flush().unwrap();
    assert_eq!((db.stats().blocks, db.stats().dropped_for_size), (4, 1));
    assert_eq!(contents(&db)[0].1, NOW_MS - 3 * DAY_MS);
    db.close().unwrap();
    let db = open(Some(0));
    db.flush().unwrap();
    assert_eq!(contents(&db).len(), 1, "today stays");
}
