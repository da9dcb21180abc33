//! Series that come and go: what ended is forgotten, what is in use is not, and nothing is lost by it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use muster_environment::{ManualClock, MemoryDisk};
use muster_series::{Labels, TimeRange};
use muster_tsdb::{Appended, Db, Options, Refused, SeriesId, WriteBatch};

use crate::harness::{DIR, NOW_MS, append, contents, labels, options, select};
use crate::hooked_disk::{HookedDisk, Step};

const FORGET_AFTER_MS: i64 = 3 * 3_600_000;

struct Store {
    db: Db,
    clock: Arc<ManualClock>,
}

fn open() -> Store {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let options = Options { wal_segment_bytes: 1 << 20, ..options() };
    let disk = Arc::new(MemoryDisk::new());
    let (db, _) = Db::open(Path::new(DIR), disk, clock.clone(), options).unwrap();
    Store { db, clock }
}

impl Store {
    /// Lets time pass in which series become old enough to be forgotten, and the store do its work.
    fn pass(&self, ms: i64) {
        self.clock.advance(ms);
        self.db.flush().unwrap();
    }

    fn write(&self, batch: WriteBatch) -> Appended {
        let (sender, receiver) = mpsc::channel();
        self.db.append(batch, move |result| sender.send(result).unwrap());
        receiver.recv().unwrap().unwrap()
    }

    fn write_one(&self, id: SeriesId, value: f64) -> Appended {
        use muster_environment::Clock;
        self.write(WriteBatch::scrape(self.clock.now_ms(), [(id, value)]))
    }
}

#[test]
fn an_idle_series_is_forgotten_and_its_samples_stay() {
    let store = open();
    let id = store.db.series(&labels(1)).unwrap();
    append(&store.db, NOW_MS, &[(1, 1.0), (2, 2.0)]).unwrap();
    store.pass(1000);
    let before = store.db.stats().forgotten_series;
    store.pass(FORGET_AFTER_MS - 2000);
    assert_eq!((store.db.stats().series, store.db.stats().forgotten_series), (2, before));
    append(&store.db, NOW_MS + 1, &[(2, 2.0)]).unwrap();
    store.pass(FORGET_AFTER_MS / 2);
    assert_eq!((store.db.stats().series, store.db.stats().forgotten_series), (1, 1));
    assert!(store.db.stats().forgotten_series > before);
    assert_eq!(contents(&store.db).len(), 3);
    let refused = Refused { unknown_series: 1, ..Refused::default() };
    assert_eq!(store.write_one(id, 5.0), Appended { refused, ..Appended::default() });
    assert_eq!(store.db.stats().refused_samples.unknown_series, 1);

    // Its name gets a new number, under which all is one series again.
    let anew = store.db.series(&labels(1)).unwrap();
    assert_ne!(anew, id);
    assert_eq!(store.write_one(anew, 6.0).samples, 1);
    let now = TimeRange::new(NOW_MS, i64::MAX);
    let own: Vec<u64> = select(&store.db, &[], now)
        .into_iter()
        .filter(|(own, _, _)| *own == labels(1))
        .map(|sample| sample.2)
        .collect();
    assert_eq!(own, [1.0_f64.to_bits(), 6.0_f64.to_bits()]);
    let all = store.db.series_labels(&[], TimeRange::ALL, 10).unwrap();
    assert_eq!(all, [labels(1), labels(2)]);
}

#[test]
fn a_series_in_use_is_never_forgotten() {
    let store = open();
    let [written, in_memory, registered] = [1, 2, 3].map(|n| store.db.series(&labels(n)).unwrap());
    let step_ms = FORGET_AFTER_MS / 2;
    for step in 0..6 {
        store.write_one(written, f64::from(step));
        assert_eq!(store.db.series(&labels(3)).unwrap(), registered);
        store.pass(step_ms);
    }
    assert_eq!(store.db.stats().series, 2, "the one without samples is forgotten");
    assert_eq!(store.write_one(in_memory, 1.0).refused.unknown_series, 1);

    // A sample that came in time keeps its series, however long no block is written.
    let kept = store.db.series(&labels(4)).unwrap();
    store.write_one(kept, 1.0);
    store.clock.advance(10 * FORGET_AFTER_MS);
    store.write_one(written, 1.0);
    assert_eq!(store.write_one(kept, 2.0).samples, 1);
}

#[test]
fn short_lived_series_do_not_fill_the_memory() {
    let store = open();
    let pods = 3_000;
    let mut most = (0, 0);
    for round in 0..12 {
        let ids: Vec<SeriesId> = (0..pods)
            .map(|pod| {
                let pod = format!("pod-{round}-{pod}");
                let pairs = [("__name__", "restarts"), ("job", "pods"), ("pod", &*pod)];
                store.db.series_from_pairs(&pairs).unwrap()
            })
            .collect();
        let samples = ids.iter().map(|&id| (id, f64::from(round)));
        let timestamp = NOW_MS + i64::from(round) * FORGET_AFTER_MS;
        assert_eq!(store.write(WriteBatch::scrape(timestamp, samples)).samples, pods);
        store.pass(FORGET_AFTER_MS);
        let stats = store.db.stats();
        most = (most.0.max(stats.series), most.1.max(stats.label_bytes));
    }
    assert!(most.0 <= 2 * pods && most.1 <= 2 * 20 * pods, "{most:?}");
    assert_eq!(store.db.stats().forgotten_series + store.db.stats().series, 12 * pods);
    let values = store.db.label_values("pod", &[], TimeRange::ALL, 100_000).unwrap();
    assert_eq!(values.len() as u64, 12 * pods, "blocks know all of them");
    let first = Labels::from_pairs([("__name__", "restarts"), ("job", "pods"), ("pod", "pod-0-0")]);
    assert!(contents(&store.db).iter().any(|sample| sample.0 == *first.as_ref().unwrap()));
}

#[test]
fn a_series_is_not_forgotten_while_its_samples_are_on_their_way_to_disk() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let options = Options { wal_segment_bytes: 1 << 20, forget_after_ms: 0, ..options() };
    let (begun, begins) = mpsc::channel();
    let is_slow = Arc::new(AtomicBool::new(false));
    let slow = Arc::clone(&is_slow);
    // A write of the log lasts until maintenance had its chance.
    let disk = HookedDisk::new(move |_, step| {
        if matches!(step, Step::Sync) && slow.swap(false, Ordering::SeqCst) {
            begun.send(()).unwrap();
            // Were it not kept from forgetting, maintenance would have forgotten in this time.
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    });
    let (db, _) = Db::open(Path::new(DIR), Arc::new(disk), clock.clone(), options).unwrap();
    let store = Store { db, clock };
    let id = store.db.series(&labels(1)).unwrap();
    let before = store.db.stats().forgotten_series;
    is_slow.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let db = store.db.clone();
        scope.spawn(move || {
            begins.recv().unwrap();
            db.flush().unwrap();
        });
        assert_eq!(store.write_one(id, 1.0).samples, 1);
    });
    assert_eq!(contents(&store.db), [(labels(1), NOW_MS, 1.0_f64.to_bits())]);
    store.db.flush().unwrap();
    assert!(store.db.stats().forgotten_series > before);
    assert_eq!(contents(&store.db), [(labels(1), NOW_MS, 1.0_f64.to_bits())]);
}
