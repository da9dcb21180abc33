//! `/proc/diskstats`: what every block device did.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, is_digits};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

const LABELS: &[&str] = &["device"];

/// The columns after the device's name, in the file's order: metric and what a count is worth.
static COLUMNS: [(Metric, Worth); 17] = [
    count("node_disk_reads_completed_total", "The total number of reads completed successfully."),
    count("node_disk_reads_merged_total", "The total number of reads merged."),
    bytes("node_disk_read_bytes_total", "The total number of bytes read successfully."),
    time("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads."),
    count("node_disk_writes_completed_total", "The total number of writes completed successfully."),
    count("node_disk_writes_merged_total", "The number of writes merged."),
    bytes("node_disk_written_bytes_total", "The total number of bytes written successfully."),
    time("node_disk_write_time_seconds_total", "The total number of seconds spent by all writes."),
    (
        Metric::gauge(
            "node_disk_io_now",
            Unit::None,
            "The number of I/Os currently in progress.",
            LABELS,
        ),
        Worth::One,
    ),
    time("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os."),
    time("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."),
    count(
        "node_disk_discards_completed_total",
        "The total number of discards completed successfully.",
    ),
    count("node_disk_discards_merged_total", "The total number of discards merged."),
    count(
        "node_disk_discarded_sectors_total",
        "The total number of sectors discarded successfully.",
    ),
    time(
        "node_disk_discard_time_seconds_total",
        "The total number of seconds spent by all discards.",
    ),
    count(
        "node_disk_flush_requests_total",
        "The total number of flush requests completed successfully.",
    ),
    time(
        "node_disk_flush_requests_time_seconds_total",
        "The total number of seconds spent by all flush requests.",
    ),
];

/// What one count of a column is.
#[derive(Debug, Clone, Copy)]
enum Worth {
    One,
    /// 512 bytes, whatever the device's own sectors are.
    Sector,
    Millisecond,
}

const fn count(name: &'static str, help: &'static str) -> (Metric, Worth) {
    (Metric::counter(name, Unit::None, help, LABELS), Worth::One)
}

const fn bytes(name: &'static str, help: &'static str) -> (Metric, Worth) {
    (Metric::counter(name, Unit::Bytes, help, LABELS), Worth::Sector)
}

const fn time(name: &'static str, help: &'static str) -> (Metric, Worth) {
    (Metric::counter(name, Unit::Seconds, help, LABELS), Worth::Millisecond)
}

impl Worth {
    fn of(self, count: u64) -> f64 {
        match self {
            Self::One => count as f64,
            Self::Sector => count as f64 * 512.0,
            Self::Millisecond => count as f64 / 1000.0,
        }
    }
}

/// Collects `/proc/diskstats`.
#[derive(Debug)]
pub(crate) struct Diskstats {
    file: HotFile,
}

impl Diskstats {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { file: HotFile::new(roots.proc.join("diskstats")) }
    }
}

impl Collector for Diskstats {
    fn name(&self) -> &'static str {
        "diskstats"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        COLUMNS.iter().map(|(metric, _)| metric).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.file.read(|text| {
            for line in text.lines() {
                let disk = parse_line(line)?;
                if is_ignored(disk.name) {
                    continue;
                }
                for ((metric, worth), word) in COLUMNS.iter().zip(disk.columns()) {
                    let count = word.parse().map_err(|_| Malformed::at(line))?;
                    sink.push(metric, &[disk.name], worth.of(count));
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// A line of `/proc/diskstats`.
#[derive(Debug, PartialEq)]
pub(crate) struct Disk<'a> {
    pub(crate) major: &'a str,
    pub(crate) minor: &'a str,
    pub(crate) name: &'a str,
    rest: &'a str,
}

impl<'a> Disk<'a> {
    /// The counts; old kernels have 11 or 15 of the 17.
    fn columns(&self) -> impl Iterator<Item = &'a str> {
        self.rest.split_ascii_whitespace()
    }
}

/// Splits a line; the counts are left as text, as most lines may be of ignored devices.
pub(crate) fn parse_line(line: &str) -> Result<Disk<'_>, Malformed> {
    let mut rest = line.trim_ascii_start();
    let mut next = || {
        let (word, after) = rest.split_once(' ')?;
        rest = after.trim_ascii_start();
        Some(word)
    };
    match (next(), next(), next()) {
        (Some(major), Some(minor), Some(name)) => Ok(Disk { major, minor, name, rest }),
        _ => Err(Malformed::at(line)),
    }
}

/// Partitions and devices that are no disks: `node_exporter`'s default,
/// `^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`.
pub(crate) fn is_ignored(device: &str) -> bool {
    let base = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if base.len() == device.len() {
        return false;
    }
    let is_letter = |text: &str| matches!(text.as_bytes(), [b'a'..=b'z']);
    matches!(base, "ram" | "loop" | "fd")
        || ["hd", "sd", "vd", "xvd"]
            .iter()
            .any(|disk| base.strip_prefix(disk).is_some_and(is_letter))
        || base.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p')).is_some_and(|rest| {
            let numbers = rest.split_once('n');
            numbers.is_some_and(|(controller, space)| is_digits(controller) && is_digits(space))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_ignored(device: &str, expected: bool) {
        assert_eq!(is_ignored(device), expected, "{device}");
    }

    #[test]
    fn partitions_are_ignored_and_disks_are_not() {
        for device in ["ram0", "loop12", "fd0", "sda1", "xvdb2", "nvme0n1p2", "nvme10n12p34"] {
            check_ignored(device, true);
        }
        let disks =
            ["sda", "vda", "nvme0n1", "dm-0", "md127", "zram0", "sdaa1", "mmcblk0p1", "sr0"];
        for device in disks {
            check_ignored(device, false);
        }
    }

    #[test]
    fn a_line_is_split() {
        let disk = parse_line("   8       0 sda 1 2 3").unwrap();
        assert_eq!((disk.major, disk.minor, disk.name), ("8", "0", "sda"));
        assert_eq!(disk.columns().collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(parse_line("8 0"), Err(Malformed::at("8 0")));
    }

    #[test]
    fn worths() {
        assert_eq!(Worth::One.of(3), 3.0);
        assert_eq!(Worth::Sector.of(3), 1536.0);
        assert_eq!(Worth::Millisecond.of(3), 0.003);
    }
}
