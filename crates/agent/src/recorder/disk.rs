//! The recorder's folder: its segments as files, and a note of how the last run ended.
//!
//! Files are only ever appended to and removed. A run that ends on purpose leaves the note `clean` with the boot in
//! which it ran; a start that does not find it, or finds another boot, comes after a crash or a reboot, and the
//! minutes before that are then sent to the server ([`Left::Abruptly`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{Disk, WriteFile, read_all, replace_file};
use muster_series::Labels;
use muster_wire::Group;

use super::segment::{self, Mark, Segment, SegmentReader};
use super::{Append, RING_MS, Write};
use crate::queue::{QueuedBatch, Taken};
use crate::spool::{SEGMENT_MEMORY_BYTES, Spill, Spool};

const SUFFIX: &str = ".rec";
const CLEAN: &str = "clean";
/// Collections that were to be sent may have been in memory only for so long when the run ended.
const IN_MEMORY_MS: i64 = 20_000;
/// The spool must have so many times the room that a segment takes, before the segment goes there.
const SPOOL_SHARE: u64 = 4;

/// How the last run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// On purpose, in this boot of the host; or there was none.
    Cleanly,
    /// By a crash, or the host was started anew.
    Abruptly,
}

/// The folder, open for one run.
pub(crate) struct RecorderDisk {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    open: Option<(u64, Box<dyn WriteFile>)>,
}

impl RecorderDisk {
    /// Opens the folder, which is made if it is not there. `now_ms` is of the wall clock, `monotonic_ms` of the other.
    /// Segments that the ring would have forgotten are removed, unless they were left by a crash.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        boot_id: &str,
        now_ms: i64,
        monotonic_ms: i64,
    ) -> io::Result<(Self, Left, Vec<Segment>)> {
        disk.create_dir_all(dir)?;
        let mut own = Self { disk, dir: dir.into(), open: None };
        let mut segments = own.load()?;
        let note = own.dir.join(CLEAN);
        let clean = read_all(&*own.disk, &note).is_ok_and(|text| text == boot_id.as_bytes());
        let left = if clean || segments.is_empty() { Left::Cleanly } else { Left::Abruptly };
        if own.disk.exists(&note)? {
            own.disk.remove(&note)?;
            own.disk.sync_dir(&own.dir)?;
        }
        for segment in &mut segments {
            let time = |mark: Option<&Mark>| {
                mark.map_or(0, |mark| now_ms.saturating_sub(mark.timestamp_ms).max(0))
            };
            segment.since_ms = monotonic_ms.saturating_sub(time(segment.marks.first()));
            segment.until_ms = monotonic_ms.saturating_sub(time(segment.marks.last()));
        }
        if left == Left::Cleanly {
            let (kept, old) = segments
                .into_iter()
                .partition(|segment| monotonic_ms.saturating_sub(segment.until_ms) <= RING_MS);
            segments = kept;
            let old: Vec<Segment> = old;
            own.remove(old.iter().map(|segment| segment.number));
        }
        Ok((own, left, segments))
    }

    /// All segments that can be read as far as that goes; those of which nothing can be read are removed.
    fn load(&mut self) -> io::Result<Vec<Segment>> {
        let names = self.disk.list(&self.dir)?;
        let mut segments = Vec::new();
        for name in names.iter().map(|entry| &entry.name) {
            let stem = name.strip_suffix(SUFFIX);
            let Some(number) = stem.and_then(|stem| stem.parse::<u64>().ok()) else {
                continue;
            };
            let bytes = read_all(&*self.disk, &self.path(number)).unwrap_or_default();
            match segment::scan(&bytes) {
                Some((marks, end)) if !marks.is_empty() => {
                    let bytes = bytes[..end].to_vec();
                    let written = bytes.len();
                    segments.push(Segment { bytes, marks, written, ..Segment::new(number, 0) });
                }
                _ => self.remove([number].into_iter()),
            }
        }
        segments.sort_by_key(|segment| segment.number);
        Ok(segments)
    }

    /// Does what the ring asks for. What cannot be removed is tried again at the next start.
    pub(crate) fn write(&mut self, write: &Write) -> io::Result<()> {
        self.remove(write.remove.iter().copied());
        match &write.append {
            Some(append) => self.append(append),
            None => Ok(()),
        }
    }

    fn append(&mut self, append: &Append) -> io::Result<()> {
        let mut file = match self.open.take() {
            Some((number, file)) if number == append.segment && append.at > 0 => file,
            _ if append.at > 0 => return Err(io::ErrorKind::NotFound.into()),
            _ => self.disk.create(&self.path(append.segment))?,
        };
        file.write_all(&append.bytes)?;
        file.sync_data()?;
        if append.at == 0 {
            self.disk.sync_dir(&self.dir)?;
        }
        self.open = Some((append.segment, file));
        Ok(())
    }

    fn remove(&mut self, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            match self.disk.remove(&self.path(number)) {
                // A segment that could not be written has no file.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::debug!(%error, number, "a recorder's file stays"),
                Ok(()) => {}
            }
        }
    }

    /// Notes that the run ends on purpose.
    pub(crate) fn end_cleanly(&self, boot_id: &str) -> io::Result<()> {
        replace_file(&*self.disk, &self.dir, CLEAN, boot_id.as_bytes())
    }

    /// Moves what the server may lack of these segments into the spool, from where it is sent like any backlog. Tells
    /// how many groups that are; a segment leaves the folder once it is in the spool.
    pub(crate) fn hand_over(&mut self, segments: &[Segment], spool: &mut Spool) -> io::Result<u64> {
        let newest = segments.iter().flat_map(|segment| &segment.marks).map(|m| m.timestamp_ms);
        let in_memory_since = newest.max().map_or(0, |newest| newest.saturating_sub(IN_MEMORY_MS));
        let mut groups = 0;
        for segment in segments {
            // What was to be sent is worth more than the detail between it.
            if spool.room() > SPOOL_SHARE * segment.bytes.len() as u64 {
                groups += hand_over_one(segment, in_memory_since, spool)?;
            }
            self.remove([segment.number].into_iter());
        }
        Ok(groups)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:020}{SUFFIX}"))
    }
}

