//! `/sys/fs/bcache`: caches of solid-state disks before slower ones.

use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::file::{attribute, is_digits, names_in};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

/// Files of a cache set, what one of theirs is worth, and metrics. The kernel counts the read duration in nanoseconds, whatever
/// its file's name says; `node_exporter` reads it so.
static SET: [(&str, f64, Metric); 10] = [
    (
        "average_key_size",
        1.0,
        Metric::gauge(
            "node_bcache_average_key_size_sectors",
            Unit::None,
            "Average data per key in the btree (sectors).",
            &["uuid"],
        ),
    ),
    (
        "btree_cache_size",
        1.0,
        Metric::gauge(
            "node_bcache_btree_cache_size_bytes",
            Unit::Bytes,
            "Amount of memory currently used by the btree cache.",
            &["uuid"],
        ),
    ),
    (
        "cache_available_percent",
        1.0,
        Metric::gauge(
            "node_bcache_cache_available_percent",
            Unit::None,
            "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data).",
            &["uuid"],
        ),
    ),
    (
        "congested",
        1.0,
        Metric::gauge("node_bcache_congested", Unit::None, "Congestion.", &["uuid"]),
    ),
    (
        "root_usage_percent",
        1.0,
        Metric::gauge(
            "node_bcache_root_usage_percent",
            Unit::None,
            "Percentage of the root btree node in use (tree depth increases if too high).",
            &["uuid"],
        ),
    ),
    (
        "tree_depth",
        1.0,
        Metric::gauge("node_bcache_tree_depth", Unit::None, "Depth of the btree.", &["uuid"]),
    ),
    (
        "internal/active_journal_entries",
        1.0,
        Metric::gauge(
            "node_bcache_active_journal_entries",
            Unit::None,
            "Number of journal entries that are newer than the index.",
            &["uuid"],
        ),
    ),
    (
        "internal/btree_nodes",
        1.0,
        Metric::gauge(
            "node_bcache_btree_nodes",
            Unit::None,
            "Total nodes in the btree.",
            &["uuid"],
        ),
    ),
    (
        "internal/btree_read_average_duration_us",
        1e-9,
        Metric::gauge(
            "node_bcache_btree_read_average_duration_seconds",
            Unit::Seconds,
            "Average btree read duration.",
            &["uuid"],
        ),
    ),
    (
        "internal/cache_read_races",
        1.0,
        Metric::counter(
            "node_bcache_cache_read_races_total",
            Unit::None,
            "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where the pointer was stale after the read completed.",
            &["uuid"],
        ),
    ),
];
/// The same of a backing device.
static BACKING: [(&str, f64, Metric); 8] = [
    (
        "dirty_data",
        1.0,
        Metric::gauge(
            "node_bcache_dirty_data_bytes",
            Unit::Bytes,
            "Amount of dirty data for this backing device in the cache.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "stats_total/bypassed",
        1.0,
        Metric::counter(
            "node_bcache_bypassed_bytes_total",
            Unit::Bytes,
            "Amount of IO (both reads and writes) that has bypassed the cache.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "stats_total/cache_hits",
        1.0,
        Metric::counter(
            "node_bcache_cache_hits_total",
            Unit::None,
            "Hits counted per individual IO as bcache sees them.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "stats_total/cache_misses",
        1.0,
        Metric::counter(
            "node_bcache_cache_misses_total",
            Unit::None,
            "Misses counted per individual IO as bcache sees them.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "stats_total/cache_bypass_hits",
        1.0,
        Metric::counter(
            "node_bcache_cache_bypass_hits_total",
            Unit::None,
            "Hits for IO intended to skip the cache.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "stats_total/cache_bypass_misses",
        1.0,
        Metric::counter(
            "node_bcache_cache_bypass_misses_total",
            Unit::None,
            "Misses for IO intended to skip the cache.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "stats_total/cache_miss_collisions",
        1.0,
        Metric::counter(
            "node_bcache_cache_miss_collisions_total",
            Unit::None,
            "Instances where data insertion from cache miss raced with write (data already present).",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "stats_total/cache_readaheads",
        1.0,
        Metric::counter(
            "node_bcache_cache_readaheads_total",
            Unit::None,
            "Count of times readahead occurred.",
            &["uuid", "backing_device"],
        ),
    ),
];
/// Lines of a backing device's `writeback_rate_debug`, and metrics.
static WRITEBACK: [(&str, Metric); 5] = [
    (
        "target",
        Metric::gauge(
            "node_bcache_dirty_target_bytes",
            Unit::Bytes,
            "Current dirty data target threshold for this backing device in bytes.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "rate",
        Metric::gauge(
            "node_bcache_writeback_rate",
            Unit::None,
            "Current writeback rate for this backing device in bytes.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "proportional",
        Metric::gauge(
            "node_bcache_writeback_rate_proportional_term",
            Unit::None,
            "Current result of proportional controller, part of writeback rate.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "integral",
        Metric::gauge(
            "node_bcache_writeback_rate_integral_term",
            Unit::None,
            "Current result of integral controller, part of writeback rate.",
            &["uuid", "backing_device"],
        ),
    ),
    (
        "change",
        Metric::gauge(
            "node_bcache_writeback_change",
            Unit::None,
            "Last writeback rate change step for this backing device.",
            &["uuid", "backing_device"],
        ),
    ),
];
/// The same of a cache device.
static CACHE: [(&str, f64, Metric); 3] = [
    (
        "io_errors",
        1.0,
        Metric::gauge(
            "node_bcache_io_errors",
            Unit::None,
            "Number of errors that have occurred, decayed by io_error_halflife.",
            &["uuid", "cache_device"],
        ),
    ),
    (
        "metadata_written",
        1.0,
        Metric::counter(
            "node_bcache_metadata_written_bytes_total",
            Unit::Bytes,
            "Sum of all non data writes (btree writes and all other metadata).",
            &["uuid", "cache_device"],
        ),
    ),
    (
        "written",
        1.0,
        Metric::counter(
            "node_bcache_written_bytes_total",
            Unit::Bytes,
            "Sum of all data that has been written to the cache.",
            &["uuid", "cache_device"],
        ),
    ),
];

/// Collects `/sys/fs/bcache`.
#[derive(Debug)]
pub(crate) struct Bcache {
    folder: PathBuf,
}

impl Bcache {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("fs/bcache") }
    }
}

impl Collector for Bcache {
    fn name(&self) -> &'static str {
        "bcache"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        let files = SET.iter().chain(&BACKING).chain(&CACHE).map(|(_, _, metric)| metric);
        files.chain(WRITEBACK.iter().map(|(_, metric)| metric)).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        // Beside the sets lie files such as `register`.
        for uuid in names_in(&self.folder).iter().filter(|name| name.contains('-')) {
            let folder = self.folder.join(uuid);
            push_files(sink, &folder, &SET, &[uuid]);
            for name in names_in(&folder) {
                let device = folder.join(&name);
                let is = |kind: &str| name.strip_prefix(kind).is_some_and(is_digits);
                if is("bdev") {
                    push_files(sink, &device, &BACKING, &[uuid, &name]);
                    push_writeback(sink, &device, &[uuid, &name]);
                } else if is("cache") {
                    push_files(sink, &device, &CACHE, &[uuid, &name]);
                }
            }
        }
        Ok(())
    }
}

fn push_files(
    sink: &mut Sink<'_>,
    folder: &Path,
    files: &'static [(&str, f64, Metric)],
    labels: &[&str],
) {
    for (file, scale, metric) in files {
        if let Some(value) = attribute(&folder.join(file)).as_deref().and_then(size) {
            sink.push(metric, labels, value * scale);
        }
    }
}

fn push_writeback(sink: &mut Sink<'_>, device: &Path, labels: &[&str]) {
    let text = attribute(&device.join("writeback_rate_debug")).unwrap_or_default();
    for (name, metric) in &WRITEBACK {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.map(|value| value.trim().trim_end_matches("/sec")).and_then(size);
        if let Some(value) = value {
            sink.push(metric, labels, value);
        }
    }
}

/// A number as the kernel shortens it: `546`, `1.5k`, `-20.4G`, in powers of 1,024.
fn size(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit {
        "" => 1.0,
        "k" => 1024.0,
        "M" => f64::from(1 << 20),
        "G" => f64::from(1 << 30),
        "T" => (1_u64 << 40) as f64,
        "P" => (1_u64 << 50) as f64,
        _ => return None,
    };
    let value: f64 = digits.parse().ok()?;
    value.is_finite().then_some(value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_sizes() {
        let check = |text, expected| assert_eq!(size(text), expected, "{text}");
        check("546", Some(546.0));
        check("1.5k", Some(1536.0));
        check("-2.0M", Some(-2_097_152.0));
        check("1.0T", Some(1_099_511_627_776.0));
        check("3x", None);
        check("", None);
    }
}
