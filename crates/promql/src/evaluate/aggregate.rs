//! Aggregations that make one value of each group: folds, quantiles, counts of values.

use std::collections::HashMap;

use muster_series::Labels;

use super::fold::Folded;
use super::notes::format_value;
use super::projection::GroupIndex;
use super::{Budget, EvaluateError, Evaluator, Operand, Sink, StepSeries, Steps, is_absent};
use crate::plan::{Aggregate, Aggregation, Fold};
use crate::sums::quantile;

/// Folds a vector by the groups of the query, one series after another.
pub(super) fn fold(
    evaluator: &mut Evaluator<'_>,
    aggregate: &Aggregate,
    fold: Fold,
    steps: &Steps,
) -> Result<Vec<StepSeries>, EvaluateError> {
    let by = &aggregate.grouping;
    let sink = || FoldSink { fold, index: GroupIndex::new(by), groups: Vec::new() };
    let folded = evaluator.stream_into_groups(&aggregate.operand, steps, by, sink)?;
    let mut results: Vec<StepSeries> = folded
        .groups
        .into_iter()
        .map(|group| StepSeries {
            labels: by.of(&group.first),
            drops_name: group.drops_name,
            values: group.folded.finish(fold),
        })
        .collect();
    results.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(results)
}

/// The groups of a fold, as far as series came in.
struct FoldSink<'q> {
    fold: Fold,
    index: GroupIndex<'q>,
    groups: Vec<FoldGroup>,
}

struct FoldGroup {
    /// The labels of the first series of the group, all of them.
    first: Labels,
    drops_name: bool,
    folded: Folded,
}

impl Sink for FoldSink<'_> {
    fn add(&mut self, series: StepSeries, budget: &Budget<'_>) -> Result<(), EvaluateError> {
        let StepSeries { labels, drops_name, values } = series;
        let number = self.index.number(&labels);
        if let Some(group) = self.groups.get_mut(number) {
            group.folded.add(self.fold, &values);
            return Ok(());
        }
        budget.charge(values.len())?;
        self.groups.push(FoldGroup { first: labels, drops_name, folded: Folded::first(values) });
        Ok(())
    }

    fn join(&mut self, next: Self, _: &Budget<'_>) -> Result<(), EvaluateError> {
        for group in next.groups {
            let number = self.index.number(&group.first);
            match self.groups.get_mut(number) {
                Some(known) => known.folded.merge(self.fold, group.folded),
                None => self.groups.push(group),
            }
        }
        Ok(())
    }
}

/// Aggregates a vector by the groups of the query, where all values of a group must be known at once.
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
    let quantiles = parameter.ok_or_else(missing)?.into_scalar()?;
    for &q in &quantiles {
        evaluator.notes.check_quantile(q, aggregate.position.map(|p| p.argument));
    }
    let groups = groups(aggregate, series);
    let mut results = Vec::with_capacity(groups.len());
    let mut values: Vec<f64> = Vec::new();
    for group in groups {
        evaluator.budget.charge(steps.count)?;
        let mut result = StepSeries::absent(group.labels, group.drops_name, steps.count);
        for (step, (value, &q)) in result.values.iter_mut().zip(&quantiles).enumerate() {
            evaluator.budget.check()?;
            values.clear();
            let members = group.members.iter().map(|&at| series[at].values[step]);
            values.extend(members.filter(|&value| !is_absent(value)));
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

/// The groups of a vector, in order of their first member.
pub(super) fn groups(aggregate: &Aggregate, series: &[StepSeries]) -> Vec<Group> {
    let mut index = GroupIndex::new(&aggregate.grouping);
    let mut groups: Vec<Group> = Vec::new();
    for (at, one) in series.iter().enumerate() {
        match groups.get_mut(index.number(&one.labels)) {
            Some(group) => group.members.push(at),
            None => groups.push(Group {
                labels: aggregate.grouping.of(&one.labels),
                drops_name: one.drops_name,
                members: vec![at],
            }),
        }
    }
    groups
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
    let budget = &evaluator.budget;
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut results: Vec<StepSeries> = Vec::new();
    for group in groups(aggregate, series) {
        // Values that are equal bit by bit have the same text.
        let mut known: HashMap<u64, usize> = HashMap::new();
        for &member in &group.members {
            for (step, &value) in series[member].values.iter().enumerate() {
                if is_absent(value) {
                    continue;
                }
                let place = if let Some(&place) = known.get(&value.to_bits()) {
                    place
                } else {
                    let text = format_value(value);
                    let labels = group.labels.with(label, &text);
                    let place = *places.entry(labels).or_insert(results.len());
                    if place == results.len() {
                        budget.charge(steps.count)?;
                        let labels = budget.relabel(&group.labels, label, &text, "count_values")?;
                        results.push(StepSeries::absent(labels, false, steps.count));
                    }
                    known.insert(value.to_bits(), place);
                    place
                };
                let count = &mut results[place].values[step];
                *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            }
        }
    }
    Ok(results)
}
