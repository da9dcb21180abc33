//! What scans of a label's values found, kept so that the same expression need not be run over all of them again.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use roaring::RoaringBitmap;

/// What an entry takes besides its texts and its bitmap, about.
const ENTRY_BYTES: usize = 200;

/// Which scan: of an index, of a label's values, by an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ScanKey {
    pub(crate) source: u64,
    pub(crate) name: Box<str>,
    pub(crate) expression: Box<str>,
}

#[derive(Debug)]
struct Kept {
    /// Of the label in the index; what was found holds for no other.
    version: u64,
    found: Arc<RoaringBitmap>,
    bytes: usize,
    used: u64,
}

#[derive(Debug, Default)]
struct Scans {
    kept: HashMap<ScanKey, Kept>,
    bytes: usize,
    uses: u64,
}

/// Results of scans, up to a number of bytes; those that were used last stay.
#[derive(Debug)]
pub(crate) struct ScanCache {
    most_bytes: usize,
    scans: Mutex<Scans>,
}

impl ScanCache {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, scans: Mutex::default() }
    }

    /// What a scan found in this version of the label.
    pub(crate) fn get(&self, key: &ScanKey, version: u64) -> Option<Arc<RoaringBitmap>> {
        let mut scans = self.scans.lock();
        scans.uses += 1;
        let now = scans.uses;
        let kept = scans.kept.get_mut(key).filter(|kept| kept.version == version)?;
        kept.used = now;
        Some(Arc::clone(&kept.found))
    }

    /// Keeps what a scan found.
    pub(crate) fn insert(&self, key: ScanKey, version: u64, found: Arc<RoaringBitmap>) {
        let texts = key.name.len() + key.expression.len();
        let bytes = found.serialized_size() + texts + ENTRY_BYTES;
        if bytes > self.most_bytes / 4 {
            return;
        }
        let mut scans = self.scans.lock();
        scans.uses += 1;
        scans.bytes += bytes;
        let kept = Kept { version, found, bytes, used: scans.uses };
        if let Some(former) = scans.kept.insert(key, kept) {
            scans.bytes -= former.bytes;
        }
        if scans.bytes > self.most_bytes {
            scans.drop_older_half();
        }
    }
}

impl Scans {
    fn drop_older_half(&mut self) {
        let mut uses: Vec<u64> = self.kept.values().map(|kept| kept.used).collect();
        uses.sort_unstable();
        let middle = uses[uses.len() / 2];
        self.kept.retain(|_, kept| kept.used >= middle);
        self.bytes = self.kept.values().map(|kept| kept.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> ScanKey {
        ScanKey { source: 1, name: "host".into(), expression: number.to_string().into() }
    }

    fn found(number: usize) -> Arc<RoaringBitmap> {
        Arc::new(RoaringBitmap::from_iter([number as u32]))
    }

    #[test]
    fn a_result_holds_for_its_version_alone() {
        let cache = ScanCache::new(1 << 20);
        cache.insert(key(1), 5, found(1));
        assert_eq!(cache.get(&key(1), 5), Some(found(1)));
        assert_eq!(cache.get(&key(1), 6), None);
        assert_eq!(cache.get(&key(2), 5), None);
        cache.insert(key(1), 6, found(2));
        assert_eq!((cache.get(&key(1), 5), cache.get(&key(1), 6)), (None, Some(found(2))));
    }

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let cache = ScanCache::new(10_000);
        for number in 0..1000 {
            cache.insert(key(number), 0, found(number));
            assert!(cache.get(&key(0), 0).is_some(), "{number}");
            assert!(cache.scans.lock().bytes <= 10_000);
        }
        assert!(cache.get(&key(1), 0).is_none() && cache.get(&key(999), 0).is_some());
        cache.insert(key(7), 0, Arc::new((0..100_000).filter(|n| n % 3 == 0).collect()));
        assert!(cache.get(&key(7), 0).is_none(), "one result is not to push out the others");
    }
}
