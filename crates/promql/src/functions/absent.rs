//! `absent` and `absent_over_time`: 1 where a selector finds nothing.

use muster_series::{Labels, METRIC_NAME, MatchOp, Matcher};

use super::{argument, over_time};
use crate::evaluate::{
    ABSENT, Budget, EvaluateError, Evaluator, Operand, Sink, StepSeries, Steps, is_absent,
};
use crate::plan::{Call, Node, Range};

pub(super) fn absent(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let node = argument(call, 0)?;
    let found = evaluator.stream(node, steps, || Found(vec![false; steps.count]))?;
    Ok(where_absent(node, &found.0))
}

pub(super) fn absent_over_time(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let node = argument(call, 0)?;
    let found = evaluator
        .stream_windows(call, steps, over_time::present, || Found(vec![false; steps.count]))?;
    Ok(where_absent(node, &found.0))
}

/// At which steps any series has a value.
struct Found(Vec<bool>);

impl Sink for Found {
    fn add(&mut self, series: StepSeries, _: &Budget<'_>) -> Result<(), EvaluateError> {
        for (found, &value) in self.0.iter_mut().zip(&series.values) {
            *found |= !is_absent(value);
        }
        Ok(())
    }

    fn join(&mut self, next: Self, _: &Budget<'_>) -> Result<(), EvaluateError> {
        for (found, other) in self.0.iter_mut().zip(next.0) {
            *found |= other;
        }
        Ok(())
    }
}

fn where_absent(node: &Node, present: &[bool]) -> Operand {
    let values: Vec<f64> =
        present.iter().map(|&present| if present { ABSENT } else { 1.0 }).collect();
    let series = StepSeries { labels: labels_of(node), drops_name: false, values };
    Operand::Vector(if series.has_values() { vec![series] } else { Vec::new() })
}

/// The labels that a selector asks for by equality, each by one matcher only.
fn labels_of(node: &Node) -> Labels {
    let matchers: &[Matcher] = match node {
        Node::Selector(selector) => &selector.matchers,
        Node::Range(range) => match &**range {
            Range::Selector { selector, .. } => &selector.matchers,
            Range::Subquery { .. } => &[],
        },
        _ => &[],
    };
    let mut labels = Labels::empty();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|m| m.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && !seen.contains(&matcher.name()) {
            labels = labels.with(matcher.name(), matcher.value());
            seen.push(matcher.name());
        } else {
            labels = labels.with(matcher.name(), "");
        }
    }
    labels
}
