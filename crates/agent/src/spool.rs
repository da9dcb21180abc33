//! Batches on disk, for when the server does not take them.
//!
//! A segment is a file to which batches are appended, each append followed by one sync, until it is
//! large enough or somebody wants to read it. It names its own series, so that the next start of the
//! agent can read it. Layout: `MSPOOL2\n`, then for each batch its length (u32), CRC-32 (u32) and a
//! record of `muster_wire`; integers are little-endian. What is damaged is given up from there to
//! the end of its segment, and counted.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{Disk, WriteFile, read_all};
use muster_series::Labels;
use muster_wire::{Group, Record, RecordDecoder, RecordEncoder, WireError};

use crate::queue::{QueuedBatch, Taken};

const MAGIC: &[u8; 8] = b"MSPOOL2\n";
const RECORD_HEADER_BYTES: usize = 8;
const SUFFIX: &str = ".spool";
/// About how much memory the batches of one segment take, since a segment is read as a whole.
pub(crate) const SEGMENT_MEMORY_BYTES: usize = 512 << 10;

/// Why a segment could not be written, read or removed.
#[derive(Debug, thiserror::Error)]
#[error("the spool file {}: {source}", path.display())]
pub(crate) struct SpoolError {
    path: PathBuf,
    source: io::Error,
}

/// What was read from a segment.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// Batches whose series numbers are places in `series`.
    pub(crate) batches: Vec<Vec<Group>>,
    /// The labels of those numbers.
    pub(crate) series: Vec<Labels>,
    /// Batches that are damaged.
    pub(crate) damaged: u64,
}

/// Batches on their way to the spool, with the names of their series.
#[derive(Debug)]
pub(crate) struct Spill {
    taken: Taken,
    labels: HashMap<u32, Labels>,
}

impl Spill {
    /// Names the series of batches by `labels_of`.
    pub(crate) fn of(taken: Taken, labels_of: impl Fn(u32) -> Option<Labels>) -> Self {
        let mut labels = HashMap::new();
        let groups = taken.batches().flat_map(|batch| &batch.groups);
        for (number, _) in groups.flat_map(|group| &group.samples) {
            if !labels.contains_key(number)
                && let Some(found) = labels_of(*number)
            {
                labels.insert(*number, found);
            }
        }
        Self { taken, labels }
    }

    /// How many batches it holds.
    pub(crate) fn len(&self) -> u64 {
        self.taken.batches().count() as u64
    }

    /// The batches, if they could not be written.
    pub(crate) fn into_taken(self) -> Taken {
        self.taken
    }

    fn memory_bytes(&self) -> usize {
        self.taken.batches().map(QueuedBatch::memory_bytes).sum()
    }

