//! What both sides speak about: who an agent is, what it sends, why it is sent away.

use crate::PROTOCOL_VERSION;

/// First bytes of every message that an agent signs, so that the signature is good for nothing else.
const CHALLENGE_DOMAIN: &[u8] = b"muster agent session\0";

/// What the operating system says about itself; any of it may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsFacts {
    /// Such as `Debian GNU/Linux 13 (trixie)`.
    pub pretty_name: String,
    /// Such as `6.12.48+deb13-amd64`.
    pub kernel: String,
    /// Such as `x86_64`.
    pub arch: String,
}

/// How an agent presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentHello {
    /// The name under which the host wants to be known; the server may give it another.
    pub instance: String,
    /// The agent's Ed25519 public key.
    pub public_key: [u8; 32],
    /// The join token of an agent that the server does not know yet.
    pub enroll_token: Option<String>,
    /// Version of the agent's program.
    pub agent_version: String,
    /// The kernel's boot id: tells a reboot from a reconnect, and a cloned key from a moved one.
    pub boot_id: String,
    /// Random bytes of the agent, part of what it signs, so that the server alone cannot choose that.
    pub nonce: [u8; 32],
    /// Facts for people to read.
    pub os: OsFacts,
}

/// An agent that has presented itself and signed; whether the signature is right is for the caller to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The agent's Ed25519 public key.
    pub public_key: [u8; 32],
    /// The name it asks for.
    pub instance: String,
    /// Version of the agent's program.
    pub agent_version: String,
    /// The join token of an agent that is new here.
    pub enroll_token: Option<String>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Facts for people to read.
    pub os: OsFacts,
    /// The protocol version of this session.
    pub protocol: u32,
    /// The bytes that must have been signed with the key above.
    pub signed_message: Vec<u8>,
    /// The Ed25519 signature.
    pub signature: [u8; 64],
}

/// Everything that the agent's signature covers.
#[derive(Debug, Clone, Copy)]
pub struct ChallengeFacts<'a> {
    /// Random bytes of the server.
    pub server_nonce: &'a [u8; 32],
    /// Random bytes of the agent.
    pub agent_nonce: &'a [u8; 32],
    /// The agent's public key.
    pub public_key: &'a [u8; 32],
    /// The protocol version chosen.
    pub protocol: u32,
    /// The name asked for.
    pub instance: &'a str,
    /// The kernel's boot id.
    pub boot_id: &'a str,
    /// The join token, or "".
    pub enroll_token: &'a str,
}

impl ChallengeFacts<'_> {
    /// The bytes to sign: a fixed prefix, the fixed-size fields, then each text with its length.
    pub fn message(&self) -> Vec<u8> {
        let mut bytes = CHALLENGE_DOMAIN.to_vec();
        bytes.extend_from_slice(&self.protocol.to_le_bytes());
        bytes.extend_from_slice(self.server_nonce);
        bytes.extend_from_slice(self.agent_nonce);
        bytes.extend_from_slice(self.public_key);
        for text in [self.instance, self.boot_id, self.enroll_token] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// How the server greets an agent that it accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The session's number on the server, for logs.
    pub session: u64,
    /// The server's clock, in milliseconds since 1970-01-01 UTC.
    pub server_time_ms: i64,
    /// The name by which the host is known from now on.
    pub instance: String,
    /// How often fast collectors are to run, in milliseconds; 0 leaves it to the agent.
    pub interval_ms: i64,
}

/// Samples taken together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// Series number and value, bit for bit; received groups are sorted by number, each at most once.
    pub samples: Vec<(u32, f64)>,
}

/// What is acknowledged as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Counts from 1 in each session.
    pub sequence: u64,
    /// Whether rules that read these series are to be evaluated at once.
    pub urgent: bool,
    /// In the order in which the agent sent them.
    pub groups: Vec<Group>,
}

/// Codes of the wire as an enum, of which `Other` is what a newer version may add.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }
        impl $name {
            /// The number on the wire.
            pub(crate) fn to_wire(self) -> u32 {
                match self { $(Self::$variant => $number,)* }
            }
            /// The code of a number; one from a newer version is `Other`.
            pub(crate) fn from_wire(number: u32) -> Self {
                match number { $($number => Self::$variant,)* _ => Self::Other }
            }
        }
    };
}

pub(crate) use codes;

