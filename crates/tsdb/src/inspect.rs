//! A look at a store without opening it: every page of every block and every record of the log is read and checked, and counted.
//!
//! Nothing is written and nothing locked, so it works beside a process that has the store open: what that replaces meanwhile is
//! looked at again. [`inspect_block`] and [`inspect_segment`] check one file each, and take any bytes without a panic.

mod cardinality;

use std::collections::BTreeMap;
use std::path::Path;

use muster_environment::Disk;
use muster_series::{Labels, TimeRange};

use crate::block::{Block, BlockMeta, PageCache, Recent, partition_start};
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::wal::{ReplaySink, replay_segment, segment_name, segment_number};
use crate::{SeriesSample, TsdbError};

pub use cardinality::Cardinality;
use cardinality::Census;

/// Room for decoded pages while a block is read from its first series to its last.
const CACHE_BYTES: usize = 16 << 20;
/// How often a store that changes while it is looked at is looked at again.
const MOST_ROUNDS: usize = 50;
/// Over how many of the last whole days growth is told.
const GROWTH_DAYS: usize = 7;
const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// One block, all of it read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInspection {
    /// Its oldest and newest sample.
    pub range: TimeRange,
    /// Series.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Length of the file.
    pub bytes: u64,
}

/// One segment of the log, all of it read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentInspection {
    /// Records that check.
    pub records: u64,
    /// Series that are named.
    pub series: u64,
    /// Samples in them.
    pub samples: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Bytes at the end that a crash, or a write that goes on right now, left half written; they were never acknowledged.
    pub torn_bytes: u64,
    /// What does not check, in words; empty if all is well.
    pub damage: Vec<String>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, by its name within the folder of the store.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a store holds, and what of it is damaged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The blocks that the manifest names and that check, by file name.
    pub blocks: BTreeMap<String, BlockInspection>,
    /// The log's segments that are still needed, by file name.
    pub segments: BTreeMap<String, SegmentInspection>,
    /// Blocks that the manifest does not name: the next start serves them or sets them aside.
    pub unnamed_blocks: Vec<String>,
    /// Files that were set aside earlier, and their lengths.
    pub quarantine: Vec<(String, u64)>,
    /// Deletions that some block still holds samples of.
    pub tombstones: usize,
    /// What is damaged or missing now; empty if all is well.
    pub damage: Vec<Damage>,
    /// Which series and labels there are, in blocks and log.
    pub cardinality: Cardinality,
}

impl Inspection {
    /// Samples in blocks and log; one that is in both is counted twice.
    pub fn samples(&self) -> u64 {
        let in_blocks: u64 = self.blocks.values().map(|block| block.samples).sum();
        in_blocks + self.segments.values().map(|segment| segment.samples).sum::<u64>()
    }

    /// Bytes of all blocks.
    pub fn block_bytes(&self) -> u64 {
        self.blocks.values().map(|block| block.bytes).sum()
    }

    /// Bytes of the log.
    pub fn log_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// The oldest and newest sample in blocks; none if there is no block.
    pub fn range(&self) -> Option<TimeRange> {
        let start_ms = self.blocks.values().map(|block| block.range.start_ms).min()?;
        let end_ms = self.blocks.values().map(|block| block.range.end_ms).max()?;
        Some(TimeRange::new(start_ms, end_ms))
    }

    /// Bytes of blocks for a day, as of the last seven whole days, or of what there is of the first day if that is an hour or more.
    pub fn bytes_a_day(&self) -> Option<u64> {
        let mut days: BTreeMap<i64, u64> = BTreeMap::new();
        for block in self.blocks.values() {
            *days.entry(partition_start(block.range.start_ms)).or_default() += block.bytes;
        }
        let whole: Vec<u64> = days.values().rev().skip(1).take(GROWTH_DAYS).copied().collect();
        if !whole.is_empty() {
            return Some(whole.iter().sum::<u64>() / whole.len() as u64);
        }
        let range = self.range()?;
        let span_ms = range.end_ms.saturating_sub(range.start_ms);
        let bytes = u128::from(self.block_bytes()) * DAY_MS as u128;
        (span_ms >= HOUR_MS).then(|| (bytes / span_ms as u128) as u64)
    }
}

