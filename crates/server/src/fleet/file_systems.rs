//! All file systems of the fleet at a moment.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use muster_api::{Disk, FileSystem, FileSystemList, Growth, Host, NextFull};
use muster_series::Labels;

use super::growth::{GrowthTable, UNKNOWN};
use crate::ask::{file_system_metric, vector};
use crate::store::MetricStore;

/// Types of file systems that another machine holds.
const NETWORK_TYPES: [&str; 14] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
];

/// Reads them, with what is known of their growth; `missing` is left empty.
pub(super) fn read(store: &dyn MetricStore, growths: &GrowthTable, at_ms: i64) -> FileSystemList {
    let told = |what: &str| -> HashMap<Labels, f64> {
        vector(store, &file_system_metric(what), at_ms)
            .into_iter()
            .map(|(labels, value)| (labels.without_metric_name(), value))
            .collect()
    };
    let (sizes, free, available) = (told("size_bytes"), told("free_bytes"), told("avail_bytes"));
    let (files, files_free) = (told("files"), told("files_free"));
    let (read_only, failed) = (told("readonly"), told("device_error"));
    let all: HashSet<&Labels> = sizes.keys().chain(failed.keys()).collect();
    let mut file_systems: Vec<FileSystem> = all
        .into_iter()
        .filter_map(|labels| {
            let text = |name: &str| labels.get(name).unwrap_or_default().to_owned();
            let fstype = text("fstype");
            let failed = failed.get(labels).is_some_and(|&value| value != 0.0);
            // What it was before it failed is no longer so.
            let figure = |of: &HashMap<Labels, f64>| of.get(labels).copied().filter(|_| !failed);
            let size = figure(&sizes);
            let inodes = figure(&files).filter(|&inodes| inodes > 0.0);
            Some(FileSystem {
                instance: labels.get("instance")?.to_owned(),
                mountpoint: labels.get("mountpoint")?.to_owned(),
                device: text("device"),
                network: NETWORK_TYPES.contains(&fstype.as_str()),
                fstype,
                read_only: read_only.get(labels).is_some_and(|&value| value != 0.0),
                failed,
                size_bytes: size,
                available_bytes: figure(&available),
                used_percent: size
                    .zip(figure(&free))
                    .zip(figure(&available))
                    .and_then(|((size, free), available)| used_percent(size, free, available)),
                inodes,
                inodes_used_percent: inodes
                    .zip(figure(&files_free))
                    .map(|(inodes, free)| (100.0 * (inodes - free) / inodes).clamp(0.0, 100.0)),
                growth: growths.get(labels).copied().unwrap_or(UNKNOWN),
            })
        })
        .collect();
    file_systems.sort_by(|one, other| {
        (&one.instance, &one.mountpoint).cmp(&(&other.instance, &other.mountpoint))
    });
    FileSystemList { now_ms: at_ms, file_systems, missing: Vec::new() }
}

/// Used as `df` counts it: blocks kept for root are neither used nor available.
fn used_percent(size: f64, free: f64, available: f64) -> Option<f64> {
    let used = size - free;
    let usable = used + available;
    (size > 0.0 && usable > 0.0).then(|| (100.0 * used / usable).clamp(0.0, 100.0))
}

/// Tells each host its fullest file system, and the one that is full first.
pub(super) fn tell(list: &FileSystemList, hosts: &mut BTreeMap<Arc<str>, Host>) {
    for system in &list.file_systems {
        let Some(host) = hosts.get_mut(system.instance.as_str()) else { continue };
        if let Some(disk) = as_disk(system)
            && host.worst_disk.as_ref().is_none_or(|worst| worst.used_percent < disk.used_percent)
        {
            host.worst_disk = Some(disk);
        }
        let Growth { bytes_per_day: Some(bytes_per_day), full_ms: Some(full_ms), .. } =
            system.growth
        else {
            continue;
        };
        // Nothing can fill what cannot be written.
        let counts = !system.read_only && !system.failed;
        if counts && host.next_full.as_ref().is_none_or(|next| full_ms < next.full_ms) {
            let mountpoint = system.mountpoint.clone();
            host.next_full = Some(NextFull { mountpoint, full_ms, bytes_per_day });
        }
    }
}

fn as_disk(system: &FileSystem) -> Option<Disk> {
    Some(Disk {
        mountpoint: system.mountpoint.clone(),
        used_percent: system.used_percent?,
        size_bytes: system.size_bytes?,
        available_bytes: system.available_bytes?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_counted_as_df_does() {
        let used = used_percent(100.0, 20.0, 15.0).unwrap();
        assert!((used - 84.210_526).abs() < 1e-6, "{used}");
        assert_eq!(used_percent(0.0, 0.0, 0.0), None);
    }

    #[test]
    fn every_metric_is_a_valid_expression() {
        for what in ["size_bytes", "files", "device_error"] {
            let text = file_system_metric(what);
            assert!(muster_promql::parse(&text).is_ok(), "{text}");
        }
    }
}
