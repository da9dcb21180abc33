//! What a whole agent does with the seconds that it does not send: it gives them when it is asked, and after a crash; and
//! what becomes of series and collections between two sends.

use std::sync::mpsc;

use muster_series::{is_stale_marker, stale_marker};

use super::*;

/// The values of the counting series in a batch, and its sequence.
async fn next_values(served: &mut Served) -> (Vec<u64>, u64) {
    loop {
        match served.next().await {
            ServerEvent::Series(all) => {
                served.names.extend(all.into_iter().map(|(number, l)| (number, l.to_string())));
            }
            ServerEvent::Batch(batch) => {
                let samples = batch.groups.iter().flat_map(|group| &group.samples);
                let counting = samples.filter(|sample| served.names[&sample.0] == "counting");
                return (counting.map(|sample| sample.1 as u64).collect(), batch.sequence);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Acknowledges batches until all these values have come; each may come once.
async fn until_all(served: &mut Served, wanted: &BTreeSet<u64>, seen: &mut BTreeSet<u64>) {
    while !wanted.is_subset(seen) {
        let (values, sequence) = next_values(served).await;
        served.session.acknowledge(sequence);
        served.flush().await;
        for value in values {
            assert!(seen.insert(value), "{value} came twice");
        }
    }
}

fn every_second(listener: &TcpListener, state: &Path) -> AgentConfig {
    let url = format!("http://{}", listener.local_addr().unwrap());
    AgentConfig { instance: Some("web-1".into()), ..AgentConfig::new(url, state) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recall_brings_every_second_and_nothing_twice() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = every_second(&listener, state.path());
    let running = Running::with(config, Box::new(Counting(0.0)));
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    let mut seen = BTreeSet::new();
    while seen.last().is_none_or(|last| *last < 6) {
        let (values, sequence) = next_values(&mut served).await;
        served.session.acknowledge(sequence);
        served.flush().await;
        seen.extend(values);
    }
    let last = *seen.last().unwrap();
    assert!((seen.len() as u64) < last, "not every second is sent: {seen:?}");
    // Asked twice, as by two who look.
    served.session.recall(0, i64::MAX);
    served.session.recall(5, i64::MAX);
    served.flush().await;
    until_all(&mut served, &(1..=last).collect(), &mut seen).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seconds_before_a_kill_are_sent_by_the_next_run() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = every_second(&listener, state.path());
    let running = Running::with(config.clone(), Box::new(Counting(0.0)));
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    let folder = state.path().join("recorder");
    let has_written = || {
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).any(|file| file.len() > 8)
    };
    while !has_written() {
        let (_, sequence) = next_values(&mut served).await;
        served.session.acknowledge(sequence);
        served.flush().await;
    }
    running.agent.abort();
    assert!(running.agent.await.unwrap_err().is_cancelled());
    drop(served);

    let running = Running::with(config, Box::new(Counting(1_000.0)));
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    // The first ten seconds make the first record; it came into the file as a whole.
    let wanted: BTreeSet<u64> = (1..=8).collect();
    until_all(&mut served, &wanted, &mut BTreeSet::new()).await;
    running.stop().await;

    let running = Running::with(every_second(&listener, state.path()), Box::new(Counting(2_000.0)));
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    let (values, _) = next_values(&mut served).await;
    assert!(values.iter().all(|value| *value > 2_000), "after a clean end nothing is: {values:?}");
    running.stop().await;
}

/// A series that ends in its second collection.
struct Ending(u32);

impl Source for Ending {
    fn collect(&mut self, _tick: Tick, _now_ms: i64) -> Collection {
        self.0 += 1;
        let labels = |name| Labels::from_pairs([("__name__", name)]).unwrap();
        let new_series = vec![(0, labels("counting")), (1, labels("brief"))];
        let mut collection = Collection::default();
        if self.0 == 1 {
            collection.new_series = new_series;
        }
        collection.samples.push((0, f64::from(self.0)));
        if self.0 <= 2 {
            collection.samples.push((1, if self.0 == 1 { 5.0 } else { stale_marker() }));
        }
        collection
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_that_ends_between_two_sends_is_ended_by_the_next() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = AgentConfig { interval_ms: 60_000, ..every_second(&listener, state.path()) };
    let running = Running::with(config, Box::new(Ending(0)));
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    let (mut brief, mut collection) = (Vec::new(), 0);
    while brief.len() < 2 {
        // What was collected meanwhile was recorded; from here on it is sent.
        served.session.settings(2_000, 60_000);
        served.flush().await;
        match served.next().await {
            ServerEvent::Series(all) => {
                served.names.extend(all.into_iter().map(|(number, l)| (number, l.to_string())));
            }
            ServerEvent::Batch(batch) => {
                for (number, value) in &batch.groups[0].samples {
                    match &*served.names[number] {
                        "brief" => brief.push(*value),
                        "counting" => collection = *value as u64,
                        _ => {}
                    }
                }
                served.session.acknowledge(batch.sequence);
                served.flush().await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(brief[0], 5.0);
    assert!(is_stale_marker(brief[1]), "at collection {collection}");
    running.stop().await;
}

/// Hangs in its second collection, as a file system does whose server is gone.
struct Hanging {
    collections: u32,
    until: mpsc::Receiver<()>,
}

impl Source for Hanging {
    fn collect(&mut self, _tick: Tick, _now_ms: i64) -> Collection {
        self.collections += 1;
        if self.collections == 2 {
            let _ = self.until.recv();
        }
        Collection::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collectors_that_hang_are_told_of() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = AgentConfig { interval_ms: 100, ..every_second(&listener, state.path()) };
    let (_hold, until) = mpsc::channel();
    let running = Running::with(config, Box::new(Hanging { collections: 0, until }));
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    let mut skipped = 0.0;
    while skipped < 3.0 {
        match served.next().await {
            ServerEvent::Series(all) => {
                served.names.extend(all.into_iter().map(|(number, l)| (number, l.to_string())));
            }
            ServerEvent::Batch(batch) => {
                let of_skipped = |sample: &&(u32, f64)| {
                    served.names[&sample.0] == "muster_agent_skipped_ticks_total"
                };
                skipped = batch.groups[0].samples.iter().find(of_skipped).unwrap().1;
                served.session.acknowledge(batch.sequence);
                served.flush().await;
            }
            other => panic!("{other:?}"),
        }
    }
    running.stop().await;
}
