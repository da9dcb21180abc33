//! Series from the source: one selection for all steps, and one for all places of a query that ask for the same.

use std::collections::HashMap;
use std::sync::Arc;

use muster_series::{METRIC_NAME, Matcher, SeriesColumns, TimeRange};

use super::pipeline::Input;
use super::{EvaluateError, Evaluator, Steps};
use crate::plan::{At, Node, Range, Selector, When};
use crate::source::{SelectHints, Selected};

/// Selections that several places of a query ask for, and what they have loaded so far.
#[derive(Default)]
pub(super) struct SharedLoads {
    loaded: HashMap<LoadKey, Option<Arc<Vec<SeriesColumns>>>>,
}

/// What tells one selection from another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct LoadKey {
    matchers: String,
    start_ms: i64,
    end_ms: i64,
}

impl LoadKey {
    fn new(matchers: &[Matcher], range: TimeRange) -> Self {
        let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        Self { matchers: texts.join(","), start_ms: range.start_ms, end_ms: range.end_ms }
    }
}

impl<'a> Evaluator<'a> {
    /// Finds the selections that the query makes more than once.
    pub(super) fn find_shared(&mut self, root: &Node) {
        let mut selectors = 0;
        count_selectors(root, &mut selectors);
        if selectors < 2 {
            return;
        }
        let mut seen: HashMap<LoadKey, usize> = HashMap::new();
        let steps = self.query_steps;
        self.visit_loads(root, &steps, &mut |key| *seen.entry(key).or_default() += 1);
        let shared = seen.into_iter().filter(|&(_, times)| times > 1);
        self.shared.loaded = shared.map(|(key, _)| (key, None)).collect();
    }

    fn visit_loads(&self, node: &Node, steps: &Steps, visit: &mut dyn FnMut(LoadKey)) {
        let mut select = |selector: &Selector, span_ms: i64| {
            let range = range_of(self.sample_span(selector.when, steps), span_ms);
            visit(LoadKey::new(&selector.matchers, range));
        };
        match node {
            Node::Number(_) | Node::Text(_) => {}
            Node::Selector(selector) => select(selector, self.options.lookback_ms),
            Node::Range(range) => match &**range {
                Range::Selector { selector, window_ms } => select(selector, *window_ms),
                Range::Subquery { inner, .. } => {
                    if let Some(inner_steps) = self.subquery_steps(range, steps) {
                        self.visit_loads(inner, &inner_steps, visit);
                    }
                }
            },
            Node::Negate(inner) => self.visit_loads(inner, steps, visit),
            Node::Binary(binary) => {
                self.visit_loads(&binary.left, steps, visit);
                self.visit_loads(&binary.right, steps, visit);
            }
            Node::Aggregate(aggregate) => {
                if let Some(parameter) = &aggregate.parameter {
                    self.visit_loads(parameter, steps, visit);
                }
                self.visit_loads(&aggregate.operand, steps, visit);
            }
            Node::Call(call) => {
                for arg in &call.args {
                    self.visit_loads(arg, steps, visit);
                }
            }
        }
    }

