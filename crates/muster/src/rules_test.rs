//! Runs tests of rules: series from a file, rules evaluated over them step by step, what comes out compared.
//!
//! 1. The series of a test are loaded into memory; its clock begins at 1970, or when the test says.
//! 2. At each step all groups are evaluated in order. What rules record, and the series of alerts, are stored too, so
//!    that rules may stand on rules; a series that a rule no longer yields ends with a stale marker.
//! 3. Alerts are compared after the last step that is not later than their time, expressions after the last step.
//!
//! Nothing here does I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, anyhow, bail};
use muster_alerting::{
    AlertState, AlertTest, Alerts, Context, ExpressionTest, Rule, RuleGroup, Sample, TestFile,
    TestGroup, parse_values, record,
};
use muster_promql::{Options, Query, SeriesSource, SourceError, Value, evaluate_instant, parse};
use muster_series::{
    Labels, MatchOp, Matcher, SeriesColumns, TimeRange, format_duration_ms, stale_marker,
};

/// The most steps of a test.
const MAX_STEPS: i64 = 1_000_000;

/// A file of rules whose expressions parse.
pub(crate) struct LoadedFile {
    pub(crate) groups: Vec<RuleGroup>,
}

/// What fails of the tests; nothing if all pass.
pub(crate) fn run_tests(file: &TestFile, rules: &[LoadedFile]) -> Vec<String> {
    let mut groups: Vec<&RuleGroup> = rules.iter().flat_map(|file| &file.groups).collect();
    let order =
        |group: &RuleGroup| file.group_eval_order.iter().position(|name| *name == group.name);
    groups.sort_by_key(|group| order(group).unwrap_or(usize::MAX));
    let mut failures = Vec::new();
    for test in &file.tests {
        let failed = match Run::new(file, test, &groups) {
            Ok(run) => run.finish(),
            Err(error) => vec![format!("    {error:#}")],
        };
        let name = |failure: String| match test.name.as_str() {
            "" => failure,
            name => format!("    name: {name},\n{failure}"),
        };
        failures.extend(failed.into_iter().map(name));
    }
    failures
}

/// The samples of a test.
#[derive(Default)]
struct Memory {
    series: BTreeMap<Labels, SeriesColumns>,
    /// What is later has not happened yet.
    now_ms: i64,
}

impl Memory {
    fn push(&mut self, labels: &Labels, at_ms: i64, value: f64) {
        let empty = || SeriesColumns::new(labels.clone());
        let series = self.series.entry(labels.clone()).or_insert_with(empty);
        let at = series.timestamps.partition_point(|&time| time < at_ms);
        if series.timestamps.get(at) == Some(&at_ms) {
            series.values[at] = value;
        } else {
            series.timestamps.insert(at, at_ms);
            series.values.insert(at, value);
        }
    }
}

impl SeriesSource for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        let fits = |labels: &Labels| {
            matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or("")))
        };
        let end_ms = range.end_ms.min(self.now_ms);
        let cut = |series: &SeriesColumns| {
            let from = series.timestamps.partition_point(|&time| time < range.start_ms);
            let to = series.timestamps.partition_point(|&time| time <= end_ms).max(from);
            SeriesColumns {
                labels: series.labels.clone(),
                timestamps: series.timestamps[from..to].to_vec(),
                values: series.values[from..to].to_vec(),
            }
        };
        let found = self.series.iter().filter(|(labels, _)| fits(labels));
        Ok(found.map(|(_, series)| cut(series)).filter(|series| !series.is_empty()).collect())
    }
}

/// A rule with what it keeps from step to step.
struct RunningRule<'a> {
    rule: &'a Rule,
    query: Query,
    query_offset_ms: i64,
    alerts: Alerts,
    /// The series that it yielded last.
    yielded: BTreeSet<Labels>,
}

struct Run<'a> {
    file: &'a TestFile,
    test: &'a TestGroup,
    memory: Memory,
    rules: Vec<RunningRule<'a>>,
    options: Options,
}

