//! Batches on disk, for when the server is away longer than memory lasts.
//!
//! A segment is a file written in one step (temporary name, sync, rename), so that it is there whole
//! or not at all. It names its own series, so that the next start of the agent can read it. Layout:
//! `MSPOOL1\n`, count of batches (u32), then for each batch its length (u32), CRC-32 (u32) and a
//! record of `muster_wire`; integers are little-endian. What is damaged is given up from there to
//! the end of its segment, and counted.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{Disk, read_all, replace_file};
use muster_series::Labels;
use muster_wire::{Group, Record, RecordDecoder, RecordEncoder, WireError};

const MAGIC: &[u8; 8] = b"MSPOOL1\n";
const HEADER_BYTES: usize = 12;
const SUFFIX: &str = ".spool";

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

/// A segment that is ready to be written.
#[derive(Debug)]
pub(crate) struct EncodedSegment {
    bytes: Vec<u8>,
    batches: u64,
}

impl EncodedSegment {
    /// Packs batches, whose series `labels_of` names.
    pub(crate) fn of<'a>(
        batches: impl IntoIterator<Item = (bool, &'a [Group])>,
        labels_of: impl Fn(u32) -> Option<Labels>,
    ) -> Result<Self, WireError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[0; 4]);
        let mut encoder = RecordEncoder::new();
        let mut count: u32 = 0;
        for (urgent, groups) in batches {
            let record = encoder.encode(urgent, groups, &labels_of)?;
            bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
            bytes.extend_from_slice(&record);
            count += 1;
        }
        bytes[MAGIC.len()..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
        Ok(Self {
            bytes,
            batches: u64::from(count),
        })
    }

    /// How many batches it holds.
    pub(crate) fn batches(&self) -> u64 {
        self.batches
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    bytes: u64,
    batches: u64,
}

/// The folder of segments.
pub(crate) struct Spool {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    cap_bytes: u64,
    segments: BTreeMap<u64, Entry>,
    next: u64,
}

impl Spool {
    /// Opens the folder, which is made if it is not there.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, cap_bytes: u64) -> io::Result<Self> {
        disk.create_dir_all(dir)?;
        let mut segments = BTreeMap::new();
        for entry in disk.list(dir)? {
            let number = entry
                .name
                .strip_suffix(SUFFIX)
                .and_then(|stem| stem.parse::<u64>().ok());
            if let Some(number) = number {
                let batches = count_batches(&*disk, &dir.join(&entry.name));
                segments.insert(
                    number,
                    Entry {
                        bytes: entry.len,
                        batches,
                    },
                );
            } else if entry.name.strip_suffix(".tmp").is_some() {
                // A write that a crash cut short: what it held is lost with the memory it came from.
                disk.remove(&dir.join(&entry.name))?;
            }
        }
        let next = segments
            .last_key_value()
            .map_or(1, |(number, _)| number + 1);
        Ok(Self {
            disk,
            dir: dir.into(),
            cap_bytes,
            segments,
            next,
        })
    }

    /// Writes a segment, and removes the oldest ones if the cap is passed. Tells how many batches
    /// were lost by that.
    pub(crate) fn write(&mut self, segment: &EncodedSegment) -> Result<u64, SpoolError> {
        let bytes = segment.bytes.len() as u64;
        let mut lost = 0;
        while self.bytes() + bytes > self.cap_bytes
            && let Some((&oldest, entry)) = self.segments.first_key_value()
        {
            lost += entry.batches;
            self.remove(oldest)?;
        }
        let name = name(self.next);
        replace_file(&*self.disk, &self.dir, &name, &segment.bytes).map_err(|source| {
            SpoolError {
                path: self.dir.join(&name),
                source,
            }
        })?;
        self.segments.insert(
            self.next,
            Entry {
                bytes,
                batches: segment.batches,
            },
        );
        self.next += 1;
        Ok(lost)
    }

    /// Reads a segment. Damage is no error: what is whole is handed out.
    pub(crate) fn read(&self, number: u64) -> Result<Segment, SpoolError> {
        let path = self.dir.join(name(number));
        let bytes = read_all(&*self.disk, &path).map_err(|source| SpoolError { path, source })?;
        Ok(decode(&bytes))
    }

    /// Removes a segment.
    pub(crate) fn remove(&mut self, number: u64) -> Result<(), SpoolError> {
        if self.segments.remove(&number).is_none() {
            return Ok(());
        }
        let path = self.dir.join(name(number));
        self.disk
            .remove(&path)
            .map_err(|source| SpoolError { path, source })
    }

    /// The oldest segment after `number`.
    pub(crate) fn next_after(&self, number: u64) -> Option<u64> {
        self.segments
            .range(number + 1..)
            .next()
            .map(|(number, _)| *number)
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|entry| entry.bytes).sum()
    }
}

