//! Reads a segment of the log at start, one record at a time.
//!
//! What a crash can leave at the end, a record that is not whole, is cut. Anything else that does not check
//! is damage: those bytes are handed out to be kept aside, and what is readable is served. Samples are told against those before them, so
//! after a damaged record of samples nothing is readable up to the next stretch.

use std::io;
use std::path::Path;

use muster_environment::{Disk, ReadFile};
use muster_series::Labels;

use super::record::{self, Kind, RecordHeader};
use super::samples::SampleDecoder;
use super::{RECORD_HEADER_LEN, SEGMENT_HEADER_LEN, VERSION};
use crate::{SeriesSample, TsdbError};

/// Takes what a segment holds.
pub(crate) trait ReplaySink {
    /// From here on in this segment, these numbers are the series of these labels.
    fn series(&mut self, series: &[(u32, Labels)]);

    /// Samples, by the segment's numbers of series.
    fn samples(&mut self, samples: &[SeriesSample]);

    /// Bytes that are damaged, from `offset` on; says whether a copy of them is kept.
    fn damaged(&mut self, offset: u64, bytes: &[u8], reason: &'static str) -> bool;
}

/// Where a segment is to be cut, because its end is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// How much of the file stays; 0 if not even its header does.
    pub(crate) len: u64,
    /// Bytes of a write that a crash interrupted, which was never acknowledged; 0 where damaged bytes go, which were
    /// handed out before.
    pub(crate) torn: u64,
}

/// What reading a segment came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentReplay {
    pub(crate) records: u64,
    pub(crate) cut: Option<Cut>,
}

/// How one record reads.
enum Step {
    /// The payload is in the buffer, and is what was written.
    Record {
        header: RecordHeader,
        next: u64,
    },
    /// Only this record's payload is damaged.
    Bad {
        header: RecordHeader,
        next: u64,
    },
    /// Nothing that can be read comes after this.
    BadRest {
        reason: &'static str,
    },
    /// The record was being written when the machine stopped.
    Torn,
    End,
}

/// Reads a segment from start to end.
pub(crate) fn replay_segment(
    disk: &dyn Disk,
    path: &Path,
    sink: &mut dyn ReplaySink,
) -> Result<SegmentReplay, TsdbError> {
    let failed = |error| TsdbError::reading(path, 0, error);
    let file = disk.open(path).map_err(failed)?;
    let len = file.len().map_err(failed)?;
    let mut replay = SegmentReplay::default();
    if len < SEGMENT_HEADER_LEN {
        replay.cut = Some(Cut { len: 0, torn: len });
        return Ok(replay);
    }
    let mut header = [0; SEGMENT_HEADER_LEN as usize];
    file.read_exact_at(&mut header, 0).map_err(failed)?;
    match record::read_segment_header(header) {
        Ok(VERSION) => {}
        Ok(found) => {
            return Err(TsdbError::Version { path: path.into(), found, known: VERSION });
        }
        Err(_) => {
            let bytes = read_rest(&*file, 0, len).map_err(failed)?;
            // A header that never reached the disk is the same as no segment.
            replay.cut = if is_zero(&bytes) {
                Some(Cut { len: 0, torn: len })
            } else {
                cut_damaged(sink, 0, &bytes, "the segment header does not check")
            };
            return Ok(replay);
        }
    }
    let mut records = Records {
        file: &*file,
        sink,
        decoder: SampleDecoder::default(),
        lost_from: None,
        payload: Vec::new(),
        unpacked: Vec::new(),
        replay,
    };
    records.read_all(len).map_err(failed)?;
    Ok(records.replay)
}

/// The records of a segment being read.
struct Records<'a> {
    file: &'a dyn ReadFile,
    sink: &'a mut dyn ReplaySink,
    decoder: SampleDecoder,
    /// Where the damage began for which the rest of the stretch cannot be read.
    lost_from: Option<u64>,
    payload: Vec<u8>,
    unpacked: Vec<u8>,
    replay: SegmentReplay,
}

