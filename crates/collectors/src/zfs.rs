//! `/proc/spl/kstat/zfs`: what ZFS says about its caches, its pools and their datasets.
//!
//! A file of statistics has two lines of head, then `name type data` a line. The names go into the
//! metrics' as they are, as `node_exporter` has them.

use std::path::{Path, PathBuf};

use crate::error::{CollectError, Malformed};
use crate::file::{names_in, number, read};
use crate::metric::{Kind, Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

/// Files of the whole system, and metrics.
static FILES: [(&str, Metric); 11] = [
    ("abdstats", statistics("node_zfs_abd_*")),
    ("arcstats", statistics("node_zfs_arc_*")),
    // The name of this file changed.
    ("dbuf_stats", statistics("node_zfs_dbuf_*")),
    ("dmu_tx", statistics("node_zfs_dmu_tx_*")),
    ("dnodestats", statistics("node_zfs_dnode_*")),
    ("fm", statistics("node_zfs_fm_*")),
    ("vdev_cache_stats", statistics("node_zfs_vdev_cache_*")),
    ("vdev_mirror_stats", statistics("node_zfs_vdev_mirror_*")),
    ("xuio_stats", statistics("node_zfs_xuio_*")),
    ("zfetchstats", statistics("node_zfs_zfetch_*")),
    ("zil", statistics("node_zfs_zil_*")),
];
/// Names of files that tell what another of the list does.
const OTHER_NAMES: [(&str, &str); 1] = [("dbuf_stats", "dbufstats")];
static POOL: Metric = Metric {
    name: "node_zfs_zpool_*",
    kind: Kind::Untyped,
    unit: Unit::None,
    help: "What the file io of a pool counts.",
    labels: &["zpool"],
};
static DATASET: Metric = Metric {
    name: "node_zfs_zpool_dataset_*",
    kind: Kind::Untyped,
    unit: Unit::None,
    help: "What the file objset of a dataset counts.",
    labels: &["zpool", "dataset"],
};
static STATE: Metric = Metric::gauge(
    "node_zfs_zpool_state",
    Unit::None,
    "Whether a pool is in a state, 1 for the one that it is in.",
    &["zpool", "state"],
);
/// The states that a pool can be in.
const STATES: [&str; 7] =
    ["degraded", "faulted", "offline", "online", "removed", "unavail", "suspended"];

const fn statistics(name: &'static str) -> Metric {
    Metric::untyped(name, "What the ZFS statistics file of this group counts.")
}

/// Collects `/proc/spl/kstat/zfs`.
#[derive(Debug)]
pub(crate) struct Zfs {
    folder: PathBuf,
}

impl Zfs {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.proc.join("spl/kstat/zfs") }
    }
}

impl Collector for Zfs {
    fn name(&self) -> &'static str {
        "zfs"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        FILES.iter().map(|(_, metric)| metric).chain([&POOL, &DATASET, &STATE]).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let names = names_in(&self.folder);
        if names.is_empty() {
            return Ok(());
        }
        for (file, metric) in &FILES {
            let other = OTHER_NAMES.iter().find(|(name, _)| name == file).map(|(_, other)| *other);
            for path in [Some(*file), other].into_iter().flatten() {
                read(&self.folder.join(path), |text| {
                    for (name, value) in pairs(text)? {
                        sink.push_part(metric, &name, &[], value);
                    }
                    Ok(())
                })?;
            }
        }
        for name in &names {
            let folder = self.folder.join(name);
            if folder.join("state").exists() || folder.join("io").exists() {
                collect_pool(sink, &folder, name)?;
            }
        }
        Ok(())
    }
}

fn collect_pool(sink: &mut Sink<'_>, folder: &Path, pool: &str) -> Result<(), CollectError> {
    read(&folder.join("io"), |text| {
        for (name, value) in columns(text)? {
            sink.push_part(&POOL, name, &[pool], value);
        }
        Ok(())
    })?;
    read(&folder.join("state"), |text| {
        let now = text.trim().to_ascii_lowercase();
        for state in STATES {
            sink.push(&STATE, &[pool, state], if state == now { 1.0 } else { 0.0 });
        }
        Ok(())
    })?;
    for file in names_in(folder).iter().filter(|name| name.starts_with("objset-")) {
        read(&folder.join(file), |text| {
            let name = text.lines().find_map(|line| line.strip_prefix("dataset_name"));
            let Some(dataset) = name.and_then(|rest| rest.split_ascii_whitespace().nth(1)) else {
                return Ok(());
            };
            for (name, value) in pairs(text)? {
                sink.push_part(&DATASET, &name, &[pool, dataset], value);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The numbers of a file `name type data`. Types 3 and 4 are numbers; texts, such as type 7, are left out.
fn pairs(text: &str) -> Result<Vec<(String, f64)>, Malformed> {
    let mut found = Vec::new();
    for line in text.lines().skip(2) {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(kind), Some(data)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if matches!(kind, "3" | "4") {
            let value = number(data).ok_or_else(|| Malformed::at(line))?;
            found.push((name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"), value));
        }
    }
    Ok(found)
}

/// The numbers of a file whose second line names what its third line counts.
fn columns(text: &str) -> Result<Vec<(&str, f64)>, Malformed> {
    let mut lines = text.lines().skip(1);
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return Ok(Vec::new());
    };
    let names = names
        .split_ascii_whitespace()
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    names
        .zip(values.split_ascii_whitespace())
        .map(|(name, value)| Ok((name, number(value).ok_or_else(|| Malformed::at(values))?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_and_texts_left() {
        let text = "6 1 0x01\nname type data\nhits 4 12\nerpt-dropped 3 2\ndataset_name 7 a/b\n\n";
        let expected = vec![("hits".to_owned(), 12.0), ("erpt_dropped".to_owned(), 2.0)];
        assert_eq!(pairs(text), Ok(expected));
        assert_eq!(pairs("a\nb\nhits 4 x"), Err(Malformed::at("hits 4 x")));
        assert_eq!(pairs(""), Ok(vec![]));
    }

    #[test]
    fn columns_have_their_names_above() {
        assert_eq!(columns("12 3\nnread reads\n18 2\n"), Ok(vec![("nread", 18.0), ("reads", 2.0)]));
        assert_eq!(columns("12 3\nnread\n"), Ok(vec![]));
    }
}
