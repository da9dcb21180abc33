//! The server's side of a session.

use std::collections::VecDeque;

use muster_series::Labels;

use crate::batch_codec::BatchDecoder;
use crate::message::{
    self, Ack, AgentKind, BatchMessage, Challenge, Goodbye, Hello, LimitsMessage, ProcessWatch,
    Proof, Recall, Refused, Reject, ReleaseMessage, ServerKind, Settings, UpdateReportMessage,
    WelcomeMessage,
};
use crate::model::choose_protocol;
use crate::{
    Batch, ChallengeFacts, Configuration, GoodbyeReason, HANDSHAKE_TIMEOUT_MS, IDLE_TIMEOUT_MS,
    Identity, Limits, Offer, OsFacts, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, ProcessTable,
    RefuseReason, RejectCode, UpdateOutcome, UpdateReport, Welcome, WireError, frame,
};

/// Longest host name, as in the domain name system.
const MAX_INSTANCE_BYTES: usize = 253;
/// Longest of the other texts in a hello.
const MAX_TEXT_BYTES: usize = 512;
/// A frame of the handshake needs no more; what is not signed yet gets no more.
const MAX_HANDSHAKE_FRAME_BYTES: usize = 8 << 10;

/// What an agent did.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerEvent {
    /// It presented itself and signed. Check the signature, then accept or reject.
    Identified(Box<Identity>),
    /// From now on these numbers stand for these series. A number may come again for another series;
    /// batches that came before mean the old one. Numbers are dense, from 0.
    Series(Vec<(u32, Labels)>),
    /// Samples to store, and to acknowledge or refuse by their sequence.
    Batch(Batch),
    /// Its processes, as [`ServerSession::watch_processes`] asked.
    Processes(ProcessTable),
    /// What became of a release there.
    UpdateReport(UpdateReport),
    /// It ends the session on purpose; the session is closed.
    Goodbye(GoodbyeReason),
}

#[derive(Debug)]
enum State {
    AwaitHello,
    AwaitProof {
        hello: Box<Hello>,
        public_key: [u8; 32],
        agent_nonce: [u8; 32],
        protocol: u32,
    },
    /// The caller decides.
    Identified,
    Active,
    Closed,
}

/// One agent's session, as the server sees it. Times are milliseconds of one clock, best a monotonic one.
///
/// After an error the session is closed: send what `poll_transmit` still holds (it tells the agent
/// why), then close the connection.
#[derive(Debug)]
pub struct ServerSession {
    limits: Limits,
    nonce: [u8; 32],
    state: State,
    started_ms: i64,
    heard_ms: i64,
    batches: BatchDecoder,
    last_sequence: u64,
    acknowledged: Vec<u64>,
    outgoing: VecDeque<ServerKind>,
}

