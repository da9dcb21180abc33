//! `kill -9`, fifty times under load: what was acknowledged is there, once, with its value, and nothing else is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::pusher::Pusher;
use crate::server::{Server, free_address, wait_for};
use crate::test_agent::{Session, TestAgent, Verdict, now_ms, numbered};

/// Four agents and four senders of remote write, each with 500 series, 25 batches a second: 100,000 samples a second.
const AGENTS: usize = 4;
const PUSHERS: usize = 4;
const SERIES: usize = 500;
const BETWEEN_BATCHES: Duration = Duration::from_millis(40);
/// Batches that may wait for their acknowledgement.
const WINDOW: usize = 8;
const KILLS: u64 = 50;
/// Series of one query; what a query may answer is limited.
const SERIES_A_QUERY: usize = 100;

/// Batches of an agent by their timestamps, which are the agent's own; a batch's number says its values.
type Batches = BTreeMap<i64, u64>;

/// What an agent did.
struct Told {
    sent: Batches,
    acknowledged: Batches,
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn fifty_kills_under_load_lose_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let listen = address.to_string();
    let mut server = Server::start("server", dir.path(), &listen, &[]);
    let join = server.token(&["enroll-token", "--uses", &AGENTS.to_string()]);
    let writer = server.token(&["token", "create", "pushers", "--role", "writer"]);
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let counts: Arc<[AtomicU64; AGENTS + PUSHERS]> = Arc::default();
    let feeders: Vec<_> = (0..AGENTS + PUSHERS)
        .map(|number| {
            let (stop, join, writer) = (Arc::clone(&stop), join.clone(), writer.clone());
            let counts = Arc::clone(&counts);
            let count = move || {
                counts[number].fetch_add(1, Ordering::SeqCst);
            };
            std::thread::spawn(move || match number {
                agent if agent < AGENTS => feed(agent, address, &join, &stop, &count),
                pusher => push(pusher, address, &writer, &stop, &count),
            })
        })
        .collect();
    // Each of them is at work again, however slow the machine is.
    let wait_for_load = || {
        let before = counts.each_ref().map(|count| count.load(Ordering::SeqCst));
        wait_for("acknowledged batches of all", || {
            let now = counts.each_ref().map(|count| count.load(Ordering::SeqCst));
            before.iter().zip(now).all(|(before, now)| now >= before + 2).then_some(())
        });
    };
    let mut starts = Vec::new();
    for kill in 0..KILLS {
        wait_for_load();
        // Different moments in the life of the log and the head.
        std::thread::sleep(Duration::from_millis(300 + 173 * kill % 1_200));
        server.kill();
        let killed = Instant::now();
        server = Server::start("server", dir.path(), &listen, &[]);
        starts.push(killed.elapsed());
    }
    wait_for_load();
    stop.store(true, Ordering::SeqCst);
    let told: Vec<Told> = feeders.into_iter().map(|feeder| feeder.join().unwrap()).collect();
    let load = started.elapsed();
    let mut samples = 0;
    for (number, told) in told.iter().enumerate() {
        let batches = told.acknowledged.len();
        assert!(batches as u64 >= 2 * KILLS, "{batches} batches acknowledged: that is no load");
        samples += check(&server, number, told);
    }
    starts.sort_unstable();
    let running = load.saturating_sub(starts.iter().sum());
    println!(
        "{samples} acknowledged samples survived {KILLS} kills in {load:.0?}, {:.0} a second while it ran; \
         starts took {:.2?} (median), {:.2?} (longest)",
        samples as f64 / running.as_secs_f64(),
        starts[starts.len() / 2],
        starts[starts.len() - 1],
    );
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

/// Sends numbered batches until told to stop, and after each crash again what was not acknowledged. `count` is called for each
/// that was.
fn feed(
    number: usize,
    address: SocketAddr,
    token: &str,
    stop: &AtomicBool,
    count: &dyn Fn(),
) -> Told {
    let agent = TestAgent::new(&format!("crash-{number}"), numbered("crash_counter", SERIES));
    let mut told = Told { sent: Batches::new(), acknowledged: Batches::new() };
    let mut waiting = Batches::new();
    while !stop.load(Ordering::SeqCst) || !waiting.is_empty() {
        match agent.connect(address, Some(token)) {
            // An error is the end of the server, which is what is tried here.
            Ok(session) => drop(feed_session(session, &mut told, &mut waiting, stop, count)),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    told
}

/// Pushes numbered batches until told to stop, each again until it is answered with success.
fn push(
    number: usize,
    address: SocketAddr,
    token: &str,
    stop: &AtomicBool,
    count: &dyn Fn(),
) -> Told {
    let instance = format!("crash-{number}");
    let mut told = Told { sent: Batches::new(), acknowledged: Batches::new() };
    let mut connection = None;
    while !stop.load(Ordering::SeqCst) || told.sent.len() > told.acknowledged.len() {
        let Some(pusher) = &mut connection else {
            std::thread::sleep(Duration::from_millis(50));
            connection = Pusher::connect(address, token);
            continue;
        };
        if told.sent.len() == told.acknowledged.len() {
            let (at, batch) = next_batch(&told);
            told.sent.insert(at, batch);
        }
        let (&at, &batch) = told.sent.last_key_value().expect("one was just sent");
        let values: Vec<f64> = (0..SERIES).map(|series| value(batch, series)).collect();
        match pusher.push("crash_counter", &instance, at, &values) {
            Some(200..300) => {
                told.acknowledged.insert(at, batch);
                count();
            }
            // What a server that starts or ends answers is to be sent again.
            Some(503) | None => connection = None,
            Some(other) => panic!("nothing is to be refused here: {other}"),
        }
        std::thread::sleep(BETWEEN_BATCHES);
    }
    told
}

/// Time and number of a new batch: both rise.
fn next_batch(told: &Told) -> (i64, u64) {
    let last = told.sent.last_key_value().map_or((0, 0), |(at, batch)| (*at, *batch));
    (now_ms().max(last.0 + 1), last.1 + 1)
}

/// One session: first what waits from the last one, then new batches; `None` when the connection breaks.
fn feed_session(
    mut session: Session,
    told: &mut Told,
    waiting: &mut Batches,
    stop: &AtomicBool,
    count: &dyn Fn(),
) -> Option<()> {
    let mut under_way = BTreeMap::new();
    for (&at, &batch) in &*waiting {
        under_way.insert(send(&mut session, at, batch)?, at);
    }
    loop {
        let stopping = stop.load(Ordering::SeqCst);
        if stopping && under_way.is_empty() {
            return Some(());
        }
        if !stopping && under_way.len() < WINDOW {
            let (at, batch) = next_batch(told);
            told.sent.insert(at, batch);
            waiting.insert(at, batch);
            under_way.insert(send(&mut session, at, batch)?, at);
            std::thread::sleep(BETWEEN_BATCHES);
            if under_way.len() < WINDOW / 2 {
                continue;
            }
        }
        match session.verdict().ok()? {
            Verdict::Acknowledged(sequences) => {
                for sequence in sequences {
                    let at = under_way.remove(&sequence).expect("it was sent");
                    let batch = waiting.remove(&at).expect("it was waiting");
                    told.acknowledged.insert(at, batch);
                    count();
                }
            }
            Verdict::Refused(_, reason) => panic!("nothing is to be refused here: {reason:?}"),
        }
    }
}

fn send(session: &mut Session, at: i64, batch: u64) -> Option<u64> {
    let values: Vec<f64> = (0..SERIES).map(|series| value(batch, series)).collect();
    session.send(at, &values).ok()
}

fn value(batch: u64, series: usize) -> f64 {
    (batch * 1_000 + series as u64) as f64
}

/// Every acknowledged sample is stored once with its value, and nothing that was not sent; gives the number of the first.
fn check(server: &Server, number: usize, told: &Told) -> usize {
    let mut count = 0;
    for first in (0..SERIES).step_by(SERIES_A_QUERY) {
        let numbers: Vec<String> =
            (first..first + SERIES_A_QUERY).map(|series| series.to_string()).collect();
        let selector = format!(
            "crash_counter{{instance=\"crash-{number}\",n=~\"{}\"}}[2h]",
            numbers.join("|")
        );
        let stored = server.samples(&selector);
        assert_eq!(stored.len(), SERIES_A_QUERY);
        for (labels, points) in stored {
            let series: usize = labels["n"].as_str().unwrap().parse().unwrap();
            assert!(points.windows(2).all(|two| two[0].0 < two[1].0), "a timestamp is there twice");
            for (at, found) in &points {
                let batch = told.sent.get(at).expect("what is stored was sent");
                assert_eq!(*found, value(*batch, series), "batch {batch}, series {series}");
            }
            let points: BTreeMap<i64, f64> = points.into_iter().collect();
            let lost = told.acknowledged.iter().find(|(at, _)| !points.contains_key(at));
            assert_eq!(lost, None, "an acknowledged batch has no sample of series {series}");
            count += told.acknowledged.len();
        }
    }
    count
}
