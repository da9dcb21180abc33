//! Promtool's files of tests for rules, read.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::yaml;

/// How often rules are evaluated if the file does not say, in milliseconds.
const DEFAULT_INTERVAL_MS: i64 = 60_000;

/// Why a test file is refused.
#[derive(Debug, thiserror::Error)]
pub enum TestFileError {
    /// It is no YAML of this form.
    #[error("{0}")]
    Yaml(String),
    /// An interval is no time.
    #[error("{0} must be longer than nothing")]
    Interval(&'static str),
    /// A group is listed twice in the order of evaluation.
    #[error("group {0:?} is repeated in group_eval_order")]
    RepeatedGroup(String),
    /// An alert that is expected has no name.
    #[error("an alert_rule_test has no alertname")]
    NoAlertName,
}

/// A file of tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// The rule files, relative to this one; each may be a pattern.
    #[serde(default)]
    pub rule_files: Vec<String>,
    /// How often rules are evaluated, in milliseconds.
    #[serde(default, rename = "evaluation_interval", deserialize_with = "yaml::optional_duration")]
    interval: Option<i64>,
    /// Names of groups in the order in which they are evaluated; others follow.
    #[serde(default)]
    pub group_eval_order: Vec<String>,
    /// Whether values are equal that differ in their last digits only.
    #[serde(default)]
    pub fuzzy_compare: bool,
    /// The tests.
    #[serde(default)]
    pub tests: Vec<TestGroup>,
}

/// Series, and what is to come of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestGroup {
    /// The time between two values of the series, in milliseconds.
    #[serde(default, deserialize_with = "yaml::optional_duration")]
    interval: Option<i64>,
    /// Its name, if it has one.
    #[serde(default)]
    pub name: String,
    /// When it begins, in milliseconds since 1970.
    #[serde(default, rename = "start_timestamp", deserialize_with = "yaml::time")]
    pub start_ms: i64,
    /// The series.
    #[serde(default)]
    pub input_series: Vec<InputSeries>,
    /// Which alerts fire.
    #[serde(default)]
    pub alert_rule_test: Vec<AlertTest>,
    /// What expressions yield.
    #[serde(default)]
    pub promql_expr_test: Vec<ExpressionTest>,
    /// Labels for `$externalLabels`.
    #[serde(default)]
    pub external_labels: BTreeMap<String, String>,
    /// The address for `$externalURL`.
    #[serde(default)]
    pub external_url: String,
}

/// A series.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSeries {
    /// Name and labels, as a selector has them.
    pub series: String,
    /// Its values; see [`parse_values`](crate::parse_values).
    pub values: String,
}

/// The alerts of one name that fire at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertTest {
    /// The time, in milliseconds from the beginning.
    #[serde(default, deserialize_with = "yaml::duration")]
    pub eval_time: i64,
    /// Their name.
    #[serde(default)]
    pub alertname: String,
    /// They.
    #[serde(default)]
    pub exp_alerts: Vec<ExpectedAlert>,
}

/// An alert that is to fire.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAlert {
    /// Its labels, but for `alertname`.
    #[serde(default)]
    pub exp_labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default)]
    pub exp_annotations: BTreeMap<String, String>,
}

/// What an expression yields at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpressionTest {
    /// The expression, in PromQL.
    pub expr: String,
    /// The time, in milliseconds from the beginning.
    #[serde(default, deserialize_with = "yaml::duration")]
    pub eval_time: i64,
    /// The samples.
    #[serde(default)]
    pub exp_samples: Vec<ExpectedSample>,
}

/// A sample that is to come out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedSample {
    /// Name and labels, as a selector has them; empty for none.
    #[serde(default)]
    pub labels: String,
    /// The value.
    #[serde(default)]
    pub value: f64,
}

impl TestFile {
    /// Reads and checks a file.
    pub fn parse(text: &str) -> Result<Self, TestFileError> {
        let file: Self = yaml::parse(text).map_err(TestFileError::Yaml)?;
        let mut groups = file.group_eval_order.clone();
        groups.sort_unstable();
        if let Some(two) = groups.windows(2).find(|two| two[0] == two[1]) {
            return Err(TestFileError::RepeatedGroup(two[0].clone()));
        }
        if file.interval_ms() <= 0 {
            return Err(TestFileError::Interval("evaluation_interval"));
        }
        for group in &file.tests {
            if group.interval_ms(&file) <= 0 {
                return Err(TestFileError::Interval("interval"));
            }
            if group.alert_rule_test.iter().any(|test| test.alertname.is_empty()) {
                return Err(TestFileError::NoAlertName);
            }
        }
        Ok(file)
    }

    /// How often rules are evaluated, in milliseconds.
    pub fn interval_ms(&self) -> i64 {
        self.interval.unwrap_or(DEFAULT_INTERVAL_MS)
    }
}

impl TestGroup {
    /// The time between two values of its series, in milliseconds.
    pub fn interval_ms(&self, file: &TestFile) -> i64 {
        self.interval.unwrap_or(file.interval_ms())
    }

    /// The last time that anything is expected for, in milliseconds from its beginning.
    pub fn end_ms(&self) -> i64 {
        let alerts = self.alert_rule_test.iter().map(|test| test.eval_time);
        alerts.chain(self.promql_expr_test.iter().map(|test| test.eval_time)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_series_and_what_comes_of_them() {
        let file = TestFile::parse(
            "rule_files: [alerts.yml]\nevaluation_interval: 1m\ntests:\n- interval: 30s\n  \
             start_timestamp: 2021-01-01T00:00:00Z\n  input_series:\n  \
             - series: up{job=\"a\"}\n    values: 1 0x5\n  - series: one\n    values: 1\n  alert_rule_test:\n  \
             - eval_time: 10m\n    alertname: Down\n    exp_alerts: [{exp_labels: {job: a}}]\n  \
             promql_expr_test:\n  - {expr: up, eval_time: 1h, exp_samples: [{labels: 'up{}', value: 1e3}]}\n- {}\n",
        )
        .unwrap();
        let [first, empty] = &file.tests[..] else { panic!("two groups") };
        assert_eq!((first.interval_ms(&file), first.end_ms()), (30_000, 3_600_000));
        assert_eq!((first.start_ms, empty.start_ms), (1_609_459_200_000, 0));
        assert_eq!(first.input_series[1].values, "1");
        assert_eq!(first.alert_rule_test[0].exp_alerts[0].exp_labels["job"], "a");
        assert_eq!(first.promql_expr_test[0].exp_samples[0].value, 1_000.0);
        assert_eq!((empty.interval_ms(&file), empty.end_ms()), (60_000, 0));
    }

    #[test]
    fn what_is_no_test_file_is_refused() {
        for (text, expected) in [
            ("rule_file: []", "rule_file"),
            ("group_eval_order: [a, a]", "repeated"),
            ("evaluation_interval: 0s", "evaluation_interval"),
            ("tests: [{interval: 0}]", "interval"),
            ("tests: [{start_timestamp: soon}]", "soon"),
            ("tests: [{start_timestamp: 1e300}]", "out of range"),
            ("tests: [{alert_rule_test: [{eval_time: 1m}]}]", "alertname"),
        ] {
            let error = TestFile::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