/// Looks at the store in a folder. An error is one of the system or of a version that is not known; damage is told in the result.
pub fn inspect(disk: &dyn Disk, dir: &Path) -> Result<Inspection, TsdbError> {
    let mut look = Look { disk, dir, blocks: BTreeMap::new(), census: Census::default() };
    let mut rounds = 0;
    loop {
        rounds += 1;
        let before = look.manifest()?;
        let looked = look.round(&before);
        if look.manifest()? != before && rounds < MOST_ROUNDS {
            continue;
        }
        let mut inspection = looked?;
        inspection.cardinality = look.census.sum_up();
        return Ok(inspection);
    }
}

/// Opens a block and reads all of it: [`TsdbError::Corrupt`] says what is wrong and where.
pub fn inspect_block(disk: &dyn Disk, path: &Path) -> Result<BlockInspection, TsdbError> {
    read_block(disk, path, &mut |_| {})
}

fn read_block(
    disk: &dyn Disk,
    path: &Path,
    visit: &mut dyn FnMut(&Labels),
) -> Result<BlockInspection, TsdbError> {
    let corrupt = |reason| TsdbError::Corrupt { path: path.into(), offset: 0, reason };
    let block = Block::open(disk, path, 0)?;
    block.verify(&mut || Ok(()))?;
    let cache = PageCache::new(CACHE_BYTES);
    let number_of_series = u32::try_from(block.meta.series)
        .map_err(|_| corrupt("it says that it has more series than can be"))?;
    let (mut samples, mut recent) = (0, Recent::default());
    for number in 0..number_of_series {
        let series = block.series(number, &cache)?;
        visit(&block.labels(&series)?);
        let read = block.columns(&series, TimeRange::ALL, &cache, &mut recent)?;
        if read.damaged_chunks > 0 {
            return Err(corrupt("a chunk does not decode"));
        }
        samples += read.times.len() as u64;
    }
    if samples != block.meta.samples {
        return Err(corrupt("it does not hold as many samples as it says"));
    }
    let BlockMeta { range, series, bytes, .. } = block.meta;
    Ok(BlockInspection { range, series, samples, bytes })
}

/// Reads a segment of the log from start to end. Damage is told in the result, but for [`TsdbError::Corrupt`] where the disk cannot
/// read it; any other error is one of the system or of a version that is not known.
pub fn inspect_segment(disk: &dyn Disk, path: &Path) -> Result<SegmentInspection, TsdbError> {
    read_segment(disk, path, &mut |_| {})
}

fn read_segment(
    disk: &dyn Disk,
    path: &Path,
    visit: &mut dyn FnMut(&Labels),
) -> Result<SegmentInspection, TsdbError> {
    let failed = |error| TsdbError::reading(path, 0, error);
    let bytes = disk.open(path).and_then(|file| file.len()).map_err(failed)?;
    let mut reading =
        Reading { found: SegmentInspection { bytes, ..SegmentInspection::default() }, visit };
    let replayed = replay_segment(disk, path, &mut reading)?;
    let mut found = reading.found;
    found.records = replayed.records;
    found.torn_bytes = replayed.cut.map_or(0, |cut| cut.torn);
    Ok(found)
}

/// Counts what a segment holds.
struct Reading<'a> {
    found: SegmentInspection,
    visit: &'a mut dyn FnMut(&Labels),
}

impl ReplaySink for Reading<'_> {
    fn series(&mut self, series: &[(u32, Labels)]) {
        self.found.series += series.len() as u64;
        for (_, labels) in series {
            (self.visit)(labels);
        }
    }

    fn samples(&mut self, samples: &[SeriesSample]) {
        self.found.samples += samples.len() as u64;
    }

    fn damaged(&mut self, offset: u64, bytes: &[u8], reason: &'static str) -> bool {
        let damage = format!("{reason}, at byte {offset}, {} bytes", bytes.len());
        self.found.damage.push(damage);
        false
    }
}

/// What a look has found so far; blocks never change, so each is read once.
struct Look<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    blocks: BTreeMap<String, Result<BlockInspection, String>>,
    census: Census,
}

