//! The messages as protobuf, tag by tag as in docs/format/wire.md; inner types are in `model`.

use prost::{Message, Oneof};

use crate::WireError;
use crate::configuration::ConfigurationMessage;
use crate::processes::Processes;

/// From the agent.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AgentMessage {
    #[prost(oneof = "AgentKind", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) kind: Option<AgentKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum AgentKind {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    Proof(Proof),
    #[prost(message, tag = "3")]
    Series(Series),
    #[prost(message, tag = "4")]
    Batch(BatchMessage),
    #[prost(message, tag = "5")]
    Goodbye(Goodbye),
    #[prost(message, tag = "6")]
    Processes(Processes),
    #[prost(message, tag = "7")]
    UpdateReport(UpdateReportMessage),
}

/// From the server.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServerMessage {
    #[prost(oneof = "ServerKind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    pub(crate) kind: Option<ServerKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ServerKind {
    #[prost(message, tag = "1")]
    Challenge(Challenge),
    #[prost(message, tag = "2")]
    Reject(Reject),
    #[prost(message, tag = "3")]
    Welcome(WelcomeMessage),
    #[prost(message, tag = "4")]
    Ack(Ack),
    #[prost(message, tag = "5")]
    Refused(Refused),
    #[prost(message, tag = "6")]
    Settings(Settings),
    #[prost(message, tag = "7")]
    Goodbye(Goodbye),
    #[prost(message, tag = "8")]
    Configuration(ConfigurationMessage),
    #[prost(message, tag = "10")]
    ProcessWatch(ProcessWatch),
    #[prost(message, tag = "9")]
    Recall(Recall),
    #[prost(message, tag = "11")]
    Release(ReleaseMessage),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(crate) protocol_min: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) protocol_max: u32,
    #[prost(string, tag = "3")]
    pub(crate) agent_version: String,
    #[prost(string, tag = "4")]
    pub(crate) instance: String,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) public_key: Vec<u8>,
    #[prost(string, optional, tag = "6")]
    pub(crate) enroll_token: Option<String>,
    #[prost(string, tag = "7")]
    pub(crate) boot_id: String,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) nonce: Vec<u8>,
    #[prost(string, tag = "9")]
    pub(crate) os_pretty_name: String,
    #[prost(string, tag = "10")]
    pub(crate) os_kernel: String,
    #[prost(string, tag = "11")]
    pub(crate) os_arch: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Proof {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) signature: Vec<u8>,
}

/// `definitions` is laid out by the module of that name.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Series {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) definitions: Vec<u8>,
}

/// `groups` is laid out by `group_codec`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    #[prost(bool, tag = "2")]
    pub(crate) urgent: bool,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) groups: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Goodbye {
    #[prost(uint32, tag = "1")]
    pub(crate) reason: u32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Challenge {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) nonce: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) protocol: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reject {
    #[prost(uint32, tag = "1")]
    pub(crate) code: u32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WelcomeMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) session: u64,
    #[prost(int64, tag = "2")]
    pub(crate) server_time_ms: i64,
    #[prost(string, tag = "3")]
    pub(crate) instance: String,
    #[prost(int64, tag = "4")]
    pub(crate) interval_ms: i64,
    #[prost(message, optional, tag = "5")]
    pub(crate) limits: Option<LimitsMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LimitsMessage {
    #[prost(uint32, tag = "1")]
    pub(crate) frame_bytes: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) series: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) labels_per_series: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) label_name_bytes: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) label_value_bytes: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) samples_per_batch: u32,
    #[prost(uint32, tag = "7")]
    pub(crate) groups_per_batch: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ack {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) sequences: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Refused {
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) reason: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Settings {
    #[prost(int64, tag = "1")]
    pub(crate) interval_ms: i64,
    #[prost(int64, tag = "2")]
    pub(crate) lease_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProcessWatch {
    #[prost(int64, tag = "1")]
    pub(crate) lease_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Recall {
    #[prost(int64, tag = "1")]
    pub(crate) from_ms: i64,
    #[prost(int64, tag = "2")]
    pub(crate) to_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReleaseMessage {
    #[prost(string, tag = "1")]
    pub(crate) version: String,
    #[prost(string, tag = "2")]
    pub(crate) path: String,
    #[prost(uint64, tag = "3")]
    pub(crate) size: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) sha256: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateReportMessage {
    #[prost(string, tag = "1")]
    pub(crate) version: String,
    #[prost(uint32, tag = "2")]
    pub(crate) outcome: u32,
    #[prost(string, tag = "3")]
    pub(crate) message: String,
}

impl AgentKind {
    /// What errors call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Proof(_) => "proof",
            Self::Series(_) => "series definition",
            Self::Batch(_) => "batch",
            Self::Goodbye(_) => "goodbye",
            Self::Processes(_) => "table of processes",
            Self::UpdateReport(_) => "update report",
        }
    }

    /// The payload of a frame.
    pub(crate) fn into_payload(self) -> Vec<u8> {
        AgentMessage { kind: Some(self) }.encode_to_vec()
    }

    /// Reads the payload of a frame.
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, WireError> {
        let what = "message of the agent";
        AgentMessage::decode(payload)
            .map_err(|error| WireError::Malformed { what, reason: error.to_string() })?
            .kind
            .ok_or_else(|| WireError::Malformed { what, reason: "its kind is unknown".into() })
    }
}

impl ServerKind {
    /// What errors call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Challenge(_) => "challenge",
            Self::Reject(_) => "rejection",
            Self::Welcome(_) => "welcome",
            Self::Ack(_) => "acknowledgement",
            Self::Refused(_) => "refusal",
            Self::Settings(_) => "settings message",
            Self::Goodbye(_) => "goodbye",
            Self::Configuration(_) => "configuration",
            Self::ProcessWatch(_) => "request for processes",
            Self::Recall(_) => "recall",
            Self::Release(_) => "release",
        }
    }

    /// The payload of a frame.
    pub(crate) fn into_payload(self) -> Vec<u8> {
        ServerMessage { kind: Some(self) }.encode_to_vec()
    }

    /// Reads the payload of a frame.
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, WireError> {
        let what = "message of the server";
        ServerMessage::decode(payload)
            .map_err(|error| WireError::Malformed { what, reason: error.to_string() })?
            .kind
            .ok_or_else(|| WireError::Malformed { what, reason: "its kind is unknown".into() })
    }
}

/// A field of fixed size.
pub(crate) fn fixed<const N: usize>(
    bytes: &[u8],
    what: &'static str,
) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| WireError::FieldSize { what, expected: N, got: bytes.len() })
}

/// Longest text for people that a report brings.
pub(crate) const MAX_REPORT_BYTES: usize = 512;

/// A text for people, cut to what the other side takes.
pub(crate) fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_REPORT_BYTES);
    text[..end].to_owned()
}

/// Refuses a text field of more than `limit` bytes.
pub(crate) fn check_text(text: &str, limit: usize, what: &'static str) -> Result<(), WireError> {
    if text.len() > limit {
        return Err(WireError::Limit { what, limit, got: text.len() });
    }
    Ok(())
}
