//! The agent's side of a session.

use std::collections::VecDeque;

use muster_series::Labels;

use crate::batch_codec::BatchEncoder;
use crate::message::{
    self, AgentKind, BatchMessage, Challenge, Goodbye, Hello, LimitsMessage, Proof, ReleaseMessage,
    Series, ServerKind, UpdateReportMessage, WelcomeMessage,
};
use crate::{
    AgentHello, ChallengeFacts, Configuration, GoodbyeReason, Group, HANDSHAKE_TIMEOUT_MS, Limits,
    Offer, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, ProcessTable, RefuseReason, RejectCode, Release,
    SignedRelease, UpdateReport, Welcome, WireError, frame,
};

/// Longest path of a release.
const MAX_PATH_BYTES: usize = 256;

/// What the server said.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// Sign `message` with the agent's key, then call [`AgentSession::prove`].
    Challenged {
        /// The bytes to sign.
        message: Vec<u8>,
    },
    /// The agent is let in: batches may be sent.
    Welcomed(Welcome),
    /// The agent is sent away; the session is closed.
    Rejected {
        /// Why, for the program.
        code: RejectCode,
        /// Why, for people.
        message: String,
    },
    /// These batches are durable on the server.
    Acknowledged(Vec<u64>),
    /// A batch was not stored.
    Refused {
        /// Which batch.
        sequence: u64,
        /// Why, and so whether to send it again later.
        reason: RefuseReason,
    },
    /// Sample every `interval_ms` for the next `lease_ms` milliseconds.
    Settings {
        /// Milliseconds from sample to sample.
        interval_ms: i64,
        /// For how long, in milliseconds from now.
        lease_ms: i64,
    },
    /// Settings to apply and to keep, in the place of all that were given before; or why they cannot be taken: those from
    /// before hold then, and the session goes on.
    Configuration(Result<Box<Configuration>, WireError>),
    /// Send tables of processes ([`AgentSession::send_processes`]) for the next so many milliseconds; 0 ends it.
    ProcessWatch {
        /// For how long, in milliseconds from now.
        lease_ms: i64,
    },
    /// Send the samples of this time that are kept here and were not sent.
    Recall {
        /// The first timestamp asked for, in milliseconds since 1970-01-01 UTC.
        from_ms: i64,
        /// The last timestamp asked for; never before the first.
        to_ms: i64,
    },
    /// The server has a release for this architecture. Nothing of it is verified but its form.
    Release(Box<Offer>),
    /// The server ends the session; it is closed.
    Goodbye {
        /// Why, for the program.
        reason: GoodbyeReason,
        /// Why, for people; may be empty.
        message: String,
    },
}

/// What became of a batch that was handed over for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The number by which the server will acknowledge it.
    pub sequence: u64,
    /// Samples left out: of series without a name, with labels over a limit, or past the series limit.
    pub dropped: usize,
}

#[derive(Debug)]
enum State {
    AwaitChallenge,
    Prove,
    AwaitWelcome,
    Active,
    Closed,
}

/// One session, as the agent sees it. Times are milliseconds of one clock, best a monotonic one.
///
/// Series are numbered by the caller as it likes; the session gives them the dense numbers of the
/// wire, and takes a number back when it has sent the series' stale marker.
#[derive(Debug)]
pub struct AgentSession {
    hello: AgentHello,
    state: State,
    deadline_ms: i64,
    limits: Limits,
    batches: BatchEncoder,
    last_sequence: u64,
    outgoing: VecDeque<AgentKind>,
}

impl AgentSession {
    /// A session whose first frame is ready to be sent. The hello's nonce is 32 bytes from a
    /// cryptographic random source, used for this session alone.
    pub fn new(hello: AgentHello, now_ms: i64) -> Self {
        let first = AgentKind::Hello(Hello {
            protocol_min: PROTOCOL_VERSION_MIN,
            protocol_max: PROTOCOL_VERSION,
            agent_version: hello.agent_version.clone(),
            instance: hello.instance.clone(),
            public_key: hello.public_key.to_vec(),
            enroll_token: hello.enroll_token.clone(),
            boot_id: hello.boot_id.clone(),
            nonce: hello.nonce.to_vec(),
            os_pretty_name: hello.os.pretty_name.clone(),
            os_kernel: hello.os.kernel.clone(),
            os_arch: hello.os.arch.clone(),
        });
        Self {
            hello,
            state: State::AwaitChallenge,
            deadline_ms: now_ms + HANDSHAKE_TIMEOUT_MS,
            limits: Limits::default(),
            batches: BatchEncoder::default(),
            last_sequence: 0,
            outgoing: VecDeque::from([first]),
        }
    }

    /// Takes one frame as received. After an error the session is closed.
    pub fn handle_frame(
        &mut self,
        frame: &[u8],
        _now_ms: i64,
    ) -> Result<Option<AgentEvent>, WireError> {
        let result = self.read_frame(frame);
        if result.is_err() {
            self.state = State::Closed;
        }
        result
    }

