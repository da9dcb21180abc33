//! `kill -9` under load: what was acknowledged is there, once, with its value.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::server::{Server, free_address};
use crate::test_agent::{Session, TestAgent, Verdict, now_ms, numbered};

const AGENTS: usize = 4;
const SERIES: usize = 250;
const KILLS: usize = 10;
/// Batches that may wait for their acknowledgement.
const WINDOW: usize = 8;
const BETWEEN_BATCHES: Duration = Duration::from_millis(25);

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn ten_kills_under_load_lose_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let listen = address.to_string();
    let mut server = Server::start("server", dir.path(), &listen, &[]);
    let token = server.token(&["enroll-token", "--uses", "4"]);
    let stop = Arc::new(AtomicBool::new(false));
    let feeders: Vec<_> = (0..AGENTS)
        .map(|number| {
            let (stop, token) = (Arc::clone(&stop), token.clone());
            std::thread::spawn(move || feed(number, address, &token, &stop))
        })
        .collect();
    for kill in 0..KILLS {
        // Different moments in the life of the log and the head.
        std::thread::sleep(Duration::from_millis(400 + 173 * kill as u64));
        server.kill();
        server = Server::start("server", dir.path(), &listen, &[]);
    }
    std::thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::SeqCst);
    let mut samples = 0;
    for (number, feeder) in feeders.into_iter().enumerate() {
        let acknowledged = feeder.join().unwrap();
        assert!(acknowledged.len() > KILLS, "hardly anything was acknowledged: no load");
        samples += check(&server, number, &acknowledged);
    }
    println!("{samples} acknowledged samples survived {KILLS} kills");
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

/// Sends numbered batches until told to stop, resends what was not acknowledged after each crash, and gives
/// the number of the batch by its timestamp for all that were acknowledged.
fn feed(number: usize, address: SocketAddr, token: &str, stop: &AtomicBool) -> BTreeMap<i64, u64> {
    let agent = TestAgent::new(&format!("crash-{number}"), numbered("crash_counter", SERIES));
    let mut acknowledged = BTreeMap::new();
    let mut waiting: BTreeMap<i64, u64> = BTreeMap::new();
    let mut next = 1;
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut session) = agent.connect(address, Some(token)) else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let mut under_way = BTreeMap::new();
        let resend: Vec<_> = waiting.clone().into_iter().collect();
        if resend.iter().any(|&(at, batch)| send(&mut session, at, batch, &mut under_way).is_none())
        {
            continue;
        }
        while !stop.load(Ordering::SeqCst) || !under_way.is_empty() {
            if !stop.load(Ordering::SeqCst) && under_way.len() < WINDOW {
                let at = now_ms().max(waiting.keys().last().map_or(0, |last| last + 1));
                waiting.insert(at, next);
                if send(&mut session, at, next, &mut under_way).is_none() {
                    break;
                }
                next += 1;
                std::thread::sleep(BETWEEN_BATCHES);
                if under_way.len() < WINDOW {
                    continue;
                }
            }
            match session.verdict() {
                Ok(Verdict::Acknowledged(sequences)) => {
                    for sequence in sequences {
                        let at = under_way.remove(&sequence).expect("it was sent");
                        let batch = waiting.remove(&at).expect("it was waiting");
                        acknowledged.insert(at, batch);
                    }
                }
                Ok(Verdict::Refused(..)) => panic!("nothing is to be refused here"),
                Err(_) => break,
            }
        }
    }
    acknowledged
}

fn send(
    session: &mut Session,
    at: i64,
    batch: u64,
    under_way: &mut BTreeMap<u64, i64>,
) -> Option<()> {
    let values: Vec<f64> = (0..SERIES).map(|series| value(batch, series)).collect();
    let sequence = session.send(at, &values).ok()?;
    under_way.insert(sequence, at);
    Some(())
}

fn value(batch: u64, series: usize) -> f64 {
    (batch * 1_000 + series as u64) as f64
}

/// Every acknowledged sample is stored once with its value; gives their number.
fn check(server: &Server, number: usize, acknowledged: &BTreeMap<i64, u64>) -> usize {
    let stored = server.samples(&format!("crash_counter{{instance=\"crash-{number}\"}}[30m]"));
    assert_eq!(stored.len(), SERIES);
    let mut count = 0;
    for (labels, points) in stored {
        let series: usize = labels["n"].as_str().unwrap().parse().unwrap();
        assert!(points.windows(2).all(|two| two[0].0 < two[1].0), "a timestamp is there twice");
        let points: BTreeMap<i64, f64> = points.into_iter().collect();
        for (at, batch) in acknowledged {
            let found = points.get(at).copied();
            assert_eq!(
                found,
                Some(value(*batch, series)),
                "batch {batch} at {at}, series {series}"
            );
            count += 1;
        }
    }
    count
}
