//! Writes the log: one write and one sync for all batches that wait.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{Disk, WriteFile};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use super::record::{self, ResolvedGroup};
use super::{SEGMENT_HEADER_LEN, segment_name};
use crate::TsdbError;
use crate::index::registry::Registry;

/// A record is ended when it holds this many samples.
const RECORD_SAMPLES: usize = 50_000;

struct Segment {
    path: PathBuf,
    file: Box<dyn WriteFile>,
    /// Bytes that are synced; beyond them nothing is known after an error.
    synced_len: u64,
    /// Series that this segment names already.
    named: RoaringBitmap,
}

/// The end of the log.
pub(crate) struct WalWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    next_number: u64,
    segment_bytes: u64,
    segment: Option<Segment>,
    buffer: Vec<u8>,
}

impl WalWriter {
    /// A writer whose first segment, made when it is needed, has this number.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        next_number: u64,
        segment_bytes: u64,
    ) -> Self {
        let dir = dir.into();
        Self { disk, dir, next_number, segment_bytes, segment: None, buffer: Vec::new() }
    }

    /// Ends the segment; returns the number of the next one. All later commits go there or further.
    pub(crate) fn rotate(&mut self) -> u64 {
        self.segment = None;
        self.next_number
    }

    /// Returns, with the bytes written, when all groups survive a loss of power. A segment that failed is
    /// never written again: the groups go to a new one, once; where that fails too, nothing is known about them.
    pub(crate) fn commit(
        &mut self,
        groups: &[ResolvedGroup],
        registry: &RwLock<Registry>,
    ) -> Result<u64, TsdbError> {
        match self.try_commit(groups, registry) {
            Err(error @ TsdbError::Io { .. }) => {
                tracing::warn!(%error, "a log segment failed, its last samples go to a new one");
                self.try_commit(groups, registry)
            }
            other => other,
        }
    }

    fn try_commit(
        &mut self,
        groups: &[ResolvedGroup],
        registry: &RwLock<Registry>,
    ) -> Result<u64, TsdbError> {
        let mut segment = match self.segment.take() {
            Some(segment) if segment.synced_len < self.segment_bytes => segment,
            _ => self.start_segment()?,
        };
        self.buffer.clear();
        let new = new_series(groups, &segment.named);
        if let Err(error) = put_all(&mut self.buffer, groups, &new, &registry.read()) {
            // Nothing was written, so the segment is as good as before.
            self.segment = Some(segment);
            return Err(error);
        }
        segment.named |= new;
        let written = segment.file.write_all(&self.buffer);
        let synced = written.and_then(|()| segment.file.sync_data());
        if let Err(error) = synced {
            let path = segment.path.clone();
            drop(segment.file);
            let error = TsdbError::io("write", &path, error);
            if matches!(error, TsdbError::DiskFull { .. }) {
                // Gives back the room that the half record takes; it was not acknowledged.
                let _ = self.disk.truncate(&path, segment.synced_len);
            }
            return Err(error);
        }
        let bytes = self.buffer.len() as u64;
        segment.synced_len += bytes;
        self.segment = Some(segment);
        Ok(bytes)
    }

    /// Numbers have no gaps, so that a segment that is lost shows at the next start.
    fn start_segment(&mut self) -> Result<Segment, TsdbError> {
        let path = self.dir.join(segment_name(self.next_number));
        let made = self.disk.create(&path).and_then(|mut file| {
            file.write_all(&record::segment_header())?;
            self.disk.sync_dir(&self.dir)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                self.next_number += 1;
                let named = RoaringBitmap::new();
                Ok(Segment { path, file, synced_len: SEGMENT_HEADER_LEN, named })
            }
            Err(error) => {
                // An empty segment says nothing; while the disk is full they would pile up. One that stays is made
                // anew under its number: nothing in it was acknowledged.
                let _ = self.disk.remove(&path);
                Err(TsdbError::io("create", &path, error))
            }
        }
    }
}

/// The series that the segment does not name yet.
fn new_series(groups: &[ResolvedGroup], named: &RoaringBitmap) -> RoaringBitmap {
    groups
        .iter()
        .flat_map(|group| &group.samples)
        .filter_map(|&(id, _)| (!named.contains(id)).then_some(id))
        .collect()
}

fn put_all(
    out: &mut Vec<u8>,
    groups: &[ResolvedGroup],
    new: &RoaringBitmap,
    registry: &Registry,
) -> Result<(), TsdbError> {
    let series = new.iter().map(|id| (id, registry.label_pairs(id)));
    record::put_series(out, series)?;
    put_groups(out, groups)
}

/// Groups in records of bounded size; a group too large for one is cut.
fn put_groups(out: &mut Vec<u8>, groups: &[ResolvedGroup]) -> Result<(), TsdbError> {
    let (mut start, mut samples) = (0, 0);
    for (at, group) in groups.iter().enumerate() {
        if samples > 0 && samples + group.samples.len() > RECORD_SAMPLES {
            record::put_samples(out, groups[start..at].iter())?;
            (start, samples) = (at, 0);
        }
        if group.samples.len() > RECORD_SAMPLES {
            for part in group.samples.chunks(RECORD_SAMPLES) {
                let part = ResolvedGroup { timestamp: group.timestamp, samples: part.into() };
                record::put_samples(out, std::iter::once(&part))?;
            }
            start = at + 1;
        } else {
            samples += group.samples.len();
        }
    }
    if start < groups.len() {
        record::put_samples(out, groups[start..].iter())?;
    }
    Ok(())
}