    fn read_frame(&mut self, frame: &[u8]) -> Result<Option<AgentEvent>, WireError> {
        if self.is_closed() {
            return Err(WireError::Closed);
        }
        let kind = ServerKind::from_payload(&frame::decode(frame, self.limits.frame_bytes)?)?;
        let event = match (&self.state, kind) {
            (State::AwaitChallenge, ServerKind::Challenge(challenge)) => {
                self.challenged(&challenge)?
            }
            (State::AwaitWelcome, ServerKind::Welcome(welcome)) => self.welcomed(welcome),
            (State::AwaitChallenge | State::AwaitWelcome, ServerKind::Reject(reject)) => {
                self.state = State::Closed;
                let code = RejectCode::from_wire(reject.code);
                AgentEvent::Rejected { code, message: reject.message }
            }
            (State::Active, ServerKind::Ack(ack)) => {
                for &sequence in &ack.sequences {
                    self.check_sequence(sequence)?;
                }
                AgentEvent::Acknowledged(ack.sequences)
            }
            (State::Active, ServerKind::Refused(refused)) => {
                self.check_sequence(refused.sequence)?;
                let reason = RefuseReason::from_wire(refused.reason);
                AgentEvent::Refused { sequence: refused.sequence, reason }
            }
            (State::Active, ServerKind::Settings(settings)) => AgentEvent::Settings {
                interval_ms: settings.interval_ms,
                lease_ms: settings.lease_ms,
            },
            (State::Active, ServerKind::Configuration(message)) => {
                AgentEvent::Configuration(Configuration::from_message(message).map(Box::new))
            }
            (State::Active, ServerKind::ProcessWatch(watch)) => {
                AgentEvent::ProcessWatch { lease_ms: watch.lease_ms }
            }
            (State::Active, ServerKind::Recall(recall)) => {
                if recall.to_ms < recall.from_ms {
                    let reason = "it ends before it begins".into();
                    return Err(WireError::Malformed { what: "recall", reason });
                }
                AgentEvent::Recall { from_ms: recall.from_ms, to_ms: recall.to_ms }
            }
            (State::Active, ServerKind::Release(release)) => {
                AgentEvent::Release(Box::new(offer(&release, &self.hello.os.arch)?))
            }
            (_, ServerKind::Goodbye(goodbye)) => {
                self.state = State::Closed;
                let reason = GoodbyeReason::from_wire(goodbye.reason);
                AgentEvent::Goodbye { reason, message: goodbye.message }
            }
            (state, kind) => {
                let expected = state.expected();
                return Err(WireError::Unexpected { message: kind.name(), expected });
            }
        };
        Ok(Some(event))
    }

    /// A server may speak only of batches that it got.
    fn check_sequence(&self, sequence: u64) -> Result<(), WireError> {
        if (1..=self.last_sequence).contains(&sequence) {
            return Ok(());
        }
        Err(WireError::Sequence { expected: self.last_sequence, got: sequence })
    }

    fn challenged(&mut self, challenge: &Challenge) -> Result<AgentEvent, WireError> {
        let own = (PROTOCOL_VERSION_MIN, PROTOCOL_VERSION);
        if !(own.0..=own.1).contains(&challenge.protocol) {
            let server = (challenge.protocol, challenge.protocol);
            return Err(WireError::Version { agent: own, server });
        }
        let message = ChallengeFacts {
            server_nonce: &message::fixed(&challenge.nonce, "server's nonce")?,
            agent_nonce: &self.hello.nonce,
            public_key: &self.hello.public_key,
            protocol: challenge.protocol,
            instance: &self.hello.instance,
            boot_id: &self.hello.boot_id,
            enroll_token: self.hello.enroll_token.as_deref().unwrap_or(""),
        }
        .message();
        self.state = State::Prove;
        Ok(AgentEvent::Challenged { message })
    }

    fn welcomed(&mut self, welcome: WelcomeMessage) -> AgentEvent {
        if let Some(limits) = &welcome.limits {
            self.limits = lower(self.limits, limits);
        }
        self.state = State::Active;
        AgentEvent::Welcomed(Welcome {
            session: welcome.session,
            server_time_ms: welcome.server_time_ms,
            instance: welcome.instance,
            interval_ms: welcome.interval_ms,
        })
    }

    /// Answers the challenge.
    pub fn prove(&mut self, signature: [u8; 64]) -> Result<(), WireError> {
        if !matches!(self.state, State::Prove) {
            return Err(self.unexpected("proof"));
        }
        self.outgoing.push_back(AgentKind::Proof(Proof { signature: signature.to_vec() }));
        self.state = State::AwaitWelcome;
        Ok(())
    }

