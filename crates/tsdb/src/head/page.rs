//! A page of the head: the series of 1,024 adjacent numbers, their lanes, and the memory of their samples.

use muster_series::TimeRange;

use super::cells::{CELL_SIZE, Cells, NONE};
use super::lane::Lane;
use super::series::{Checkpoint, HeadSeries, Store};
use super::sort_last_wins;
use crate::SeriesSample;

/// Series of a page.
pub(super) const PAGE_LEN: usize = 1 << 10;

/// Most lanes of a page; series that need one more share.
const MOST_LANES: usize = 255;
/// So many of a lane's newest instants are looked through for one that is there already.
const TAIL: usize = 64;
/// The table of series grows by so many.
const SERIES_STEP: usize = 128;
/// Late samples are merged into the others when they are this many, or a quarter of them.
const LATE_LEAST: usize = 64;

/// What came of samples that were added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pushed {
    /// Samples that were new.
    pub(super) samples: u64,
    /// Series that had none before.
    pub(super) series: usize,
    /// By how many bytes the page grew.
    pub(super) bytes: isize,
}

/// Late samples of one series.
#[derive(Debug)]
struct Late {
    samples: Vec<(i64, f64)>,
    /// From the oldest to the newest of them; empty if there is none.
    range: TimeRange,
}

impl Default for Late {
    fn default() -> Self {
        Self { samples: Vec::new(), range: TimeRange::new(i64::MAX, i64::MIN) }
    }
}

#[derive(Debug)]
pub(super) struct Page {
    series: Vec<HeadSeries>,
    lanes: Vec<Lane>,
    store: Store,
    /// By series that had one: samples not newer than its newest when they came, in the order of their coming.
    late: Vec<Late>,
    late_samples: usize,
    /// Instants of all lanes.
    instants: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            series: Vec::new(),
            lanes: Vec::new(),
            store: Store { cells: Cells::new(), checkpoints: Vec::new() },
            late: Vec::new(),
            late_samples: 0,
            instants: 0,
        }
    }
}

impl Page {
    /// Adds samples of this page's series.
    pub(super) fn push(&mut self, samples: &[SeriesSample]) -> Pushed {
        let before = self.bytes();
        let mut pushed = Pushed::default();
        let mut neighbour = None;
        for sample in samples {
            let at = sample.series.0 as usize % PAGE_LEN;
            if at >= self.series.len() {
                self.grow(at + 1);
            }
            if self.series[at].count == 0 {
                self.start(at, sample.timestamp_ms, sample.value, neighbour);
                pushed.series += 1;
                pushed.samples += 1;
            } else {
                pushed.samples += u64::from(self.push_one(at, sample.timestamp_ms, sample.value));
            }
            neighbour = Some(self.series[at].lane);
        }
        pushed.bytes = self.bytes() as isize - before as isize;
        pushed
    }

    fn grow(&mut self, len: usize) {
        let len = len.next_multiple_of(SERIES_STEP);
        self.series.reserve_exact(len - self.series.len());
        self.series.resize_with(len, HeadSeries::default);
    }

    /// Bytes that the samples take.
    fn bytes(&self) -> usize {
        self.store.cells.in_use() * CELL_SIZE
            + self.instants * size_of::<i64>()
            + self.store.checkpoints.len() * size_of::<Checkpoint>()
            + self.late_samples * size_of::<(i64, f64)>()
    }

    /// A series' first sample. It takes the lane of the series before it in the batch if they seem to be scraped together.
    fn start(&mut self, at: usize, timestamp: i64, value: f64, neighbour: Option<u8>) {
        let shared = neighbour.and_then(|lane| {
            let tick = self.lanes[usize::from(lane)].recent(timestamp, TAIL)?;
            Some((lane, tick))
        });
        let (lane, tick) = shared.unwrap_or_else(|| {
            let lane = if self.lanes.len() < MOST_LANES {
                self.lanes.push(Lane::default());
                self.lanes.len() - 1
            } else {
                at % MOST_LANES
            };
            self.instants += 1;
            (lane as u8, self.lanes[lane].append(timestamp))
        });
        self.series[at].start(lane, tick, value);
    }

    /// Adds a sample; says whether it was new.
    fn push_one(&mut self, at: usize, timestamp: i64, value: f64) -> bool {
        let series = &mut self.series[at];
        let lane = &mut self.lanes[usize::from(series.lane)];
        let newest = lane.instant(series.tick);
        if timestamp > newest {
            let before = lane.instants().len();
            let tick = lane.tick_after(series.tick, series.step, timestamp, TAIL);
            self.instants += lane.instants().len() - before;
            series.push(tick, value, &mut self.store);
            return true;
        }
        let repeated = timestamp == newest
            && value.to_bits() == series.bits
            && self.late_range(at).end_ms != newest;
        if !repeated {
            self.push_late(at, timestamp, value);
        }
        !repeated
    }

    fn late_of(&self, at: usize) -> &[(i64, f64)] {
        match self.series[at].late {
            0 => &[],
            number => &self.late[number as usize - 1].samples,
        }
    }

    /// From the oldest to the newest late sample of a series; empty if there is none.
    fn late_range(&self, at: usize) -> TimeRange {
        match self.series[at].late {
            0 => Late::default().range,
            number => self.late[number as usize - 1].range,
        }
    }

    fn push_late(&mut self, at: usize, timestamp: i64, value: f64) {
        let series = &mut self.series[at];
        if series.late == 0 {
            self.late.push(Late::default());
            series.late = self.late.len() as u32;
        }
        let late = &mut self.late[series.late as usize - 1];
        late.samples.push((timestamp, value));
        let range = &mut late.range;
        (range.start_ms, range.end_ms) =
            (range.start_ms.min(timestamp), range.end_ms.max(timestamp));
        self.late_samples += 1;
        if late.samples.len() > LATE_LEAST.max(series.count as usize / 4) {
            self.merge_late(at);
        }
    }

