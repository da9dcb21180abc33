//! The table of a host's processes, sent while somebody looks at it.

use prost::Message;

use crate::WireError;
use crate::message::check_text;

/// The most rows of a table.
pub const MAX_PROCESS_ROWS: usize = 500;
/// The longest name of a user or program, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// The longest command, in bytes.
const MAX_COMMAND_BYTES: usize = 1_024;

/// One process.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessRow {
    /// Its number.
    pub pid: u32,
    /// The number of its parent.
    pub parent: u32,
    /// The account it runs as.
    pub user: String,
    /// The name of its program.
    pub program: String,
    /// Its command.
    pub command: String,
    /// The kernel's letter for its state; `?` if that was none.
    pub state: char,
    /// How many threads it has.
    pub threads: u32,
    /// When it was started, in milliseconds since 1970-01-01 UTC.
    pub started_ms: i64,
    /// How much of one core it used since the table before.
    pub cpu_ratio: f64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Bytes read from disks a second, where that may be known.
    pub read_bytes_per_second: Option<f64>,
    /// Bytes written to disks a second, where that may be known.
    pub written_bytes_per_second: Option<f64>,
}

/// The processes of a host at a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessTable {
    /// The host's time, in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// At most [`MAX_PROCESS_ROWS`].
    pub rows: Vec<ProcessRow>,
    /// How many processes more there are.
    pub truncated: u64,
}

impl ProcessTable {
    pub(crate) fn from_message(message: Processes) -> Result<Self, WireError> {
        let got = message.rows.len();
        if got > MAX_PROCESS_ROWS {
            return Err(WireError::Limit { what: "processes", limit: MAX_PROCESS_ROWS, got });
        }
        let rows =
            message.rows.into_iter().map(ProcessRow::from_message).collect::<Result<_, _>>()?;
        Ok(Self { timestamp_ms: message.timestamp_ms, rows, truncated: message.truncated })
    }

    /// The message of a table; what exceeds the limits is cut off.
    pub(crate) fn into_message(self) -> Processes {
        let more = self.rows.len().saturating_sub(MAX_PROCESS_ROWS) as u64;
        Processes {
            timestamp_ms: self.timestamp_ms,
            rows: self
                .rows
                .into_iter()
                .take(MAX_PROCESS_ROWS)
                .map(ProcessRow::into_message)
                .collect(),
            truncated: self.truncated + more,
        }
    }
}

impl ProcessRow {
    fn from_message(row: Row) -> Result<Self, WireError> {
        check_text(&row.user, MAX_NAME_BYTES, "bytes of a user's name")?;
        check_text(&row.program, MAX_NAME_BYTES, "bytes of a program's name")?;
        check_text(&row.command, MAX_COMMAND_BYTES, "bytes of a command")?;
        Ok(Self {
            pid: row.pid,
            parent: row.parent,
            user: row.user,
            program: row.program,
            command: row.command,
            state: char::from_u32(row.state).filter(char::is_ascii_alphabetic).unwrap_or('?'),
            threads: row.threads,
            started_ms: row.started_ms,
            cpu_ratio: f64::from(row.cpu_ratio),
            memory_bytes: row.memory_bytes,
            read_bytes_per_second: row.read_bytes_per_second.map(f64::from),
            written_bytes_per_second: row.written_bytes_per_second.map(f64::from),
        })
    }

    fn into_message(self) -> Row {
        Row {
            pid: self.pid,
            parent: self.parent,
            user: cut(self.user, MAX_NAME_BYTES),
            program: cut(self.program, MAX_NAME_BYTES),
            command: cut(self.command, MAX_COMMAND_BYTES),
            state: u32::from(self.state),
            threads: self.threads,
            started_ms: self.started_ms,
            cpu_ratio: self.cpu_ratio as f32,
            memory_bytes: self.memory_bytes,
            read_bytes_per_second: self.read_bytes_per_second.map(|rate| rate as f32),
            written_bytes_per_second: self.written_bytes_per_second.map(|rate| rate as f32),
        }
    }
}

/// The text without what exceeds `limit` bytes.
fn cut(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

/// As on the wire. Rates are of seven digits: they are for people to read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Processes {
    #[prost(int64, tag = "1")]
    timestamp_ms: i64,
    #[prost(message, repeated, tag = "2")]
    rows: Vec<Row>,
    #[prost(uint64, tag = "3")]
    truncated: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Row {
    #[prost(uint32, tag = "1")]
    pid: u32,
    #[prost(uint32, tag = "2")]
    parent: u32,
    #[prost(string, tag = "3")]
    user: String,
    #[prost(string, tag = "4")]
    program: String,
    #[prost(string, tag = "5")]
    command: String,
    #[prost(uint32, tag = "6")]
    state: u32,
    #[prost(uint32, tag = "7")]
    threads: u32,
    #[prost(int64, tag = "8")]
    started_ms: i64,
    #[prost(float, tag = "9")]
    cpu_ratio: f32,
    #[prost(uint64, tag = "10")]
    memory_bytes: u64,
    #[prost(float, optional, tag = "11")]
    read_bytes_per_second: Option<f32>,
    #[prost(float, optional, tag = "12")]
    written_bytes_per_second: Option<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(command: &str) -> ProcessRow {
        ProcessRow {
            pid: 1,
            parent: 0,
            user: "root".into(),
            program: "systemd".into(),
            command: command.into(),
            state: 'S',
            threads: 1,
            started_ms: 1_795_335_136_731,
            cpu_ratio: 0.25,
            memory_bytes: 12 << 20,
            read_bytes_per_second: None,
            written_bytes_per_second: Some(4_096.0),
        }
    }

    #[test]
    fn a_table_comes_back() {
        let table = ProcessTable { timestamp_ms: 9, rows: vec![row("/sbin/init")], truncated: 3 };
        assert_eq!(ProcessTable::from_message(table.clone().into_message()), Ok(table));
    }

    #[test]
    fn what_is_too_much_is_cut_by_the_sender_and_refused_by_the_receiver() {
        let long = "字".repeat(MAX_COMMAND_BYTES);
        let rows = vec![row(&long); MAX_PROCESS_ROWS + 2];
        let table = ProcessTable { timestamp_ms: 9, rows, truncated: 3 };
        let mut message = table.into_message();
        let read = ProcessTable::from_message(message.clone()).unwrap();
        assert_eq!((read.rows.len(), read.truncated), (MAX_PROCESS_ROWS, 5));
        assert_eq!(read.rows[0].command.len(), 1_023);
        message.rows[0].command = long;
        assert!(ProcessTable::from_message(message.clone()).is_err());
        message.rows[0].command.clear();
        message.rows.push(message.rows[0].clone());
        assert!(ProcessTable::from_message(message).is_err());
    }

    #[test]
    fn a_state_that_is_no_letter_is_a_question_mark() {
        let mut message = row("x").into_message();
        message.state = u32::from('<');
        assert_eq!(ProcessRow::from_message(message).unwrap().state, '?');
    }
}