impl<'a> Run<'a> {
    fn new(
        file: &'a TestFile,
        test: &'a TestGroup,
        groups: &[&'a RuleGroup],
    ) -> anyhow::Result<Self> {
        if test.end_ms() / file.interval_ms() >= MAX_STEPS {
            bail!("a test may have {MAX_STEPS} evaluations; make evaluation_interval longer");
        }
        let mut memory = Memory::default();
        for input in &test.input_series {
            let labels = parse_labels(&input.series)?;
            let values = parse_values(&input.values).with_context(|| input.series.clone())?;
            for (at, value) in (0..).zip(values) {
                if let Some(value) = value {
                    memory.push(&labels, test.start_ms + at * test.interval_ms(file), value);
                }
            }
        }
        let mut rules = Vec::new();
        for group in groups {
            for rule in &group.rules {
                rules.push(RunningRule {
                    rule,
                    query: parse(rule.expr()).with_context(|| rule.name().to_owned())?,
                    query_offset_ms: group.query_offset_ms,
                    alerts: Alerts::default(),
                    yielded: BTreeSet::new(),
                });
            }
        }
        let options = Options { subquery_step_ms: file.interval_ms(), ..Options::default() };
        Ok(Self { file, test, memory, rules, options })
    }

    /// All steps; what fails.
    fn finish(mut self) -> Vec<String> {
        let (interval_ms, end_ms) = (self.file.interval_ms(), self.test.end_ms());
        let mut failures = Vec::new();
        let mut passed_ms = 0;
        while passed_ms <= end_ms {
            self.memory.now_ms = self.test.start_ms + passed_ms;
            for at in 0..self.rules.len() {
                if let Err(error) = self.evaluate(at, self.memory.now_ms) {
                    let (rule, time) = (self.rules[at].rule.name(), format_duration_ms(passed_ms));
                    failures.push(format!("    rule: {rule}, time: {time}, err: {error:#}"));
                }
            }
            if !failures.is_empty() {
                return failures;
            }
            let due = self
                .test
                .alert_rule_test
                .iter()
                .filter(|test| (passed_ms..passed_ms + interval_ms).contains(&test.eval_time));
            failures.extend(due.filter_map(|test| self.compare_alerts(test)));
            passed_ms += interval_ms;
        }
        self.memory.now_ms = self.test.start_ms + end_ms;
        failures.extend(
            self.test.promql_expr_test.iter().filter_map(|test| self.compare_samples(test)),
        );
        failures
    }

    /// Evaluates one rule and stores what it yields.
    fn evaluate(&mut self, at: usize, now_ms: i64) -> anyhow::Result<()> {
        let rule = &mut self.rules[at];
        let (memory, options) = (&self.memory, &self.options);
        let vector = instant(memory, &rule.query, now_ms - rule.query_offset_ms, options)?;
        let yielded = match rule.rule {
            Rule::Recording(recording) => record(recording, &vector)?,
            Rule::Alerting(alerting) => {
                let ask = |text: &str| {
                    let query = parse(text).map_err(|error| error.to_string())?;
                    instant(memory, &query, now_ms, options).map_err(|error| format!("{error:#}"))
                };
                let context = Context {
                    external_labels: self.test.external_labels.clone(),
                    external_url: self.test.external_url.clone(),
                    query: Some(Box::new(ask)),
                };
                rule.alerts.evaluate(alerting, now_ms, &vector, &context)?
            }
        };
        let mut ended = std::mem::take(&mut rule.yielded);
        for Sample { labels, value } in yielded {
            ended.remove(&labels);
            self.memory.push(&labels, now_ms, value);
            rule.yielded.insert(labels);
        }
        for labels in ended {
            self.memory.push(&labels, now_ms, stale_marker());
        }
        Ok(())
    }

    fn compare_alerts(&self, test: &AlertTest) -> Option<String> {
        let mut expected: Vec<(Labels, BTreeMap<String, String>)> = Vec::new();
        for alert in &test.exp_alerts {
            let labels = alert.exp_labels.iter().filter(|(name, _)| *name != "alertname");
            let labels = labels.map(|(name, value)| (name.as_str(), value.as_str()));
            match Labels::from_pairs(labels.chain([("alertname", test.alertname.as_str())])) {
                Ok(labels) => expected.push((labels, alert.exp_annotations.clone())),
                Err(error) => return Some(format!("    alertname: {}: {error}", test.alertname)),
            }
        }
        let named = self.rules.iter().filter(|rule| rule.rule.name() == test.alertname);
        let firing = named
            .flat_map(|rule| rule.alerts.active())
            .filter(|alert| alert.state == AlertState::Firing);
        let mut got: Vec<(Labels, BTreeMap<String, String>)> =
            firing.map(|alert| (alert.labels.clone(), alert.annotations.clone())).collect();
        expected.sort();
        got.sort();
        (got != expected).then(|| {
            let (name, time) = (&test.alertname, format_duration_ms(test.eval_time));
            let (expected, got) = (list_alerts(&expected), list_alerts(&got));
            format!(
                "    alertname: {name}, time: {time},\n        exp: {expected}\n        got: {got}"
            )
        })
    }

    fn compare_samples(&self, test: &ExpressionTest) -> Option<String> {
        let failed = |what: &str| {
            let time = format_duration_ms(test.eval_time);
            Some(format!("    expr: {:?}, time: {time},\n        {what}", test.expr))
        };
        let query = match parse(&test.expr) {
            Ok(query) => query,
            Err(error) => return failed(&format!("err: {error}")),
        };
        let at_ms = self.test.start_ms + test.eval_time;
        let mut got = match instant(&self.memory, &query, at_ms, &self.options) {
            Ok(got) => got,
            Err(error) => return failed(&format!("err: {error:#}")),
        };
        let mut expected = Vec::new();
        for sample in &test.exp_samples {
            match parse_labels(&sample.labels) {
                Ok(labels) => expected.push(Sample { labels, value: sample.value }),
                Err(error) => return failed(&format!("err: {error:#}")),
            }
        }
        got.sort_by(|a, b| a.labels.cmp(&b.labels));
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));
        let equal = |(one, other): (&Sample, &Sample)| {
            one.labels == other.labels && self.is_same_value(one.value, other.value)
        };
        if got.len() == expected.len() && got.iter().zip(&expected).all(equal) {
            return None;
        }
        failed(&format!("exp: {}\n        got: {}", list_samples(&expected), list_samples(&got)))
    }

    fn is_same_value(&self, one: f64, other: f64) -> bool {
        let near = one.next_up() == other || one.next_down() == other;
        one == other || (one.is_nan() && other.is_nan()) || (self.file.fuzzy_compare && near)
    }
}

