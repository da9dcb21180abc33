//! What a thread does with the series of its part: reads each at all steps and carries it through the stages.

use muster_series::{SeriesColumns, is_stale_marker};

use super::binary;
use super::pipeline::{Chain, Item, Items, Reader, Reads, Remark, Rollup, Sink, Stage};
use super::{ABSENT, Budget, EvaluateError, Frame, Notes, Samples, StepSeries, is_absent};
use crate::functions::{Date, Timelines, extrapolate};
use crate::plan::BinaryOp;

/// Carries the series of one part through a chain.
pub(super) struct Worker<'p, 'b> {
    chain: &'p Chain,
    budget: &'p Budget<'b>,
    /// Whether the samples are counted already.
    held: bool,
    /// How many samples are counted for the series at hand.
    reserved: usize,
    pub(super) told: Told,
    timelines: Timelines,
    /// Room for samples without stale markers, for scalars at a step, and for a function to work in.
    timestamps: Vec<i64>,
    values: Vec<f64>,
    at_step: Vec<f64>,
    work: Vec<f64>,
}

impl<'p, 'b> Worker<'p, 'b> {
    pub(super) fn new(chain: &'p Chain, budget: &'p Budget<'b>, held: bool) -> Self {
        Self {
            chain,
            budget,
            held,
            reserved: 0,
            told: Told::default(),
            timelines: Timelines::default(),
            timestamps: Vec::new(),
            values: Vec::new(),
            at_step: Vec::new(),
            work: Vec::new(),
        }
    }

    pub(super) fn run<S: Sink>(
        &mut self,
        items: Items<'_>,
        sink: &mut S,
    ) -> Result<(), EvaluateError> {
        for item in items {
            let series = match item? {
                Item::Ready(series) => Some(series),
                Item::Owned(columns) => {
                    self.reserve(if self.held { 0 } else { columns.len() } + self.chain.steps)?;
                    self.read(&columns, false)?
                }
                Item::Shared(columns) => {
                    self.reserve(self.chain.steps)?;
                    self.read(columns, false)?
                }
                Item::Window(columns, drops_name) => {
                    self.reserve(self.chain.steps)?;
                    self.read(&columns, drops_name)?
                }
            };
            if let Some(series) = series {
                self.told.note(&series, self.chain.remark.as_ref());
                if let Some(series) = self.pass(series) {
                    sink.add(series, self.budget)?;
                }
            }
        }
        self.budget.release(self.reserved);
        self.reserved = 0;
        Ok(())
    }

    /// Makes sure that so many samples are counted for the series at hand. What was counted for a larger
    /// one before it is enough, so that threads do not meet at the counter for each series.
    fn reserve(&mut self, samples: usize) -> Result<(), EvaluateError> {
        self.budget.check()?;
        if samples > self.reserved {
            self.budget.charge(samples - self.reserved)?;
            self.reserved = samples;
        }
        Ok(())
    }

    /// The values of a series at the steps; none if it has none at all.
    fn read(
        &mut self,
        columns: &SeriesColumns,
        drops_name: bool,
    ) -> Result<Option<StepSeries>, EvaluateError> {
        let mut values = Vec::with_capacity(self.chain.steps);
        let drops_name = match &self.chain.reader {
            Reader::Newest { times, lookback_ms, reads } => {
                newest(columns, times, *lookback_ms, *reads, &mut values);
                if let Some(tally) = &self.budget.tally {
                    tally.count_values(&values);
                }
                drops_name || *reads == Reads::Time
            }
            Reader::Windows { frame, rollup, scalars, keeps_name } => {
                self.roll_up(columns, frame, *rollup, scalars, &mut values)?;
                drops_name || !keeps_name
            }
            Reader::Ready => return Ok(None),
        };
        let series = StepSeries { labels: columns.labels.clone(), drops_name, values };
        Ok(series.has_values().then_some(series))
    }

