//! The store's numbers of pushed series, by the keys of their labels as they were received.
//!
//! A key is 128 bits of a hash that only this process can compute, so that two label sets with one key do not happen by
//! chance, nor by will. What was not asked for between two sweeps is dropped: a series that comes back is
//! registered again, which costs little. So the table holds what is being pushed, not what ever was.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use muster_tsdb::SeriesId;
use parking_lot::{RwLock, RwLockReadGuard};

/// In how many parts the table is kept, so that none takes long to grow or to sweep.
const SHARDS: usize = 16;
/// How long between two sweeps of a shard.
const SWEEP_EVERY_MS: i64 = 30 * 60_000;
/// The most series of a shard: eight million in all.
const MOST_OF_SHARD: usize = 500_000;

/// A key; its halves are hashes already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key(u64, u64);

impl Key {
    fn new(key: u128) -> Self {
        Self(key as u64, (key >> 64) as u64)
    }

    fn shard(self) -> usize {
        self.1 as usize % SHARDS
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

#[derive(Default)]
struct KeepHash(u64);

impl Hasher for KeepHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// 24 bytes with its key.
struct Entry {
    series: SeriesId,
    /// Whether it was asked for since the last sweep.
    used: AtomicBool,
}

#[derive(Default)]
struct Shard {
    known: HashMap<Key, Entry, BuildHasherDefault<KeepHash>>,
    swept_ms: Option<i64>,
}

impl Shard {
    /// Drops what was not asked for since the last sweep.
    fn sweep(&mut self, now_ms: i64) {
        self.known.retain(|_, entry| std::mem::take(entry.used.get_mut()));
        if self.known.len() < self.known.capacity() / 4 {
            self.known.shrink_to_fit();
        }
        self.swept_ms = Some(now_ms);
    }
}

/// The series that are known by key.
pub(super) struct SeriesTable {
    shards: [RwLock<Shard>; SHARDS],
}

/// The table while it is being read.
pub(super) struct Reader<'a> {
    shards: [RwLockReadGuard<'a, Shard>; SHARDS],
}

impl Reader<'_> {
    /// The series of a key.
    #[inline]
    pub(super) fn get(&self, key: u128) -> Option<SeriesId> {
        let key = Key::new(key);
        let entry = self.shards[key.shard()].known.get(&key)?;
        // Writing what is there already would take the cache line away from the other cores.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(entry.series)
    }
}

impl SeriesTable {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()) }
    }

    /// Reads the table; until the reader is dropped, [`SeriesTable::insert`] waits.
    pub(super) fn read(&self) -> Reader<'_> {
        Reader { shards: std::array::from_fn(|at| self.shards[at].read()) }
    }

    /// Remembers series, in place of what was known by their keys.
    pub(super) fn insert(&self, fresh: &[(u128, SeriesId)], now_ms: i64) {
        for &(key, series) in fresh {
            let key = Key::new(key);
            let mut shard = self.shards[key.shard()].write();
            let since = *shard.swept_ms.get_or_insert(now_ms);
            if now_ms.abs_diff(since) >= SWEEP_EVERY_MS.unsigned_abs() {
                shard.sweep(now_ms);
            }
            if shard.known.len() >= MOST_OF_SHARD {
                shard.known.clear();
            }
            shard.known.insert(key, Entry { series, used: AtomicBool::new(true) });
        }
    }

    /// How many series are known.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().known.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use muster_environment::{ManualClock, MemoryDisk};
    use muster_series::Labels;
    use muster_tsdb::{Db, Options};

    use super::*;

    fn ids(count: usize) -> Vec<SeriesId> {
        let disk = Arc::new(MemoryDisk::new());
        let clock = Arc::new(ManualClock::at(0));
        let (db, _) = Db::open("/data".as_ref(), disk, clock, Options::default()).unwrap();
        let labels = |n: usize| Labels::from_pairs([("n", n.to_string())]).unwrap();
        (0..count).map(|n| db.series(&labels(n)).unwrap()).collect()
    }

    fn key(n: usize) -> u128 {
        (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    #[test]
    fn a_series_is_found_by_its_key_and_may_be_replaced() {
        let ids = ids(3);
        let table = SeriesTable::new();
        table.insert(&[(key(0), ids[0]), (key(1), ids[1])], 0);
        assert_eq!(table.read().get(key(0)), Some(ids[0]));
        assert_eq!(table.read().get(key(2)), None);
        table.insert(&[(key(0), ids[2])], 0);
        assert_eq!(table.read().get(key(0)), Some(ids[2]));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn what_nobody_pushes_any_more_is_dropped() {
        let ids = ids(1_000);
        let table = SeriesTable::new();
        for round in 0..20 {
            let now_ms = round as i64 * SWEEP_EVERY_MS;
            let fresh: Vec<(u128, SeriesId)> =
                (0..1_000).map(|n| (key(round * 1_000 + n + 1), ids[n])).collect();
            table.insert(&fresh, now_ms);
            table.insert(&[(key(0), ids[0])], now_ms);
        }
        assert!(table.len() <= 3_000, "{} are kept", table.len());
        assert_eq!(table.read().get(key(0)), Some(ids[0]));
        assert_eq!(table.read().get(key(1)), None);
    }

    #[test]
    fn one_that_is_asked_for_stays() {
        let ids = ids(2);
        let table = SeriesTable::new();
        let neighbour = key(0) + (SHARDS as u128);
        table.insert(&[(key(0), ids[0])], 0);
        for round in 1..10 {
            assert_eq!(table.read().get(key(0)), Some(ids[0]), "round {round}");
            table.insert(&[(neighbour, ids[1])], round * SWEEP_EVERY_MS);
        }
    }

    #[test]
    fn an_entry_takes_24_bytes() {
        assert_eq!(size_of::<(Key, Entry)>(), 24);
    }
}
