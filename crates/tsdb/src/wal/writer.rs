//! Writes the log: one write and one sync for all batches that wait.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{Disk, WriteFile};
use parking_lot::RwLock;

use super::record::{Kind, RecordWriter, segment_header};
use super::samples::SampleEncoder;
use super::{SEGMENT_HEADER_LEN, segment_name};
use crate::index::registry::Registry;
use crate::{SeriesSample, TsdbError};

/// A record is ended when it holds this many samples.
const RECORD_SAMPLES: usize = 50_000;
/// A stretch is ended when it has this many bytes, and so many for each of its series: telling every value anew must stay
/// rare.
const STRETCH_BYTES: u64 = 2 << 20;
const STRETCH_BYTES_PER_SERIES: u64 = 24;

struct Segment {
    path: PathBuf,
    file: Box<dyn WriteFile>,
    /// Bytes that are synced; beyond them nothing is known after an error.
    synced_len: u64,
    /// Where the stretch started; none where the next record starts one.
    stretch_start: Option<u64>,
}

/// The end of the log.
pub(crate) struct WalWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    next_number: u64,
    segment_bytes: u64,
    segment: Option<Segment>,
    encoder: SampleEncoder,
    records: RecordWriter,
    /// Body of a record, and all records of a commit; kept from one commit to the next.
    body: Vec<u8>,
    buffer: Vec<u8>,
    /// Series that the segment does not name yet.
    nameless: Vec<u32>,
}

impl WalWriter {
    /// A writer whose first segment, made when it is needed, has this number.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        next_number: u64,
        segment_bytes: u64,
    ) -> Self {
        Self {
            disk,
            dir: dir.into(),
            next_number,
            segment_bytes,
            segment: None,
            encoder: SampleEncoder::default(),
            records: RecordWriter::new(),
            body: Vec::new(),
            buffer: Vec::new(),
            nameless: Vec::new(),
        }
    }

    /// Ends the segment; returns the number of the next one. All later commits go there or further.
    pub(crate) fn rotate(&mut self) -> u64 {
        self.segment = None;
        self.next_number
    }

    /// Returns, with the bytes written, when all batches survive a loss of power. A segment that failed is
    /// never written again: the batches go to a new one, once; where that fails too, nothing is known about them.
    pub(crate) fn commit<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a [SeriesSample]> + Clone,
        registry: &RwLock<Registry>,
    ) -> Result<u64, TsdbError> {
        match self.try_commit(batches.clone(), registry) {
            Err(error @ TsdbError::Io { .. }) => {
                tracing::warn!(%error, "a log segment failed, its last samples go to a new one");
                self.try_commit(batches, registry)
            }
            other => other,
        }
    }

    fn try_commit<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a [SeriesSample]>,
        registry: &RwLock<Registry>,
    ) -> Result<u64, TsdbError> {
        // After an error the segment is not taken up again: the encoder may have told of what was not written.
        let mut segment = match self.segment.take() {
            Some(segment) if segment.synced_len < self.segment_bytes => segment,
            _ => self.start_segment()?,
        };
        self.put_samples(batches, &mut segment)?;
        self.put_names(registry)?;
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

    /// Puts the records of samples into the buffer.
    fn put_samples<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a [SeriesSample]>,
        segment: &mut Segment,
    ) -> Result<(), TsdbError> {
        self.buffer.clear();
        self.nameless.clear();
        let most =
            STRETCH_BYTES.max(STRETCH_BYTES_PER_SERIES * self.encoder.series_of_stretch() as u64);
        if segment.stretch_start.is_some_and(|start| segment.synced_len - start >= most) {
            self.encoder.start_stretch();
            segment.stretch_start = None;
        }
        for batch in batches {
            let mut rest = batch;
            while !rest.is_empty() {
                let room = RECORD_SAMPLES - self.encoder.samples();
                let (now, later) = rest.split_at(room.min(rest.len()));
                self.encoder.add(now, &mut self.nameless);
                if now.len() == room {
                    self.end_record(segment)?;
                }
                rest = later;
            }
        }
        if self.encoder.samples() > 0 { self.end_record(segment) } else { Ok(()) }
    }

    fn end_record(&mut self, segment: &mut Segment) -> Result<(), TsdbError> {
        let starts_stretch = segment.stretch_start.is_none();
        segment.stretch_start.get_or_insert(segment.synced_len);
        self.encoder.finish(&mut self.body);
        self.records.put(&mut self.buffer, Kind::Samples { starts_stretch }, &self.body)
    }

    /// Puts the names of new series before the samples in the buffer.
    fn put_names(&mut self, registry: &RwLock<Registry>) -> Result<(), TsdbError> {
        if self.nameless.is_empty() {
            return Ok(());
        }
        self.nameless.sort_unstable();
        let mut records = Vec::new();
        let registry = registry.read();
        let series = self.nameless.iter().map(|&id| (id, registry.label_pairs(id)));
        self.records.put_series(&mut records, series)?;
        records.append(&mut self.buffer);
        self.buffer = records;
        Ok(())
    }

    /// Numbers have no gaps, so that a segment that is lost shows at the next start.
    fn start_segment(&mut self) -> Result<Segment, TsdbError> {
        let path = self.dir.join(segment_name(self.next_number));
        let made = self.disk.create(&path).and_then(|mut file| {
            file.write_all(&segment_header())?;
            self.disk.sync_dir(&self.dir)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                self.next_number += 1;
                self.encoder.start_segment();
                Ok(Segment { path, file, synced_len: SEGMENT_HEADER_LEN, stretch_start: None })
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
