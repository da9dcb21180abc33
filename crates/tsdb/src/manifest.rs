//! The manifest: which blocks are valid, and from which log segment on samples are in none of them.
//!
//! It is replaced as one step, so that a block becomes valid and its part of the log void at the same time.
//! Layout: docs/format/block.md, "Manifest".

use std::path::Path;

use muster_environment::{Disk, read_all, replace_file};

use crate::TsdbError;
use crate::block::BlockMeta;
use crate::codec::varint::{self, Malformed, Reader};
use crate::tombstone::Tombstone;

/// First bytes of the manifest (docs/format/block.md, "Manifest").
const MAGIC: [u8; 8] = *b"MUSTRMAN";
const VERSION: u32 = 2;
pub(crate) const MANIFEST_NAME: &str = "MANIFEST";

/// What is valid in a data folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The number that the next head to become a block gets.
    pub(crate) next_head: u64,
    /// Log segments below this number hold nothing that is not in a block.
    pub(crate) first_segment: u64,
    /// The number that the next block or tombstone gets.
    pub(crate) next_sequence: u64,
    pub(crate) blocks: Vec<BlockMeta>,
    /// Deletions that some block still holds samples of.
    pub(crate) tombstones: Vec<Tombstone>,
    /// File names of the blocks that the last change took out and whose files it removes: one that is still there
    /// after a crash is of no use. Other blocks without an entry here were put there by somebody.
    pub(crate) removed: Vec<String>,
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        varint::put(&mut bytes, self.next_head);
        varint::put(&mut bytes, self.first_segment);
        varint::put(&mut bytes, self.next_sequence);
        varint::put(&mut bytes, self.blocks.len() as u64);
        self.blocks.iter().for_each(|block| block.put(&mut bytes));
        varint::put(&mut bytes, self.tombstones.len() as u64);
        self.tombstones.iter().for_each(|tombstone| tombstone.put(&mut bytes));
        varint::put(&mut bytes, self.removed.len() as u64);
        self.removed.iter().for_each(|name| varint::put_bytes(&mut bytes, name.as_bytes()));
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The manifest in `dir`; `None` if there is none.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, TsdbError> {
        let path = dir.join(MANIFEST_NAME);
        let failed = |error| TsdbError::io("read", &path, error);
        if !disk.exists(&path).map_err(failed)? {
            return Ok(None);
        }
        let bytes = read_all(disk, &path).map_err(failed)?;
        match decode(&bytes) {
            Ok((VERSION, manifest)) => Ok(Some(manifest)),
            Ok((found, _)) => Err(TsdbError::Version { path, found, known: VERSION }),
            Err(Malformed) => {
                Err(TsdbError::Corrupt { path, offset: 0, reason: "the manifest does not check" })
            }
        }
    }

    /// Makes this the manifest in `dir`. After an error either this or the one before is there.
    pub(crate) fn store(&self, disk: &dyn Disk, dir: &Path) -> Result<(), TsdbError> {
        replace_file(disk, dir, MANIFEST_NAME, &self.encode())
            .map_err(|error| TsdbError::io("write", &dir.join(MANIFEST_NAME), error))
    }
}

fn decode(bytes: &[u8]) -> Result<(u32, Manifest), Malformed> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(Malformed)?;
    let mut reader = Reader::new(body);
    if reader.array()? != MAGIC || crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(Malformed);
    }
    let version = u32::from_le_bytes(reader.array()?);
    if version != VERSION {
        return Ok((version, Manifest::default()));
    }
    let mut manifest = Manifest {
        next_head: reader.varint()?,
        first_segment: reader.varint()?,
        next_sequence: reader.varint()?,
        ..Manifest::default()
    };
    for _ in 0..reader.count()? {
        manifest.blocks.push(BlockMeta::read(&mut reader)?);
    }
    for _ in 0..reader.count()? {
        manifest.tombstones.push(Tombstone::read(&mut reader)?);
    }
    for _ in 0..reader.count()? {
        manifest.removed.push(reader.text()?.to_owned());
    }
    if reader.is_empty() { Ok((version, manifest)) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_environment::MemoryDisk;
    use muster_series::{Matcher, TimeRange};

    fn manifest() -> Manifest {
        let block = BlockMeta {
            partition: -86_400_000,
            first_head: 1,
            last_head: 4,
            sequence: 6,
            range: TimeRange::new(-5, -1),
            series: 3,
            samples: 12,
            bytes: 1000,
            settled: true,
        };
        Manifest {
            next_head: 5,
            first_segment: 9,
            next_sequence: 8,
            blocks: vec![block],
            tombstones: vec![Tombstone {
                sequence: 7,
                created_ms: 5,
                range: TimeRange::ALL,
                matchers: vec![Matcher::equal("host", "web-1")],
            }],
            removed: vec!["0_1-1_2.blk".to_owned()],
        }
    }

    #[test]
    fn what_is_stored_is_loaded_and_damage_is_told() {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/data"));
        disk.create_dir_all(dir).unwrap();
        assert_eq!(Manifest::load(&disk, dir).unwrap(), None);
        let manifest = manifest();
        manifest.store(&disk, dir).unwrap();
        assert_eq!(Manifest::load(&disk, dir).unwrap(), Some(manifest.clone()));
        for at in 0..manifest.encode().len() {
            manifest.store(&disk, dir).unwrap();
            disk.corrupt(&dir.join(MANIFEST_NAME), |bytes| bytes[at] ^= 1).unwrap();
            assert!(matches!(Manifest::load(&disk, dir), Err(TsdbError::Corrupt { .. })));
        }
    }

    #[test]
    fn the_golden_manifest_is_what_is_written() {
        let golden = include_bytes!("../tests/golden/manifest-v2");
        assert_eq!(manifest().encode(), golden);
    }

    #[test]
    fn a_manifest_of_another_version_is_refused() {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/data"));
        disk.create_dir_all(dir).unwrap();
        manifest().store(&disk, dir).unwrap();
        disk.corrupt(&dir.join(MANIFEST_NAME), |bytes| {
            bytes[8] = 1;
            let body = bytes.len() - 4;
            let crc = crc32fast::hash(&bytes[..body]);
            bytes[body..].copy_from_slice(&crc.to_le_bytes());
        })
        .unwrap();
        let error = Manifest::load(&disk, dir).unwrap_err();
        assert!(matches!(error, TsdbError::Version { found: 1, known: 2, .. }));
    }
}