fn hand_over_one(segment: &Segment, in_memory_since: i64, spool: &mut Spool) -> io::Result<u64> {
    let mut reader = SegmentReader::new();
    let mut series: Vec<Labels> = Vec::new();
    let mut marks = segment.marks.iter();
    let mut taken = Taken::default();
    let (mut bytes, mut count) = (0, 0);
    while let Some(record) = reader.next(&segment.bytes) {
        series.extend(record.new_series);
        let lacking: Vec<Group> = record
            .groups
            .into_iter()
            .zip(marks.by_ref())
            .filter(|(_, mark)| !mark.sent || mark.timestamp_ms >= in_memory_since)
            .map(|(group, _)| group)
            .collect();
        if lacking.is_empty() {
            continue;
        }
        count += lacking.len() as u64;
        let batch = QueuedBatch { urgent: false, groups: lacking, segment: None, since_ms: 0 };
        bytes += batch.memory_bytes();
        taken.moved.push(batch);
        if bytes >= SEGMENT_MEMORY_BYTES {
            adopt(std::mem::take(&mut taken), &series, spool)?;
            bytes = 0;
        }
    }
    adopt(taken, &series, spool)?;
    Ok(count)
}

fn adopt(taken: Taken, series: &[Labels], spool: &mut Spool) -> io::Result<()> {
    if taken.moved.is_empty() {
        return Ok(());
    }
    let spill = Spill::of(taken, |place| series.get(place as usize).cloned());
    spool.adopt(&spill).map(|_| ()).map_err(io::Error::other)
}
