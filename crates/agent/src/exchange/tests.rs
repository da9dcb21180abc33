//! The agent's side against the server's, over a pipe that loses connections.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use muster_environment::MemoryDisk;
use muster_series::Labels;
use muster_wire::{Limits, OsFacts, RefuseReason, ServerEvent, ServerSession, Welcome};

use super::*;
use crate::spool::Spool;

mod outage;

/// An exchange, its spool on a disk in memory, and a server that remembers what it got.
struct Pipe {
    exchange: Exchange,
    disk: MemoryDisk,
    spool: Spool,
    server: Option<ServerSession>,
    names: Vec<Labels>,
    now_ms: i64,
    /// Timestamps in the order of arrival.
    arrived: Vec<i64>,
    acknowledged: BTreeSet<i64>,
    batches: usize,
    _state: tempfile::TempDir,
}

impl Pipe {
    fn new(memory_limit: usize) -> Self {
        let state = tempfile::tempdir().unwrap();
        let key = AgentKey::load_or_create(state.path()).unwrap();
        let disk = MemoryDisk::new();
        Self {
            exchange: Exchange::new(key, memory_limit),
            spool: open_spool(&disk),
            disk,
            server: None,
            names: Vec::new(),
            now_ms: 0,
            arrived: Vec::new(),
            acknowledged: BTreeSet::new(),
            batches: 0,
            _state: state,
        }
    }

    fn collect(&mut self, timestamp_ms: i64) {
        let table = self.exchange.table();
        let mut number =
            |name: &str| table.number_of(Labels::from_pairs([("__name__", name)]).unwrap());
        // The second series differs from tick to tick, as processes come and go.
        let samples = vec![
            (number("steady"), timestamp_ms as f64),
            (number(&format!("volatile_{timestamp_ms}")), 1.0),
        ];
        let group = Group { timestamp_ms, samples };
        self.exchange.push(group, self.now_ms);
    }

    fn connect(&mut self) {
        self.exchange.disconnected();
        let hello = AgentHello {
            instance: "web-1".into(),
            public_key: [0; 32],
            enroll_token: None,
            agent_version: "1".into(),
            boot_id: String::new(),
            nonce: [3; 32],
            os: OsFacts::default(),
        };
        self.exchange.connected(hello, self.now_ms);
        self.server = Some(ServerSession::new(Limits::default(), [4; 32], self.now_ms));
        self.names.clear();
    }

    fn cut(&mut self) {
        self.server = None;
        self.exchange.disconnected();
    }

    fn tend_spool(&mut self) {
        for number in self.exchange.take_finished_segments() {
            self.spool.remove(number).unwrap();
        }
        while let Some(spill) = self.exchange.poll_spool(self.now_ms) {
            assert_eq!(self.spool.append(&spill).unwrap(), 0);
        }
        if self.exchange.wants_segment(self.now_ms) {
            self.read_segment();
        }
    }

    fn read_segment(&mut self) {
        let exchange = &self.exchange;
        let next = self.spool.numbers().find(|number| !exchange.has_segment(*number));
        if let Some(number) = next {
            let segment = self.spool.read(number).unwrap();
            self.exchange.push_segment(number, segment, self.now_ms);
        }
    }

    /// Moves up to `frames` frames up, answering each batch by `answer`, and all answers down.
    fn exchange(&mut self, frames: usize, answer: impl Fn(i64) -> Answer) -> Vec<Notice> {
        let mut notices = Vec::new();
        for _ in 0..frames {
            self.tend_spool();
            let Some(server) = &mut self.server else {
                break;
            };
            if let Some(frame) = self.exchange.poll_transmit(self.now_ms) {
                match server.handle_frame(&frame, self.now_ms).unwrap() {
                    Some(ServerEvent::Identified(_)) => server.accept(Welcome {
                        session: 1,
                        server_time_ms: 7_500,
                        instance: "web-1".into(),
                        interval_ms: 0,
                    }),
                    Some(ServerEvent::Series(all)) => {
                        for (number, labels) in all {
                            let size = self.names.len().max(number as usize + 1);
                            self.names.resize(size, Labels::empty());
                            self.names[number as usize] = labels;
                        }
                    }
                    Some(ServerEvent::Batch(batch)) => {
                        self.batches += 1;
                        for group in &batch.groups {
                            check_named(group, &self.names);
                            self.arrived.push(group.timestamp_ms);
                        }
                        match answer(batch.groups[0].timestamp_ms) {
                            Answer::Acknowledge => {
                                let times = batch.groups.iter().map(|group| group.timestamp_ms);
                                self.acknowledged.extend(times);
                                server.acknowledge(batch.sequence);
                            }
                            Answer::Refuse(reason) => server.refuse(batch.sequence, reason),
                            Answer::Silence => {}
                        }
                    }
                    Some(
                        ServerEvent::UpdateReport(_)
                        | ServerEvent::Goodbye(_)
                        | ServerEvent::Processes(_),
                    )
                    | None => {}
                }
            }
            while let Some(frame) = server.poll_transmit() {
                notices.extend(self.exchange.handle_frame(&frame, 5_000, self.now_ms).unwrap());
            }
        }
        notices
    }

