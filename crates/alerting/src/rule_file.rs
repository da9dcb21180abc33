//! Rule files in Prometheus's format, read and checked.
//!
//! Checked is all that can be without PromQL: names, labels, what belongs to which kind of rule, templates.
//! Expressions stay texts.

use std::collections::{BTreeMap, BTreeSet};

use muster_series::{METRIC_NAME, is_legacy_label_name};
use serde::Deserialize;

use crate::template::{Template, TemplateError};
use crate::yaml;

/// Why a rule file is refused.
#[derive(Debug, thiserror::Error)]
pub enum RuleFileError {
    /// It is no YAML of this form.
    #[error("{0}")]
    Yaml(String),
    /// A group has no name.
    #[error("group {0}: the name is missing")]
    GroupName(usize),
    /// Two groups have the same name.
    #[error("the group {0:?} is there twice; group names must differ within a file")]
    SameGroup(String),
    /// A rule makes no sense.
    #[error("group {group:?}, rule {number}, {rule:?}: {problem}")]
    Rule {
        /// The group's name.
        group: String,
        /// The rule's place in its group, from 1.
        number: usize,
        /// The rule's name, as far as it has one.
        rule: String,
        /// What is wrong with it.
        problem: RuleProblem,
    },
}

/// What is wrong with a rule.
#[derive(Debug, thiserror::Error)]
pub enum RuleProblem {
    /// It has no name, or two.
    #[error("give it either `record` or `alert`")]
    Kind,
    /// There is nothing to evaluate.
    #[error("`expr` is missing")]
    NoExpression,
    /// Something that only alerts have.
    #[error("`{0}` belongs to alerts only")]
    AlertsOnly(&'static str),
    /// The name of the recorded series.
    #[error("{0:?} is no name for a metric")]
    MetricName(String),
    /// The name of a label or annotation.
    #[error("{0:?} is no name for a label or annotation")]
    LabelName(String),
    /// The text of a label or annotation.
    #[error("in {name:?}: {error}")]
    Template {
        /// The label or annotation.
        name: String,
        /// What is wrong with it.
        error: TemplateError,
    },
}

/// A file of rules.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// The groups, in order.
    pub groups: Vec<RuleGroup>,
}

/// Rules that are evaluated one after the other, at the same instant.
#[derive(Debug, Clone)]
pub struct RuleGroup {
    /// Its name, unique in the file.
    pub name: String,
    /// How often it is evaluated, in milliseconds; none for the default.
    pub interval_ms: Option<i64>,
    /// How far before the instant expressions are evaluated, in milliseconds.
    pub query_offset_ms: i64,
    /// The most series or alerts of a rule; 0 for any number.
    pub limit: usize,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone)]
pub enum Rule {
    /// Stores what its expression yields.
    Recording(RecordingRule),
    /// Makes an alert of each series that its expression yields.
    Alerting(AlertingRule),
}

/// A rule that stores what its expression yields, as series of another name.
#[derive(Debug, Clone)]
pub struct RecordingRule {
    /// The metric's name.
    pub record: String,
    /// The expression, in PromQL.
    pub expr: String,
    /// Labels that every series gets; an empty value takes a label away.
    pub labels: BTreeMap<String, String>,
    /// The limit of its group.
    pub limit: usize,
}

/// A rule that makes alerts.
#[derive(Debug, Clone)]
pub struct AlertingRule {
    /// The alerts' name.
    pub alert: String,
    /// The expression, in PromQL.
    pub expr: String,
    /// How long it must have held before an alert fires, in milliseconds.
    pub for_ms: i64,
    /// How long an alert goes on firing after it held last, in milliseconds.
    pub keep_firing_for_ms: i64,
    /// Labels that every alert gets.
    pub labels: BTreeMap<String, Template>,
    /// Texts for people.
    pub annotations: BTreeMap<String, Template>,
    /// The limit of its group.
    pub limit: usize,
}

