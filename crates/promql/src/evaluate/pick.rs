//! Aggregations that keep some series as they are: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use super::aggregate::{Group, groups};
use super::notes::{format_general, format_value};
use super::{ABSENT, EvaluateError, Evaluator, Operand, StepSeries, is_absent};
use crate::plan::{Aggregate, Pick};

/// Keeps the samples that the aggregation picks, at each step.
///
/// At a single step, the series of each group come in the order of their rank.
pub(super) fn pick(
    evaluator: &mut Evaluator<'_>,
    aggregate: &Aggregate,
    pick: Pick,
    parameter: Option<Operand>,
    mut series: Vec<StepSeries>,
) -> Result<Vec<StepSeries>, EvaluateError> {
    let missing = || EvaluateError::Execution("an aggregation lacks its parameter".into());
    let parameters = parameter.ok_or_else(missing)?.into_scalar()?;
    check_parameters(evaluator, aggregate, pick, &parameters)?;
    let groups = groups(aggregate, &series);
    for group in &groups {
        for (step, &parameter) in parameters.iter().enumerate() {
            evaluator.budget.check()?;
            drop_unpicked(pick, parameter, group, &mut series, step);
        }
    }
    if parameters.len() == 1 && matches!(pick, Pick::Top | Pick::Bottom) {
        series = ranked(pick, &groups, series);
    }
    series.retain(StepSeries::has_values);
    Ok(series)
}

fn check_parameters(
    evaluator: &mut Evaluator<'_>,
    aggregate: &Aggregate,
    pick: Pick,
    parameters: &[f64],
) -> Result<(), EvaluateError> {
    let fail = |message: String| Err(EvaluateError::Execution(message));
    let position = aggregate.position.map(|p| p.argument);
    for &parameter in parameters {
        if pick == Pick::Ratio {
            if parameter.is_nan() {
                return fail("Ratio value is NaN".into());
            }
            if parameter.abs() > 1.0 {
                let (got, cap) = (format_general(parameter, None), parameter.signum());
                let message =
                    format!("ratio value should be between -1 and 1, got {got}, capping to {cap}");
                evaluator.notes.warn(&message, position);
            }
        } else if parameter.is_nan() {
            return fail("Parameter value is NaN".into());
        } else if parameter >= i64::MAX as f64 {
            return fail(format!("Scalar value {} overflows int64", format_value(parameter)));
        } else if parameter <= i64::MIN as f64 {
            return fail(format!("Scalar value {} underflows int64", format_value(parameter)));
        }
    }
    Ok(())
}

/// Removes the samples of a group at a step that are not picked.
fn drop_unpicked(
    pick: Pick,
    parameter: f64,
    group: &Group,
    series: &mut [StepSeries],
    step: usize,
) {
    if pick == Pick::Ratio {
        for &member in &group.members {
            if !in_ratio(parameter.clamp(-1.0, 1.0), &series[member]) {
                series[member].values[step] = ABSENT;
            }
        }
        return;
    }
    let mut present: Vec<usize> = group.members.clone();
    present.retain(|&member| !is_absent(series[member].values[step]));
    let kept = parameter.max(0.0) as usize;
    if kept >= present.len() {
        return;
    }
    if pick != Pick::Limit && kept > 0 {
        // Among equal values, the first series is the better one.
        let order = |&a: &usize, &b: &usize| {
            rank(pick, series[a].values[step], series[b].values[step]).then(a.cmp(&b))
        };
        present.select_nth_unstable_by(kept - 1, order);
    }
    for &member in &present[kept..] {
        series[member].values[step] = ABSENT;
    }
}

/// Best value first, NaN last.
fn rank(pick: Pick, a: f64, b: f64) -> std::cmp::Ordering {
    let by_value = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
    let best_first = if pick == Pick::Top { by_value.reverse() } else { by_value };
    a.is_nan().cmp(&b.is_nan()).then(best_first)
}

/// Whether a series belongs to a share of all series; `r` and `r - 1` complement each other.
fn in_ratio(ratio: f64, series: &StepSeries) -> bool {
    let place = series.labels.fingerprint() as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}

/// The series of a single step, group by group, by rank.
fn ranked(pick: Pick, groups: &[Group], mut series: Vec<StepSeries>) -> Vec<StepSeries> {
    let mut ordered = Vec::with_capacity(series.len());
    for group in groups {
        let mut members = group.members.clone();
        members.sort_by(|&a, &b| rank(pick, series[a].values[0], series[b].values[0]));
        for member in members {
            let empty = StepSeries::absent(group.labels.clone(), false, 0);
            ordered.push(std::mem::replace(&mut series[member], empty));
        }
    }
    ordered
}
