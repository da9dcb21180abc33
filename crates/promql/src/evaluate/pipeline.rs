//! What each series passes on its own: read at all steps, then changed by one operation after another.
//!
//! 1. A pipeline is built from the part of a query in which series do not meet each other: a selector or
//!    a range function, and the functions and operators with scalars around it.
//! 2. Its series come one at a time, are carried through all stages, and go into a [`Sink`]; so that a sum
//!    over many series holds the sums and not the series.
//! 3. Where the source gives its series in several parts, each part runs on a thread of its own, into a
//!    sink of its own; the sinks are joined in the order of the parts.

use std::sync::Arc;

use muster_series::SeriesColumns;

use super::worker::{Told, Worker};
use super::{Budget, EvaluateError, Frame, Notes, Samples, StepSeries, Window};
use crate::functions::{Change, Date};
use crate::plan::BinaryOp;
use crate::source::{SeriesPart, SourceError};

/// From samples to values at the steps, for one series.
pub(crate) enum Reader {
    /// The newest sample at each of `times`, not older than the lookback and not stale.
    Newest { times: Vec<i64>, lookback_ms: i64, reads: Reads },
    /// A function of a window at each step, with one scalar a step for each other argument.
    Windows { frame: Frame, rollup: Rollup, scalars: Vec<Vec<f64>>, keeps_name: bool },
    /// The values are there already.
    Ready,
}

/// What is read of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    Value,
    /// Its time, in seconds.
    Time,
}

