//! Evaluation: a query over all steps of a range at once, one node after another.
//!
//! 1. Where series do not meet each other, they pass a pipeline one by one: read at all steps in one pass
//!    over their samples, changed, and taken in by an aggregation or kept.
//! 2. Other nodes yield one value per series and step; "no sample" is the stale marker, which cannot
//!    come out of arithmetic because it is a signalling NaN.
//! 3. At the end metric names are dropped where an operation asked for it, and the result is shaped.

mod aggregate;
mod binary;
mod budget;
mod build;
mod error;
mod fold;
mod frame;
mod matching;
mod notes;
mod pick;
mod pipeline;
mod projection;
mod result;
mod select;
mod sets;
mod slide;
mod steps;
mod tally;
mod windows;
mod worker;

pub use error::EvaluateError;

pub(crate) use budget::Budget;
pub(crate) use frame::{Cut, Frame, Samples, Window};
pub(crate) use notes::{Notes, format_general, format_value};
pub(crate) use pipeline::{Rollup, Sink};
pub(crate) use slide::{Aggregate as SlidingAggregate, slide, slide_over, slide_with};
pub(crate) use steps::{ABSENT, Operand, StepSeries, Steps, is_absent, merge_same_labels};

use self::select::SharedLoads;
use self::tally::Tally;
use crate::functions;
use crate::options::Options;
use crate::plan::{Aggregation, BinaryOp, Call, Node, Projection};
use crate::query::Query;
use crate::source::SeriesSource;
use crate::value::{Evaluated, Value};

/// The value of a query at one instant, in milliseconds since 1970-01-01 UTC.
pub fn evaluate_instant(
    source: &dyn SeriesSource,
    query: &Query,
    at_ms: i64,
    options: &Options,
) -> Result<Evaluated, EvaluateError> {
    check_time(at_ms)?;
    let steps = Steps { first_ms: at_ms, step_ms: 1, count: 1 };
    let mut evaluator = Evaluator::new(source, query, steps, at_ms, options);
    let value = match query.root() {
        Node::Range(range) => {
            let (input, frame) = evaluator.open_windows(range, &steps, "")?;
            Value::Matrix(result::window(input, &frame, &evaluator.budget)?)
        }
        node => result::instant(evaluator.evaluate(node, &steps)?, at_ms)?,
    };
    Ok(evaluator.finish(value))
}

/// The values of a query at `start_ms`, then every `step_ms`, up to `end_ms` at most: always a matrix.
pub fn evaluate_range(
    source: &dyn SeriesSource,
    query: &Query,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    options: &Options,
) -> Result<Evaluated, EvaluateError> {
    check_time(start_ms)?;
    check_time(end_ms)?;
    let steps = range_steps(start_ms, end_ms, step_ms, options.max_points)?;
    let refused = match query.root() {
        Node::Range(_) => Some("range vector"),
        Node::Text(_) => Some("string"),
        _ => None,
    };
    if let Some(kind) = refused {
        return Err(EvaluateError::BadQuery(format!(
            "invalid expression type {kind:?} for range query, must be Scalar or instant Vector"
        )));
    }
    let mut evaluator = Evaluator::new(source, query, steps, end_ms, options);
    let operand = evaluator.evaluate(query.root(), &steps)?;
    let value = Value::Matrix(result::range(operand, &steps)?);
    Ok(evaluator.finish(value))
}

/// Times are kept small enough that windows and offsets can be added to them.
fn check_time(time_ms: i64) -> Result<(), EvaluateError> {
    const MAX_TIME_MS: i64 = i64::MAX / 8;
    if (-MAX_TIME_MS..=MAX_TIME_MS).contains(&time_ms) {
        return Ok(());
    }
    Err(EvaluateError::BadQuery(format!("the time {time_ms} ms is out of range")))
}

fn range_steps(
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    max_points: usize,
) -> Result<Steps, EvaluateError> {
    if step_ms <= 0 {
        let message = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(EvaluateError::BadQuery(message.into()));
    }
    if end_ms < start_ms {
        return Err(EvaluateError::BadQuery("end timestamp must not be before start time".into()));
    }
    // As in Prometheus, the first point is not counted.
    match usize::try_from((end_ms - start_ms) / step_ms) {
        Ok(more) if more <= max_points => {
            Ok(Steps { first_ms: start_ms, step_ms, count: more + 1 })
        }
        _ => Err(EvaluateError::BadQuery(format!(
            "exceeded maximum resolution of {max_points} points per timeseries. Try decreasing the query resolution (?step=XX)"
        ))),
    }
}

/// What one evaluation needs everywhere.
pub(crate) struct Evaluator<'a> {
    source: &'a dyn SeriesSource,
    pub(crate) options: &'a Options,
    /// The steps of the whole query; the first is what `start()` refers to.
    pub(crate) query_steps: Steps,
    /// The end as it was asked for, which `end()` refers to; the last step may be before it.
    pub(crate) query_end_ms: i64,
    pub(crate) budget: Budget<'a>,
    pub(crate) notes: Notes<'a>,
    shared: SharedLoads,
    /// While series go straight into groups: the labels that the groups are told by.
    groups_by: Option<Vec<String>>,
}

