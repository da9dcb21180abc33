//! Samples in the log: runs of samples that belong together, and each value told against the one before of its series.
//!
//! What is told against is what the *stretch* of the segment told so far, so that a value that does not change is a zero byte; a stretch is
//! ended now and then, so that damage costs its rest at most. Layout: docs/format/wal.md, "Samples".

use super::series_table::SeriesTable;
use crate::codec::value::{Newest, ValueReader};
use crate::codec::varint::{self, Malformed, Reader};
use crate::{SeriesId, SeriesSample};

/// Kinds of run (docs/format/wal.md, "Samples").
const SCRAPE: u64 = 0;
const SCRAPE_AGAIN: u64 = 1;
const COLUMN: u64 = 2;
const COLUMN_AGAIN: u64 = 3;

/// What a stretch told of a series.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    bits: u64,
    /// The stretch that told it; 0 is none.
    stretch: u32,
    exponent: u8,
}

impl Told {
    fn newest(self) -> Newest {
        Newest { bits: self.bits, exponent: self.exponent }
    }
}

/// Writes the samples of records.
#[derive(Debug, Default)]
pub(super) struct SampleEncoder {
    series: SeriesTable<Told>,
    stretch: u32,
    /// The first stretch of the segment; what was told before it was told elsewhere.
    first_of_segment: u32,
    series_of_stretch: usize,
    record: RecordRuns,
    values: Vec<u8>,
    samples: usize,
}

impl SampleEncoder {
    /// From here on nothing is known that was told before.
    pub(super) fn start_stretch(&mut self) {
        self.stretch += 1;
        self.series_of_stretch = 0;
    }

    /// From here on nothing is known, not even a name.
    pub(super) fn start_segment(&mut self) {
        self.start_stretch();
        self.first_of_segment = self.stretch;
        // Numbers of series that have ended never come again, and must not stay for ever.
        self.series = SeriesTable::default();
    }

    /// Series of the stretch so far.
    pub(super) fn series_of_stretch(&self) -> usize {
        self.series_of_stretch
    }

    /// Samples of the record so far.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// Adds samples to the record. Series that the segment has not named are added to `nameless`.
    pub(super) fn add(&mut self, samples: &[SeriesSample], nameless: &mut Vec<u32>) {
        self.samples += samples.len();
        self.record.add(samples);
        for sample in samples {
            let told = self.series.get_mut(sample.series.0);
            if told.stretch != self.stretch {
                if told.stretch < self.first_of_segment {
                    nameless.push(sample.series.0);
                }
                self.series_of_stretch += 1;
                *told = Told { stretch: self.stretch, ..Told::default() };
            }
            if sample.value.to_bits() == told.bits {
                self.values.push(0);
                continue;
            }
            let mut newest = told.newest();
            newest.encode(sample.value).put(&mut self.values);
            (told.bits, told.exponent) = (newest.bits, newest.exponent);
        }
    }

    /// Puts the record's body into `out`, which it replaces, and starts the next record.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.clear();
        varint::put(out, self.record.bytes.len() as u64);
        out.extend_from_slice(&self.record.bytes);
        out.extend_from_slice(&self.values);
        self.record.clear();
        self.values.clear();
        self.samples = 0;
    }
}

/// Which series and times the samples of a record are of.
#[derive(Debug, Default)]
struct RecordRuns {
    bytes: Vec<u8>,
    /// The newest timestamp told.
    timestamp: i64,
    /// The number after the newest series told.
    next: i64,
    /// The timestamps of the newest column.
    column: Vec<i64>,
}

impl RecordRuns {
    fn clear(&mut self) {
        self.bytes.clear();
        (self.timestamp, self.next) = (0, 0);
        self.column.clear();
    }

