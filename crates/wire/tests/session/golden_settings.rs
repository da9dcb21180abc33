//! Frames of protocol 1 with settings and tables of processes, byte for byte, that must be read for ever.

use muster_wire::{AgentEvent, Configuration, Limits, ProcessRow, ProcessTable, ServerEvent};

use crate::golden::unhex;
use crate::two_sides::TwoSides;

const CONFIGURATION: &str = "004232080710d00f18e0d40320002a01613201623a01634201644a01655201665a060a016712016860016900000000000014407001";
const PROCESS_WATCH: &str = "00520308904e";
const PROCESSES: &str =
    "00322908f02e122208ac0210011a01752201702a0163305338024088274d0000003f5080205d0000c03f1803";

fn configuration() -> Configuration {
    let text = |text: &str| Some(text.to_owned());
    Configuration {
        revision: 7,
        fast_interval_ms: Some(2_000),
        slow_interval_ms: Some(60_000),
        recorder: Some(false),
        collectors_off: vec!["a".into()],
        mount_points_include: text("b"),
        mount_points_exclude: text("c"),
        fs_types_include: text("d"),
        fs_types_exclude: text("e"),
        network_devices_exclude: text("f"),
        named_processes: vec![("g".into(), "h".into())],
        process_arguments: Some(true),
        cpu_limit_percent: Some(5.0),
        updates_paused: true,
    }
}

fn table() -> ProcessTable {
    let row = ProcessRow {
        pid: 300,
        parent: 1,
        user: "u".into(),
        program: "p".into(),
        command: "c".into(),
        state: 'S',
        threads: 2,
        started_ms: 5_000,
        cpu_ratio: 0.5,
        memory_bytes: 4_096,
        read_bytes_per_second: Some(1.5),
        written_bytes_per_second: None,
    };
    ProcessTable { timestamp_ms: 6_000, rows: vec![row], truncated: 3 }
}

#[test]
fn what_this_version_sends() {
    let mut both = TwoSides::welcomed(Limits::default());
    both.server.configure(configuration());
    both.server.watch_processes(10_000);
    both.agent.send_processes(table());
    let frames =
        [both.server.poll_transmit(), both.server.poll_transmit(), both.agent.poll_transmit()];
    assert_eq!(frames.map(Option::unwrap), [CONFIGURATION, PROCESS_WATCH, PROCESSES].map(unhex));
}

#[test]
fn what_protocol_1_sends_is_read() {
    let mut both = TwoSides::welcomed(Limits::default());
    let mut to_agent = |frame| both.agent.handle_frame(&unhex(frame), 0).unwrap();
    let settings = AgentEvent::Configuration(Ok(Box::new(configuration())));
    assert_eq!(to_agent(CONFIGURATION), Some(settings));
    assert_eq!(to_agent(PROCESS_WATCH), Some(AgentEvent::ProcessWatch { lease_ms: 10_000 }));
    let read = both.server.handle_frame(&unhex(PROCESSES), 0).unwrap();
    assert_eq!(read, Some(ServerEvent::Processes(table())));
}

#[test]
fn settings_that_cannot_be_taken_do_not_end_the_session() {
    let mut both = TwoSides::welcomed(Limits::default());
    let off = vec!["hwmon".into(); 201];
    both.server.configure(Configuration { collectors_off: off, ..configuration() });
    both.server.configure(configuration());
    let mut heard = || {
        let frame = both.server.poll_transmit().unwrap();
        both.agent.handle_frame(&frame, 0).unwrap()
    };
    assert!(matches!(heard(), Some(AgentEvent::Configuration(Err(_)))));
    assert_eq!(heard(), Some(AgentEvent::Configuration(Ok(Box::new(configuration())))));
}
