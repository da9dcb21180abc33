//! What the expressions of replayed rules yield: from the store, and from what the replay itself has recorded.

use std::collections::{BTreeSet, HashMap, HashSet};

use muster_alerting::INSTANCE;
use muster_alerting::Sample;
use muster_promql::{SeriesSource, SourceError, Value, evaluate_range, parse, syntax_tree};
use muster_series::{Labels, METRIC_NAME, Matcher, SeriesColumns, TimeRange, stale_marker};

use crate::judging::evaluate;
use crate::store::{MAX_SAMPLES, MetricStore, QueryRun};

/// Evaluates expressions over the store as if the rules had recorded there.
pub(super) struct Measures<'a> {
    store: &'a dyn MetricStore,
    pub(super) run: &'a QueryRun,
    pub(super) step_ms: i64,
    /// What texts name this server by.
    pub(super) external_url: String,
    /// The names that the rules record; what is stored under them is another's.
    names: BTreeSet<String>,
    /// The hosts that are looked at; none for all.
    pub(super) hosts: Option<HashSet<String>>,
    recorded: HashMap<Labels, SeriesColumns>,
    count: usize,
}

impl<'a> Measures<'a> {
    pub(super) fn new(
        store: &'a dyn MetricStore,
        run: &'a QueryRun,
        step_ms: i64,
        external_url: String,
        names: BTreeSet<String>,
    ) -> Self {
        Self {
            store,
            run,
            step_ms,
            external_url,
            names,
            hosts: None,
            recorded: HashMap::new(),
            count: 0,
        }
    }

    /// Whether what a series is about is looked at.
    pub(super) fn concerns(&self, labels: &Labels) -> bool {
        let is_wanted = |hosts: &HashSet<String>| {
            labels.get(INSTANCE).is_some_and(|instance| hosts.contains(instance))
        };
        self.hosts.as_ref().is_none_or(is_wanted)
    }

    /// The values of an expression at each step of a range.
    pub(super) fn over(&self, expr: &str, range: TimeRange) -> Result<Vec<SeriesColumns>, String> {
        let query = parse(expr).map_err(|error| error.to_string())?;
        let value = if self.names.is_disjoint(&query.metric_names()) {
            let evaluated = self.store.query_range(expr, range, self.step_ms, self.run);
            evaluated.map_err(|error| error.to_string())?.value
        } else {
            let (start_ms, end_ms) = (range.start_ms, range.end_ms);
            let options = self.run.options();
            evaluate_range(self, &query, start_ms, end_ms, self.step_ms, &options)
                .map_err(|error| error.to_string())?
                .value
        };
        match value {
            Value::Matrix(series) => Ok(series),
            _ => Err("the expression yields neither a vector nor a number".into()),
        }
    }

    /// The value of an expression that a text of an alert asks for.
    pub(super) fn instant(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, String> {
        evaluate::instant(self.store, expr, at_ms, self.run)
    }

    /// Keeps what a rule has recorded, for the rules behind it.
    pub(super) fn record(
        &mut self,
        at_ms: i64,
        samples: &[Sample],
        ended: &[Labels],
    ) -> Result<(), String> {
        let samples = samples.iter().map(|sample| (&sample.labels, sample.value));
        let ended = ended.iter().map(|labels| (labels, stale_marker()));
        for (labels, value) in samples.chain(ended) {
            let new = || SeriesColumns::new(labels.clone());
            let series = self.recorded.entry(labels.clone()).or_insert_with(new);
            // Of two rules that record the same series, the first one counts, as in the store.
            if series.timestamps.last().is_none_or(|last| *last < at_ms) {
                series.timestamps.push(at_ms);
                series.values.push(value);
                self.count += 1;
            }
        }
        if self.count > MAX_SAMPLES {
            return Err("it records too many samples; choose a shorter range".into());
        }
        Ok(())
    }
}

impl SeriesSource for Measures<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        let stored = self.store.select(matchers, range, self.run);
        let mut series = stored.map_err(|error| SourceError::new(error.to_string()))?;
        let is_ours =
            |labels: &Labels| labels.get(METRIC_NAME).is_some_and(|name| self.names.contains(name));
        series.retain(|one| !is_ours(&one.labels));
        let fits = |labels: &Labels| {
            matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or_default()))
        };
        for one in self.recorded.values().filter(|one| fits(&one.labels)) {
            let first = one.timestamps.partition_point(|at_ms| *at_ms < range.start_ms);
            let last = one.timestamps.partition_point(|at_ms| *at_ms <= range.end_ms);
            series.push(SeriesColumns {
                labels: one.labels.clone(),
                timestamps: one.timestamps[first..last].to_vec(),
                values: one.values[first..last].to_vec(),
            });
        }
        Ok(series)
    }
}

/// Whether an expression holds where its value is small, such as `up < 1`.
pub(super) fn wants_less(expr: &str) -> bool {
    let Ok(mut tree) = syntax_tree(expr) else { return false };
    loop {
        let inside = match (tree["type"].as_str(), tree["op"].as_str()) {
            (Some("binaryExpr"), Some("<" | "<=")) => return true,
            (Some("binaryExpr"), Some("and" | "unless" | "or")) => "lhs",
            (Some("parenExpr"), _) => "expr",
            _ => return false,
        };
        tree = tree[inside].take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_the_smallest_where_an_expression_compares_so() {
        for (expr, expected) in [
            ("up < 1", true),
            ("(free <= 5) and size > 3", true),
            ("load > 5", false),
            ("up == 0", false),
            ("absent(up)", false),
        ] {
            assert_eq!(wants_less(expr), expected, "{expr}");
        }
    }
}