    /// Queues a batch, and before it the definitions of its series that the server does not know yet.
    /// `labels_of` is asked once a series and session; samples of a series it does not know are left out.
    pub fn send_batch(
        &mut self,
        urgent: bool,
        groups: &[Group],
        labels_of: impl Fn(u32) -> Option<Labels>,
    ) -> Result<Sent, WireError> {
        if !self.is_active() {
            return Err(self.unexpected("batch"));
        }
        let batch = self.batches.encode(groups, labels_of, &self.limits)?;
        for definitions in batch.definitions {
            self.outgoing.push_back(AgentKind::Series(Series { definitions }));
        }
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        self.outgoing.push_back(AgentKind::Batch(BatchMessage {
            sequence,
            urgent,
            groups: batch.groups,
        }));
        Ok(Sent { sequence, dropped: batch.dropped })
    }

    /// Queues a table of processes; what exceeds the limits is cut off. It is not acknowledged: the next one replaces it.
    pub fn send_processes(&mut self, table: ProcessTable) {
        if self.is_active() {
            self.outgoing.push_back(AgentKind::Processes(table.into_message()));
        }
    }

    /// Tells what became of a release; nothing is sent while no session is open.
    pub fn report_update(&mut self, report: &UpdateReport) {
        if self.is_active() {
            self.outgoing.push_back(AgentKind::UpdateReport(UpdateReportMessage {
                version: report.version.clone(),
                outcome: report.outcome.to_wire(),
                message: message::shortened(&report.message),
            }));
        }
    }

    /// Ends the session.
    pub fn goodbye(&mut self, reason: GoodbyeReason) {
        if self.is_active() {
            let goodbye = Goodbye { reason: reason.to_wire(), message: String::new() };
            self.outgoing.push_back(AgentKind::Goodbye(goodbye));
        }
        self.state = State::Closed;
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        Some(frame::encode(&self.outgoing.pop_front()?.into_payload()))
    }

    /// When [`AgentSession::handle_timeout`] wants to be called; none once the agent is let in.
    pub fn next_deadline(&self) -> Option<i64> {
        match self.state {
            State::AwaitChallenge | State::Prove | State::AwaitWelcome => Some(self.deadline_ms),
            State::Active | State::Closed => None,
        }
    }

    /// Ends the session if the server has let the handshake's deadline pass.
    pub fn handle_timeout(&mut self, now_ms: i64) -> Result<(), WireError> {
        if self.next_deadline().is_some_and(|deadline| deadline <= now_ms) {
            self.state = State::Closed;
            return Err(WireError::Timeout(HANDSHAKE_TIMEOUT_MS));
        }
        Ok(())
    }

    /// What the server allows; the defaults until it has said so.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the agent was let in and the session lives.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active)
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn unexpected(&self, message: &'static str) -> WireError {
        WireError::Unexpected { message, expected: self.state.expected() }
    }
}

impl State {
    fn expected(&self) -> &'static str {
        match self {
            Self::AwaitChallenge => "a challenge",
            Self::Prove => "the agent's signature",
            Self::AwaitWelcome => "a welcome",
            Self::Active => "an answer to a batch, settings, a recall or a goodbye",
            Self::Closed => "nothing",
        }
    }
}

/// Reads an offer for this architecture, with limits on all that is in it.
fn offer(message: &ReleaseMessage, architecture: &str) -> Result<Offer, WireError> {
    let malformed = |reason: String| WireError::Malformed { what: "release", reason };
    message::check_text(&message.path, MAX_PATH_BYTES, "bytes of a release's path")?;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    if !message.path.starts_with('/') || !message.path.bytes().all(harmless) {
        return Err(malformed("its path is none".into()));
    }
    let release = Release {
        version: message.version.parse().map_err(|error| malformed(format!("{error}")))?,
        architecture: architecture.into(),
        size: message.size,
        sha256: message::fixed(&message.sha256, "release's hash")?,
    };
    release.check().map_err(|error| malformed(error.to_string()))?;
    let signature = message::fixed(&message.signature, "release's signature")?;
    Ok(Offer { path: message.path.clone(), signed: SignedRelease { release, signature } })
}

/// What both sides allow. A server cannot raise the agent's limits, so it cannot make it use more memory.
fn lower(own: Limits, server: &LimitsMessage) -> Limits {
    let least = |own: usize, server: u32| own.min(server as usize);
    Limits {
        frame_bytes: least(own.frame_bytes, server.frame_bytes),
        series: least(own.series, server.series),
        labels_per_series: least(own.labels_per_series, server.labels_per_series),
        label_name_bytes: least(own.label_name_bytes, server.label_name_bytes),
        label_value_bytes: least(own.label_value_bytes, server.label_value_bytes),
        samples_per_batch: least(own.samples_per_batch, server.samples_per_batch),
        groups_per_batch: least(own.groups_per_batch, server.groups_per_batch),
    }
}