    /// Writes a series again with its late samples in their places.
    fn merge_late(&mut self, at: usize) {
        let samples = self.select(at, TimeRange::ALL);
        let series = &mut self.series[at];
        self.late_samples -= std::mem::take(&mut self.late[series.late as usize - 1]).samples.len();
        self.store.cells.give_back(series.first_cell);
        let lane = &mut self.lanes[usize::from(series.lane)];
        let before = lane.instants().len();
        // Where a neighbour was merged before, its instants are among the newest; more are not looked through for each sample.
        let newest = TAIL + 4 * samples.len();
        let mut samples = samples.into_iter();
        let Some((timestamp, value)) = samples.next() else {
            return;
        };
        series.start(series.lane, lane.tick_of(timestamp), value);
        for (timestamp, value) in samples {
            let tick = lane.tick_after(series.tick, series.step, timestamp, newest);
            series.push(tick, value, &mut self.store);
        }
        self.instants += lane.instants().len() - before;
    }

    /// The samples of a series in the range, in time order; of several at a time the last written.
    pub(super) fn select(&self, at: usize, range: TimeRange) -> Vec<(i64, f64)> {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        self.read(at, range, &mut times, &mut values);
        times.into_iter().zip(values).collect()
    }

    /// As [`Page::select`], appended to columns.
    pub(super) fn read(
        &self,
        at: usize,
        range: TimeRange,
        times: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) {
        if self.range(at).is_none_or(|own| !own.overlaps(&range)) {
            return;
        }
        let late = self.late_of(at).iter().filter(|sample| range.contains(sample.0));
        let late: Vec<(i64, f64)> = late.copied().collect();
        let before = times.len();
        self.read_in_order(at, range, times, values);
        if !late.is_empty() {
            let mut samples: Vec<(i64, f64)> =
                times.drain(before..).zip(values.drain(before..)).chain(late).collect();
            sort_last_wins(&mut samples);
            times.extend(samples.iter().map(|sample| sample.0));
            values.extend(samples.iter().map(|sample| sample.1));
        }
    }

    /// All samples in the range but the late ones.
    fn read_in_order(
        &self,
        at: usize,
        range: TimeRange,
        times: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) {
        let series = &self.series[at];
        let instants = self.lanes[usize::from(series.lane)].instants();
        let from = self.checkpoint_before(series, range.start_ms);
        let ticks = series.tick - from.map_or(series.first_tick, |from| from.tick);
        let most = (ticks / series.step.max(1) + 1).min(series.count) as usize;
        times.reserve(most);
        values.reserve(most);
        series.read(from, &self.store, |tick, value| {
            let timestamp = instants[tick as usize];
            if timestamp >= range.start_ms && timestamp <= range.end_ms {
                times.push(timestamp);
                values.push(value);
            }
            timestamp < range.end_ms
        });
    }

    /// The newest sample of a series in the range; nothing is decoded where that is the newest of all.
    pub(super) fn newest(&self, at: usize, range: TimeRange) -> Option<(i64, f64)> {
        let own = self.range(at)?;
        if own.end_ms < range.start_ms || range.end_ms < range.start_ms {
            return None;
        }
        // A late sample of the newest time was written later.
        if own.end_ms <= range.end_ms && self.late_range(at).end_ms < own.end_ms {
            return Some((own.end_ms, f64::from_bits(self.series[at].bits)));
        }
        let (mut times, mut values) = (Vec::new(), Vec::new());
        self.read(at, range, &mut times, &mut values);
        times.pop().zip(values.pop())
    }

    /// The newest checkpoint whose samples before it are all older.
    fn checkpoint_before(&self, series: &HeadSeries, start_ms: i64) -> Option<&Checkpoint> {
        let lane = &self.lanes[usize::from(series.lane)];
        let mut number = series.checkpoint;
        while number != NONE {
            let checkpoint = &self.store.checkpoints[number as usize];
            if lane.instant(checkpoint.tick) < start_ms {
                return Some(checkpoint);
            }
            number = checkpoint.previous;
        }
        None
    }

    /// From the oldest to the newest sample of a series, if it has one.
    pub(super) fn range(&self, at: usize) -> Option<TimeRange> {
        let series = self.series.get(at).filter(|series| series.count > 0)?;
        let lane = &self.lanes[usize::from(series.lane)];
        let first = lane.instant(series.first_tick);
        let oldest = first.min(self.late_range(at).start_ms);
        Some(TimeRange::new(oldest, lane.instant(series.tick)))
    }

    /// The places of all series that have samples.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.series.iter().enumerate().filter(|(_, series)| series.count > 0).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeriesId;

    #[test]
    fn the_newest_samples_are_read_without_all_before() {
        let mut page = Page::default();
        for timestamp_ms in 0..5_000 {
            let value = (timestamp_ms * 977 % 251) as f64;
            page.push(&[SeriesSample { series: SeriesId(7), timestamp_ms, value }]);
        }
        let series = &page.series[7];
        for start in [4_990, 2_000, 1_000] {
            let checkpoint = page.checkpoint_before(series, start).unwrap();
            assert!((1..300).contains(&(start - i64::from(checkpoint.tick))), "{checkpoint:?}");
            let mut ticks = Vec::new();
            series.read(Some(checkpoint), &page.store, |tick, value| {
                assert_eq!(value, f64::from(tick * 977 % 251));
                ticks.push(tick);
                true
            });
            assert_eq!(ticks, (checkpoint.tick + 1..5_000).collect::<Vec<_>>());
        }
        assert!(page.checkpoint_before(series, 10).is_none());
    }
}