impl ServerSession {
    /// A session that waits for an agent. `nonce` is 32 bytes from a cryptographic random source,
    /// used for this session alone.
    pub fn new(limits: Limits, nonce: [u8; 32], now_ms: i64) -> Self {
        Self {
            limits,
            nonce,
            state: State::AwaitHello,
            started_ms: now_ms,
            heard_ms: now_ms,
            batches: BatchDecoder::default(),
            last_sequence: 0,
            acknowledged: Vec::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// Takes one frame as received.
    pub fn handle_frame(
        &mut self,
        frame: &[u8],
        now_ms: i64,
    ) -> Result<Option<ServerEvent>, WireError> {
        let result = self.read_frame(frame, now_ms);
        if let Err(error) = &result {
            self.close_after(error);
        }
        result
    }

    fn read_frame(&mut self, frame: &[u8], now_ms: i64) -> Result<Option<ServerEvent>, WireError> {
        let limit = match self.state {
            State::Closed => return Err(WireError::Closed),
            State::Active => self.limits.frame_bytes,
            _ => MAX_HANDSHAKE_FRAME_BYTES.min(self.limits.frame_bytes),
        };
        let kind = AgentKind::from_payload(&frame::decode(frame, limit)?)?;
        self.heard_ms = now_ms;
        match (&self.state, kind) {
            (State::AwaitHello, AgentKind::Hello(hello)) => {
                self.challenge(hello)?;
                Ok(None)
            }
            (State::AwaitProof { .. }, AgentKind::Proof(proof)) => self.identify(&proof).map(Some),
            (State::Active, AgentKind::Series(series)) => {
                let all = self.batches.define(&series.definitions, &self.limits)?;
                Ok(Some(ServerEvent::Series(all)))
            }
            (State::Active, AgentKind::Batch(batch)) => self.batch(&batch).map(Some),
            (State::Active, AgentKind::Processes(table)) => {
                Ok(Some(ServerEvent::Processes(ProcessTable::from_message(table)?)))
            }
            (State::Active, AgentKind::UpdateReport(report)) => update_report(report).map(Some),
            (State::Active, AgentKind::Goodbye(goodbye)) => {
                self.state = State::Closed;
                let reason = GoodbyeReason::from_wire(goodbye.reason);
                Ok(Some(ServerEvent::Goodbye(reason)))
            }
            (state, kind) => {
                Err(WireError::Unexpected { message: kind.name(), expected: state.expected() })
            }
        }
    }

    fn challenge(&mut self, hello: Hello) -> Result<(), WireError> {
        let agent = (hello.protocol_min, hello.protocol_max);
        let server = (PROTOCOL_VERSION_MIN, PROTOCOL_VERSION);
        let protocol =
            choose_protocol(agent, server).ok_or(WireError::Version { agent, server })?;
        let public_key = message::fixed(&hello.public_key, "public key")?;
        let agent_nonce = message::fixed(&hello.nonce, "agent's nonce")?;
        if hello.instance.is_empty() {
            let reason = "the name of the host is empty".into();
            return Err(WireError::Malformed { what: "hello", reason });
        }
        message::check_text(&hello.instance, MAX_INSTANCE_BYTES, "bytes of the host's name")?;
        for (text, what) in [
            (&hello.agent_version, "bytes of the agent's version"),
            (&hello.boot_id, "bytes of the boot id"),
            (&hello.os_pretty_name, "bytes of the system's name"),
            (&hello.os_kernel, "bytes of the kernel's version"),
            (&hello.os_arch, "bytes of the architecture"),
        ] {
            message::check_text(text, MAX_TEXT_BYTES, what)?;
        }
        let token = hello.enroll_token.as_deref().unwrap_or("");
        message::check_text(token, MAX_TEXT_BYTES, "bytes of the join token")?;
        self.outgoing
            .push_back(ServerKind::Challenge(Challenge { nonce: self.nonce.to_vec(), protocol }));
        self.state =
            State::AwaitProof { hello: Box::new(hello), public_key, agent_nonce, protocol };
        Ok(())
    }

    fn identify(&mut self, proof: &Proof) -> Result<ServerEvent, WireError> {
        let signature = message::fixed(&proof.signature, "signature")?;
        let State::AwaitProof { hello, public_key, agent_nonce, protocol } =
            std::mem::replace(&mut self.state, State::Identified)
        else {
            unreachable!("a proof is only read while one is awaited");
        };
        let signed_message = ChallengeFacts {
            server_nonce: &self.nonce,
            agent_nonce: &agent_nonce,
            public_key: &public_key,
            protocol,
            instance: &hello.instance,
            boot_id: &hello.boot_id,
            enroll_token: hello.enroll_token.as_deref().unwrap_or(""),
        }
        .message();
        Ok(ServerEvent::Identified(Box::new(Identity {
            public_key,
            instance: hello.instance,
            agent_version: hello.agent_version,
            enroll_token: hello.enroll_token,
            boot_id: hello.boot_id,
            os: OsFacts {
                pretty_name: hello.os_pretty_name,
                kernel: hello.os_kernel,
                arch: hello.os_arch,
            },
            protocol,
            signed_message,
            signature,
        })))
    }

    fn batch(&mut self, batch: &BatchMessage) -> Result<ServerEvent, WireError> {
        let expected = self.last_sequence + 1;
        if batch.sequence != expected {
            return Err(WireError::Sequence { expected, got: batch.sequence });
        }
        let groups = self.batches.decode(&batch.groups, &self.limits)?;
        self.last_sequence = expected;
        Ok(ServerEvent::Batch(Batch { sequence: expected, urgent: batch.urgent, groups }))
    }

    /// Lets an identified agent in. Anything else is ignored: the session may have ended meanwhile.
    pub fn accept(&mut self, welcome: Welcome) {
        if !matches!(self.state, State::Identified) {
            return;
        }
        self.state = State::Active;
        let limits = &self.limits;
        let clamp = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
        self.outgoing.push_back(ServerKind::Welcome(WelcomeMessage {
            session: welcome.session,
            server_time_ms: welcome.server_time_ms,
            instance: welcome.instance,
            interval_ms: welcome.interval_ms,
            limits: Some(LimitsMessage {
                frame_bytes: clamp(limits.frame_bytes),
                series: clamp(limits.series),
                labels_per_series: clamp(limits.labels_per_series),
                label_name_bytes: clamp(limits.label_name_bytes),
                label_value_bytes: clamp(limits.label_value_bytes),
                samples_per_batch: clamp(limits.samples_per_batch),
                groups_per_batch: clamp(limits.groups_per_batch),
            }),
        }));
    }

    /// Sends an agent away and ends the session. `message` is shown to the person at the agent.
    pub fn reject(&mut self, code: RejectCode, message: &str) {
        let reject = Reject { code: code.to_wire(), message: message.into() };
        self.end_with(ServerKind::Reject(reject));
    }

    /// The batch is durable; the agent forgets it.
    pub fn acknowledge(&mut self, sequence: u64) {
        if matches!(self.state, State::Active) {
            self.acknowledged.push(sequence);
        }
    }

    /// The batch was not stored.
    pub fn refuse(&mut self, sequence: u64, reason: RefuseReason) {
        if matches!(self.state, State::Active) {
            let refused = Refused { sequence, reason: reason.to_wire() };
            self.outgoing.push_back(ServerKind::Refused(refused));
        }
    }

    /// Asks for samples every `interval_ms` for the next `lease_ms` milliseconds; the agent returns to
    /// its own interval by itself. A new request replaces the last; a lease of 0 ends it now.
    pub fn settings(&mut self, interval_ms: i64, lease_ms: i64) {
        if matches!(self.state, State::Active) {
            self.outgoing.push_back(ServerKind::Settings(Settings { interval_ms, lease_ms }));
        }
    }

    /// Gives the agent settings, in the place of all that were given before.
    pub fn configure(&mut self, configuration: Configuration) {
        if matches!(self.state, State::Active) {
            self.outgoing.push_back(ServerKind::Configuration(configuration.into()));
        }
    }

    /// Asks for tables of processes for the next `lease_ms` milliseconds; 0 ends it now.
    pub fn watch_processes(&mut self, lease_ms: i64) {
        if matches!(self.state, State::Active) {
            self.outgoing.push_back(ServerKind::ProcessWatch(ProcessWatch { lease_ms }));
        }
    }

    /// Asks for the samples of this time, both ends included, that the agent has kept and not sent. They come as
    /// ordinary batches. Of a time that ends before it begins nothing is asked.
    pub fn recall(&mut self, from_ms: i64, to_ms: i64) {
        if matches!(self.state, State::Active) && from_ms <= to_ms {
            self.outgoing.push_back(ServerKind::Recall(Recall { from_ms, to_ms }));
        }
    }

    /// Tells the agent of a release for its architecture.
    pub fn offer(&mut self, offer: &Offer) {
        if matches!(self.state, State::Active) {
            let release = &offer.signed.release;
            self.outgoing.push_back(ServerKind::Release(ReleaseMessage {
                version: release.version.to_string(),
                path: offer.path.clone(),
                size: release.size,
                sha256: release.sha256.to_vec(),
                signature: offer.signed.signature.to_vec(),
            }));
        }
    }

    /// Ends the session.
    pub fn goodbye(&mut self, reason: GoodbyeReason) {
        let goodbye = Goodbye { reason: reason.to_wire(), message: String::new() };
        self.end_with(ServerKind::Goodbye(goodbye));
    }

    /// The next frame to send. Acknowledgements given since the last call travel together.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let next = if self.acknowledged.is_empty() {
            self.outgoing.pop_front()?
        } else {
            ServerKind::Ack(Ack { sequences: std::mem::take(&mut self.acknowledged) })
        };
        Some(frame::encode(&next.into_payload()))
    }

