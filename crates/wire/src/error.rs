//! Why a frame was refused.

use muster_series::LabelError;

/// What is wrong with a frame, or with what one was asked to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A frame without its flag byte.
    #[error("a frame is empty")]
    EmptyFrame,
    /// Flag bits that this version does not know.
    #[error("a frame has the unknown flags {0:#04x}")]
    UnknownFlags(u8),
    /// A frame is larger than agreed, as received or once decompressed.
    #[error("a frame is larger than the limit of {limit} bytes")]
    FrameTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The compressed payload cannot be decompressed.
    #[error("a frame cannot be decompressed: {0}")]
    Decompress(String),
    /// The payload is not what its kind says.
    #[error("a {what} is malformed: {reason}")]
    Malformed {
        /// The kind of message or part.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A message that has no place at this point of the session.
    #[error("a {message} came while {expected} was expected")]
    Unexpected {
        /// What came, or what was asked for.
        message: &'static str,
        /// What would have been right.
        expected: &'static str,
    },
    /// The two sides share no protocol version.
    #[error("{}", version_advice(*.agent, *.server))]
    Version {
        /// Oldest and newest protocol of the agent.
        agent: (u32, u32),
        /// Oldest and newest protocol of the server.
        server: (u32, u32),
    },
    /// A field of fixed size has another size.
    #[error("the {what} has {got} bytes, not {expected}")]
    FieldSize {
        /// Which field.
        what: &'static str,
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        got: usize,
    },
    /// Something has more of its kind than allowed.
    #[error("{what}: {got} is over the limit of {limit}")]
    Limit {
        /// What is counted, in words.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What was asked for; a lower bound where counting stopped at the limit.
        got: usize,
    },
    /// A sample or definition names a series that was never defined.
    #[error("series number {reference} is not defined in this session; {defined} are")]
    UnknownSeries {
        /// The number used.
        reference: u32,
        /// How many numbers are defined.
        defined: usize,
    },
    /// The labels of a definition are no label set.
    #[error("a series has bad labels: {0}")]
    Labels(#[from] LabelError),
    /// A batch is missing or came twice.
    #[error("batch {got} came, batch {expected} was due")]
    Sequence {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// The other side did not do its part in time.
    #[error("the other side was silent for {0} ms")]
    Timeout(i64),
    /// The session has ended; nothing more is read or sent.
    #[error("the session is closed")]
    Closed,
}

fn version_advice(agent: (u32, u32), server: (u32, u32)) -> String {
    let side = if agent.1 < server.0 { "agent" } else { "server" };
    format!(
        "the agent speaks protocol {} to {}, the server {} to {}; upgrade the {side}",
        agent.0, agent.1, server.0, server.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_side_is_told_to_upgrade() {
        let old_agent = WireError::Version { agent: (1, 1), server: (2, 3) };
        assert_eq!(
            old_agent.to_string(),
            "the agent speaks protocol 1 to 1, the server 2 to 3; upgrade the agent"
        );
        let old_server = WireError::Version { agent: (4, 5), server: (2, 3) };
        assert!(old_server.to_string().ends_with("upgrade the server"));
    }
}
