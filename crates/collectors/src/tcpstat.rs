//! How many TCP connections are in which state: `/proc/net/tcp` and `/proc/net/tcp6`.
//!
//! A host with a million connections has a hundred megabytes there, so a reading stops at a limit: beyond it
//! nothing is told, rather than a part. The number of established connections is in `node_netstat_Tcp_CurrEstab`.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static STATES_METRIC: Metric = Metric::gauge(
    "node_tcp_connection_states",
    Unit::None,
    "Number of TCP connections by state, IPv4 and IPv6; absent where there are more than 50,000.",
    &["state"],
);
/// The kernel's states from 1, and `node_exporter`'s names of them.
const STATES: [&str; 12] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
    "new_syn_recv",
];
/// Most connections that are read; a line takes the kernel about a microsecond.
const MAX_LINES: usize = 50_000;
/// No line of these files is longer, in bytes.
const MAX_LINE_BYTES: u64 = 256;

/// Collects `/proc/net/tcp` and `/proc/net/tcp6`.
#[derive(Debug)]
pub(crate) struct Tcpstat {
    paths: [PathBuf; 2],
}

impl Tcpstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { paths: ["net/tcp", "net/tcp6"].map(|file| roots.proc.join(file)) }
    }
}

impl Collector for Tcpstat {
    fn name(&self) -> &'static str {
        "tcpstat"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&STATES_METRIC]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let mut counts = Counts::default();
        let mut found = false;
        for path in &self.paths {
            match File::open(path) {
                Ok(file) => {
                    found = true;
                    counts.read(BufReader::new(file), path)?;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(CollectError::read(path, error)),
            }
        }
        if found && counts.lines <= MAX_LINES {
            for (state, count) in STATES.iter().zip(counts.states).filter(|(_, count)| *count > 0) {
                sink.push(&STATES_METRIC, &[state], f64::from(count));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    states: [u32; STATES.len()],
    lines: usize,
}

impl Counts {
    /// Adds the connections of a file, up to the limit.
    fn read(&mut self, mut file: impl BufRead, path: &Path) -> Result<(), CollectError> {
        let mut line = Vec::new();
        let mut is_head = true;
        while self.lines <= MAX_LINES {
            line.clear();
            let read = file.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
            if read.map_err(|error| CollectError::read(path, error))? == 0 {
                break;
            }
            if !is_head && let Some(state) = state(&line) {
                self.lines += 1;
                self.states[state] += 1;
            }
            is_head = false;
        }
        Ok(())
    }
}

/// The place in [`STATES`] that a line `0: local remote state …` tells.
fn state(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    let code = usize::from_str_radix(text.split_ascii_whitespace().nth(3)?, 16).ok()?;
    (1..=STATES.len()).contains(&code).then(|| code - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n";
    const LISTENS: &str = "   0: 0100007F:1BA4 00000000:0000 0A 00000000:00000000 00:00000000\n";

    fn read(text: &str) -> Counts {
        let mut counts = Counts::default();
        counts.read(text.as_bytes(), Path::new("tcp")).unwrap();
        counts
    }

    #[test]
    fn lines_are_counted_by_their_state() {
        let open = LISTENS.replace(" 0A ", " 01 ");
        let counts = read(&format!("{HEAD}{LISTENS}{open}{open}odd\n"));
        assert_eq!((counts.lines, counts.states[9], counts.states[0]), (3, 1, 2));
    }

    #[test]
    fn a_reading_ends_at_the_limit() {
        let counts = read(&format!("{HEAD}{}", LISTENS.repeat(MAX_LINES + 5)));
        assert_eq!(counts.lines, MAX_LINES + 1);
    }
}
