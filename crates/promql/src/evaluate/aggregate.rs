//! Aggregations that make one value of each group: folds, quantiles, counts of values.

use std::collections::HashMap;

use muster_series::Labels;

use super::fold::State;
use super::notes::format_value;
use super::{EvaluateError, Evaluator, Operand, StepSeries, Steps, is_absent};
use crate::plan::{Aggregate, Aggregation, Fold};
use crate::sums::quantile;

/// Aggregates a vector by the groups of the query.
pub(super) fn aggregate(
    evaluator: &mut Evaluator<'_>,
    aggregate: &Aggregate,
    parameter: Option<Operand>,
    series: &[StepSeries],
    steps: &Steps,
) -> Result<Vec<StepSeries>, EvaluateError> {
    let missing = || EvaluateError::Execution("an aggregation lacks its parameter".into());
    if aggregate.op == Aggregation::CountValues {
        let label = parameter.ok_or_else(missing)?.into_text()?;
        return count_values(evaluator, aggregate, &label, series, steps);
    }
    let groups = groups(aggregate, series);
    if let Aggregation::Fold(op) = aggregate.op {
        let mut results = Vec::with_capacity(groups.len());
        for group in groups {
            evaluator.budget.charge(steps.count)?;
            results.push(fold(op, &group, series, steps));
        }
        return Ok(results);
    }
    let quantiles = parameter.ok_or_else(missing)?.into_scalar()?;
    for &q in &quantiles {
        evaluator.notes.check_quantile(q, aggregate.position.map(|p| p.argument));
    }
    let mut results = Vec::with_capacity(groups.len());
    for group in groups {
        evaluator.budget.charge(steps.count)?;
        let mut result = group.result(steps);
        for (step, (value, &q)) in result.values.iter_mut().zip(&quantiles).enumerate() {
            let members = group.members.iter().map(|&at| series[at].values[step]);
            let mut values: Vec<f64> = members.filter(|&value| !is_absent(value)).collect();
            if !values.is_empty() {
                *value = quantile(q, &mut values);
            }
        }
        results.push(result);
    }
    Ok(results)
}

/// Series that are aggregated together.
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) drops_name: bool,
    /// Indices of the series.
    pub(super) members: Vec<usize>,
}

impl Group {
    fn result(&self, steps: &Steps) -> StepSeries {
        StepSeries::absent(self.labels.clone(), self.drops_name, steps.count)
    }
}

/// The groups of a vector, in order of their first member.
pub(super) fn groups(aggregate: &Aggregate, series: &[StepSeries]) -> Vec<Group> {
    let mut places = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (at, one) in series.iter().enumerate() {
        let labels = aggregate.grouping.key(&one.labels);
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.members.push(at),
            None => groups.push(Group { labels, drops_name: one.drops_name, members: vec![at] }),
        }
    }
    groups
}

fn fold(op: Fold, group: &Group, series: &[StepSeries], steps: &Steps) -> StepSeries {
    let mut states: Vec<Option<State>> = vec![None; steps.count];
    for &member in &group.members {
        for (state, &value) in states.iter_mut().zip(&series[member].values) {
            if is_absent(value) {
                continue;
            }
            match state {
                Some(state) => state.add(value),
                None => *state = Some(State::first(op, value)),
            }
        }
    }
    let mut result = group.result(steps);
    for (value, state) in result.values.iter_mut().zip(states) {
        if let Some(state) = state {
            *value = state.value();
        }
    }
    result
}

/// Counts how often each value occurs in each group, at each step.
fn count_values(
    evaluator: &mut Evaluator<'_>,
    aggregate: &Aggregate,
    label: &str,
    series: &[StepSeries],
    steps: &Steps,
) -> Result<Vec<StepSeries>, EvaluateError> {
    if label.is_empty() {
        return Err(EvaluateError::Execution(format!("invalid label name {label:?}")));
    }
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut results: Vec<StepSeries> = Vec::new();
    for one in series {
        let key = aggregate.grouping.key(&one.labels);
        for (step, &value) in one.values.iter().enumerate() {
            if is_absent(value) {
                continue;
            }
            let text = format_value(value);
            let mut labels = key.with(label, &text);
            let place = *places.entry(labels.clone()).or_insert(results.len());
            if place == results.len() {
                let budget = &mut evaluator.budget;
                budget.charge(steps.count)?;
                labels = budget.relabel(&key, label, &text, "count_values")?;
                results.push(StepSeries::absent(labels, false, steps.count));
            }
            let count = &mut results[place].values[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    Ok(results)
}
