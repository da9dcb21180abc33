//! `/sys/fs/btrfs`: how Btrfs file systems have given out their space, and how long commits take.

use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::file::{attribute, names_in, number_attribute};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static INFO: Metric =
    Metric::info("node_btrfs_info", "Filesystem information.", &["uuid", "label"]);
static RESERVE: Metric = Metric::gauge(
    "node_btrfs_global_rsv_size_bytes",
    Unit::Bytes,
    "Size of global reserve.",
    &["uuid"],
);
static DEVICE_SIZE: Metric = Metric::gauge(
    "node_btrfs_device_size_bytes",
    Unit::Bytes,
    "Size of a device that is part of the filesystem.",
    &["uuid", "device"],
);
static RESERVED: Metric = Metric::gauge(
    "node_btrfs_reserved_bytes",
    Unit::Bytes,
    "Amount of space reserved for a data type.",
    &["uuid", "block_group_type"],
);
static USED: Metric = Metric::gauge(
    "node_btrfs_used_bytes",
    Unit::Bytes,
    "Amount of used space by a layout/data type.",
    &["uuid", "block_group_type", "mode"],
);
static SIZE: Metric = Metric::gauge(
    "node_btrfs_size_bytes",
    Unit::Bytes,
    "Amount of space allocated for a layout/data type.",
    &["uuid", "block_group_type", "mode"],
);
static RATIO: Metric = Metric::gauge(
    "node_btrfs_allocation_ratio",
    Unit::None,
    "Data allocation ratio for a layout/data type.",
    &["uuid", "block_group_type", "mode"],
);
/// Lines of `commit_stats`, what one of theirs is worth, and metrics.
static COMMITS: [(&str, f64, Metric); 4] = [
    (
        "commits",
        1.0,
        Metric::counter(
            "node_btrfs_commits_total",
            Unit::None,
            "The total number of commits that have occurred.",
            &["uuid"],
        ),
    ),
    (
        "last_commit_ms",
        1e-3,
        Metric::gauge(
            "node_btrfs_last_commit_seconds",
            Unit::Seconds,
            "Duration of the most recent commit, in seconds.",
            &["uuid"],
        ),
    ),
    (
        "max_commit_ms",
        1e-3,
        Metric::gauge(
            "node_btrfs_max_commit_seconds",
            Unit::Seconds,
            "Duration of the slowest commit, in seconds.",
            &["uuid"],
        ),
    ),
    (
        "total_commit_ms",
        1e-3,
        Metric::counter(
            "node_btrfs_commit_seconds_total",
            Unit::Seconds,
            "Sum of the duration of all commits, in seconds.",
            &["uuid"],
        ),
    ),
];
/// What blocks are given out for.
const KINDS: [&str; 3] = ["data", "metadata", "system"];
/// Bytes of a sector in `/sys/class/block/*/size`.
const SECTOR_BYTES: f64 = 512.0;

/// Collects `/sys/fs/btrfs`. The devices' errors, which only an `ioctl` on the mount tells, are left out.
#[derive(Debug)]
pub(crate) struct Btrfs {
    folder: PathBuf,
}

impl Btrfs {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("fs/btrfs") }
    }
}

impl Collector for Btrfs {
    fn name(&self) -> &'static str {
        "btrfs"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        let own = [&INFO, &RESERVE, &DEVICE_SIZE, &RESERVED, &USED, &SIZE, &RATIO];
        own.into_iter().chain(COMMITS.iter().map(|(_, _, metric)| metric)).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        // Beside the file systems, named by their UUID, lie folders such as `features`.
        for uuid in names_in(&self.folder).iter().filter(|name| name.contains('-')) {
            let folder = self.folder.join(uuid);
            let label = attribute(&folder.join("label")).unwrap_or_default();
            sink.push(&INFO, &[uuid, &label], 1.0);
            if let Some(bytes) = number_attribute(&folder.join("allocation/global_rsv_size")) {
                sink.push(&RESERVE, &[uuid], bytes);
            }
            push_commits(sink, &folder, uuid);
            for device in names_in(&folder.join("devices")) {
                let sectors = number_attribute(&folder.join("devices").join(&device).join("size"));
                if let Some(sectors) = sectors {
                    sink.push(&DEVICE_SIZE, &[uuid, &device], sectors * SECTOR_BYTES);
                }
            }
            for kind in KINDS {
                push_allocation(sink, &folder.join("allocation").join(kind), uuid, kind);
            }
        }
        Ok(())
    }
}

fn push_commits(sink: &mut Sink<'_>, folder: &Path, uuid: &str) {
    let text = attribute(&folder.join("commit_stats")).unwrap_or_default();
    for (name, scale, metric) in &COMMITS {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        if let Some(value) = line.and_then(|value| value.trim().parse::<f64>().ok()) {
            sink.push(metric, &[uuid], value * scale);
        }
    }
}

/// A kind's folder holds a folder for each profile that its blocks have, such as `raid1`.
fn push_allocation(sink: &mut Sink<'_>, folder: &Path, uuid: &str, kind: &str) {
    if let Some(bytes) = number_attribute(&folder.join("bytes_reserved")) {
        sink.push(&RESERVED, &[uuid, kind], bytes);
    }
    for profile in names_in(folder) {
        let number = |file| number_attribute(&folder.join(&profile).join(file));
        let (Some(used), Some(size)) = (number("used_bytes"), number("total_bytes")) else {
            continue;
        };
        let labels = [uuid, kind, &profile];
        sink.push(&USED, &labels, used);
        sink.push(&SIZE, &labels, size);
        if let Some(ratio) = ratio(&profile) {
            sink.push(&RATIO, &labels, ratio);
        }
    }
}

/// How many bytes of disk a byte of data takes. With parity it depends on how many devices there are,
/// which a profile does not say.
fn ratio(profile: &str) -> Option<f64> {
    match profile {
        "single" | "raid0" => Some(1.0),
        "dup" | "raid1" | "raid10" => Some(2.0),
        "raid1c3" => Some(3.0),
        "raid1c4" => Some(4.0),
        _ => None,
    }
}