impl Rule {
    /// The name of the alert or of the recorded series.
    pub fn name(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.record,
            Self::Alerting(rule) => &rule.alert,
        }
    }

    /// The expression.
    pub fn expr(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.expr,
            Self::Alerting(rule) => &rule.expr,
        }
    }

    /// The rule, if it makes alerts.
    pub fn as_alerting(&self) -> Option<&AlertingRule> {
        match self {
            Self::Recording(_) => None,
            Self::Alerting(rule) => Some(rule),
        }
    }

    /// The labels as they are written, for finding rules that are there twice.
    fn written_labels(&self) -> Vec<(String, String)> {
        let own = |(name, value): (&String, &str)| (name.clone(), value.to_owned());
        match self {
            Self::Recording(rule) => {
                rule.labels.iter().map(|(name, value)| own((name, value))).collect()
            }
            Self::Alerting(rule) => {
                rule.labels.iter().map(|(name, value)| own((name, value.text()))).collect()
            }
        }
    }
}

impl RuleFile {
    /// Reads and checks a file.
    pub fn parse(text: &str) -> Result<Self, RuleFileError> {
        let raw: RawFile = yaml::parse(text).map_err(RuleFileError::Yaml)?;
        let mut names = BTreeSet::new();
        let mut groups = Vec::new();
        for (at, group) in raw.groups.unwrap_or_default().into_iter().enumerate() {
            if group.name.is_empty() {
                return Err(RuleFileError::GroupName(at + 1));
            }
            if !names.insert(group.name.clone()) {
                return Err(RuleFileError::SameGroup(group.name));
            }
            groups.push(group.check()?);
        }
        Ok(Self { groups })
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }

    /// The rules whose name and labels another rule before them has, each once: name and labels.
    pub fn duplicates(&self) -> Vec<(String, Vec<(String, String)>)> {
        let mut seen = BTreeSet::new();
        let mut twice = BTreeSet::new();
        for rule in self.rules() {
            let key = (rule.name().to_owned(), rule.written_labels());
            if !seen.insert(key.clone()) {
                twice.insert(key);
            }
        }
        twice.into_iter().collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    groups: Option<Vec<RawGroup>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "yaml::optional_duration")]
    interval: Option<i64>,
    #[serde(default, deserialize_with = "yaml::duration")]
    query_offset: i64,
    #[serde(default)]
    limit: usize,
    /// Labels that all rules of the group get.
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    rules: Option<Vec<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    #[serde(default)]
    record: String,
    #[serde(default)]
    alert: String,
    #[serde(default)]
    expr: String,
    #[serde(default, rename = "for", deserialize_with = "yaml::duration")]
    for_ms: i64,
    #[serde(default, rename = "keep_firing_for", deserialize_with = "yaml::duration")]
    keep_firing_for_ms: i64,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl RawGroup {
    fn check(self) -> Result<RuleGroup, RuleFileError> {
        let shared = self.labels.unwrap_or_default();
        let mut rules = Vec::new();
        for (at, raw) in self.rules.unwrap_or_default().into_iter().enumerate() {
            let rule = if raw.alert.is_empty() { raw.record.clone() } else { raw.alert.clone() };
            let checked = raw.check(&shared, self.limit).map_err(|problem| {
                RuleFileError::Rule { group: self.name.clone(), number: at + 1, rule, problem }
            })?;
            rules.push(checked);
        }
        Ok(RuleGroup {
            name: self.name,
            interval_ms: self.interval,
            query_offset_ms: self.query_offset,
            limit: self.limit,
            rules,
        })
    }
}