    /// The series that a selector needs for samples up to `span_ms` before any of `times`.
    pub(super) fn open(
        &mut self,
        selector: &Selector,
        times: &[i64],
        span_ms: i64,
        function: Option<&'static str>,
    ) -> Result<Input<'a>, EvaluateError> {
        self.budget.check()?;
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
            return Ok(Input::Steps(Vec::new()));
        };
        let range = range_of((first, last), span_ms);
        let labels = self.labels_wanted(function);
        let mut hints = SelectHints {
            step_ms: if let [first, second, ..] = times { second - first } else { 0 },
            window_ms: span_ms,
            function,
            newest_only: function.is_none() && first == last,
            labels: labels.as_deref(),
            parts: self.options.threads.max(1),
        };
        let key = (!self.shared.loaded.is_empty())
            .then(|| LoadKey::new(&selector.matchers, range))
            .filter(|key| self.shared.loaded.contains_key(key));
        let Some(key) = key else {
            let Selected { parts, held_samples } =
                self.source.select_parts(&selector.matchers, range, &hints)?;
            self.budget.charge(held_samples)?;
            return Ok(Input::Parts { parts, held: held_samples > 0 });
        };
        if let Some(Some(columns)) = self.shared.loaded.get(&key) {
            return Ok(Input::Shared(Arc::clone(columns)));
        }
        // Other places of the query may look at more than the newest samples, and at other labels.
        (hints.newest_only, hints.labels) = (false, None);
        let columns = Arc::new(self.load_all(&selector.matchers, range, &hints)?);
        self.shared.loaded.insert(key, Some(Arc::clone(&columns)));
        Ok(Input::Shared(columns))
    }

    /// The labels that are looked at: those of the groups, and the metric's name, which a remark on a function may tell.
    fn labels_wanted(&self, function: Option<&str>) -> Option<Vec<String>> {
        let mut names = self.groups_by.clone()?;
        if function.is_some() && !names.iter().any(|name| name == METRIC_NAME) {
            names.push(METRIC_NAME.to_owned());
        }
        Some(names)
    }

    fn load_all(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: &SelectHints<'_>,
    ) -> Result<Vec<SeriesColumns>, EvaluateError> {
        let Selected { parts, held_samples } = self.source.select_parts(matchers, range, hints)?;
        self.budget.keep(held_samples)?;
        let mut all = Vec::new();
        for columns in parts.into_iter().flatten() {
            let columns = columns?;
            if held_samples == 0 {
                self.budget.keep(columns.len())?;
            }
            all.push(columns);
        }
        Ok(all)
    }

    /// The time that a selector looks at, for each step; never falling.
    pub(super) fn sample_times(&self, when: When, steps: &Steps) -> Vec<i64> {
        let fixed = self.fixed_time(when);
        steps.times().map(|time| fixed.unwrap_or(time).saturating_sub(when.offset_ms)).collect()
    }

    /// The first and the last of the times that a selector looks at.
    fn sample_span(&self, when: When, steps: &Steps) -> (i64, i64) {
        let fixed = self.fixed_time(when);
        let at = |time: i64| fixed.unwrap_or(time).saturating_sub(when.offset_ms);
        (at(steps.first_ms), at(steps.last_ms()))
    }

    fn fixed_time(&self, when: When) -> Option<i64> {
        when.at.map(|at| match at {
            At::Start => self.query_steps.first_ms,
            At::End => self.query_end_ms,
            At::Time(time_ms) => time_ms,
        })
    }

    /// The steps at which a subquery evaluates its inner query: all multiples of its own step that any
    /// window holds. None if there are none, or if the range is no subquery.
    pub(super) fn subquery_steps(&self, range: &Range, steps: &Steps) -> Option<Steps> {
        let Range::Subquery { window_ms, step_ms, when, .. } = range else {
            return None;
        };
        let step_ms = step_ms.unwrap_or(self.options.subquery_step_ms).max(1);
        let (first, last) = self.sample_span(*when, steps);
        let open = first.saturating_sub(*window_ms);
        let aligned = step_ms * (open / step_ms);
        let first_ms = if aligned <= open { aligned + step_ms } else { aligned };
        if last < first_ms {
            return None;
        }
        let count = usize::try_from((last - first_ms) / step_ms + 1).unwrap_or(usize::MAX);
        Some(Steps { first_ms, step_ms, count })
    }
}

/// The samples that are needed; windows are open on the left, so one exactly `span_ms` old is not.
fn range_of((first, last): (i64, i64), span_ms: i64) -> TimeRange {
    TimeRange::new(first.saturating_sub(span_ms).saturating_add(1), last)
}

fn count_selectors(node: &Node, count: &mut usize) {
    match node {
        Node::Number(_) | Node::Text(_) => {}
        Node::Selector(_) => *count += 1,
        Node::Range(range) => match &**range {
            Range::Selector { .. } => *count += 1,
            Range::Subquery { inner, .. } => count_selectors(inner, count),
        },
        Node::Negate(inner) => count_selectors(inner, count),
        Node::Binary(binary) => {
            count_selectors(&binary.left, count);
            count_selectors(&binary.right, count);
        }
        Node::Aggregate(aggregate) => {
            if let Some(parameter) = &aggregate.parameter {
                count_selectors(parameter, count);
            }
            count_selectors(&aggregate.operand, count);
        }
        Node::Call(call) => call.args.iter().for_each(|arg| count_selectors(arg, count)),
    }
}
