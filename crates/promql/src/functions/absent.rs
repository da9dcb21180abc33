//! `absent` and `absent_over_time`: 1 where a selector finds nothing.

use muster_series::{Labels, METRIC_NAME, MatchOp, Matcher};

use super::{argument, vector_argument};
use crate::evaluate::{ABSENT, EvaluateError, Evaluator, Operand, StepSeries, Steps, is_absent};
use crate::plan::{Call, Node, Range};

pub(super) fn absent(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let mut present = vec![false; steps.count];
    for series in vector_argument(evaluator, call, 0, steps)? {
        for (flag, &value) in present.iter_mut().zip(&series.values) {
            *flag |= !is_absent(value);
        }
    }
    Ok(where_absent(argument(call, 0)?, &present))
}

pub(super) fn absent_over_time(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let node = argument(call, 0)?;
    let Node::Range(range) = node else {
        return Err(EvaluateError::Execution("expected a range vector".into()));
    };
    let windows = evaluator.windows(range, steps)?;
    let mut present = vec![false; steps.count];
    for series in &windows.series {
        for (flag, window) in present.iter_mut().zip(windows.slide(series)) {
            *flag |= !window.values.is_empty();
        }
    }
    Ok(where_absent(node, &present))
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
