//! Frames of the agent protocol, after a handshake that was in order: what one side sends to the other.
//!
//! The bytes are frames one behind the other, each with its length before it, two bytes, little-endian.

use muster_series::Labels;
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, Configuration, Group, Limits, Offer, OsFacts, ProcessRow,
    ProcessTable, Release, ServerSession, SignedRelease, UpdateOutcome, UpdateReport, Welcome,
};

/// Frames of an agent to a server.
pub(crate) fn to_server(bytes: &[u8]) {
    let (_, mut server) = joined();
    for frame in frames(bytes) {
        let failed = server.handle_frame(frame, 0).is_err();
        assert!(!failed || server.is_closed(), "a session goes on after an error");
        while server.poll_transmit().is_some() {}
    }
}

/// Frames of a server to an agent that waits for the answer to three batches.
pub(crate) fn to_agent(bytes: &[u8]) {
    let (mut agent, _) = joined();
    send_batches(&mut agent);
    for frame in frames(bytes) {
        let failed = agent.handle_frame(frame, 0).is_err();
        assert!(!failed || agent.is_closed(), "a session goes on after an error");
    }
}

pub(crate) fn seeds_to_server() -> Vec<Vec<u8>> {
    let (mut agent, _) = joined();
    send_batches(&mut agent);
    agent.send_processes(table());
    agent.report_update(&UpdateReport {
        version: "0.2.0".into(),
        outcome: UpdateOutcome::Failed,
        message: "no room".into(),
    });
    vec![join(std::iter::from_fn(|| agent.poll_transmit()))]
}

pub(crate) fn seeds_to_agent() -> Vec<Vec<u8>> {
    let (mut agent, mut server) = joined();
    send_batches(&mut agent);
    while let Some(frame) = agent.poll_transmit() {
        server.handle_frame(&frame, 0).expect("the agent speaks the protocol");
    }
    server.acknowledge(1);
    server.acknowledge(3);
    server.settings(1_000, 30_000);
    server.offer(&offer());
    server.watch_processes(10_000);
    server.configure(configuration());
    server.recall(1_700_000_000_000, 1_700_000_600_000);
    vec![join(std::iter::from_fn(|| server.poll_transmit()))]
}

fn table() -> ProcessTable {
    let row = ProcessRow {
        pid: 1,
        parent: 0,
        user: "root".into(),
        program: "systemd".into(),
        command: "/sbin/init".into(),
        state: 'S',
        threads: 1,
        started_ms: 5,
        cpu_ratio: 0.5,
        memory_bytes: 1 << 20,
        read_bytes_per_second: None,
        written_bytes_per_second: Some(1.0),
    };
    ProcessTable { timestamp_ms: 9, rows: vec![row; 3], truncated: 2 }
}

fn configuration() -> Configuration {
    Configuration {
        revision: 7,
        fast_interval_ms: Some(2_000),
        collectors_off: vec!["hwmon".into()],
        mount_points_exclude: Some("/mnt/.*".into()),
        named_processes: vec![("web".into(), "nginx".into())],
        cpu_limit_percent: Some(5.0),
        ..Configuration::default()
    }
}

fn offer() -> Offer {
    let release = Release {
        version: "0.2.0".parse().expect("three numbers"),
        architecture: ARCHITECTURE.into(),
        size: 5,
        sha256: [3; 32],
    };
    Offer { path: "/download/muster".into(), signed: SignedRelease { release, signature: [4; 64] } }
}

/// What the agent here runs on.
const ARCHITECTURE: &str = "x86_64";

/// Both sides after the welcome.
fn joined() -> (AgentSession, ServerSession) {
    let hello = AgentHello {
        instance: "web-1".into(),
        public_key: [7; 32],
        enroll_token: None,
        agent_version: "0.1.0".into(),
        boot_id: String::new(),
        nonce: [1; 32],
        os: OsFacts { arch: ARCHITECTURE.into(), ..OsFacts::default() },
    };
    let mut agent = AgentSession::new(hello, 0);
    let mut server = ServerSession::new(Limits::default(), [2; 32], 0);
    let welcome =
        Welcome { session: 1, server_time_ms: 0, instance: "web-1".into(), interval_ms: 5_000 };
    for _ in 0..2 {
        while let Some(frame) = agent.poll_transmit() {
            server.handle_frame(&frame, 0).expect("the agent speaks the protocol");
        }
        server.accept(welcome.clone());
        while let Some(frame) = server.poll_transmit() {
            let event = agent.handle_frame(&frame, 0).expect("the server speaks the protocol");
            if matches!(event, Some(AgentEvent::Challenged { .. })) {
                agent.prove([5; 64]).expect("it was just asked for");
            }
        }
    }
    assert!(agent.is_active(), "the handshake is done");
    (agent, server)
}

fn send_batches(agent: &mut AgentSession) {
    for tick in 0..3_u32 {
        let samples = (0..40).map(|own| (own, f64::from(tick * own) / 10.0)).collect();
        let groups = [Group { timestamp_ms: i64::from(tick) * 5_000, samples }];
        let labels = |own: u32| {
            let name = format!("series_{}", own / 4);
            Labels::from_pairs([("__name__", name), ("part", own.to_string())]).ok()
        };
        agent.send_batch(false, &groups, labels).expect("the session is open");
    }
}

fn join(frames: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        let length = u16::try_from(frame.len()).expect("the frames of a seed are short");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&frame);
    }
    bytes
}

/// The frames in `bytes`; the last may be shorter than its length says.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (frame, rest) = rest.split_at(length);
        bytes = rest;
        Some(frame)
    })
}
