//! An hour without a server, in simulated time: two agents with schedule, recorder and spool. Afterwards there is no gap
//! and nothing double, and what is new came first all the time.

use std::collections::BTreeMap;

use muster_environment::{Crash, Disk};

use super::*;
use crate::recorder::Recorder;
use crate::recorder::disk::{Left, RecorderDisk};
use crate::schedule::{Cadence, Schedule};

const NOON_MS: i64 = 1_795_300_000_000;
const STEP_MS: i64 = 100;
const BOOT: &str = "boot-1";

/// How an agent lives through the outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It runs all the time.
    Undisturbed,
    /// It is stopped and started in the middle.
    Restarted,
    /// It is killed in the middle, and started again.
    Killed,
}

struct Agent {
    pipe: Pipe,
    schedule: Schedule,
    recorder: Recorder,
    folder: RecorderDisk,
    /// When each batch that was to be sent was collected.
    collected: BTreeMap<i64, i64>,
    /// The longest that a batch collected while there was a session took to arrive.
    slowest_live_ms: i64,
    connected_ms: i64,
}

fn cadence() -> Cadence {
    Cadence { interval_ms: 5_000, slow_interval_ms: 30_000, record_ms: Some(1_000) }
}

impl Agent {
    fn new() -> Self {
        let pipe = Pipe::new(100_000);
        let (folder, ..) = open_folder(&pipe.disk, 0);
        Self {
            pipe,
            schedule: Schedule::new(cadence()),
            recorder: Recorder::new(4 << 20, Vec::new()),
            folder,
            collected: BTreeMap::new(),
            slowest_live_ms: 0,
            connected_ms: 0,
        }
    }

    /// Lets time pass, one tenth of a second after the other. Tells how many batches arrived in the fullest second.
    fn pass(&mut self, seconds: i64) -> usize {
        let mut arrivals: BTreeMap<i64, usize> = BTreeMap::new();
        for _ in 0..seconds * 1_000 / STEP_MS {
            let now_ms = self.pipe.now_ms;
            if let Some(due) = self.schedule.poll(NOON_MS + now_ms, now_ms) {
                self.collect(due.timestamp_ms, due.sent);
            }
            let (before, batches) = (self.pipe.arrived.len(), self.pipe.batches);
            self.pipe.tend_spool();
            self.pipe.exchange(12, |_| Answer::Acknowledge);
            for time in &self.pipe.arrived[before..] {
                if let Some(since_ms) =
                    self.collected.get(time).filter(|at| **at >= self.connected_ms)
                {
                    self.slowest_live_ms = self.slowest_live_ms.max(now_ms - since_ms);
                }
            }
            *arrivals.entry(now_ms / 1_000).or_default() += self.pipe.batches - batches;
            self.pipe.now_ms += STEP_MS;
        }
        arrivals.into_values().max().unwrap_or(0)
    }

    fn collect(&mut self, timestamp_ms: i64, sent: bool) {
        let now_ms = self.pipe.now_ms;
        if sent {
            self.pipe.collect(timestamp_ms);
            self.collected.insert(timestamp_ms, now_ms);
        }
        let steady = Labels::from_pairs([("__name__", "steady")]).unwrap();
        let number = self.pipe.exchange.table().number_of(steady);
        let group = Group { timestamp_ms, samples: vec![(number, timestamp_ms as f64)] };
        let table = self.pipe.exchange.table();
        self.recorder.record(&group, sent, |number| table.labels_of(number), now_ms);
        while let Some(write) = self.recorder.poll_write() {
            self.folder.write(&write).unwrap();
            if let Some(append) = write.append {
                self.recorder.written(append.segment, append.bytes.len(), true);
            }
        }
    }