impl RawRule {
    fn check(self, shared: &BTreeMap<String, String>, limit: usize) -> Result<Rule, RuleProblem> {
        if self.record.is_empty() == self.alert.is_empty() {
            return Err(RuleProblem::Kind);
        }
        if self.expr.trim().is_empty() {
            return Err(RuleProblem::NoExpression);
        }
        let mut labels = shared.clone();
        labels.extend(self.labels.unwrap_or_default());
        let annotations = self.annotations.unwrap_or_default();
        for name in labels.keys() {
            if name.is_empty() || name == METRIC_NAME {
                return Err(RuleProblem::LabelName(name.clone()));
            }
        }
        if let Some(name) = annotations.keys().find(|name| !is_legacy_label_name(name)) {
            return Err(RuleProblem::LabelName(name.clone()));
        }
        if !self.alert.is_empty() {
            return Ok(Rule::Alerting(AlertingRule {
                alert: self.alert,
                expr: self.expr,
                for_ms: self.for_ms,
                keep_firing_for_ms: self.keep_firing_for_ms,
                labels: templates(labels)?,
                annotations: templates(annotations)?,
                limit,
            }));
        }
        let only_alerts = [
            ("annotations", !annotations.is_empty()),
            ("for", self.for_ms != 0),
            ("keep_firing_for", self.keep_firing_for_ms != 0),
        ];
        if let Some((name, _)) = only_alerts.into_iter().find(|(_, given)| *given) {
            return Err(RuleProblem::AlertsOnly(name));
        }
        if self.record.contains(['{', '}', '\n']) {
            return Err(RuleProblem::MetricName(self.record));
        }
        Ok(Rule::Recording(RecordingRule { record: self.record, expr: self.expr, labels, limit }))
    }
}

fn templates(texts: BTreeMap<String, String>) -> Result<BTreeMap<String, Template>, RuleProblem> {
    texts
        .into_iter()
        .map(|(name, text)| match Template::parse(&text) {
            Ok(template) => Ok((name, template)),
            Err(error) => Err(RuleProblem::Template { name, error }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_groups_of_rules() {
        let file = RuleFile::parse(
            "groups:\n- name: a\n  interval: 30s\n  limit: 3\n  labels: {team: x}\n  rules:\n  \
             - record: job:up:sum\n    expr: sum by (job) (up)\n    labels: {kind: sum}\n  \
             - alert: Down\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1m\n    \
             annotations: {summary: '{{ $labels.instance }} is down'}\n- name: empty\n",
        )
        .unwrap();
        let [first, empty] = &file.groups[..] else { panic!("two groups") };
        assert_eq!((first.interval_ms, first.limit, first.rules.len()), (Some(30_000), 3, 2));
        assert!(empty.rules.is_empty());
        let Rule::Recording(sum) = &first.rules[0] else { panic!("a recording rule") };
        assert_eq!(sum.labels.len(), 2);
        let down = first.rules[1].as_alerting().unwrap();
        assert_eq!((down.for_ms, down.keep_firing_for_ms), (300_000, 60_000));
        assert_eq!(down.labels["team"].text(), "x");
    }

    #[track_caller]
    fn check_refused(rule: &str, expected: &str) {
        let text = format!("groups: [{{name: g, rules: [{rule}]}}]");
        let error = RuleFile::parse(&text).expect_err("it is refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        check_refused("{expr: up}", "either `record` or `alert`");
        check_refused("{record: a, alert: b, expr: up}", "either `record` or `alert`");
        check_refused("{alert: a}", "`expr` is missing");
        check_refused("{record: a, expr: up, for: 1m}", "`for` belongs to alerts");
        check_refused("{record: a, expr: up, annotations: {a: b}}", "`annotations` belongs");
        check_refused("{record: 'a{b}', expr: up}", "no name for a metric");
        check_refused("{alert: a, expr: up, labels: {__name__: x}}", "no name for a label");
        check_refused("{alert: a, expr: up, annotations: {a-b: x}}", "no name for a label");
        check_refused("{alert: a, expr: up, annotations: {a: '{{ nonsense }}'}}", "nonsense");
        check_refused("{alert: a, expr: up, fro: 5m}", "fro");
        check_refused("{alert: a, expr: up, for: soon}", "soon");
        for (text, expected) in [
            ("groups: [{rules: []}]", "group 1"),
            ("groups: [{name: a}, {name: a}]", "twice"),
            ("group: []", "group"),
            ("groups: [", ""),
            ("a: &a [*a, *a]", ""),
        ] {
            let error = RuleFile::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn rules_that_are_there_twice_are_found() {
        let file = RuleFile::parse(
            "groups: [{name: a, rules: [{record: x, expr: a}, {record: x, expr: b}, {record: x, expr: c, labels: {l: v}}]}]",
        )
        .unwrap();
        assert_eq!(file.duplicates(), [("x".to_owned(), vec![])]);
    }
}