impl Records<'_> {
    fn read_all(&mut self, len: u64) -> io::Result<()> {
        let mut offset = SEGMENT_HEADER_LEN;
        loop {
            let step = read_step(self.file, offset, len, &mut self.payload)?;
            let (header, next, is_whole) = match step {
                Step::Record { header, next } => (header, next, true),
                Step::Bad { header, next } => (header, next, false),
                Step::End => return self.give_lost(offset),
                Step::Torn => {
                    self.give_lost(offset)?;
                    let (len, torn) = (offset, len - offset);
                    self.replay.cut = Some(Cut { len, torn });
                    return Ok(());
                }
                Step::BadRest { reason } => {
                    self.give_lost(offset)?;
                    let bytes = read_rest(self.file, offset, len)?;
                    self.replay.cut = cut_damaged(self.sink, offset, &bytes, reason);
                    return Ok(());
                }
            };
            if header.kind == (Kind::Samples { starts_stretch: true }) {
                self.give_lost(offset)?;
                self.decoder.start_stretch();
            }
            let is_read = is_whole && self.read_record(&header);
            match header.kind {
                _ if is_read => self.replay.records += 1,
                Kind::Samples { .. } => _ = self.lost_from.get_or_insert(offset),
                Kind::Series => {
                    let reason = "a record does not match its checksum";
                    self.sink.damaged(offset, &self.payload, reason);
                }
            }
            offset = next;
        }
    }

    /// Reads the record in the buffer; says whether it could be read.
    fn read_record(&mut self, header: &RecordHeader) -> bool {
        let Ok(body) = record::read_body(header, &self.payload, &mut self.unpacked) else {
            return false;
        };
        match header.kind {
            Kind::Series => match record::read_series(body) {
                Ok(series) => {
                    self.sink.series(&series);
                    true
                }
                Err(_) => false,
            },
            Kind::Samples { .. } if self.lost_from.is_some() => false,
            Kind::Samples { .. } => match self.decoder.read(body) {
                Ok(samples) => {
                    self.sink.samples(samples);
                    true
                }
                Err(_) => false,
            },
        }
    }

    /// Hands out what was lost before `end`.
    fn give_lost(&mut self, end: u64) -> io::Result<()> {
        if let Some(start) = self.lost_from.take() {
            let bytes = read_rest(self.file, start, end)?;
            let reason = "a record is damaged, and so are those that are told against it";
            self.sink.damaged(start, &bytes, reason);
        }
        Ok(())
    }
}

/// Hands out damaged bytes at the end of a segment; they are cut only where a copy of them is kept.
fn cut_damaged(
    sink: &mut dyn ReplaySink,
    offset: u64,
    bytes: &[u8],
    reason: &'static str,
) -> Option<Cut> {
    let (len, torn) = (offset, 0);
    sink.damaged(offset, bytes, reason).then_some(Cut { len, torn })
}

/// What a file system leaves of bytes that were appended and never reached the disk.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// Reads the record at `offset`, its payload into the buffer.
fn read_step(
    file: &dyn ReadFile,
    offset: u64,
    len: u64,
    payload: &mut Vec<u8>,
) -> io::Result<Step> {
    if offset == len {
        return Ok(Step::End);
    }
    if len - offset < RECORD_HEADER_LEN {
        return Ok(Step::Torn);
    }
    let mut header = [0; RECORD_HEADER_LEN as usize];
    file.read_exact_at(&mut header, offset)?;
    let Ok(header) = record::read_record_header(header) else {
        return Ok(if is_zero(&read_rest(file, offset, len)?) {
            Step::Torn
        } else {
            Step::BadRest { reason: "a record header does not check" }
        });
    };
    let next = offset + RECORD_HEADER_LEN + header.len;
    if next > len {
        return Ok(Step::Torn);
    }
    payload.resize(header.len as usize, 0);
    file.read_exact_at(payload, offset + RECORD_HEADER_LEN)?;
    Ok(if crc32fast::hash(payload) == header.crc {
        Step::Record { header, next }
    } else if next < len {
        Step::Bad { header, next }
    } else if is_zero(payload) {
        Step::Torn
    } else {
        // It may have been acknowledged and damaged since.
        Step::BadRest { reason: "the last record does not match its checksum" }
    })
}