    fn add(&mut self, samples: &[SeriesSample]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let in_scrape = 1 + rest.windows(2).take_while(|two| is_scrape(two)).count();
            let in_column = match in_scrape {
                1 => 1 + rest.windows(2).take_while(|two| two[0].series == two[1].series).count(),
                _ => 1,
            };
            let (run, after) = rest.split_at(in_scrape.max(in_column));
            if in_column > 1 {
                self.add_column(run);
            } else {
                self.add_scrape(run);
            }
            rest = after;
        }
    }

    fn start(&mut self, kind: u64, run: &[SeriesSample], series: u64) {
        varint::put(&mut self.bytes, (run.len() as u64) << 2 | kind);
        let first = i64::from(run[0].series.0);
        varint::put_signed(&mut self.bytes, first - self.next);
        self.next = first + series as i64;
    }

    fn add_scrape(&mut self, run: &[SeriesSample]) {
        let change = run[0].timestamp_ms.wrapping_sub(self.timestamp);
        self.start(if change == 0 { SCRAPE_AGAIN } else { SCRAPE }, run, run.len() as u64);
        if change != 0 {
            varint::put_signed(&mut self.bytes, change);
            self.timestamp = run[0].timestamp_ms;
        }
    }

    fn add_column(&mut self, run: &[SeriesSample]) {
        let times = run.iter().map(|sample| sample.timestamp_ms);
        let again = times.clone().eq(self.column.iter().copied());
        self.start(if again { COLUMN_AGAIN } else { COLUMN }, run, 1);
        if !again {
            self.column.clear();
            self.column.extend(times);
            let (mut newest, mut step) = (self.timestamp, 0_i64);
            for &timestamp in &self.column {
                let next_step = timestamp.wrapping_sub(newest);
                varint::put_signed(&mut self.bytes, next_step.wrapping_sub(step));
                (newest, step) = (timestamp, next_step);
            }
        }
        self.timestamp = run[run.len() - 1].timestamp_ms;
    }
}

/// Whether two adjacent samples are of one instant and of adjacent series.
fn is_scrape(two: &[SeriesSample]) -> bool {
    two[0].timestamp_ms == two[1].timestamp_ms && two[0].series.0.wrapping_add(1) == two[1].series.0
}

/// Reads the samples of a segment's records, in their order.
#[derive(Debug, Default)]
pub(super) struct SampleDecoder {
    series: SeriesTable<Told>,
    stretch: u32,
    samples: Vec<SeriesSample>,
}

impl SampleDecoder {
    /// The record that comes next starts a stretch.
    pub(super) fn start_stretch(&mut self) {
        self.stretch += 1;
    }

    /// The samples of a record's body, by the segment's numbers of series. After an error nothing can be read up to the next stretch.
    pub(super) fn read(&mut self, body: &[u8]) -> Result<&[SeriesSample], Malformed> {
        let mut reader = Reader::new(body);
        let runs = reader.bytes()?;
        let mut values = reader.take(reader.len())?;
        self.samples.clear();
        read_runs(runs, values.len(), &mut self.samples)?;
        for sample in &mut self.samples {
            let told = self.series.get_mut(sample.series.0);
            if told.stretch != self.stretch {
                *told = Told { stretch: self.stretch, ..Told::default() };
            }
            if values.first() == Some(&0) {
                values = &values[1..];
            } else {
                let mut reader = ValueReader::after(told.newest());
                let len = reader.decode(values)?;
                values = &values[len..];
                let newest = reader.newest();
                (told.bits, told.exponent) = (newest.bits, newest.exponent);
            }
            sample.value = f64::from_bits(told.bits);
        }
        if values.is_empty() { Ok(&self.samples) } else { Err(Malformed) }
    }
}

/// Reads runs of `most` samples at most, which have no values yet.
fn read_runs(runs: &[u8], most: usize, out: &mut Vec<SeriesSample>) -> Result<(), Malformed> {
    let mut reader = Reader::new(runs);
    let (mut timestamp, mut next) = (0_i64, 0_i64);
    let mut column: Vec<i64> = Vec::new();
    while !reader.is_empty() {
        let start = reader.varint()?;
        let len = start >> 2;
        // Each sample has a value of one byte at least, so damage cannot ask for more memory than the record has bytes.
        if len == 0 || len > (most - out.len()) as u64 {
            return Err(Malformed);
        }
        let first = next.wrapping_add(reader.signed()?);
        let series = u32::try_from(first).map_err(|_| Malformed)?;
        let kind = start & 3;
        if kind == SCRAPE || kind == SCRAPE_AGAIN {
            if kind == SCRAPE {
                timestamp = timestamp.wrapping_add(reader.signed()?);
            }
            let last = u64::from(series) + len - 1;
            let last = u32::try_from(last).map_err(|_| Malformed)?;
            out.extend((series..=last).map(|series| unread(series, timestamp)));
            next = i64::from(last) + 1;
            continue;
        }
        if kind == COLUMN {
            column.clear();
            let mut step = 0_i64;
            let mut newest = timestamp;
            for _ in 0..len {
                step = step.wrapping_add(reader.signed()?);
                newest = newest.wrapping_add(step);
                column.push(newest);
            }
        } else if column.len() as u64 != len {
            return Err(Malformed);
        }
        out.extend(column.iter().map(|&timestamp| unread(series, timestamp)));
        timestamp = *column.last().ok_or(Malformed)?;
        next = first + 1;
    }
    Ok(())
}

