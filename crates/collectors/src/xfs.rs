//! `/sys/fs/xfs/*/stats/stats`: what each XFS file system did.

use std::path::PathBuf;

use crate::error::{CollectError, Malformed};
use crate::file::{names_in, number, read};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

/// The first word of a line of `stats`, the place of a count in it, and its metric.
static COUNTS: [(&str, usize, Metric); 39] = [
    (
        "extent_alloc",
        0,
        Metric::counter(
            "node_xfs_extent_allocation_extents_allocated_total",
            Unit::None,
            "Number of extents allocated for a filesystem.",
            &["device"],
        ),
    ),
    (
        "extent_alloc",
        1,
        Metric::counter(
            "node_xfs_extent_allocation_blocks_allocated_total",
            Unit::None,
            "Number of blocks allocated for a filesystem.",
            &["device"],
        ),
    ),
    (
        "extent_alloc",
        2,
        Metric::counter(
            "node_xfs_extent_allocation_extents_freed_total",
            Unit::None,
            "Number of extents freed for a filesystem.",
            &["device"],
        ),
    ),
    (
        "extent_alloc",
        3,
        Metric::counter(
            "node_xfs_extent_allocation_blocks_freed_total",
            Unit::None,
            "Number of blocks freed for a filesystem.",
            &["device"],
        ),
    ),
    (
        "abt",
        0,
        Metric::counter(
            "node_xfs_allocation_btree_lookups_total",
            Unit::None,
            "Number of allocation B-tree lookups for a filesystem.",
            &["device"],
        ),
    ),
    (
        "abt",
        1,
        Metric::counter(
            "node_xfs_allocation_btree_compares_total",
            Unit::None,
            "Number of allocation B-tree compares for a filesystem.",
            &["device"],
        ),
    ),
    (
        "abt",
        2,
        Metric::counter(
            "node_xfs_allocation_btree_records_inserted_total",
            Unit::None,
            "Number of allocation B-tree records inserted for a filesystem.",
            &["device"],
        ),
    ),
    (
        "abt",
        3,
        Metric::counter(
            "node_xfs_allocation_btree_records_deleted_total",
            Unit::None,
            "Number of allocation B-tree records deleted for a filesystem.",
            &["device"],
        ),
    ),
    (
        "blk_map",
        0,
        Metric::counter(
            "node_xfs_block_mapping_reads_total",
            Unit::None,
            "Number of block map for read operations for a filesystem.",
            &["device"],
        ),
    ),
    (
        "blk_map",
        1,
        Metric::counter(
            "node_xfs_block_mapping_writes_total",
            Unit::None,
            "Number of block map for write operations for a filesystem.",
            &["device"],
        ),
    ),
    (
        "blk_map",
        2,
        Metric::counter(
            "node_xfs_block_mapping_unmaps_total",
            Unit::None,
            "Number of block unmaps (deletes) for a filesystem.",
            &["device"],
        ),
    ),
    (
        "blk_map",
        3,
        Metric::counter(
            "node_xfs_block_mapping_extent_list_insertions_total",
            Unit::None,
            "Number of extent list insertions for a filesystem.",
            &["device"],
        ),
    ),
    (
        "blk_map",
        4,
        Metric::counter(
            "node_xfs_block_mapping_extent_list_deletions_total",
            Unit::None,
            "Number of extent list deletions for a filesystem.",
            &["device"],
        ),
    ),
    (
        "blk_map",
        5,
        Metric::counter(
            "node_xfs_block_mapping_extent_list_lookups_total",
            Unit::None,
            "Number of extent list lookups for a filesystem.",
            &["device"],
        ),
    ),
    (
        "blk_map",
        6,
        Metric::counter(
            "node_xfs_block_mapping_extent_list_compares_total",
            Unit::None,
            "Number of extent list compares for a filesystem.",
            &["device"],
        ),
    ),
    (
        "bmbt",
        0,
        Metric::counter(
            "node_xfs_block_map_btree_lookups_total",
            Unit::None,
            "Number of block map B-tree lookups for a filesystem.",
            &["device"],
        ),
    ),
    (
        "bmbt",
        1,
        Metric::counter(
            "node_xfs_block_map_btree_compares_total",
            Unit::None,
            "Number of block map B-tree compares for a filesystem.",
            &["device"],
        ),
    ),
    (
        "bmbt",
        2,
        Metric::counter(
            "node_xfs_block_map_btree_records_inserted_total",
            Unit::None,
            "Number of block map B-tree records inserted for a filesystem.",
            &["device"],
        ),
    ),
    (
        "bmbt",
        3,
        Metric::counter(
            "node_xfs_block_map_btree_records_deleted_total",
            Unit::None,
            "Number of block map B-tree records deleted for a filesystem.",
            &["device"],
        ),
    ),
    (
        "dir",
        0,
        Metric::counter(
            "node_xfs_directory_operation_lookup_total",
            Unit::None,
            "Number of file name directory lookups which miss the operating systems directory name lookup cache.",
            &["device"],
        ),
    ),
    (
        "dir",
        1,
        Metric::counter(
            "node_xfs_directory_operation_create_total",
            Unit::None,
            "Number of times a new directory entry was created for a filesystem.",
            &["device"],
        ),
    ),
    (
        "dir",
        2,
        Metric::counter(
            "node_xfs_directory_operation_remove_total",
            Unit::None,
            "Number of times an existing directory entry was created for a filesystem.",
            &["device"],
        ),
    ),
    (
        "dir",
        3,
        Metric::counter(
            "node_xfs_directory_operation_getdents_total",
            Unit::None,
            "Number of times the directory getdents operation was performed for a filesystem.",
            &["device"],
        ),
    ),
    (
        "ig",
        0,
        Metric::counter(
            "node_xfs_inode_operation_attempts_total",
            Unit::None,
            "Number of times the OS looked for an XFS inode in the inode cache.",
            &["device"],
        ),
    ),
    (
        "ig",
        1,
        Metric::counter(
            "node_xfs_inode_operation_found_total",
            Unit::None,
            "Number of times the OS looked for and found an XFS inode in the inode cache.",
            &["device"],
        ),
    ),
    (
        "ig",
        2,
        Metric::counter(
            "node_xfs_inode_operation_recycled_total",
            Unit::None,
            "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled.",
            &["device"],
        ),
    ),
    (
        "ig",
        3,
        Metric::counter(
            "node_xfs_inode_operation_missed_total",
            Unit::None,
            "Number of times the OS looked for an XFS inode in the cache, but did not find it.",
            &["device"],
        ),
    ),
    (
        "ig",
        4,
        Metric::counter(
            "node_xfs_inode_operation_duplicates_total",
            Unit::None,
            "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by another process.",
            &["device"],
        ),
    ),
    (
        "ig",
        5,
        Metric::counter(
            "node_xfs_inode_operation_reclaims_total",
            Unit::None,
            "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose.",
            &["device"],
        ),
    ),
    (
        "ig",
        6,
        Metric::counter(
            "node_xfs_inode_operation_attribute_changes_total",
            Unit::None,
            "Number of times the OS explicitly changed the attributes of an XFS inode.",
            &["device"],
        ),
    ),
    (
        "rw",
        0,
        Metric::counter(
            "node_xfs_write_calls_total",
            Unit::None,
            "Number of write(2) system calls made to files in a filesystem.",
            &["device"],
        ),
    ),
    (
        "rw",
        1,
        Metric::counter(
            "node_xfs_read_calls_total",
            Unit::None,
            "Number of read(2) system calls made to files in a filesystem.",
            &["device"],
        ),
    ),
    (
        "vnodes",
        0,
        Metric::counter(
            "node_xfs_vnode_active_total",
            Unit::None,
            "Number of vnodes not on free lists for a filesystem.",
            &["device"],
        ),
    ),
    (
        "vnodes",
        1,
        Metric::counter(
            "node_xfs_vnode_allocate_total",
            Unit::None,
            "Number of times vn_alloc called for a filesystem.",
            &["device"],
        ),
    ),
    (
        "vnodes",
        2,
        Metric::counter(
            "node_xfs_vnode_get_total",
            Unit::None,
            "Number of times vn_get called for a filesystem.",
            &["device"],
        ),
    ),
    (
        "vnodes",
        3,
        Metric::counter(
            "node_xfs_vnode_hold_total",
            Unit::None,
            "Number of times vn_hold called for a filesystem.",
            &["device"],
        ),
    ),
    (
        "vnodes",
        4,
        Metric::counter(
            "node_xfs_vnode_release_total",
            Unit::None,
            "Number of times vn_rele called for a filesystem.",
            &["device"],
        ),
    ),
    (
        "vnodes",
        5,
        Metric::counter(
            "node_xfs_vnode_reclaim_total",
            Unit::None,
            "Number of times vn_reclaim called for a filesystem.",
            &["device"],
        ),
    ),
    (
        "vnodes",
        6,
        Metric::counter(
            "node_xfs_vnode_remove_total",
            Unit::None,
            "Number of times vn_remove called for a filesystem.",
            &["device"],
        ),
    ),
];