impl<'a> Evaluator<'a> {
    fn new(
        source: &'a dyn SeriesSource,
        query: &'a Query,
        query_steps: Steps,
        query_end_ms: i64,
        options: &'a Options,
    ) -> Self {
        let tally = options.counts_samples.then(|| Tally::new(query_steps));
        let mut evaluator = Self {
            source,
            options,
            query_steps,
            query_end_ms,
            budget: Budget::new(options.max_samples, options.cancelled.as_deref(), tally),
            notes: Notes::new(query.text()),
            shared: SharedLoads::default(),
            groups_by: None,
        };
        evaluator.find_shared(query.root());
        evaluator
    }

    fn finish(self, value: Value) -> Evaluated {
        let samples = self.budget.tally.map(Tally::finish);
        Evaluated { samples, ..self.notes.finish(value) }
    }

    /// The value of a node at each step. What the node needed on the way is given back to the budget.
    pub(crate) fn evaluate(
        &mut self,
        node: &Node,
        steps: &Steps,
    ) -> Result<Operand, EvaluateError> {
        let held_before = self.budget.held();
        let groups_by = self.groups_by.take();
        let operand = self.evaluate_node(node, steps)?;
        self.groups_by = groups_by;
        self.budget.settle(held_before + operand.samples());
        self.budget.charge(0)?;
        Ok(operand)
    }

    fn evaluate_node(&mut self, node: &Node, steps: &Steps) -> Result<Operand, EvaluateError> {
        if build::streams(node) {
            return self.collect(node, steps);
        }
        match node {
            Node::Number(number) => Ok(Operand::Scalar(vec![*number; steps.count])),
            Node::Text(text) => Ok(Operand::Text(text.clone())),
            Node::Selector(_) | Node::Range(_) => {
                Err(EvaluateError::Execution("a range vector is not allowed here".into()))
            }
            Node::Negate(inner) => {
                let numbers = self.evaluate(inner, steps)?.into_scalar()?;
                Ok(Operand::Scalar(numbers.into_iter().map(|number| -number).collect()))
            }
            Node::Binary(binary) => {
                let left = self.evaluate(&binary.left, steps)?;
                let right = self.evaluate(&binary.right, steps)?;
                match binary.op {
                    BinaryOp::Set(op) => {
                        let (left, right) = (left.into_vector()?, right.into_vector()?);
                        let series = sets::combine(op, &binary.matching.by, left, right, steps)?;
                        Ok(Operand::Vector(series))
                    }
                    BinaryOp::Arithmetic(_) | BinaryOp::Comparison(_) => {
                        binary::combine(binary, &left, &right, steps, &self.budget)
                    }
                }
            }
            Node::Aggregate(aggregate) => {
                let parameter =
                    aggregate.parameter.as_ref().map(|p| self.evaluate(p, steps)).transpose()?;
                let series = match aggregate.op {
                    Aggregation::Fold(fold) => aggregate::fold(self, aggregate, fold, steps)?,
                    Aggregation::Pick(pick) => {
                        let operand = self.evaluate(&aggregate.operand, steps)?.into_vector()?;
                        pick::pick(self, aggregate, pick, parameter, operand)?
                    }
                    Aggregation::Quantile | Aggregation::CountValues => {
                        let operand = self.evaluate(&aggregate.operand, steps)?.into_vector()?;
                        aggregate::aggregate(self, aggregate, parameter, &operand, steps)?
                    }
                };
                Ok(Operand::Vector(series))
            }
            Node::Call(call) => functions::call(self, call, steps),
        }
    }

    /// The series that come out of a pipeline, by labels where they come from the source.
    fn collect(&mut self, node: &Node, steps: &Steps) -> Result<Operand, EvaluateError> {
        let pipeline = self.pipeline(node, steps)?;
        let unordered = pipeline.is_unordered();
        let mut series: Vec<StepSeries> =
            pipeline.run(self.options.threads, &self.budget, &mut self.notes, Vec::new)?;
        if unordered && !series.is_sorted_by(|a, b| a.labels <= b.labels) {
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        Ok(Operand::Vector(series))
    }

    /// Carries the series of an instant vector into a sink, without holding them all.
    pub(crate) fn stream<S: Sink>(
        &mut self,
        node: &Node,
        steps: &Steps,
        sink: impl Fn() -> S,
    ) -> Result<S, EvaluateError> {
        let pipeline = self.pipeline(node, steps)?;
        pipeline.run(self.options.threads, &self.budget, &mut self.notes, sink)
    }

    /// As [`Self::stream`], into a sink that looks at the labels of these groups only.
    pub(crate) fn stream_into_groups<S: Sink>(
        &mut self,
        node: &Node,
        steps: &Steps,
        groups: &Projection,
        sink: impl Fn() -> S,
    ) -> Result<S, EvaluateError> {
        self.groups_by = groups.only.then(|| groups.names.clone());
        let pipeline = self.pipeline(node, steps);
        self.groups_by = None;
        pipeline?.run(self.options.threads, &self.budget, &mut self.notes, sink)
    }

    /// As [`Self::stream`], of a function of the range vector among the arguments of a call.
    pub(crate) fn stream_windows<S: Sink>(
        &mut self,
        call: &Call,
        steps: &Steps,
        function: fn(&Window<'_>) -> f64,
        sink: impl Fn() -> S,
    ) -> Result<S, EvaluateError> {
        let pipeline = self.windows(call, steps, Rollup::Each(function), false, None)?;
        pipeline.run(self.options.threads, &self.budget, &mut self.notes, sink)
    }
}