fn name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The count in a segment's header; it only serves to count losses, so damage makes it 0.
fn count_batches(disk: &dyn Disk, path: &Path) -> u64 {
    let mut header = [0; HEADER_BYTES];
    match disk
        .open(path)
        .and_then(|file| file.read_exact_at(&mut header, 0))
    {
        Ok(()) if header.starts_with(MAGIC) => u64::from(u32_at(&header, 8).unwrap_or(0)),
        _ => 0,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

fn decode(bytes: &[u8]) -> Segment {
    let mut segment = Segment::default();
    let expected = match u32_at(bytes, 8) {
        Some(count) if bytes.starts_with(MAGIC) => u64::from(count),
        _ => {
            return Segment {
                damaged: 1,
                ..segment
            };
        }
    };
    let mut decoder = RecordDecoder::new();
    // A record may give a number to a second series, so each definition gets a place of its own.
    let mut places: Vec<u32> = Vec::new();
    let mut at = HEADER_BYTES;
    while let Some((record, next)) = next_record(bytes, at) {
        let Ok(Record {
            new_series,
            mut groups,
            ..
        }) = decoder.decode(record)
        else {
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
    segment.damaged = expected.saturating_sub(segment.batches.len() as u64);
    segment
}

/// The record at `at` and where the one after it begins, if it is whole.
fn next_record(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = u32_at(bytes, at)? as usize;
    let crc = u32_at(bytes, at + 4)?;
    let start = at + 8;
    let end = start.checked_add(length)?;
    let record = bytes.get(start..end)?;
    (crc32fast::hash(record) == crc).then_some((record, end))
}

#[cfg(test)]
mod tests {
    use muster_environment::MemoryDisk;
    use muster_series::stale_marker;

    use super::*;

    const DIR: &str = "/spool";

    fn labels(number: u32) -> Option<Labels> {
        Labels::from_pairs([("__name__".to_owned(), format!("s{number}"))]).ok()
    }

    fn group(timestamp_ms: i64, samples: &[(u32, f64)]) -> Vec<Group> {
        vec![Group {
            timestamp_ms,
            samples: samples.to_vec(),
        }]
    }

    fn encoded(batches: &[Vec<Group>]) -> EncodedSegment {
        EncodedSegment::of(batches.iter().map(|groups| (false, &groups[..])), labels).unwrap()
    }

    fn open(disk: &MemoryDisk, cap_bytes: u64) -> Spool {
        Spool::open(Arc::new(disk.clone()), Path::new(DIR), cap_bytes).unwrap()
    }

    /// Name and value of every sample, batch by batch.
    fn named(segment: &Segment) -> Vec<Vec<(String, u64)>> {
        let one = |(place, value): &(u32, f64)| {
            (segment.series[*place as usize].to_string(), value.to_bits())
        };
        segment
            .batches
            .iter()
            .map(|groups| groups[0].samples.iter().map(one).collect())
            .collect()
    }

    #[test]
    fn batches_come_back_after_a_restart() {
        let disk = MemoryDisk::new();
        // Two series share the number of the record: the second takes it after the first has ended.
        let batches = [
            group(1, &[(5, 1.0)]),
            group(2, &[(5, stale_marker())]),
            group(3, &[(6, 2.0)]),
        ];
        assert_eq!(open(&disk, 1 << 20).write(&encoded(&batches)).unwrap(), 0);
        let spool = open(&disk, 1 << 20);
        let number = spool.next_after(0).unwrap();
        let segment = spool.read(number).unwrap();
        let expected = [
            vec![("s5".to_owned(), 1.0_f64.to_bits())],
            vec![("s5".to_owned(), stale_marker().to_bits())],
            vec![("s6".to_owned(), 2.0_f64.to_bits())],
        ];
        assert_eq!(named(&segment), expected);
        assert_eq!(
            (segment.damaged, segment.batches[2][0].timestamp_ms),
            (0, 3)
        );
    }

    #[test]
    fn the_oldest_segment_makes_room_and_is_counted() {
        let disk = MemoryDisk::new();
        let segment = encoded(&[group(1, &[(1, 1.0)]), group(2, &[(1, 2.0)])]);
        let size = segment.bytes.len() as u64;
        let mut spool = open(&disk, size * 2 + size / 2);
        assert_eq!(
            (1..=4)
                .map(|_| spool.write(&segment).unwrap())
                .collect::<Vec<_>>(),
            [0, 0, 2, 2]
        );
        assert_eq!((spool.next_after(0), spool.bytes()), (Some(3), size * 2));
        spool.remove(3).unwrap();
        assert_eq!((spool.next_after(0), spool.next_after(4)), (Some(4), None));
        assert_eq!(open(&disk, size).bytes(), size);
    }

    #[test]
    fn damage_costs_the_rest_of_its_segment_and_is_counted() {
        let batches: Vec<_> = (0..4).map(|at| group(at, &[(1, at as f64)])).collect();
        let whole = encoded(&batches).bytes;
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0x10;
            let segment = decode(&bad);
            assert!(segment.batches.len() < 4 || at < HEADER_BYTES, "byte {at}");
            for (batch, original) in segment.batches.iter().zip(&batches) {
                assert_eq!(batch[0].timestamp_ms, original[0].timestamp_ms);
            }
            if at >= HEADER_BYTES {
                assert_eq!(segment.damaged, 4 - segment.batches.len() as u64);
            }
            decode(&whole[..at]);
        }
        assert_eq!(decode(&whole).damaged, 0);
    }

    #[test]
    fn a_write_that_was_cut_short_is_cleared_away() {
        let disk = MemoryDisk::new();
        open(&disk, 1 << 20)
            .write(&encoded(&[group(1, &[(1, 1.0)])]))
            .unwrap();
        disk.create(&Path::new(DIR).join("00000000000000000002.spool.tmp"))
            .unwrap();
        let spool = open(&disk, 1 << 20);
        assert_eq!((disk.files().len(), spool.next_after(1)), (1, None));
    }
}