    fn roll_up(
        &mut self,
        columns: &SeriesColumns,
        frame: &Frame,
        rollup: Rollup,
        scalars: &[Vec<f64>],
        out: &mut Vec<f64>,
    ) -> Result<(), EvaluateError> {
        let mut samples = Samples { timestamps: &columns.timestamps, values: &columns.values };
        if columns.values.iter().any(|&value| is_stale_marker(value)) {
            self.timestamps.clear();
            self.values.clear();
            let pairs = columns.timestamps.iter().zip(&columns.values);
            for (&time, &value) in pairs.filter(|(_, value)| !is_stale_marker(**value)) {
                self.timestamps.push(time);
                self.values.push(value);
            }
            samples = Samples { timestamps: &self.timestamps, values: &self.values };
        }
        if let Some(tally) = &self.budget.tally {
            tally.count_windows(frame, samples.timestamps);
        }
        match rollup {
            Rollup::Column(column) => column(frame, samples, out),
            Rollup::Extrapolated(change) => {
                extrapolate(change, frame, samples, &mut self.timelines, out);
            }
            Rollup::Sliding(_, column) if frame.overlaps() => column(frame, samples, out),
            Rollup::SlidingWith(_, column) if frame.overlaps() => {
                column(frame, samples, scalars, out);
            }
            Rollup::Sliding(each, _) | Rollup::Each(each) => {
                for window in frame.windows(samples) {
                    self.budget.check()?;
                    let empty = window.values.is_empty();
                    out.push(if empty { ABSENT } else { each(&window) });
                }
            }
            Rollup::SlidingWith(each, _) | Rollup::EachWith(each) => {
                for (step, window) in frame.windows(samples).enumerate() {
                    self.budget.check()?;
                    gather(scalars, step, &mut self.at_step);
                    let empty = window.values.is_empty();
                    let value =
                        if empty { ABSENT } else { each(&window, &self.at_step, &mut self.work) };
                    out.push(value);
                }
            }
        }
        Ok(())
    }

    /// Carries a series through all stages; none if no value is left.
    fn pass(&mut self, mut series: StepSeries) -> Option<StepSeries> {
        for stage in &self.chain.stages {
            match stage {
                Stage::Map(compute) => series.map(compute),
                Stage::Calendar(part) => {
                    series.map(|value| Date::at(value).map_or(f64::NAN, part));
                }
                Stage::MapWith(compute, scalars) => {
                    for (step, value) in series.values.iter_mut().enumerate() {
                        if !is_absent(*value) {
                            gather(scalars, step, &mut self.at_step);
                            *value = compute(*value, &self.at_step);
                        }
                    }
                }
                Stage::Replace(by) => {
                    for (value, &new) in series.values.iter_mut().zip(by) {
                        if !is_absent(*value) {
                            *value = new;
                        }
                    }
                }
                Stage::Scalar { op, returns_bool, scalars, scalar_first } => {
                    let drops_name = *returns_bool || matches!(op, BinaryOp::Arithmetic(_));
                    binary::with_scalars(
                        *op,
                        *returns_bool,
                        &mut series.values,
                        scalars,
                        *scalar_first,
                    );
                    series.drops_name |= drops_name;
                    continue;
                }
            }
            series.drops_name = true;
        }
        series.has_values().then_some(series)
    }
}

fn gather(scalars: &[Vec<f64>], step: usize, at_step: &mut Vec<f64>) {
    at_step.clear();
    at_step.extend(scalars.iter().map(|values| values[step]));
}

/// The newest sample at each time, by a cursor that never moves back; a stale marker is no sample.
fn newest(
    columns: &SeriesColumns,
    times: &[i64],
    lookback_ms: i64,
    reads: Reads,
    out: &mut Vec<f64>,
) {
    let SeriesColumns { timestamps, values, .. } = columns;
    // How many samples are not newer than the step.
    let mut seen = 0;
    for &time in times {
        while seen < timestamps.len() && timestamps[seen] <= time {
            seen += 1;
        }
        let value = match seen.checked_sub(1) {
            Some(at) if timestamps[at] > time - lookback_ms => match reads {
                // A stale marker is the marker of an absent value.
                Reads::Value => values[at],
                Reads::Time if is_stale_marker(values[at]) => ABSENT,
                Reads::Time => timestamps[at] as f64 / 1000.0,
            },
            _ => ABSENT,
        };
        out.push(value);
    }
}

/// What was found out for a [`Remark`].
#[derive(Default)]
pub(super) struct Told {
    any: bool,
    /// Each name once.
    non_counters: Vec<String>,
}

impl Told {
    fn note(&mut self, series: &StepSeries, remark: Option<&Remark>) {
        self.any = true;
        let (Some(Remark::NonCounters(_)), Some(name)) = (remark, series.labels.metric_name())
        else {
            return;
        };
        let endings = ["_total", "_sum", "_count", "_bucket"];
        let is_counter = endings.iter().any(|ending| name.ends_with(ending));
        if !is_counter && !self.non_counters.iter().any(|known| known == name) {
            self.non_counters.push(name.to_owned());
        }
    }

    pub(super) fn join(&mut self, more: Self) {
        self.any |= more.any;
        self.non_counters.extend(more.non_counters);
    }

    pub(super) fn tell(mut self, remark: Option<&Remark>, notes: &mut Notes<'_>) {
        match remark {
            Some(Remark::NonCounters(offset)) => {
                self.non_counters.sort();
                for name in self.non_counters {
                    let message = format!(
                        "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
                    );
                    notes.info(&message, *offset);
                }
            }
            Some(Remark::Quantiles(quantiles, offset)) if self.any => {
                for &q in quantiles {
                    notes.check_quantile(q, *offset);
                }
            }
            _ => {}
        }
    }
}