impl Look<'_> {
    /// The manifest; in words, why it cannot be read.
    fn manifest(&self) -> Result<Result<Manifest, String>, TsdbError> {
        match Manifest::load(self.disk, self.dir) {
            Ok(Some(manifest)) => Ok(Ok(manifest)),
            Ok(None) => Ok(Err("the file is missing".into())),
            Err(error @ TsdbError::Corrupt { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    fn round(&mut self, manifest: &Result<Manifest, String>) -> Result<Inspection, TsdbError> {
        let mut found = Inspection::default();
        let mut first_segment = None;
        match manifest {
            Ok(manifest) => {
                found.tombstones = manifest.tombstones.len();
                first_segment = Some(manifest.first_segment);
                let named: Vec<String> = manifest.blocks.iter().map(BlockMeta::file_name).collect();
                self.look_at_blocks(&named, &mut found)?;
                found.unnamed_blocks = self.blocks_on_disk()?;
                found.unnamed_blocks.retain(|name| !named.contains(name));
            }
            Err(reason) => {
                let file = MANIFEST_NAME.to_owned();
                found.damage.push(Damage { file, reason: reason.clone() });
                let there = self.blocks_on_disk()?;
                self.look_at_blocks(&there, &mut found)?;
            }
        }
        self.look_at_log(first_segment, &mut found)?;
        let quarantine = self.list("quarantine")?;
        found.quarantine = quarantine.into_iter().map(|file| (file.name, file.len)).collect();
        Ok(found)
    }

    fn list(&self, folder: &str) -> Result<Vec<muster_environment::DirEntry>, TsdbError> {
        let path = self.dir.join(folder);
        match self.disk.list(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            result => result.map_err(|error| TsdbError::io("list", &path, error)),
        }
    }

    fn blocks_on_disk(&self) -> Result<Vec<String>, TsdbError> {
        let is_block =
            |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "blk");
        let names = self.list("blocks")?.into_iter().map(|file| file.name);
        Ok(names.filter(|name| is_block(name)).collect())
    }

    fn look_at_blocks(
        &mut self,
        names: &[String],
        found: &mut Inspection,
    ) -> Result<(), TsdbError> {
        for name in names {
            if !self.blocks.contains_key(name) {
                let path = self.dir.join("blocks").join(name);
                let census = &mut self.census;
                let read = match read_block(self.disk, &path, &mut |labels| census.count(labels)) {
                    Ok(block) => Ok(block),
                    Err(error) if error.is_missing_file() => Err("the file is missing".into()),
                    Err(error @ (TsdbError::Corrupt { .. } | TsdbError::TooLarge { .. })) => {
                        Err(error.to_string())
                    }
                    Err(error) => return Err(error),
                };
                self.blocks.insert(name.clone(), read);
            }
            match &self.blocks[name] {
                Ok(block) => {
                    found.blocks.insert(name.clone(), block.clone());
                }
                Err(reason) => {
                    let (file, reason) = (format!("blocks/{name}"), reason.clone());
                    found.damage.push(Damage { file, reason });
                }
            }
        }
        Ok(())
    }

    /// Reads the segments from `first` on; where that is not known, all.
    fn look_at_log(&mut self, first: Option<u64>, found: &mut Inspection) -> Result<(), TsdbError> {
        let files = self.list("wal")?;
        let numbered = files.iter().filter_map(|file| Some((segment_number(&file.name)?, file)));
        let needed: Vec<_> =
            numbered.filter(|(number, _)| first.is_none_or(|first| *number >= first)).collect();
        let mut expected = first;
        for (number, file) in needed {
            for missing in expected.unwrap_or(number)..number {
                let file = format!("wal/{}", segment_name(missing));
                found.damage.push(Damage { file, reason: "the file is missing".into() });
            }
            expected = Some(number + 1);
            let path = self.dir.join("wal").join(&file.name);
            let census = &mut self.census;
            let segment = match read_segment(self.disk, &path, &mut |labels| census.count(labels)) {
                Ok(segment) => segment,
                // Its samples are in a block since; the manifest says so by now.
                Err(error) if error.is_missing_file() => continue,
                Err(error @ TsdbError::Corrupt { .. }) => {
                    let (file, reason) = (format!("wal/{}", file.name), error.to_string());
                    found.damage.push(Damage { file, reason });
                    continue;
                }
                Err(error) => return Err(error),
            };
            let damage = segment.damage.iter().map(|reason| Damage {
                file: format!("wal/{}", file.name),
                reason: reason.clone(),
            });
            found.damage.extend(damage);
            found.segments.insert(file.name.clone(), segment);
        }
        Ok(())
    }
}