/// A function from windows to values.
#[derive(Clone, Copy)]
pub(crate) enum Rollup {
    /// Of each window on its own, of at least one sample; may yield [`ABSENT`](super::ABSENT).
    Each(fn(&Window<'_>) -> f64),
    /// As [`Self::Each`], with the scalars at that step and room to work in.
    EachWith(fn(&Window<'_>, &[f64], &mut Vec<f64>) -> f64),
    /// Of all windows of a series at once.
    Column(fn(&Frame, Samples<'_>, &mut Vec<f64>)),
    /// The change over each window, which is mostly told by the timestamps that series share.
    Extrapolated(Change),
    /// By the first where windows share few samples, else by the second.
    Sliding(fn(&Window<'_>) -> f64, fn(&Frame, Samples<'_>, &mut Vec<f64>)),
    /// As [`Self::Sliding`], with the scalars at that step, or at all of them.
    SlidingWith(
        fn(&Window<'_>, &[f64], &mut Vec<f64>) -> f64,
        fn(&Frame, Samples<'_>, &[Vec<f64>], &mut Vec<f64>),
    ),
}

/// An operation on each value of a series.
pub(crate) enum Stage {
    Map(fn(f64) -> f64),
    /// With one scalar a step for each further argument; may yield [`ABSENT`](super::ABSENT).
    MapWith(fn(f64, &[f64]) -> f64, Vec<Vec<f64>>),
    /// Of the value as seconds since 1970.
    Calendar(fn(Date) -> f64),
    /// The value itself is replaced by one of its step.
    Replace(Vec<f64>),
    /// An operator with a scalar.
    Scalar {
        op: BinaryOp,
        returns_bool: bool,
        scalars: Vec<f64>,
        scalar_first: bool,
    },
}

/// What is to be told of the series that a reader has read.
#[derive(Clone)]
pub(crate) enum Remark {
    /// Names that are not those of counters, for the argument at this offset.
    NonCounters(Option<usize>),
    /// Quantiles that are none, if there is any result at all.
    Quantiles(Vec<f64>, Option<usize>),
}

/// Where the series of a pipeline come from.
pub(crate) enum Input<'s> {
    /// The source, in parts that can be worked at once.
    Parts { parts: Vec<SeriesPart<'s>>, held: bool },
    /// Samples that other parts of the query read, too.
    Shared(Arc<Vec<SeriesColumns>>),
    /// The results of a subquery, and whether each drops its name.
    Windows(Vec<(SeriesColumns, bool)>),
    /// Values at the steps.
    Steps(Vec<StepSeries>),
}

/// Where the series of a pipeline go.
pub(crate) trait Sink: Send + Sized {
    /// Takes a series.
    fn add(&mut self, series: StepSeries, budget: &Budget<'_>) -> Result<(), EvaluateError>;

    /// Takes what the sink of the next part took.
    fn join(&mut self, next: Self, budget: &Budget<'_>) -> Result<(), EvaluateError>;
}

impl Sink for Vec<StepSeries> {
    fn add(&mut self, series: StepSeries, budget: &Budget<'_>) -> Result<(), EvaluateError> {
        budget.charge(series.values.len())?;
        self.push(series);
        Ok(())
    }

    fn join(&mut self, mut next: Self, _: &Budget<'_>) -> Result<(), EvaluateError> {
        self.append(&mut next);
        Ok(())
    }
}

/// A part of a query in which series do not meet each other.
pub(crate) struct Pipeline<'s> {
    pub(super) input: Input<'s>,
    pub(super) chain: Chain,
}

/// What a pipeline does with each series.
pub(crate) struct Chain {
    pub(super) reader: Reader,
    pub(super) stages: Vec<Stage>,
    pub(super) remark: Option<Remark>,
    pub(super) steps: usize,
}

/// A series on its way through a pipeline.
pub(super) enum Item<'i> {
    Owned(SeriesColumns),
    Shared(&'i SeriesColumns),
    Window(SeriesColumns, bool),
    Ready(StepSeries),
}

pub(super) type Items<'i> = Box<dyn Iterator<Item = Result<Item<'i>, SourceError>> + Send + 'i>;

impl Pipeline<'_> {
    /// Whether the series come in the order of the source, which means nothing.
    pub(super) fn is_unordered(&self) -> bool {
        !matches!(self.input, Input::Steps(_))
    }

    /// Carries all series through; `sink` makes an empty sink for each thread.
    pub(super) fn run<S: Sink>(
        self,
        threads: usize,
        budget: &Budget<'_>,
        notes: &mut Notes<'_>,
        sink: impl Fn() -> S,
    ) -> Result<S, EvaluateError> {
        let Self { input, chain } = self;
        let held = matches!(input, Input::Parts { held: true, .. });
        let shared = match &input {
            Input::Shared(columns) => Arc::clone(columns),
            _ => Arc::default(),
        };
        let mut parts = items(input, &shared, threads).into_iter();
        let Some(first) = parts.next() else {
            return Ok(sink());
        };
        let work = |items: Items<'_>, mut sink: S| {
            let mut worker = Worker::new(&chain, budget, held);
            worker.run(items, &mut sink)?;
            Ok::<_, EvaluateError>((sink, worker.told))
        };
        let work = &work;
        let rest: Vec<(Items<'_>, S)> = parts.map(|items| (items, sink())).collect();
        let ((mut all, mut told), rest) = std::thread::scope(|scope| {
            let threads: Vec<_> = rest
                .into_iter()
                .map(|(items, sink)| scope.spawn(move || work(items, sink)))
                .collect();
            let first = work(first, sink())?;
            let outcomes = threads.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            let rest: Vec<(S, Told)> = outcomes.collect::<Result<_, _>>()?;
            Ok::<_, EvaluateError>((first, rest))
        })?;
        for (next, more) in rest {
            all.join(next, budget)?;
            told.join(more);
        }
        told.tell(chain.remark.as_ref(), notes);
        Ok(all)
    }
}

/// The series of an input, in as many parts as there are threads to run.
fn items<'i>(input: Input<'i>, shared: &'i [SeriesColumns], threads: usize) -> Vec<Items<'i>> {
    /// Fewer samples than this are read sooner than a thread is started for them.
    const SAMPLES_A_THREAD: usize = 250_000;
    match input {
        Input::Parts { parts, .. } => parts
            .into_iter()
            .map(|part| Box::new(part.map(|item| item.map(Item::Owned))) as Items<'i>)
            .collect(),
        Input::Shared(_) => {
            let samples: usize = shared.iter().map(SeriesColumns::len).sum();
            let parts = (samples / SAMPLES_A_THREAD).clamp(1, threads);
            shared
                .chunks(shared.len().div_ceil(parts).max(1))
                .map(|part| Box::new(part.iter().map(|one| Ok(Item::Shared(one)))) as Items<'i>)
                .collect()
        }
        Input::Windows(series) => vec![Box::new(
            series.into_iter().map(|(columns, drops_name)| Ok(Item::Window(columns, drops_name))),
        )],
        Input::Steps(series) => vec![Box::new(series.into_iter().map(|one| Ok(Item::Ready(one))))],
    }
}
