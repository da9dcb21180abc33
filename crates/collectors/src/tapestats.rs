//! `/sys/class/scsi_tape`: what tape drives did.

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{is_digits, names_in};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

/// Files of `stats`, what one of theirs is worth, and metrics.
static STATISTICS: [(&str, f64, Metric); 10] = [
    (
        "in_flight",
        1.0,
        Metric::gauge(
            "node_tape_io_now",
            Unit::None,
            "The number of I/Os currently outstanding to this device.",
            &["device"],
        ),
    ),
    (
        "io_ns",
        1e-9,
        Metric::counter(
            "node_tape_io_time_seconds_total",
            Unit::Seconds,
            "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape movement commands such as seeking between file or set marks and implicit tape movement such as when rewind on close tape devices are used.",
            &["device"],
        ),
    ),
    (
        "other_cnt",
        1.0,
        Metric::counter(
            "node_tape_io_others_total",
            Unit::None,
            "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete these commands uses the following calculation io_time_seconds_total-read_time_seconds_total-write_time_seconds_total.",
            &["device"],
        ),
    ),
    (
        "read_byte_cnt",
        1.0,
        Metric::counter(
            "node_tape_read_bytes_total",
            Unit::Bytes,
            "The number of bytes read from the tape drive.",
            &["device"],
        ),
    ),
    (
        "read_cnt",
        1.0,
        Metric::counter(
            "node_tape_reads_completed_total",
            Unit::None,
            "The number of read requests issued to the tape drive.",
            &["device"],
        ),
    ),
    (
        "read_ns",
        1e-9,
        Metric::counter(
            "node_tape_read_time_seconds_total",
            Unit::Seconds,
            "The amount of time spent waiting for read requests to complete.",
            &["device"],
        ),
    ),
    (
        "resid_cnt",
        1.0,
        Metric::counter(
            "node_tape_residual_total",
            Unit::None,
            "The number of times during a read or write we found the residual amount to be non-zero. This should mean that a program is issuing a read larger thean the block size on tape. For write not all data made it to tape.",
            &["device"],
        ),
    ),
    (
        "write_byte_cnt",
        1.0,
        Metric::counter(
            "node_tape_written_bytes_total",
            Unit::Bytes,
            "The number of bytes written to the tape drive.",
            &["device"],
        ),
    ),
    (
        "write_cnt",
        1.0,
        Metric::counter(
            "node_tape_writes_completed_total",
            Unit::None,
            "The number of write requests issued to the tape drive.",
            &["device"],
        ),
    ),
    (
        "write_ns",
        1e-9,
        Metric::counter(
            "node_tape_write_time_seconds_total",
            Unit::Seconds,
            "The amount of time spent waiting for write requests to complete.",
            &["device"],
        ),
    ),
];

/// Collects `/sys/class/scsi_tape`.
#[derive(Debug)]
pub(crate) struct Tapestats {
    folder: PathBuf,
}

impl Tapestats {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/scsi_tape") }
    }
}

impl Collector for Tapestats {
    fn name(&self) -> &'static str {
        "tapestats"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        STATISTICS.iter().map(|(_, _, metric)| metric).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        // A drive is there under several names, such as `nst0` and `st0a`; `st0` is the one that counts.
        for device in names_in(&self.folder).iter().filter(|name| is_drive(name)) {
            sink.push_attributes(&STATISTICS, &self.folder.join(device).join("stats"), &[device]);
        }
        Ok(())
    }
}

fn is_drive(name: &str) -> bool {
    name.strip_prefix("st").is_some_and(is_digits)
}