    /// Another process with the same state folder.
    fn start_again(&mut self, killed: bool) {
        if !killed {
            while let Some(spill) = self.pipe.exchange.take_for_spool() {
                self.pipe.spool.append(&spill).unwrap();
            }
            self.folder.end_cleanly(BOOT).unwrap();
        }
        let mut pipe = Pipe::new(100_000);
        pipe.disk = self.pipe.disk.crash_image(Crash::LoseUnsynced);
        pipe.spool = open_spool(&pipe.disk);
        pipe.now_ms = self.pipe.now_ms;
        pipe.arrived = std::mem::take(&mut self.pipe.arrived);
        pipe.acknowledged = std::mem::take(&mut self.pipe.acknowledged);
        let (mut folder, left, mut segments) = open_folder(&pipe.disk, pipe.now_ms);
        assert_eq!(left, if killed { Left::Abruptly } else { Left::Cleanly });
        if killed {
            folder.hand_over(&segments, &mut pipe.spool).unwrap();
            segments.clear();
        }
        self.recorder = Recorder::new(4 << 20, segments);
        (self.pipe, self.folder, self.schedule) = (pipe, folder, Schedule::new(cadence()));
    }
}

fn open_folder(
    disk: &MemoryDisk,
    now_ms: i64,
) -> (RecorderDisk, Left, Vec<crate::recorder::Segment>) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    RecorderDisk::open(disk, Path::new("/recorder"), BOOT, NOON_MS + now_ms, now_ms).unwrap()
}

#[track_caller]
fn check(life: Life) {
    let mut agent = Agent::new();
    agent.pipe.connect();
    agent.pass(601);
    agent.pipe.cut();
    agent.pass(1_803);
    let restarted_ms = NOON_MS + agent.pipe.now_ms;
    if life != Life::Undisturbed {
        agent.start_again(life == Life::Killed);
    }
    agent.pass(1_803);
    let cut_off = agent.pipe.arrived.len();
    assert!(cut_off <= 122, "nothing arrives without a server: {cut_off}");

    agent.slowest_live_ms = 0;
    agent.connected_ms = agent.pipe.now_ms;
    agent.pipe.connect();
    let fullest = agent.pass(120);
    assert!(fullest <= 60, "{life:?}: {fullest} batches in a second");
    assert_eq!(agent.pipe.spool.bytes(), 0, "{life:?}: all is delivered after two minutes");
    assert_eq!(agent.pipe.exchange.queued(), 0);

    let arrived: BTreeSet<i64> = agent.pipe.arrived.iter().copied().collect();
    let lost: Vec<i64> =
        agent.collected.keys().filter(|time| !arrived.contains(time)).copied().collect();
    let in_the_last_seconds =
        |time: &i64| life == Life::Killed && (restarted_ms - 11_000..restarted_ms).contains(time);
    assert!(lost.iter().all(in_the_last_seconds), "{life:?} lost {lost:?}");
    let sent: Vec<i64> = agent
        .pipe
        .arrived
        .iter()
        .filter(|time| agent.collected.contains_key(time))
        .copied()
        .collect();
    let distinct: BTreeSet<i64> = sent.iter().copied().collect();
    let allowed = if life == Life::Killed { 5 } else { 0 };
    assert!(sent.len() - distinct.len() <= allowed, "{life:?}: some came twice");
    assert!(agent.collected.len() > 850, "one each five seconds");
    assert!(agent.slowest_live_ms <= 1_000, "{life:?}: {} ms", agent.slowest_live_ms);
    // Only a kill sends what lay between, and not from longer ago than the recorder reaches.
    let between: Vec<i64> =
        arrived.iter().filter(|t| !agent.collected.contains_key(t)).copied().collect();
    match life {
        Life::Killed => {
            assert!((400..560).contains(&between.len()), "{}", between.len());
            assert!(
                between.iter().all(|time| (restarted_ms - 680_000..restarted_ms).contains(time))
            );
        }
        _ => assert!(between.is_empty(), "{life:?}: {between:?}"),
    }
}

#[test]
fn an_hour_without_a_server_leaves_no_gap_and_nothing_double() {
    check(Life::Undisturbed);
    check(Life::Restarted);
}

#[test]
fn an_agent_that_is_killed_in_it_loses_seconds_and_brings_the_detail_before_that() {
    check(Life::Killed);
}
