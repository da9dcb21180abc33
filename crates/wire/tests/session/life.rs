//! A session from its hello to its goodbye.

use muster_series::stale_marker;
use muster_wire::{
    AgentEvent, GoodbyeReason, Group, HANDSHAKE_TIMEOUT_MS, IDLE_TIMEOUT_MS, Limits, RefuseReason,
    RejectCode, ServerEvent, WireError,
};

use crate::two_sides::{TwoSides, batches, hello, series};

fn group(timestamp_ms: i64, samples: &[(u32, f64)]) -> Group {
    Group { timestamp_ms, samples: samples.to_vec() }
}

#[test]
fn the_server_learns_who_the_agent_is() {
    let identity = TwoSides::new(Limits::default()).identify().unwrap();
    let hello = hello();
    assert_eq!(identity.instance, hello.instance);
    assert_eq!(identity.public_key, hello.public_key);
    assert_eq!(identity.enroll_token, hello.enroll_token);
    assert_eq!((identity.boot_id, identity.os), (hello.boot_id, hello.os));
    assert_eq!((identity.signature, identity.protocol), ([5; 64], 1));
}

#[test]
fn a_rejection_reaches_the_agent_and_ends_the_session() {
    let mut both = TwoSides::new(Limits::default());
    both.identify().unwrap();
    both.server.reject(RejectCode::BadToken, "the join token was used before");
    let message = "the join token was used before".into();
    let rejected = AgentEvent::Rejected { code: RejectCode::BadToken, message };
    assert_eq!(both.down().unwrap(), [rejected]);
    assert!(both.server.is_closed() && both.agent.is_closed());
    assert!(RejectCode::BadToken.is_permanent() && !RejectCode::Busy.is_permanent());
}

#[test]
fn a_series_is_named_once() {
    let mut both = TwoSides::welcomed(Limits::default());
    let labels_of = |own| Some(series(&format!("s{own}")));
    let first = [group(10, &[(70, 1.5), (90, -2.0)])];
    assert_eq!(both.agent.send_batch(true, &first, labels_of).unwrap().sequence, 1);
    let second = [group(20, &[(70, 1.5), (90, stale_marker())])];
    both.agent.send_batch(false, &second, labels_of).unwrap();
    let mut told = both.up().unwrap();
    let named = ServerEvent::Series(vec![(0, series("s70")), (1, series("s90"))]);
    assert_eq!(told.remove(0), named);
    let got = batches(told);
    assert_eq!((got[0].sequence, got[0].urgent), (1, true));
    assert_eq!(got[0].groups, [group(10, &[(0, 1.5), (1, -2.0)])]);
    assert_eq!((got[1].sequence, got[1].urgent), (2, false));
    assert_eq!(got[1].groups[0].samples[0], (0, 1.5));
    assert_eq!(got[1].groups[0].samples[1].1.to_bits(), stale_marker().to_bits());
}

#[test]
fn the_number_of_an_ended_series_is_used_again() {
    let mut both = TwoSides::welcomed(Limits { series: 2, ..Limits::default() });
    let labels_of = |own| Some(series(&format!("s{own}")));
    let mut send = |samples: &[(u32, f64)]| {
        let sent = both.agent.send_batch(false, &[group(1, samples)], labels_of).unwrap();
        (sent.dropped, both.up().unwrap())
    };
    assert_eq!(send(&[(1, 1.0), (2, 2.0)]).0, 0);
    assert_eq!(send(&[(3, 3.0)]).0, 1, "there is no number left");
    assert_eq!(send(&[(1, stale_marker())]).0, 0);
    let (dropped, told) = send(&[(2, 2.0), (3, 0.0)]);
    assert_eq!(dropped, 0);
    assert_eq!(told[0], ServerEvent::Series(vec![(0, series("s3"))]));
    assert_eq!(batches(told)[0].groups, [group(1, &[(0, 0.0), (1, 2.0)])]);
}

#[test]
fn samples_without_a_name_are_left_out_and_counted() {
    let mut both = TwoSides::welcomed(Limits { label_value_bytes: 4, ..Limits::default() });
    let labels_of = |own| match own {
        1 => Some(series("ok")),
        2 => Some(series("much_too_long")),
        _ => None,
    };
    let groups = [group(1, &[(1, 1.0), (2, 2.0), (3, 3.0)])];
    let sent = both.agent.send_batch(false, &groups, labels_of).unwrap();
    assert_eq!(sent.dropped, 2);
    assert_eq!(batches(both.up().unwrap())[0].groups, [group(1, &[(0, 1.0)])]);
}

#[test]
fn answers_reach_the_agent() {
    let mut both = TwoSides::welcomed(Limits::default());
    for _ in 0..3 {
        both.agent.send_batch(false, &[], |_| None).unwrap();
    }
    assert_eq!(batches(both.up().unwrap()).len(), 3);
    both.server.acknowledge(1);
    both.server.acknowledge(3);
    both.server.refuse(2, RefuseReason::DiskFull);
    both.server.settings(1_000, 60_000);
    both.server.recall(5, 9);
    both.server.recall(9, 5);
    both.server.goodbye(GoodbyeReason::Replaced);
    let told = both.down().unwrap();
    let refused = AgentEvent::Refused { sequence: 2, reason: RefuseReason::DiskFull };
    let settings = AgentEvent::Settings { interval_ms: 1_000, lease_ms: 60_000 };
    let recall = AgentEvent::Recall { from_ms: 5, to_ms: 9 };
    let goodbye = AgentEvent::Goodbye { reason: GoodbyeReason::Replaced, message: String::new() };
    assert_eq!(told, [AgentEvent::Acknowledged(vec![1, 3]), refused, settings, recall, goodbye]);
    assert!(both.agent.is_closed());
}

#[test]
fn the_agent_says_goodbye() {
    let mut both = TwoSides::welcomed(Limits::default());
    both.agent.goodbye(GoodbyeReason::Shutdown);
    assert_eq!(both.up().unwrap(), [ServerEvent::Goodbye(GoodbyeReason::Shutdown)]);
    assert!(both.server.is_closed());
    assert_eq!(both.server.poll_transmit(), None);
}

#[test]
fn silence_ends_a_session() {
    let mut both = TwoSides::new(Limits::default());
    assert_eq!(both.server.next_deadline(), Some(HANDSHAKE_TIMEOUT_MS));
    both.server.handle_timeout(HANDSHAKE_TIMEOUT_MS - 1).unwrap();
    assert!(both.server.handle_timeout(HANDSHAKE_TIMEOUT_MS).is_err());
    assert!(both.server.is_closed());
    let timeout = Err(WireError::Timeout(HANDSHAKE_TIMEOUT_MS));
    assert_eq!(both.agent.handle_timeout(HANDSHAKE_TIMEOUT_MS), timeout);

    let mut both = TwoSides::welcomed(Limits::default());
    assert_eq!(both.agent.next_deadline(), None);
    assert_eq!(both.server.next_deadline(), Some(IDLE_TIMEOUT_MS));
    assert!(both.server.handle_timeout(IDLE_TIMEOUT_MS).is_err());
    let told = both.down().unwrap();
    assert!(matches!(&told[..], [AgentEvent::Goodbye { reason: GoodbyeReason::Idle, .. }]));
}

#[test]
fn out_of_place_calls_are_errors_or_nothing() {
    let mut both = TwoSides::new(Limits::default());
    assert!(both.agent.send_batch(false, &[], |_| None).is_err());
    assert!(both.agent.prove([0; 64]).is_err());
    both.server.acknowledge(1);
    both.server.settings(1, 1);
    assert_eq!(both.server.poll_transmit(), None);
}