    /// When [`ServerSession::handle_timeout`] wants to be called, if nothing comes before.
    pub fn next_deadline(&self) -> Option<i64> {
        match self.state {
            State::Closed => None,
            State::Active => Some(self.heard_ms + IDLE_TIMEOUT_MS),
            _ => Some(self.started_ms + HANDSHAKE_TIMEOUT_MS),
        }
    }

    /// Ends the session if the agent has let its deadline pass.
    pub fn handle_timeout(&mut self, now_ms: i64) -> Result<(), WireError> {
        if self.next_deadline().is_some_and(|deadline| deadline <= now_ms) {
            let error = WireError::Timeout(now_ms - self.heard_ms);
            self.close_after(&error);
            return Err(error);
        }
        Ok(())
    }

    /// Whether the session has ended: close the connection once `poll_transmit` is empty.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether the agent was let in and the session lives.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active)
    }

    fn close_after(&mut self, error: &WireError) {
        let message = error.to_string();
        let last = if self.is_active() {
            let reason = match error {
                WireError::Timeout(_) => GoodbyeReason::Idle,
                _ => GoodbyeReason::Protocol,
            };
            ServerKind::Goodbye(Goodbye { reason: reason.to_wire(), message })
        } else {
            let code = match error {
                WireError::Version { .. } => RejectCode::Version,
                _ => RejectCode::Protocol,
            };
            ServerKind::Reject(Reject { code: code.to_wire(), message })
        };
        self.end_with(last);
    }

    fn end_with(&mut self, last: ServerKind) {
        if !self.is_closed() {
            self.outgoing.push_back(last);
            self.state = State::Closed;
        }
    }
}

/// Longest version in a report.
const MAX_VERSION_BYTES: usize = 64;

fn update_report(report: UpdateReportMessage) -> Result<ServerEvent, WireError> {
    message::check_text(&report.version, MAX_VERSION_BYTES, "bytes of a release's version")?;
    message::check_text(&report.message, message::MAX_REPORT_BYTES, "bytes of an update report")?;
    Ok(ServerEvent::UpdateReport(UpdateReport {
        version: report.version,
        outcome: UpdateOutcome::from_wire(report.outcome),
        message: report.message,
    }))
}

impl State {
    fn expected(&self) -> &'static str {
        match self {
            Self::AwaitHello => "a hello",
            Self::AwaitProof { .. } => "a proof",
            Self::Identified => "the server's decision",
            Self::Active => "a series definition, a batch, processes or a goodbye",
            Self::Closed => "nothing",
        }
    }
}
