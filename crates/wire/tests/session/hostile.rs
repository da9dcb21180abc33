//! What a broken or malicious other side can do: nothing but end its own session.

use muster_wire::{
    AgentEvent, AgentSession, GoodbyeReason, Group, Limits, RejectCode, ServerSession, WireError,
};
use proptest::prelude::*;

use crate::two_sides::{TwoSides, hello, series, welcome};

/// The frames of one session in both directions, up to the first batches.
fn recorded() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut both = TwoSides::new(Limits::default());
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for step in 0..3 {
        while let Some(frame) = both.agent.poll_transmit() {
            both.server.handle_frame(&frame, 0).unwrap();
            up.push(frame);
        }
        if step == 1 {
            both.server.accept(welcome());
        }
        while let Some(frame) = both.server.poll_transmit() {
            both.agent.handle_frame(&frame, 0).unwrap();
            down.push(frame);
        }
        match step {
            0 => both.agent.prove([5; 64]).unwrap(),
            1 => {
                for tick in 0..3 {
                    let samples = (0..40).map(|s| (s, f64::from(tick * s) / 10.0)).collect();
                    let groups = [Group { timestamp_ms: i64::from(tick), samples }];
                    let labels = |own| Some(series(&format!("series_{own}")));
                    both.agent.send_batch(false, &groups, labels).unwrap();
                }
            }
            _ => {}
        }
    }
    both.server.acknowledge(2);
    down.extend(both.server.poll_transmit());
    (up, down)
}

fn replay_to_server(frames: &[Vec<u8>]) {
    let mut server = ServerSession::new(Limits::default(), [2; 32], 0);
    for frame in frames {
        let failed = server.handle_frame(frame, 0).is_err();
        assert!(!failed || server.is_closed());
        server.accept(welcome());
    }
}

fn replay_to_agent(frames: &[Vec<u8>]) {
    let mut agent = AgentSession::new(hello(), 0);
    for frame in frames {
        let failed = agent.handle_frame(frame, 0).is_err();
        assert!(!failed || agent.is_closed());
        let _ = agent.prove([5; 64]);
    }
}

#[test]
fn every_flipped_bit_is_survived() {
    let (up, down) = recorded();
    for (frames, replay) in
        [(up, replay_to_server as fn(&[Vec<u8>])), (down, replay_to_agent as fn(&[Vec<u8>]))]
    {
        for at in 0..frames.len() {
            for bit in 0..frames[at].len() * 8 {
                let mut bad = frames.clone();
                bad[at][bit / 8] ^= 1 << (bit % 8);
                replay(&bad);
            }
            for length in 0..frames[at].len() {
                let mut bad = frames.clone();
                bad[at].truncate(length);
                replay(&bad);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_frames_are_survived(frames: Vec<Vec<u8>>) {
        replay_to_server(&frames);
        replay_to_agent(&frames);
    }

    #[test]
    fn any_frames_after_the_welcome_are_survived(frames: Vec<Vec<u8>>) {
        let mut both = TwoSides::welcomed(Limits::default());
        for frame in &frames {
            let _ = both.server.handle_frame(frame, 0);
            let _ = both.agent.handle_frame(frame, 0);
        }
    }
}

/// Both directions are told what went wrong.
#[track_caller]
fn check_ended(both: &mut TwoSides, error: &WireError) {
    let told = both.down().unwrap();
    let [AgentEvent::Goodbye { reason: GoodbyeReason::Protocol, message }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(message, &error.to_string());
    assert!(both.server.is_closed() && both.agent.is_closed());
    assert_eq!(both.server.handle_frame(&[0], 0), Err(WireError::Closed));
}

#[test]
fn a_batch_that_comes_twice_ends_the_session() {
    let mut both = TwoSides::welcomed(Limits::default());
    both.agent.send_batch(false, &[], |_| None).unwrap();
    let frame = both.agent.poll_transmit().unwrap();
    both.server.handle_frame(&frame, 0).unwrap();
    let error = both.server.handle_frame(&frame, 0).unwrap_err();
    assert_eq!(error, WireError::Sequence { expected: 2, got: 1 });
    check_ended(&mut both, &error);
}

#[test]
fn an_agent_that_ignores_the_limits_is_told_which() {
    let mut generous = TwoSides::welcomed(Limits::default());
    let mut strict = TwoSides::welcomed(Limits { series: 1, ..Limits::default() });
    let groups = [Group { timestamp_ms: 1, samples: vec![(1, 1.0), (2, 2.0)] }];
    generous.agent.send_batch(false, &groups, |_| Some(series("s"))).unwrap();
    let frame = generous.agent.poll_transmit().unwrap();
    let error = strict.server.handle_frame(&frame, 0).unwrap_err();
    let expected = WireError::Limit { what: "series of a session", limit: 1, got: 2 };
    assert_eq!(error, expected);
    check_ended(&mut strict, &error);
}

#[test]
fn the_agent_keeps_to_the_servers_limits() {
    let limits = Limits { samples_per_batch: 1, groups_per_batch: 1, ..Limits::default() };
    let mut both = TwoSides::welcomed(limits);
    assert_eq!(*both.agent.limits(), limits);
    let group = Group { timestamp_ms: 1, samples: vec![(1, 1.0), (2, 2.0)] };
    let mut send = |groups: &[Group]| both.agent.send_batch(false, groups, |_| None);
    assert!(matches!(send(&[group]), Err(WireError::Limit { .. })));
    let empty = Group { timestamp_ms: 1, samples: vec![] };
    assert!(matches!(send(&[empty.clone(), empty]), Err(WireError::Limit { .. })));
}

#[test]
fn a_server_that_acknowledges_what_it_never_got_is_refused() {
    let mut both = TwoSides::welcomed(Limits::default());
    both.server.acknowledge(1);
    assert_eq!(both.down(), Err(WireError::Sequence { expected: 0, got: 1 }));
    assert!(both.agent.is_closed());
}

#[test]
fn a_hello_without_a_name_is_rejected_in_words() {
    let mut agent =
        AgentSession::new(muster_wire::AgentHello { instance: String::new(), ..hello() }, 0);
    let mut server = ServerSession::new(Limits::default(), [2; 32], 0);
    assert!(server.handle_frame(&agent.poll_transmit().unwrap(), 0).is_err());
    let told = agent.handle_frame(&server.poll_transmit().unwrap(), 0).unwrap();
    let message = "a hello is malformed: the name of the host is empty".into();
    assert_eq!(told, Some(AgentEvent::Rejected { code: RejectCode::Protocol, message }));
}

#[test]
fn before_the_welcome_only_small_frames_are_read() {
    let mut server = ServerSession::new(Limits::default(), [2; 32], 0);
    let error = server.handle_frame(&[0; 9_000], 0).unwrap_err();
    assert_eq!(error, WireError::FrameTooLarge { limit: 8_192 });
}