/// The value of an expression as samples.
fn instant(
    memory: &Memory,
    query: &Query,
    at_ms: i64,
    options: &Options,
) -> anyhow::Result<Vec<Sample>> {
    match evaluate_instant(memory, query, at_ms, options)?.value {
        Value::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| Sample { labels: sample.labels, value: sample.value })
            .collect()),
        Value::Scalar { value, .. } => Ok(vec![Sample { labels: Labels::empty(), value }]),
        Value::String { .. } | Value::Matrix(_) => {
            Err(anyhow!("the expression yields neither a vector nor a number"))
        }
    }
}

/// A name with labels, as in `up{job="node"}`; nothing, or `{}`, is no label at all.
fn parse_labels(text: &str) -> anyhow::Result<Labels> {
    if matches!(text.trim(), "" | "{}") {
        return Ok(Labels::empty());
    }
    let no_series = || anyhow!("{text:?} is no series; write one like up{{job=\"node\"}}");
    let matchers = muster_promql::parse_selector(text).with_context(no_series)?;
    if matchers.iter().any(|matcher| matcher.op() != MatchOp::Equal) {
        return Err(no_series());
    }
    Ok(Labels::from_pairs(matchers.iter().map(|matcher| (matcher.name(), matcher.value())))?)
}

fn list_samples(samples: &[Sample]) -> String {
    let texts: Vec<String> =
        samples.iter().map(|sample| format!("{} {:E}", sample.labels, sample.value)).collect();
    if texts.is_empty() { "nil".into() } else { texts.join(", ") }
}

fn list_alerts(alerts: &[(Labels, BTreeMap<String, String>)]) -> String {
    let mut text = String::from("[");
    for (at, (labels, annotations)) in alerts.iter().enumerate() {
        let _ = write!(text, "\n            {at}: labels {labels}, annotations {annotations:?}");
    }
    text.push_str(if alerts.is_empty() { "]" } else { "\n        ]" });
    text
}
