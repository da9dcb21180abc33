//! `label_replace` and `label_join`: new label values from old ones.

use muster_series::{Labels, METRIC_NAME};
use regex::RegexBuilder;

use super::{text_argument, vector_argument};
use crate::evaluate::{EvaluateError, Evaluator, Operand, StepSeries, Steps, merge_same_labels};
use crate::plan::Call;

/// Largest compiled program of a regular expression, in bytes.
const MAX_REGEX_SIZE: usize = 1 << 20;

pub(super) fn replace(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let target = text_argument(evaluator, call, 1, steps)?;
    let replacement = text_argument(evaluator, call, 2, steps)?;
    let source = text_argument(evaluator, call, 3, steps)?;
    let pattern = text_argument(evaluator, call, 4, steps)?;
    let compile = |text: &str| RegexBuilder::new(text).size_limit(MAX_REGEX_SIZE).build();
    // Compiled alone first, so that unbalanced groups cannot escape the anchors.
    let regex =
        compile(&pattern).and_then(|_| compile(&format!("^(?s:{pattern})$"))).map_err(|_| {
            EvaluateError::Execution(format!(
                "invalid regular expression in label_replace(): {pattern}"
            ))
        })?;
    check_name(&target, "label_replace")?;
    rename(evaluator, call, steps, &target, |labels| {
        let captures = regex.captures(labels.get(&source).unwrap_or(""))?;
        let mut value = String::new();
        captures.expand(&replacement, &mut value);
        Some(value)
    })
}

pub(super) fn join(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let target = text_argument(evaluator, call, 1, steps)?;
    let separator = text_argument(evaluator, call, 2, steps)?;
    let sources = (3..call.args.len())
        .map(|at| text_argument(evaluator, call, at, steps))
        .collect::<Result<Vec<_>, _>>()?;
    check_name(&target, "label_join")?;
    for source in &sources {
        if source.is_empty() {
            let message = format!("invalid source label name in label_join(): {source}");
            return Err(EvaluateError::Execution(message));
        }
    }
    rename(evaluator, call, steps, &target, |labels| {
        let values: Vec<&str> =
            sources.iter().map(|source| labels.get(source).unwrap_or("")).collect();
        Some(values.join(&separator))
    })
}

fn check_name(name: &str, function: &str) -> Result<(), EvaluateError> {
    if name.is_empty() {
        let message = format!("invalid destination label name in {function}(): {name}");
        return Err(EvaluateError::Execution(message));
    }
    Ok(())
}

/// Sets a label of each series to what `value` says; without a value the series stays as it is.
fn rename(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
    target: &str,
    value: impl Fn(&Labels) -> Option<String>,
) -> Result<Operand, EvaluateError> {
    let mut series: Vec<StepSeries> = vector_argument(evaluator, call, 0, steps)?;
    for one in &mut series {
        if let Some(value) = value(&one.labels) {
            let budget = &mut evaluator.budget;
            one.labels = budget.relabel(&one.labels, target, &value, call.name)?;
            one.drops_name &= target != METRIC_NAME;
        }
    }
    Ok(Operand::Vector(merge_same_labels(series)?))
}
