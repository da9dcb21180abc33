//! Operators between two vectors: which series meet, and what the result is called.
//!
//! 1. Each series gets the number of its group: the labels that must agree.
//! 2. Where each group has at most one series on the "one" side, and each result is named differently,
//!    pairs are combined column by column. That is so for nearly all queries.
//! 3. Else, at each step: each group has at most one sample on the "one" side; a second one is an error.
//!    Each sample of the other side meets that of its group; the pair's series is made at its first use.

use std::collections::{HashMap, HashSet};

use muster_series::{Labels, METRIC_NAME};

use super::binary::{Applied, apply, outcome};
use super::projection::GroupIndex;
use super::{ABSENT, Budget, EvaluateError, StepSeries, Steps, is_absent};
use crate::plan::{Binary, BinaryOp, Cardinality};

/// Combines two vectors, matched as the query says.
pub(super) fn combine(
    binary: &Binary,
    left: &[StepSeries],
    right: &[StepSeries],
    steps: &Steps,
    budget: &Budget<'_>,
) -> Result<Vec<StepSeries>, EvaluateError> {
    let swapped = binary.matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut groups = GroupIndex::new(&binary.matching.by);
    let many_groups: Vec<usize> = many.iter().map(|s| groups.number(&s.labels)).collect();
    let one_groups: Vec<usize> = one.iter().map(|s| groups.number(&s.labels)).collect();
    let mut matcher = Matcher {
        binary,
        many,
        one,
        swapped,
        partners: vec![None; groups.len()],
        matched: vec![false; groups.len()],
        pairs: HashMap::new(),
        places: HashMap::new(),
        results: Vec::new(),
        results_at: Vec::new(),
    };
    if let Some(pairs) = matcher.plain_pairs(&many_groups, &one_groups) {
        return matcher.combine_pairs(pairs, steps, budget);
    }
    for step in 0..steps.count {
        budget.check()?;
        // Where a side is empty nothing can match, and duplicates of the other side do not matter.
        let any = |side: &[StepSeries]| side.iter().any(|series| !is_absent(series.values[step]));
        if !any(many) || !any(one) {
            continue;
        }
        matcher.find_partners(step, &one_groups)?;
        for (at, series) in many.iter().enumerate() {
            let group = many_groups[at];
            let (false, Some(partner)) = (is_absent(series.values[step]), matcher.partners[group])
            else {
                continue;
            };
            if matcher.meet(step, group, at, partner, steps.count)? {
                budget.charge(steps.count)?;
            }
        }
    }
    matcher.results.retain(StepSeries::has_values);
    Ok(matcher.results)
}

/// Two series that meet, and what their result is called.
struct Pair {
    many: usize,
    one: usize,
    labels: Labels,
    drops_name: bool,
}

struct Matcher<'a> {
    binary: &'a Binary,
    many: &'a [StepSeries],
    one: &'a [StepSeries],
    /// Whether the "many" side is the right operand.
    swapped: bool,
    /// The series of the "one" side of each group at this step.
    partners: Vec<Option<usize>>,
    /// Whether a group of a one-to-one match was used at this step.
    matched: Vec<bool>,
    /// The result of each pair of series that met.
    pairs: HashMap<(usize, usize), usize>,
    /// The result of each label set.
    places: HashMap<(Labels, bool), usize>,
    results: Vec<StepSeries>,
    /// The step and group that last used each result.
    results_at: Vec<Option<(usize, usize)>>,
}

