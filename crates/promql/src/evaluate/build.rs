//! Builds the pipeline of a part of a query: where its series begin, and what each passes on its own.

use super::pipeline::{Chain, Input, Pipeline, Reader, Reads, Remark, Rollup, Stage};
use super::{EvaluateError, Evaluator, StepSeries, Steps};
use crate::functions::{self, Function, Special};
use crate::plan::{Binary, BinaryOp, Call, Node, Selector};

/// Whether series pass a node each on its own, so that it belongs into a pipeline.
pub(super) fn streams(node: &Node) -> bool {
    match node {
        Node::Selector(_) => true,
        Node::Negate(inner) => !inner.is_scalar(),
        Node::Binary(binary) => {
            let scalars = (binary.left.is_scalar(), binary.right.is_scalar());
            !matches!(binary.op, BinaryOp::Set(_))
                && matches!(scalars, (true, false) | (false, true))
        }
        Node::Call(call) => match call.function {
            Function::Map(_)
            | Function::MapWith(_)
            | Function::Window(_)
            | Function::NamedWindow(_)
            | Function::CounterWindow(_) => true,
            Function::Calendar(_) => !call.args.is_empty(),
            Function::Special(special) => matches!(
                special,
                Special::Timestamp
                    | Special::QuantileOverTime
                    | Special::DoubleExponentialSmoothing
            ),
        },
        Node::Number(_) | Node::Text(_) | Node::Range(_) | Node::Aggregate(_) => false,
    }
}

impl<'a> Evaluator<'a> {
    /// The pipeline of an instant vector; of one that does not stream, its values.
    pub(super) fn pipeline(
        &mut self,
        node: &Node,
        steps: &Steps,
    ) -> Result<Pipeline<'a>, EvaluateError> {
        if !streams(node) {
            let series = self.evaluate(node, steps)?.into_vector()?;
            return Ok(ready(series, steps));
        }
        match node {
            Node::Selector(selector) => self.newest(selector, steps, Reads::Value),
            Node::Negate(inner) => {
                let pipeline = self.pipeline(inner, steps)?;
                Ok(pipeline.then(Stage::Map(|value| -value)))
            }
            Node::Binary(binary) => self.with_scalar(binary, steps),
            Node::Call(call) => self.call_pipeline(call, steps),
            Node::Number(_) | Node::Text(_) | Node::Range(_) | Node::Aggregate(_) => {
                Err(EvaluateError::Execution("expected an instant vector".into()))
            }
        }
    }

    fn newest(
        &mut self,
        selector: &Selector,
        steps: &Steps,
        reads: Reads,
    ) -> Result<Pipeline<'a>, EvaluateError> {
        let lookback_ms = self.options.lookback_ms;
        let times = self.sample_times(selector.when, steps);
        let input = self.open(selector, &times, lookback_ms, None)?;
        let reader = Reader::Newest { times, lookback_ms, reads };
        let chain = Chain { reader, stages: Vec::new(), remark: None, steps: steps.count };
        Ok(Pipeline { input, chain })
    }

    fn with_scalar(
        &mut self,
        binary: &Binary,
        steps: &Steps,
    ) -> Result<Pipeline<'a>, EvaluateError> {
        let scalar_first = binary.left.is_scalar();
        let (scalar, vector) = if scalar_first {
            (&binary.left, &binary.right)
        } else {
            (&binary.right, &binary.left)
        };
        let scalars = self.evaluate(scalar, steps)?.into_scalar()?;
        let Binary { op, returns_bool, .. } = *binary;
        let pipeline = self.pipeline(vector, steps)?;
        Ok(pipeline.then(Stage::Scalar { op, returns_bool, scalars, scalar_first }))
    }

    fn call_pipeline(&mut self, call: &Call, steps: &Steps) -> Result<Pipeline<'a>, EvaluateError> {
        let argument = call.position.map(|position| position.argument);
        match call.function {
            Function::Map(compute) => self.map_first(call, steps, Stage::Map(compute)),
            Function::MapWith(compute) => {
                let scalars = (1..call.args.len())
                    .map(|at| functions::scalar_argument(self, call, at, steps))
                    .collect::<Result<Vec<_>, _>>()?;
                self.map_first(call, steps, Stage::MapWith(compute, scalars))
            }
            Function::Calendar(part) => self.map_first(call, steps, Stage::Calendar(part)),
            Function::Window(rollup) => self.windows(call, steps, rollup, false, None),
            Function::NamedWindow(rollup) => self.windows(call, steps, rollup, true, None),
            Function::CounterWindow(rollup) => {
                self.windows(call, steps, rollup, false, Some(Remark::NonCounters(argument)))
            }
            Function::Special(Special::QuantileOverTime) => {
                let quantiles = functions::scalar_argument(self, call, 0, steps)?;
                let remark = Some(Remark::Quantiles(quantiles, argument));
                let rollup = Rollup::SlidingWith(
                    functions::quantile_over_time,
                    functions::slide_quantile_over_time,
                );
                self.windows(call, steps, rollup, false, remark)
            }
            Function::Special(Special::DoubleExponentialSmoothing) => {
                functions::check_smoothing(self, call, steps)?;
                self.windows(call, steps, Rollup::EachWith(functions::smooth), false, None)
            }
            // Only a selector has samples older than the step itself.
            Function::Special(_) => match functions::argument(call, 0)? {
                Node::Selector(selector) => self.newest(selector, steps, Reads::Time),
                _ => self.map_first(call, steps, Stage::Replace(functions::seconds(steps))),
            },
        }
    }

    fn map_first(
        &mut self,
        call: &Call,
        steps: &Steps,
        stage: Stage,
    ) -> Result<Pipeline<'a>, EvaluateError> {
        let pipeline = self.pipeline(functions::argument(call, 0)?, steps)?;
        Ok(pipeline.then(stage))
    }

    /// A function of the range vector among the arguments, with the scalars of the others.
    pub(super) fn windows(
        &mut self,
        call: &Call,
        steps: &Steps,
        rollup: Rollup,
        keeps_name: bool,
        remark: Option<Remark>,
    ) -> Result<Pipeline<'a>, EvaluateError> {
        let mut range = None;
        let mut scalars = Vec::new();
        for arg in &call.args {
            match arg {
                Node::Range(node) => range = Some(node),
                other => scalars.push(self.evaluate(other, steps)?.into_scalar()?),
            }
        }
        let range = range.ok_or_else(|| {
            EvaluateError::Execution(format!("{} lacks its range vector", call.name))
        })?;
        let (input, frame) = self.open_windows(range, steps, call.name)?;
        let reader = Reader::Windows { frame, rollup, scalars, keeps_name };
        let chain = Chain { reader, stages: Vec::new(), remark, steps: steps.count };
        Ok(Pipeline { input, chain })
    }
}

fn ready<'a>(series: Vec<StepSeries>, steps: &Steps) -> Pipeline<'a> {
    let chain =
        Chain { reader: Reader::Ready, stages: Vec::new(), remark: None, steps: steps.count };
    Pipeline { input: Input::Steps(series), chain }
}

impl Pipeline<'_> {
    fn then(mut self, stage: Stage) -> Self {
        self.chain.stages.push(stage);
        self
    }
}