/// Collects `/sys/fs/xfs`.
#[derive(Debug)]
pub(crate) struct Xfs {
    folder: PathBuf,
}

impl Xfs {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("fs/xfs") }
    }
}

impl Collector for Xfs {
    fn name(&self) -> &'static str {
        "xfs"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        COUNTS.iter().map(|(_, _, metric)| metric).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        // Beside the devices lies the folder `stats`, with the sum of all.
        for device in names_in(&self.folder).iter().filter(|name| *name != "stats") {
            read(&self.folder.join(device).join("stats/stats"), |text| {
                for (group, place, metric) in &COUNTS {
                    if let Some(count) = count(text, group, *place)? {
                        sink.push(metric, &[device], count);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// The count at a place of the line that begins with `group`; none where the kernel has no such count.
fn count(text: &str, group: &str, place: usize) -> Result<Option<f64>, Malformed> {
    let mut lines = text.lines().map(|line| (line, line.split_ascii_whitespace()));
    let found =
        lines.find_map(|(line, mut words)| (words.next() == Some(group)).then_some((line, words)));
    let Some((line, mut words)) = found else {
        return Ok(None);
    };
    let word = words.nth(place);
    word.map(|word| number(word).ok_or_else(|| Malformed::at(line))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_line_and_place() {
        let text = "abt 1 2 3 4\nrw 5 6\nxpc x\n";
        assert_eq!(count(text, "abt", 3), Ok(Some(4.0)));
        assert_eq!(count(text, "rw", 2), Ok(None));
        assert_eq!(count(text, "dir", 0), Ok(None));
        assert_eq!(count(text, "xpc", 0), Err(Malformed::at("xpc x")));
    }
}