    /// Lets time pass until nothing is left to send.
    fn drain(&mut self) {
        for _ in 0..10_000 {
            self.exchange(20, |_| Answer::Acknowledge);
            self.now_ms += 20;
            if self.exchange.queued() == 0 && self.spool.bytes() == 0 {
                return;
            }
        }
        panic!("{} batches never left", self.exchange.queued());
    }
}

fn open_spool(disk: &MemoryDisk) -> Spool {
    Spool::open(Arc::new(disk.clone()), Path::new("/spool"), 64 << 20).unwrap()
}

#[derive(Clone, Copy)]
enum Answer {
    Acknowledge,
    Refuse(RefuseReason),
    Silence,
}

/// Each sample arrives under the name that it was collected with.
#[track_caller]
fn check_named(group: &Group, names: &[Labels]) {
    for (number, value) in &group.samples {
        match names[*number as usize].metric_name() {
            Some("steady") => assert_eq!(*value, group.timestamp_ms as f64),
            Some(name) => assert_eq!(name, format!("volatile_{}", group.timestamp_ms)),
            None => panic!("a series without a name"),
        }
    }
}

#[test]
fn live_batches_flow_and_the_offset_is_known() {
    let mut pipe = Pipe::new(1 << 20);
    pipe.connect();
    let notices = pipe.exchange(3, |_| Answer::Acknowledge);
    let welcomed = Notice::Welcomed { instance: "web-1".into(), interval_ms: 0 };
    assert_eq!(notices, [welcomed]);
    assert_eq!(pipe.exchange.clock_offset_ms(), Some(2_500));
    for at in 0..5 {
        pipe.collect(at);
        pipe.exchange(3, |_| Answer::Acknowledge);
    }
    assert_eq!(pipe.arrived, [0, 1, 2, 3, 4]);
    assert_eq!((pipe.exchange.queued(), pipe.exchange.counts()), (0, (5, 0, 0, 1)));
}

#[test]
fn after_an_outage_live_comes_first_and_the_backlog_oldest_first() {
    let mut pipe = Pipe::new(1 << 20);
    (0..20).for_each(|at| pipe.collect(at));
    pipe.connect();
    pipe.collect(100);
    pipe.exchange(4, |_| Answer::Acknowledge);
    assert_eq!(pipe.arrived.first(), Some(&100));
    pipe.collect(101);
    pipe.now_ms += 20;
    pipe.exchange(4, |_| Answer::Acknowledge);
    let live = pipe.arrived.iter().position(|at| *at == 101).unwrap();
    assert!(live <= 3, "{:?}", pipe.arrived);
    pipe.drain();
    let backlog: Vec<i64> = pipe.arrived.iter().copied().filter(|at| *at < 100).collect();
    assert_eq!(backlog, (0..20).collect::<Vec<_>>());
}

#[test]
fn what_memory_cannot_hold_waits_on_disk_and_nothing_is_lost() {
    let mut pipe = Pipe::new(20_000);
    for at in 0..1_000 {
        pipe.collect(at);
        pipe.tend_spool();
        assert!(pipe.exchange.queue.memory_bytes() < 21_000);
    }
    assert!(pipe.spool.bytes() > 1_000);
    pipe.connect();
    pipe.drain();
    assert_eq!(pipe.acknowledged, (0..1_000).collect());
    assert_eq!(pipe.exchange.counts().1, 0);
}

#[test]
fn any_series_of_cuts_loses_nothing_that_was_collected() {
    let mut random: u64 = 42;
    let mut below = |end: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % end
    };
    let mut pipe = Pipe::new(10_000);
    for at in 0..2_000 {
        pipe.collect(at);
        match below(10) {
            0 => pipe.cut(),
            1 | 2 => pipe.connect(),
            3 => drop(pipe.exchange(3, |_| Answer::Silence)),
            4 => drop(pipe.exchange(3, |_| Answer::Refuse(RefuseReason::Overloaded))),
            _ => drop(pipe.exchange(below(8) as usize, |_| Answer::Acknowledge)),
        }
        pipe.tend_spool();
        pipe.now_ms += 50;
    }
    pipe.connect();
    pipe.now_ms += 60_000;
    pipe.drain();
    assert_eq!(pipe.acknowledged, (0..2_000).collect());
    assert_eq!(pipe.exchange.counts().1, 0);
}

#[test]
fn a_poisonous_batch_is_dropped_and_counted_and_others_flow() {
    let mut pipe = Pipe::new(1 << 20);
    pipe.connect();
    pipe.exchange(3, |_| Answer::Acknowledge);
    (0..3).for_each(|at| pipe.collect(at));
    pipe.exchange(10, |at| match at {
        1 => Answer::Refuse(RefuseReason::Poison),
        _ => Answer::Acknowledge,
    });
    assert_eq!((pipe.exchange.queued(), pipe.exchange.counts()), (0, (2, 1, 0, 1)));
}

