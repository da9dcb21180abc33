//! The protocols that samples come by, as bytes: that between an agent and the server, both sides as state machines
//! without I/O, and those by which other programs push ([`decode_v1`], [`decode_v2`], [`decode_otlp`]).
//!
//! # The agent protocol
//! A session lives on one WebSocket; every binary message is one *frame*. The caller moves frames:
//! what arrives goes into `handle_frame`, what `poll_transmit` hands out is to be sent, in order.
//! Byte layouts are in `docs/format/wire.md`.
//!
//! 1. The agent opens with its name, public key and the protocols it speaks.
//! 2. The server answers with a challenge, the agent proves that it holds the key.
//! 3. The server's caller decides: [`ServerSession::accept`] or [`ServerSession::reject`].
//! 4. The agent names each series once, then sends batches of numbered samples; the server
//!    acknowledges a batch when it is durable, and only then.
//!
//! Signing and verifying are the callers' work: this crate says which bytes are signed
//! ([`ChallengeFacts::message`]) and holds no secret.
//!
//! ```
//! use muster_wire::{
//!     AgentEvent, AgentHello, AgentSession, Group, Limits, OsFacts, ServerEvent, ServerSession, Welcome,
//! };
//! use muster_series::Labels;
//!
//! let hello = AgentHello {
//!     instance: "web-1".into(),
//!     public_key: [7; 32],
//!     enroll_token: None,
//!     agent_version: "0.1.0".into(),
//!     boot_id: String::new(),
//!     nonce: [1; 32],
//!     os: OsFacts::default(),
//! };
//! let mut agent = AgentSession::new(hello, 0);
//! let mut server = ServerSession::new(Limits::default(), [2; 32], 0);
//!
//! server.handle_frame(&agent.poll_transmit().unwrap(), 0)?;
//! let challenge = agent.handle_frame(&server.poll_transmit().unwrap(), 0)?;
//! assert!(matches!(challenge, Some(AgentEvent::Challenged { .. })));
//! agent.prove([0; 64])?;
//! let Some(ServerEvent::Identified(identity)) = server.handle_frame(&agent.poll_transmit().unwrap(), 0)?
//! else { panic!("the proof identifies the agent") };
//! server.accept(Welcome { session: 1, server_time_ms: 0, instance: identity.instance, interval_ms: 0 });
//! agent.handle_frame(&server.poll_transmit().unwrap(), 0)?;
//!
//! let up = Labels::from_pairs([("__name__", "up")])?;
//! let groups = [Group { timestamp_ms: 5_000, samples: vec![(9, 1.0)] }];
//! agent.send_batch(false, &groups, |_| Some(up.clone()))?;
//! let defined = server.handle_frame(&agent.poll_transmit().unwrap(), 0)?;
//! assert_eq!(defined, Some(ServerEvent::Series(vec![(0, up)])));
//! let Some(ServerEvent::Batch(batch)) = server.handle_frame(&agent.poll_transmit().unwrap(), 0)?
//! else { panic!("a batch follows its series") };
//! assert_eq!(batch.groups[0].samples, [(0, 1.0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod limits;
mod model;

mod agent_session;
mod server_session;

mod record;
mod release;

mod configuration;
mod processes;

mod batch_codec;
mod definitions;
mod frame;
mod group_codec;
mod message;
mod value;
mod varint;

mod otlp;
mod protobuf;
pub mod remote_read;
mod remote_write;

pub use agent_session::{AgentEvent, AgentSession, Sent};
pub use configuration::Configuration;
pub use error::WireError;
pub use limits::{LabelLimits, Limits};
pub use model::{
    AgentHello, Batch, ChallengeFacts, GoodbyeReason, Group, Identity, OsFacts, RefuseReason,
    RejectCode, Welcome,
};
pub use otlp::{
    OtlpLabel, PointProblem, PointVisitor, decode_otlp, encode_failure, encode_response,
};
pub use processes::{MAX_PROCESS_ROWS, ProcessRow, ProcessTable};
pub use protobuf::DecodeError;
pub use record::{Record, RecordDecoder, RecordEncoder};
pub use release::{
    MAX_RELEASE_BYTES, Offer, Release, ReleaseError, SignedRelease, UpdateOutcome, UpdateReport,
    Version,
};
pub use remote_write::{RawLabelError, RawLabels, SeriesVisitor, decode_v1, decode_v2};
pub use server_session::{ServerEvent, ServerSession};

/// The newest protocol that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;
/// The oldest protocol that this crate speaks.
pub const PROTOCOL_VERSION_MIN: u32 = 1;
/// Where on the server's port agents connect.
pub const CONNECT_PATH: &str = "/agent/v1/connect";
/// How long a session may take from its first byte to its welcome, in milliseconds.
pub const HANDSHAKE_TIMEOUT_MS: i64 = 10_000;
/// How long an accepted session may be silent before the server gives it up, in milliseconds.
pub const IDLE_TIMEOUT_MS: i64 = 120_000;
