//! The log of what the server has acknowledged to a numbered fleet: the evidence of a crash test.
//!
//! One line a tick: instance, timestamp in milliseconds, value, number of series, separated by
//! tabs. Each of the tick's series, labelled `series="0"` and so on, had that value at that time.
//! A line is written only after the acknowledgement, so what it names must be on the server.

use std::fmt::Write as _;
use std::io::{self, Write};

use tokio::sync::mpsc;

use crate::Acknowledged;

/// A tick whose samples are durable on the server.
#[derive(Debug, Clone, PartialEq)]
pub struct AcknowledgedTick {
    /// The host.
    pub instance: String,
    /// When the samples were taken, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The value of each of the host's series then.
    pub value: f64,
    /// How many series the host has.
    pub series: u32,
}

/// Writes what is acknowledged until the senders are gone; each line is out before the next is awaited.
pub async fn write_log(
    mut log: impl Write,
    mut acknowledged: mpsc::Receiver<Acknowledged>,
) -> io::Result<()> {
    while let Some(batch) = acknowledged.recv().await {
        log.write_all(lines(&batch).as_bytes())?;
        log.flush()?;
    }
    Ok(())
}

fn lines(batch: &Acknowledged) -> String {
    let mut text = String::new();
    for group in &batch.groups {
        let Some((_, value)) = group.samples.first() else {
            continue;
        };
        let (instance, at_ms, series) = (&batch.instance, group.timestamp_ms, group.samples.len());
        writeln!(text, "{instance}\t{at_ms}\t{value}\t{series}")
            .expect("writing to a string cannot fail");
    }
    text
}

/// Reads a log. A last line without its end was not finished when the writer was killed, and is
/// left out; another malformed line is returned as the error.
pub fn parse_log(text: &str) -> Result<Vec<AcknowledgedTick>, String> {
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .map(|line| parse_line(line).ok_or_else(|| line.to_owned()))
        .collect()
}

fn parse_line(line: &str) -> Option<AcknowledgedTick> {
    let mut fields = line.split('\t');
    let tick = AcknowledgedTick {
        instance: fields.next()?.to_owned(),
        timestamp_ms: fields.next()?.parse().ok()?,
        value: fields.next()?.parse().ok()?,
        series: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(tick)
}

#[cfg(test)]
mod tests {
    use muster_wire::Group;

    use super::*;

    #[tokio::test]
    async fn what_is_written_can_be_read() {
        let group =
            |timestamp_ms, value| Group { timestamp_ms, samples: vec![(0, value), (1, value)] };
        let instance = "numbered-0001".to_owned();
        let batch = Acknowledged { instance, groups: vec![group(1_000, 7.0), group(2_000, 8.0)] };
        let (sender, receiver) = mpsc::channel(4);
        sender.send(batch).await.unwrap();
        drop(sender);
        let mut log = Vec::new();
        write_log(&mut log, receiver).await.unwrap();
        let text = String::from_utf8(log).unwrap();
        assert_eq!(text, "numbered-0001\t1000\t7\t2\nnumbered-0001\t2000\t8\t2\n");

        let ticks = parse_log(&(text + "numbered-0001\t30")).unwrap();
        assert_eq!(ticks.len(), 2);
        assert_eq!((ticks[1].timestamp_ms, ticks[1].value, ticks[1].series), (2_000, 8.0, 2));
    }

    #[test]
    fn a_malformed_line_is_told() {
        assert_eq!(parse_log("a\t1\t2\n"), Err("a\t1\t2".to_owned()));
        assert_eq!(parse_log("a\t1\t2\t3\t4\n"), Err("a\t1\t2\t3\t4".to_owned()));
        assert_eq!(parse_log(""), Ok(vec![]));
    }
}
