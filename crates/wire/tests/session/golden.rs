//! Frames of protocol 1, byte for byte: what agents in the field send must be read for ever.

use muster_wire::{AgentEvent, AgentSession, Group, Limits, ServerEvent, ServerSession};

use crate::two_sides::{TwoSides, batches, hello, series, welcome};

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

const HELLO: &str = "000a8001080110011a05302e312e3022057765622d312a200707070707070707070707070707070707070707070707070707070707070707320969642e7365637265743a0433623861422001010101010101010101010101010101010101010101010101010101010101014a0944656269616e2031335204362e31325a067838365f3634";
const CHALLENGE: &str =
    "000a240a2002020202020202020202020202020202020202020202020202020202020202021001";
const PROOF: &str = "0012420a4005050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505";
const WELCOME: &str =
    "001a29080410e8071a057765622d312088272a18088080800210a09c01184020800228801030a08d0638e807";
const SERIES: &str = "001a300a2e0002085f5f6e616d655f5f027330036a6f62046e6f64650102085f5f6e616d655f5f027331036a6f62046e6f6465";
const BATCH: &str =
    "002226080110011a2080a0abfef962000100020300011e00ff0000000000000080904e01010002fa01";
const ACK: &str = "0022030a0101";
const RECALL: &str = "004a0e0880d095ffbc3110c09fbaffbc31";

fn groups() -> [Group; 2] {
    [
        Group { timestamp_ms: 1_700_000_000_000, samples: vec![(0, 1.5), (1, -0.0)] },
        Group { timestamp_ms: 1_700_000_005_000, samples: vec![(0, 1.25), (1, -0.0)] },
    ]
}

#[test]
fn what_this_version_sends() {
    let mut both = TwoSides::new(Limits::default());
    let mut frames = Vec::new();
    frames.extend(both.agent.poll_transmit());
    both.server.handle_frame(&frames[0], 0).unwrap();
    frames.extend(both.server.poll_transmit());
    both.agent.handle_frame(&frames[1], 0).unwrap();
    both.agent.prove([5; 64]).unwrap();
    frames.extend(both.agent.poll_transmit());
    both.server.handle_frame(&frames[2], 0).unwrap();
    both.server.accept(welcome());
    frames.extend(both.server.poll_transmit());
    both.agent.handle_frame(&frames[3], 0).unwrap();
    both.agent.send_batch(true, &groups(), |own| Some(series(&format!("s{own}")))).unwrap();
    frames.extend(both.agent.poll_transmit());
    frames.extend(both.agent.poll_transmit());
    both.up().unwrap();
    both.server.acknowledge(1);
    frames.extend(both.server.poll_transmit());
    both.server.recall(1_700_000_000_000, 1_700_000_600_000);
    frames.extend(both.server.poll_transmit());
    assert_eq!(frames, [HELLO, CHALLENGE, PROOF, WELCOME, SERIES, BATCH, ACK, RECALL].map(unhex));
}

#[test]
fn what_protocol_1_agents_send_is_read() {
    let mut server = ServerSession::new(Limits::default(), [2; 32], 0);
    assert_eq!(server.handle_frame(&unhex(HELLO), 0), Ok(None));
    let identified = server.handle_frame(&unhex(PROOF), 0).unwrap();
    let Some(ServerEvent::Identified(identity)) = identified else { panic!("{identified:?}") };
    assert_eq!(identity.instance, "web-1");
    server.accept(welcome());
    let named = ServerEvent::Series(vec![(0, series("s0")), (1, series("s1"))]);
    assert_eq!(server.handle_frame(&unhex(SERIES), 0), Ok(Some(named)));
    let batch = server.handle_frame(&unhex(BATCH), 0).unwrap();
    assert_eq!(batches(batch.into_iter().collect())[0].groups, groups());
}

#[test]
fn what_protocol_1_servers_send_is_read() {
    let mut agent = AgentSession::new(hello(), 0);
    agent.handle_frame(&unhex(CHALLENGE), 0).unwrap();
    agent.prove([5; 64]).unwrap();
    agent.handle_frame(&unhex(WELCOME), 0).unwrap();
    assert!(agent.is_active());
    agent.send_batch(false, &[], |_| None).unwrap();
    agent.handle_frame(&unhex(ACK), 0).unwrap();
    let recall = agent.handle_frame(&unhex(RECALL), 0).unwrap();
    let expected = AgentEvent::Recall { from_ms: 1_700_000_000_000, to_ms: 1_700_000_600_000 };
    assert_eq!(recall, Some(expected));
}