/// The bytes from `offset` to `end`.
fn read_rest(file: &dyn ReadFile, offset: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (end - offset) as usize];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeriesId;
    use crate::index::registry::Registry;
    use crate::wal::{WalWriter, segment_name};
    use muster_environment::{MemoryDisk, read_all};
    use muster_series::stale_marker;
    use parking_lot::RwLock;
    use std::path::PathBuf;
    use std::sync::Arc;

    #[derive(Default)]
    struct Collected {
        series: usize,
        samples: Vec<SeriesSample>,
        damaged: u64,
        cannot_keep: bool,
    }

    impl Collected {
        fn values(&self) -> Vec<f64> {
            self.samples.iter().map(|sample| sample.value).collect()
        }
    }

    impl ReplaySink for Collected {
        fn series(&mut self, series: &[(u32, Labels)]) {
            self.series += series.len();
        }

        fn samples(&mut self, samples: &[SeriesSample]) {
            self.samples.extend_from_slice(samples);
        }

        fn damaged(&mut self, _: u64, bytes: &[u8], _: &'static str) -> bool {
            self.damaged += bytes.len() as u64;
            !self.cannot_keep
        }
    }

    fn scrape(value: i64) -> [SeriesSample; 1] {
        [SeriesSample { series: SeriesId(0), timestamp_ms: value, value: value as f64 }]
    }

    /// A segment with one series and the values 0 to 4, a record each, and where each record ends.
    fn segment() -> (MemoryDisk, PathBuf, Vec<u64>) {
        let (disk, dir) = (MemoryDisk::new(), PathBuf::from("/wal"));
        disk.create_dir_all(&dir).unwrap();
        let registry = RwLock::new(Registry::default());
        let labels = Labels::from_pairs([("__name__", "up")]).unwrap();
        registry.write().insert(&labels, 1).unwrap();
        let mut writer = WalWriter::new(Arc::new(disk.clone()), &dir, 1, 1 << 20);
        let path = dir.join(segment_name(1));
        let mut ends = Vec::new();
        for value in 0..5 {
            writer.commit(std::iter::once(&scrape(value)[..]), &registry).unwrap();
            ends.push(read_all(&disk, &path).unwrap().len() as u64);
        }
        (disk, path, ends)
    }

    #[test]
    fn a_tail_cut_at_any_byte_loses_only_the_last_records() {
        let (disk, path, ends) = segment();
        let whole = read_all(&disk, &path).unwrap();
        for len in ends[0]..=whole.len() as u64 {
            disk.corrupt(&path, |bytes| *bytes = whole[..len as usize].to_vec()).unwrap();
            let mut found = Collected::default();
            let replay = replay_segment(&disk, &path, &mut found).unwrap();
            let expected = ends.iter().filter(|&&end| end <= len).count();
            assert_eq!(found.samples.len(), expected, "cut at {len}");
            assert_eq!(found.damaged, 0);
            let torn = len - ends[expected - 1];
            let cut = Cut { len: len - torn, torn };
            assert_eq!(replay.cut, (torn > 0).then_some(cut));
        }
    }

    #[test]
    fn a_flipped_byte_costs_the_rest_of_the_stretch_and_is_told() {
        let (disk, path, ends) = segment();
        let whole = read_all(&disk, &path).unwrap();
        for at in ends[1]..ends[2] {
            disk.corrupt(&path, |bytes| {
                bytes.clone_from(&whole);
                bytes[at as usize] ^= 0x40;
            })
            .unwrap();
            let mut found = Collected::default();
            let replay = replay_segment(&disk, &path, &mut found).unwrap();
            assert_eq!(found.damaged, ends[4] - ends[1], "byte {at}");
            assert!(replay.cut.is_none_or(|cut| cut.torn == 0), "byte {at}");
            assert_eq!(found.values(), [0.0, 1.0], "byte {at}");
        }
    }

    #[test]
    fn after_a_damaged_record_the_next_stretch_is_read() {
        let (disk, dir) = (MemoryDisk::new(), PathBuf::from("/wal"));
        disk.create_dir_all(&dir).unwrap();
        let registry = RwLock::new(Registry::default());
        for series in 0..600 {
            let labels = Labels::from_pairs([("host", format!("web-{series}"))]).unwrap();
            registry.write().insert(&labels, 600).unwrap();
        }
        let mut writer = WalWriter::new(Arc::new(disk.clone()), &dir, 1, 1 << 30);
        let path = dir.join(segment_name(1));
        let (mut ends, mut noise) = (Vec::new(), 1_u64);
        for timestamp_ms in 0..900 {
            let samples: Vec<SeriesSample> = (0..600)
                .map(|series| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let value = f64::from_bits(noise);
                    SeriesSample { series: SeriesId(series), timestamp_ms, value }
                })
                .collect();
            writer.commit(std::iter::once(&samples[..]), &registry).unwrap();
            ends.push(read_all(&disk, &path).unwrap().len() as u64);
        }
        disk.corrupt(&path, |bytes| bytes[ends[9] as usize + 20] ^= 1).unwrap();
        let mut found = Collected::default();
        replay_segment(&disk, &path, &mut found).unwrap();
        // The first ten commits, and all from the start of the second stretch on.
        let second = ends.iter().position(|&end| end - SEGMENT_HEADER_LEN >= 2 << 20).unwrap() + 1;
        assert_eq!(found.samples.len(), (10 + 900 - second) * 600);
        assert_eq!(found.damaged, ends[second - 1] - ends[9]);
        assert_eq!(found.samples.last().unwrap().value.to_bits(), noise);
    }

    #[track_caller]
    fn check_last_record(change: impl Fn(&mut [u8]), cannot_keep: bool, expected: Option<Cut>) {
        let (disk, path, ends) = segment();
        let at = ends[3] as usize + RECORD_HEADER_LEN as usize;
        disk.corrupt(&path, |bytes| change(&mut bytes[at..])).unwrap();
        let mut found = Collected { cannot_keep, ..Collected::default() };
        let replay = replay_segment(&disk, &path, &mut found).unwrap();
        assert_eq!(replay.cut, expected);
        let is_torn = expected.is_some_and(|cut| cut.torn > 0);
        assert_eq!((found.samples.len(), found.damaged == 0), (4, is_torn));
    }

    #[test]
    fn a_whole_last_record_that_does_not_check_is_damage_unless_it_is_zeros() {
        let (_, _, ends) = segment();
        let cut = |torn| {
            let len = ends[3];
            Some(Cut { len, torn })
        };
        check_last_record(|payload| payload.fill(0), false, cut(ends[4] - ends[3]));
        check_last_record(|payload| payload[0] ^= 1, false, cut(0));
        check_last_record(|payload| payload[0] ^= 1, true, None);
    }

    #[test]
    fn a_segment_of_another_version_is_refused() {
        let (disk, path, _) = segment();
        disk.corrupt(&path, |bytes| {
            bytes[8] = 9;
            let crc = crc32fast::hash(&bytes[..12]);
            bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        })
        .unwrap();
        let error = replay_segment(&disk, &path, &mut Collected::default()).unwrap_err();
        assert!(matches!(error, TsdbError::Version { found: 9, .. }));
    }

    /// Batches with every kind of run and of token, one of them long enough to be packed.
    fn golden_batches() -> Vec<Vec<SeriesSample>> {
        let sample = |series, timestamp_ms, value| SeriesSample {
            series: SeriesId(series),
            timestamp_ms,
            value,
        };
        let values = [1.0, 0.25, -7.5, 1e12, stale_marker(), -0.0, 0.1 + 0.2, 3e5];
        let scrape = |timestamp_ms: i64, change: f64| -> Vec<SeriesSample> {
            let changed = (0..).zip(values);
            changed.map(|(series, value)| sample(series, timestamp_ms, value + change)).collect()
        };
        let column = |series, start: i64| {
            (start..start + 3)
                .map(move |at| sample(series, 1_790_000_100_000 + at * 15_000, at as f64))
        };
        vec![
            scrape(1_790_000_000_000, 0.0),
            scrape(1_790_000_015_000, 0.0),
            scrape(1_790_000_030_007, 2.0),
            column(3, 0).chain(column(4, 0)).chain(column(5, 2)).collect(),
            vec![sample(9, 1_790_000_200_000, 1.0), sample(2, 1_790_000_200_000, 2.0)],
            (0..200)
                .map(|series| sample(series, 1_790_000_300_000, f64::from(series / 7)))
                .collect(),
        ]
    }

    #[test]
    fn the_golden_segment_is_read() {
        let (disk, dir) = (MemoryDisk::new(), PathBuf::from("/wal"));
        disk.create_dir_all(&dir).unwrap();
        let path = dir.join(segment_name(1));
        let golden = include_bytes!("../../tests/golden/wal-v2.wal");
        disk.create(&path).unwrap().write_all(golden).unwrap();
        let mut found = Collected::default();
        let replay = replay_segment(&disk, &path, &mut found).unwrap();
        let bits = |samples: &[SeriesSample]| -> Vec<(u32, i64, u64)> {
            samples.iter().map(|s| (s.series.0, s.timestamp_ms, s.value.to_bits())).collect()
        };
        assert_eq!(bits(&found.samples), bits(&golden_batches().concat()));
        assert_eq!((found.series, found.damaged, replay.cut), (200, 0, None));
    }
}