    /// Appends a record for each batch. After an error the encoder and `bytes` are of no more use.
    fn encode(&self, encoder: &mut RecordEncoder, bytes: &mut Vec<u8>) -> Result<(), WireError> {
        let labels_of = |number| self.labels.get(&number).cloned();
        for batch in self.taken.batches() {
            let record = encoder.encode(batch.urgent, &batch.groups, labels_of)?;
            bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
            bytes.extend_from_slice(&record);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    bytes: u64,
    batches: u64,
}

/// The segment to which the next batches go.
struct OpenSegment {
    number: u64,
    file: Box<dyn WriteFile>,
    encoder: RecordEncoder,
    memory_bytes: usize,
}

/// The folder of segments.
pub(crate) struct Spool {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    cap_bytes: u64,
    segments: BTreeMap<u64, Entry>,
    open: Option<OpenSegment>,
    next: u64,
}

impl Spool {
    /// Opens the folder, which is made if it is not there.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, cap_bytes: u64) -> io::Result<Self> {
        disk.create_dir_all(dir)?;
        let mut segments = BTreeMap::new();
        for entry in disk.list(dir)? {
            let number = entry.name.strip_suffix(SUFFIX).and_then(|stem| stem.parse::<u64>().ok());
            if let Some(number) = number {
                let (bytes, path) = (entry.len, dir.join(&entry.name));
                let batches = count_batches(&*disk, &path, bytes);
                segments.insert(number, Entry { bytes, batches });
            }
        }
        let next = segments.last_key_value().map_or(1, |(number, _)| number + 1);
        Ok(Self { disk, dir: dir.into(), cap_bytes, segments, open: None, next })
    }

    /// Writes batches, and removes the oldest segments if the cap is passed. Tells how many batches
    /// were lost by that. After an error none of these batches is in the spool.
    pub(crate) fn append(&mut self, spill: &Spill) -> Result<u64, SpoolError> {
        // Whatever goes wrong below, a segment that is not put back stays closed.
        let Some(mut open) = self.open.take() else {
            return self.begin(spill);
        };
        let mut bytes = Vec::new();
        if open.memory_bytes + spill.memory_bytes() > SEGMENT_MEMORY_BYTES
            || spill.encode(&mut open.encoder, &mut bytes).is_err()
        {
            return self.begin(spill);
        }
        let lost = self.make_room(bytes.len(), open.number)?;
        if self.bytes() + bytes.len() as u64 > self.cap_bytes {
            return Ok(lost + self.begin(spill)?);
        }
        let number = open.number;
        let written = self.write(open, &bytes, spill);
        if written.is_err() {
            // The part that was written must not count as damage when the segment is read.
            let whole = self.segments.get(&number).map_or(0, |entry| entry.bytes);
            let _ = self.disk.truncate(&self.path(number), whole);
        }
        written.map(|()| lost)
    }

    /// Writes batches whose series numbers mean something only among themselves: into a segment of their own.
    pub(crate) fn adopt(&mut self, spill: &Spill) -> Result<u64, SpoolError> {
        self.open = None;
        let lost = self.begin(spill);
        self.open = None;
        lost
    }

    /// Begins a segment with these batches.
    fn begin(&mut self, spill: &Spill) -> Result<u64, SpoolError> {
        let mut encoder = RecordEncoder::new();
        let mut bytes = MAGIC.to_vec();
        if let Err(error) = spill.encode(&mut encoder, &mut bytes) {
            tracing::error!(%error, "batches cannot be spooled; they are dropped");
            return Ok(spill.len());
        }
        let number = self.next;
        let lost = self.make_room(bytes.len(), number)?;
        self.next += 1;
        let path = self.path(number);
        let failed = |source| SpoolError { path: path.clone(), source };
        let file = self.disk.create(&path).map_err(failed)?;
        let open = OpenSegment { number, file, encoder, memory_bytes: 0 };
        let written = self
            .write(open, &bytes, spill)
            .and_then(|()| self.disk.sync_dir(&self.dir).map_err(failed));
        if let Err(error) = written {
            self.open = None;
            self.segments.remove(&number);
            // If even that fails, the next start finds a segment with nothing or too much in it.
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        Ok(lost)
    }

    /// Writes and syncs; the segment is open again if that succeeds.
    fn write(
        &mut self,
        mut open: OpenSegment,
        bytes: &[u8],
        spill: &Spill,
    ) -> Result<(), SpoolError> {
        open.file
            .write_all(bytes)
            .and_then(|()| open.file.sync_data())
            .map_err(|source| SpoolError { path: self.path(open.number), source })?;
        let entry = self.segments.entry(open.number).or_default();
        entry.bytes += bytes.len() as u64;
        entry.batches += spill.len();
        open.memory_bytes += spill.memory_bytes();
        self.open = Some(open);
        Ok(())
    }

    /// Removes the oldest segments before `number` until `bytes` more fit. Tells how many batches they held.
    fn make_room(&mut self, bytes: usize, number: u64) -> Result<u64, SpoolError> {
        let mut lost = 0;
        while self.bytes() + bytes as u64 > self.cap_bytes
            && let Some((&oldest, entry)) = self.segments.range(..number).next()
        {
            lost += entry.batches;
            self.remove(oldest)?;
        }
        Ok(lost)
    }

    /// Reads a segment. Damage is no error: what is whole is handed out.
    pub(crate) fn read(&mut self, number: u64) -> Result<Segment, SpoolError> {
        if self.open.as_ref().is_some_and(|open| open.number == number) {
            self.open = None;
        }
        let path = self.path(number);
        let bytes = read_all(&*self.disk, &path).map_err(|source| SpoolError { path, source })?;
        Ok(decode(&bytes))
    }

    /// Removes a segment.
    pub(crate) fn remove(&mut self, number: u64) -> Result<(), SpoolError> {
        if self.segments.remove(&number).is_none() {
            return Ok(());
        }
        let path = self.path(number);
        self.disk.remove(&path).map_err(|source| SpoolError { path, source })
    }

    /// The numbers of all segments, the oldest first.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.segments.keys().copied()
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|entry| entry.bytes).sum()
    }