codes! {
    /// Why an agent was not let in.
    RejectCode {
        /// A reason that this version has no name for.
        Other = 0,
        /// No protocol version in common.
        Version = 1,
        /// The agent is new here and its join token is wrong, used up or too old.
        BadToken = 2,
        /// The agent's key is not known here and it brought no join token.
        UnknownAgent = 3,
        /// The agent was removed by an administrator.
        Revoked = 4,
        /// Another agent already has this name.
        InstanceTaken = 5,
        /// The signature is not that of the key.
        BadSignature = 6,
        /// The agent broke the protocol or a limit.
        Protocol = 7,
        /// The server cannot take more agents now.
        Busy = 8,
        /// The name that the agent asks for cannot be one.
        BadName = 9,
    }
}

impl RejectCode {
    /// Whether trying again is of no use until a person has done something.
    pub fn is_permanent(self) -> bool {
        match self {
            Self::Version
            | Self::BadToken
            | Self::UnknownAgent
            | Self::Revoked
            | Self::InstanceTaken
            | Self::BadSignature
            | Self::BadName => true,
            Self::Other | Self::Protocol | Self::Busy => false,
        }
    }
}

codes! {
    /// Why a batch was not stored.
    RefuseReason {
        /// A reason that this version has no name for.
        Other = 0,
        /// Its content cannot be stored, now or later.
        Poison = 1,
        /// It breaks a limit of the server.
        Limit = 2,
        /// It is older than what the server keeps.
        TooOld = 3,
        /// The server's disk is full or failing.
        DiskFull = 4,
        /// The server has too much to do.
        Overloaded = 5,
        /// All of it lies further in the future, by the server's clock, than the server stores.
        ClockAhead = 6,
    }
}

impl RefuseReason {
    /// Whether the same batch may be accepted later; else it is to be dropped and counted.
    pub fn is_temporary(self) -> bool {
        match self {
            Self::Other | Self::DiskFull | Self::Overloaded | Self::ClockAhead => true,
            Self::Poison | Self::Limit | Self::TooOld => false,
        }
    }
}

codes! {
    /// Why a side ends a session.
    GoodbyeReason {
        /// A reason that this version has no name for.
        Other = 0,
        /// This side stops on purpose.
        Shutdown = 1,
        /// The same agent has opened a newer session.
        Replaced = 2,
        /// The agent was removed by an administrator.
        Revoked = 3,
        /// The other side broke the protocol or a limit.
        Protocol = 4,
        /// The other side was silent for too long.
        Idle = 5,
    }
}

/// The protocol that both ranges contain, the newest if there are several.
pub(crate) fn choose_protocol(agent: (u32, u32), server: (u32, u32)) -> Option<u32> {
    let newest = agent.1.min(server.1);
    (newest >= agent.0.max(server.0)).then_some(newest.min(PROTOCOL_VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_protocol(agent: (u32, u32), server: (u32, u32), expected: Option<u32>) {
        assert_eq!(choose_protocol(agent, server), expected);
    }

    #[test]
    fn the_newest_protocol_in_common_is_chosen() {
        check_protocol((1, 1), (1, 1), Some(1));
        check_protocol((1, 7), (1, 1), Some(1));
        check_protocol((2, 7), (1, 1), None);
        check_protocol((0, 0), (1, 1), None);
        check_protocol((5, 1), (1, 1), None);
    }

    #[test]
    fn codes_of_a_newer_version_have_a_meaning() {
        assert_eq!(RejectCode::from_wire(99), RejectCode::Other);
        assert_eq!(RejectCode::from_wire(RejectCode::Busy.to_wire()), RejectCode::Busy);
        assert_eq!(RefuseReason::from_wire(5), RefuseReason::Overloaded);
        assert_eq!(RefuseReason::from_wire(6), RefuseReason::ClockAhead);
        assert!(RefuseReason::ClockAhead.is_temporary());
        assert_eq!(RejectCode::from_wire(9), RejectCode::BadName);
        assert!(RejectCode::BadName.is_permanent());
        assert!(RefuseReason::from_wire(77).is_temporary());
    }

    #[test]
    fn a_boundary_between_two_texts_is_signed() {
        let facts = |instance, boot_id| {
            let all = [0; 32];
            ChallengeFacts {
                server_nonce: &all,
                agent_nonce: &all,
                public_key: &all,
                protocol: 1,
                instance,
                boot_id,
                enroll_token: "",
            }
            .message()
        };
        assert_ne!(facts("ab", "c"), facts("a", "bc"));
    }
}
