//! An agent and a server joined by a pipe that loses nothing.

use muster_series::Labels;
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, Batch, Identity, Limits, OsFacts, ServerEvent,
    ServerSession, Welcome, WireError,
};

/// Both ends, and what each was told.
pub(crate) struct TwoSides {
    pub(crate) agent: AgentSession,
    pub(crate) server: ServerSession,
    pub(crate) bytes_up: usize,
}

pub(crate) fn hello() -> AgentHello {
    AgentHello {
        instance: "web-1".into(),
        public_key: [7; 32],
        enroll_token: Some("id.secret".into()),
        agent_version: "0.1.0".into(),
        boot_id: "3b8a".into(),
        nonce: [1; 32],
        os: OsFacts {
            pretty_name: "Debian 13".into(),
            kernel: "6.12".into(),
            arch: "x86_64".into(),
        },
    }
}

pub(crate) fn welcome() -> Welcome {
    Welcome { session: 4, server_time_ms: 1_000, instance: "web-1".into(), interval_ms: 5_000 }
}

pub(crate) fn series(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "node")]).unwrap()
}

impl TwoSides {
    pub(crate) fn new(limits: Limits) -> Self {
        let agent = AgentSession::new(hello(), 0);
        let server = ServerSession::new(limits, [2; 32], 0);
        Self { agent, server, bytes_up: 0 }
    }

    /// Two ends after the welcome.
    pub(crate) fn welcomed(limits: Limits) -> Self {
        let mut both = Self::new(limits);
        both.identify().unwrap();
        both.server.accept(welcome());
        assert_eq!(both.down().unwrap(), [AgentEvent::Welcomed(welcome())]);
        both.bytes_up = 0;
        both
    }

    pub(crate) fn identify(&mut self) -> Result<Box<Identity>, WireError> {
        assert_eq!(self.up()?, []);
        let told = self.down()?;
        let [AgentEvent::Challenged { message }] = &told[..] else { panic!("{told:?}") };
        self.agent.prove([5; 64])?;
        let mut told = self.up()?;
        let Some(ServerEvent::Identified(identity)) = told.pop() else { panic!("{told:?}") };
        assert_eq!(&identity.signed_message, message);
        Ok(identity)
    }

    /// Moves all frames to the server.
    pub(crate) fn up(&mut self) -> Result<Vec<ServerEvent>, WireError> {
        let mut events = Vec::new();
        while let Some(frame) = self.agent.poll_transmit() {
            self.bytes_up += frame.len();
            events.extend(self.server.handle_frame(&frame, 0)?);
        }
        Ok(events)
    }

    /// Moves all frames to the agent.
    pub(crate) fn down(&mut self) -> Result<Vec<AgentEvent>, WireError> {
        let mut events = Vec::new();
        while let Some(frame) = self.server.poll_transmit() {
            events.extend(self.agent.handle_frame(&frame, 0)?);
        }
        Ok(events)
    }
}

/// The batches among events.
pub(crate) fn batches(events: Vec<ServerEvent>) -> Vec<Batch> {
    let batch = |event| match event {
        ServerEvent::Batch(batch) => Some(batch),
        _ => None,
    };
    events.into_iter().filter_map(batch).collect()
}
