//! A full disk: appends are refused with a reason, reading goes on, and writing resumes by itself.

use muster_environment::{FailingDisk, MemoryDisk};
use muster_tsdb::TsdbError;

use crate::harness::{NOW_MS, append, contents, open};

#[test]
fn writing_stops_and_resumes() {
    let disk = FailingDisk::new(MemoryDisk::new());
    let db = open(disk.clone());
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    disk.set_full(true);
    for second in 1..4 {
        let error = append(&db, NOW_MS + second * 1000, &[(1, 2.0)]).unwrap_err();
        assert!(matches!(error, TsdbError::DiskFull { available: 0, .. }), "{error}");
    }
    assert!(db.flush().is_err());
    assert_eq!(contents(&db).len(), 1);
    assert!(db.stats().disk_full);
    assert_eq!(db.stats().failed_samples, 3);
    disk.set_full(false);
    append(&db, NOW_MS + 4000, &[(1, 3.0)]).unwrap();
    assert!(!db.stats().disk_full);
    db.flush().unwrap();
    assert_eq!(contents(&db).len(), 2);
    db.close().unwrap();
    assert_eq!(contents(&open(disk)).len(), 2);
}