fn unread(series: u32, timestamp_ms: i64) -> SeriesSample {
    SeriesSample { series: SeriesId(series), timestamp_ms, value: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::column::any_value;
    use proptest::prelude::*;

    fn rows(rows: &[(u32, i64, f64)]) -> Vec<SeriesSample> {
        rows.iter()
            .map(|&(series, timestamp_ms, value)| SeriesSample {
                series: SeriesId(series),
                timestamp_ms,
                value,
            })
            .collect()
    }

    fn bits(samples: &[SeriesSample]) -> Vec<(u32, i64, u64)> {
        samples.iter().map(|s| (s.series.0, s.timestamp_ms, s.value.to_bits())).collect()
    }

    /// Runs of every kind.
    fn any_rows() -> impl Strategy<Value = Vec<SeriesSample>> {
        let series = prop_oneof![0_u32..6, 0_u32..50_000];
        let time = prop_oneof![0_i64..4, any::<i64>()];
        let run = (series, time, any::<bool>(), proptest::collection::vec(any_value(), 1..12))
            .prop_map(|(series, time, is_column, values)| {
                let row = |(at, value): (i64, f64)| {
                    if is_column {
                        (series, time.wrapping_add(at * 5), value)
                    } else {
                        (series + at as u32, time, value)
                    }
                };
                (0..).zip(values).map(row).collect::<Vec<_>>()
            });
        proptest::collection::vec(run, 0..12).prop_map(|runs| rows(&runs.concat()))
    }

    #[test]
    fn what_a_segment_told_is_forgotten_with_it() {
        let mut encoder = SampleEncoder::default();
        for round in 0..50_u32 {
            encoder.start_segment();
            encoder.add(&rows(&[(round * 10_000, 0, 1.0)]), &mut Vec::new());
            assert_eq!(encoder.series.pages(), 1);
        }
    }

    proptest! {
        #[test]
        fn samples_come_back(records in proptest::collection::vec((any::<bool>(), any_rows()), 1..6)) {
            let (mut encoder, mut decoder) = (SampleEncoder::default(), SampleDecoder::default());
            let (mut body, mut named) = (Vec::new(), std::collections::BTreeSet::new());
            encoder.start_segment();
            decoder.start_stretch();
            for (is_start, samples) in records {
                if is_start {
                    encoder.start_stretch();
                    decoder.start_stretch();
                }
                let mut nameless = Vec::new();
                encoder.add(&samples, &mut nameless);
                prop_assert_eq!(encoder.samples(), samples.len());
                encoder.finish(&mut body);
                prop_assert_eq!(bits(decoder.read(&body).unwrap()), bits(&samples));
                for id in nameless {
                    prop_assert!(named.insert(id), "{} is named twice", id);
                }
                prop_assert!(samples.iter().all(|sample| named.contains(&sample.series.0)));
            }
        }

        #[test]
        fn any_body_is_read_without_panic(bytes: Vec<u8>, runs in proptest::collection::vec(0_u8..40, 0..40)) {
            let _ = SampleDecoder::default().read(&bytes);
            let _ = SampleDecoder::default().read(&[&[runs.len() as u8], &runs[..], &bytes].concat());
        }
    }

    #[track_caller]
    fn check_length(first: &[(u32, i64, f64)], second: &[(u32, i64, f64)], expected: usize) {
        let mut encoder = SampleEncoder::default();
        let mut body = Vec::new();
        encoder.start_segment();
        for samples in [first, second] {
            encoder.add(&rows(samples), &mut Vec::new());
            encoder.finish(&mut body);
        }
        assert_eq!(body.len(), expected);
    }

    #[test]
    fn what_does_not_change_costs_a_byte() {
        // A length, a run of four bytes (its length, the series, a timestamp of two), and the values.
        check_length(
            &[(7, 1000, 5e9), (8, 1000, 0.25)],
            &[(7, 3000, 5e9), (8, 3000, 0.25)],
            1 + 4 + 2,
        );
        // A column, which has a timestamp and two steps, and one at the same times.
        let first = [(7, 0, 1.0), (7, 5, 1.0), (7, 10, 1.0)];
        let second =
            [(7, 20, 1.0), (7, 25, 1.0), (7, 30, 1.0), (8, 20, 0.0), (8, 25, 0.0), (8, 30, 0.0)];
        check_length(&first, &second, 1 + 5 + 2 + 6);
    }
}