impl Matcher<'_> {
    /// The pairs of series that meet, if no step can hold a duplicate or two results of the same name.
    fn plain_pairs(&self, many_groups: &[usize], one_groups: &[usize]) -> Option<Vec<Pair>> {
        let mut partners: Vec<Option<usize>> = vec![None; self.partners.len()];
        for (at, &group) in one_groups.iter().enumerate() {
            if partners[group].replace(at).is_some() {
                return None;
            }
        }
        let one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        let mut used = vec![false; partners.len()];
        let mut names: HashSet<(Labels, bool)> = HashSet::new();
        let mut pairs = Vec::new();
        for (many, &group) in many_groups.iter().enumerate() {
            let Some(one) = partners[group] else {
                continue;
            };
            if std::mem::replace(&mut used[group], true) && one_to_one {
                return None;
            }
            let labels = self.result_labels(&self.many[many].labels, &self.one[one].labels);
            let drops_name = self.drops_name(many);
            if !names.insert((labels.clone(), drops_name)) {
                return None;
            }
            pairs.push(Pair { many, one, labels, drops_name });
        }
        Some(pairs)
    }

    fn combine_pairs(
        &self,
        pairs: Vec<Pair>,
        steps: &Steps,
        budget: &Budget<'_>,
    ) -> Result<Vec<StepSeries>, EvaluateError> {
        let mut results = Vec::with_capacity(pairs.len());
        for Pair { many, one, labels, drops_name } in pairs {
            budget.charge(steps.count)?;
            let columns = self.many[many].values.iter().zip(&self.one[one].values);
            let combine = |(&many, &one): (&f64, &f64)| {
                if is_absent(many) || is_absent(one) {
                    return ABSENT;
                }
                let (left, right) = if self.swapped { (one, many) } else { (many, one) };
                let applied = apply(self.binary.op, left, right);
                outcome(applied, self.binary.returns_bool, left)
            };
            let result = StepSeries { labels, drops_name, values: columns.map(combine).collect() };
            if result.has_values() {
                results.push(result);
            }
        }
        Ok(results)
    }

    fn find_partners(&mut self, step: usize, groups: &[usize]) -> Result<(), EvaluateError> {
        self.partners.fill(None);
        self.matched.fill(false);
        for (at, series) in self.one.iter().enumerate() {
            if is_absent(series.values[step]) {
                continue;
            }
            if let Some(other) = self.partners[groups[at]].replace(at) {
                return Err(self.duplicate(other, at));
            }
        }
        Ok(())
    }

    /// Combines two samples; says whether a new result series was made for it.
    fn meet(
        &mut self,
        step: usize,
        group: usize,
        many: usize,
        one: usize,
        steps: usize,
    ) -> Result<bool, EvaluateError> {
        let one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        if one_to_one && std::mem::replace(&mut self.matched[group], true) {
            let message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
            return Err(EvaluateError::Execution(message.into()));
        }
        let before = self.results.len();
        let place = self.place(many, one, steps);
        // A result is taken at this step even if the comparison filters its sample away.
        if let Some((_, user)) = self.results_at[place].filter(|(at, _)| *at == step) {
            if user == group && !one_to_one {
                let message =
                    "multiple matches for labels: grouping labels must ensure unique matches";
                return Err(EvaluateError::Execution(message.into()));
            }
            if !is_absent(self.results[place].values[step]) {
                return Err(EvaluateError::same_labels());
            }
        }
        self.results_at[place] = Some((step, group));
        let (many_value, one_value) = (self.many[many].values[step], self.one[one].values[step]);
        let (left, right) =
            if self.swapped { (one_value, many_value) } else { (many_value, one_value) };
        let applied: Applied = apply(self.binary.op, left, right);
        let value = outcome(applied, self.binary.returns_bool, left);
        if !is_absent(value) {
            self.results[place].values[step] = value;
        }
        Ok(self.results.len() > before)
    }

    /// The result series of a pair.
    fn place(&mut self, many: usize, one: usize, steps: usize) -> usize {
        if let Some(&place) = self.pairs.get(&(many, one)) {
            return place;
        }
        let labels = self.result_labels(&self.many[many].labels, &self.one[one].labels);
        let drops_name = self.drops_name(many);
        let next = self.results.len();
        let place = *self.places.entry((labels.clone(), drops_name)).or_insert(next);
        if place == next {
            self.results.push(StepSeries::absent(labels, drops_name, steps));
            self.results_at.push(None);
        }
        self.pairs.insert((many, one), place);
        place
    }

    fn drops_name(&self, many: usize) -> bool {
        let takes_name = self.binary.matching.include.iter().any(|name| name == METRIC_NAME);
        self.binary.returns_bool || (self.many[many].drops_name && !takes_name)
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.binary.matching;
        let named = |name: &str| matching.by.names.iter().any(|label| label == name);
        let drops_name = matches!(self.binary.op, BinaryOp::Arithmetic(_));
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let mut labels = many.filtered(|name| {
            let kept = !one_to_one || named(name) == matching.by.only;
            kept && !(drops_name && name == METRIC_NAME)
        });
        for name in &matching.include {
            labels = labels.with(name, one.get(name).unwrap_or(""));
        }
        labels
    }

    /// Two series of the "one" side in the same group.
    fn duplicate(&self, first: usize, second: usize) -> EvaluateError {
        let side = if self.swapped { "left" } else { "right" };
        let matching = &self.binary.matching;
        let group = plain(&matching.by.of(&self.one[second].labels));
        let mut pair = [plain(&self.one[first].labels), plain(&self.one[second].labels)];
        pair.sort();
        EvaluateError::Execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
            pair[0], pair[1]
        ))
    }
}

/// A label set with the metric name among the labels, as Prometheus's messages write it.
fn plain(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