#[test]
fn everything_undelivered_can_be_saved_at_the_end() {
    let mut pipe = Pipe::new(1 << 20);
    pipe.connect();
    pipe.exchange(3, |_| Answer::Acknowledge);
    (0..5).for_each(|at| pipe.collect(at));
    pipe.exchange(20, |_| Answer::Silence);
    pipe.cut();
    while let Some(spill) = pipe.exchange.take_for_spool() {
        pipe.spool.append(&spill).unwrap();
    }
    assert_eq!(pipe.exchange.queued(), 0);
    let segment = pipe.spool.read(1).unwrap();
    let saved: Vec<i64> = segment.batches.iter().map(|groups| groups[0].timestamp_ms).collect();
    assert_eq!(saved, [0, 1, 2, 3, 4]);
}

#[test]
fn series_that_nothing_uses_are_forgotten() {
    let mut pipe = Pipe::new(1 << 30);
    (0..5_000).for_each(|at| pipe.collect(at));
    pipe.exchange.forget_idle_series(1, [0].into_iter());
    assert_eq!(pipe.exchange.table().len(), 5_001, "batches that wait need their names");
    pipe.connect();
    pipe.drain();
    pipe.exchange.forget_idle_series(1, [0].into_iter());
    assert_eq!(pipe.exchange.table().len(), 1);
}

#[test]
fn what_waits_for_ten_seconds_is_on_disk_whether_there_is_a_session_or_not() {
    for connected in [false, true] {
        let mut pipe = Pipe::new(1 << 30);
        if connected {
            pipe.connect();
            pipe.exchange(3, |_| Answer::Acknowledge);
        }
        for second in 0..60 {
            pipe.collect(second);
            pipe.exchange(3, |_| Answer::Silence);
            pipe.tend_spool();
            pipe.now_ms += 1_000;
        }
        // Here the process is killed: what the folder holds is all there is.
        let numbers: Vec<u64> = pipe.spool.numbers().collect();
        let saved: BTreeSet<i64> = numbers
            .iter()
            .flat_map(|number| pipe.spool.read(*number).unwrap().batches)
            .map(|groups| groups[0].timestamp_ms)
            .collect();
        assert!(saved.len() >= 50, "{connected}: {saved:?}");
        assert!(saved.iter().copied().eq(0..saved.len() as i64));
        assert_eq!(numbers.len(), 1, "one file, not one for each batch");
    }
}

#[test]
fn batches_that_were_saved_while_on_their_way_arrive() {
    let mut pipe = Pipe::new(1 << 20);
    pipe.connect();
    pipe.exchange(3, |_| Answer::Acknowledge);
    for second in 0..40 {
        pipe.collect(second);
        pipe.exchange(3, |_| Answer::Silence);
        pipe.now_ms += 1_000;
    }
    pipe.connect();
    pipe.drain();
    assert_eq!(pipe.acknowledged, (0..40).collect());
    assert_eq!(pipe.exchange.counts().1, 0);
}

#[test]
fn a_server_whose_clock_is_behind_gets_everything_in_the_end() {
    let mut pipe = Pipe::new(1 << 20);
    pipe.connect();
    pipe.exchange(3, |_| Answer::Acknowledge);
    for second in 0..600 {
        pipe.collect(second);
        // The server takes what is older than 100 s, and so everything, but late.
        let answer = |at: i64| {
            if at + 100 <= second {
                Answer::Acknowledge
            } else {
                Answer::Refuse(RefuseReason::ClockAhead)
            }
        };
        pipe.exchange(6, answer);
        pipe.now_ms += 1_000;
    }
    let live = pipe.arrived.iter().filter(|at| **at == 599).count();
    assert!(live >= 1, "live batches are tried");
    assert!(pipe.arrived.len() < 1_500, "{}", pipe.arrived.len());
    assert!(pipe.acknowledged.contains(&400), "{:?}", pipe.acknowledged);
    pipe.now_ms += 60_000;
    pipe.drain();
    assert_eq!(pipe.acknowledged, (0..600).collect());
    assert_eq!(pipe.exchange.counts().1, 0);
}

#[test]
fn a_spool_that_fails_costs_nothing_while_memory_lasts() {
    let mut pipe = Pipe::new(20_000);
    let mut lost = 0;
    for second in 0..300 {
        pipe.collect(second);
        pipe.now_ms += 1_000;
        while let Some(spill) = pipe.exchange.poll_spool(pipe.now_ms) {
            lost += pipe.exchange.spool_failed(spill.into_taken(), pipe.now_ms);
        }
        assert!(pipe.exchange.queue.memory_bytes() <= 20_000);
        assert!(lost == 0 || second > 50, "there was room");
    }
    assert_eq!(lost + pipe.exchange.queued() as u64, 300);
    pipe.now_ms += 60_000;
    pipe.connect();
    pipe.drain();
    assert_eq!(pipe.acknowledged, (lost as i64..300).collect());
}