    /// How many bytes fit before the oldest segments are removed.
    pub(crate) fn room(&self) -> u64 {
        self.cap_bytes.saturating_sub(self.bytes())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:020}{SUFFIX}"))
    }
}

/// How many records a segment has by their lengths; it only serves to count losses.
fn count_batches(disk: &dyn Disk, path: &Path, bytes: u64) -> u64 {
    let Ok(file) = disk.open(path) else {
        return 0;
    };
    let (mut count, mut at) = (0, MAGIC.len() as u64);
    let mut header = [0; RECORD_HEADER_BYTES];
    while file.read_exact_at(&mut header, at).is_ok() {
        let length = u32_at(&header, 0).unwrap_or(0);
        at += RECORD_HEADER_BYTES as u64 + u64::from(length);
        if length == 0 || at > bytes {
            break;
        }
        count += 1;
    }
    count
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

fn decode(bytes: &[u8]) -> Segment {
    let mut segment = Segment::default();
    if !bytes.starts_with(MAGIC) {
        // A crash may leave a file that has not even a whole head.
        segment.damaged = u64::from(!MAGIC.starts_with(bytes));
        return segment;
    }
    let mut decoder = RecordDecoder::new();
    // A record may give a number to a second series, so each definition gets a place of its own.
    let mut places: Vec<u32> = Vec::new();
    let mut at = MAGIC.len();
    while let Some((record, next)) = next_record(bytes, at) {
        let Ok(Record { new_series, mut groups, .. }) = decoder.decode(record) else {
            break;
        };
        for (number, labels) in new_series {
            places.resize(places.len().max(number as usize + 1), 0);
            places[number as usize] = segment.series.len() as u32;
            segment.series.push(labels);
        }
        for sample in groups.iter_mut().flat_map(|group| &mut group.samples) {
            sample.0 = places[sample.0 as usize];
        }
        segment.batches.push(groups);
        at = next;
    }
    segment.damaged = count_damaged(bytes, at);
    segment
}

/// How many records begin at `at` or later, as far as their lengths tell; what is left counts as one.
fn count_damaged(bytes: &[u8], mut at: usize) -> u64 {
    let mut count = 0;
    while at < bytes.len() {
        count += 1;
        at = match u32_at(bytes, at) {
            Some(length) => at.saturating_add(RECORD_HEADER_BYTES + length as usize),
            None => break,
        };
    }
    count
}

/// The record at `at` and where the one after it begins, if it is whole.
fn next_record(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = u32_at(bytes, at)? as usize;
    let crc = u32_at(bytes, at + 4)?;
    let start = at + RECORD_HEADER_BYTES;
    let end = start.checked_add(length)?;
    let record = bytes.get(start..end)?;
    (crc32fast::hash(record) == crc).then_some((record, end))
}

#[cfg(test)]
mod tests;
