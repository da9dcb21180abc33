//! The states of an alerting rule's alerts: pending, firing, resolved.
//!
//! 1. The vector of an instant is handed to [`Alerts::evaluate`]; every sample of it is an alert, known by its labels.
//! 2. A new alert is pending, and fires when it has held for the rule's `for`.
//! 3. An alert that is not in the vector any more is forgotten if it was pending. If it fired it goes on for
//!    `keep_firing_for`, is resolved then, and kept for 15 minutes, so that whoever is told misses nothing.
//!
//! The source is Prometheus's rule evaluation, whose words and numbers these are.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use muster_series::{Labels, METRIC_NAME};

use crate::posted::ALERT_NAME;
use crate::rule_file::AlertingRule;
use crate::template::Context;

/// How long a resolved alert is kept, in milliseconds.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// A series' value at the instant that is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Which series.
    pub labels: Labels,
    /// The value.
    pub value: f64,
}

/// Why a rule has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// Two samples have the same labels once the rule's are on them.
    #[error("vector contains metrics with the same labelset after applying rule labels")]
    SameLabels,
    /// The rule yields more than its group allows.
    #[error("the rule yields {found} series, and its group's limit is {limit}")]
    Limit {
        /// `limit` of the group.
        limit: usize,
        /// How many there are.
        found: usize,
    },
}

/// What is the matter with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// It does not hold any more.
    Resolved,
    /// It holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
}

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// What is the matter with it.
    pub state: AlertState,
    /// The labels of the series, without its name, with those of the rule and `alertname`.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: BTreeMap<String, String>,
    /// The newest value.
    pub value: f64,
    /// Since when it holds, in milliseconds.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub fired_at_ms: Option<i64>,
    /// Since when it does not hold any more.
    pub resolved_at_ms: Option<i64>,
    /// Since when it only fires because of `keep_firing_for`.
    pub kept_since_ms: Option<i64>,
    /// How long it must have held before it fires, in milliseconds.
    pub for_ms: i64,
    /// How long it goes on firing after it held last, in milliseconds.
    pub keep_firing_for_ms: i64,
    /// What the value was compared with, where that is one number.
    pub threshold: Option<f64>,
    /// What was told of it last.
    pub(crate) told: Option<Told>,
}

/// What was told of an alert, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Told {
    pub(crate) state: AlertState,
    pub(crate) kept_since_ms: Option<i64>,
    pub(crate) value: f64,
    /// A number that differs between annotations that differ.
    pub(crate) texts: u64,
    pub(crate) at_ms: i64,
}

/// The alerts of one rule.
#[derive(Debug, Default)]
pub struct Alerts {
    /// By their labels.
    known: BTreeMap<Labels, Alert>,
    /// Those that were forgotten without ever having fired, until they are taken.
    forgotten: Vec<Alert>,
    /// Until then no alert ends because nothing is heard of it.
    spared_until_ms: i64,
}

impl Alerts {
    /// Takes the vector of the instant `at_ms` in; gives the series `ALERTS` and `ALERTS_FOR_STATE` to store.
    pub fn evaluate(
        &mut self,
        rule: &AlertingRule,
        at_ms: i64,
        vector: &[Sample],
        context: &Context<'_>,
    ) -> Result<Vec<Sample>, EvaluateError> {
        let mut present = BTreeMap::new();
        for sample in vector {
            let alert = fresh(rule, at_ms, sample, context);
            if present.insert(alert.labels.clone(), alert).is_some() {
                return Err(EvaluateError::SameLabels);
            }
        }
        self.advance(at_ms, present);
        let found = self.active().count();
        if rule.limit > 0 && found > rule.limit {
            self.end_all(at_ms);
            return Err(EvaluateError::Limit { limit: rule.limit, found });
        }
        Ok(self.series().collect())
    }

    /// Takes in which alerts hold at `at_ms`, by their labels; all others do not.
    pub(crate) fn advance(&mut self, at_ms: i64, mut present: BTreeMap<Labels, Alert>) {
        let spared = at_ms < self.spared_until_ms;
        for (labels, alert) in &mut self.known {
            match present.remove(labels) {
                Some(newer) => alert.holds_again(newer),
                None if spared && alert.state != AlertState::Resolved => {}
                None => alert.is_missing(at_ms),
            }
        }
        for (labels, alert) in present {
            if let Entry::Vacant(vacant) = self.known.entry(labels) {
                vacant.insert(alert);
            }
        }
        self.forget(at_ms);
        for alert in self.known.values_mut() {
            if alert.state == AlertState::Pending && at_ms - alert.active_at_ms >= alert.for_ms {
                alert.state = AlertState::Firing;
                alert.fired_at_ms = Some(at_ms);
            }
        }
    }

    /// The clock was set back to `now_ms`: no time of an alert is later.
    pub(crate) fn set_back(&mut self, now_ms: i64) {
        self.spared_until_ms = self.spared_until_ms.min(now_ms);
        for alert in self.known.values_mut() {
            alert.active_at_ms = alert.active_at_ms.min(now_ms);
            let Alert { fired_at_ms, resolved_at_ms, kept_since_ms, told, .. } = alert;
            for at_ms in [fired_at_ms, resolved_at_ms, kept_since_ms].into_iter().flatten() {
                *at_ms = now_ms.min(*at_ms);
            }
            if let Some(told) = told {
                told.at_ms = now_ms.min(told.at_ms);
            }
        }
    }

    /// Ends all alerts, whatever holds.
    pub(crate) fn end_all(&mut self, at_ms: i64) {
        for alert in self.known.values_mut() {
            alert.resolve(at_ms);
        }
        self.forget(at_ms);
    }

    fn forget(&mut self, at_ms: i64) {
        let is_over = |alert: &Alert| {
            let never_fired = alert.fired_at_ms.is_none();
            alert
                .resolved_at_ms
                .is_some_and(|since| never_fired || at_ms - since > RESOLVED_RETENTION_MS)
        };
        let over = self.known.extract_if(.., |_, alert| is_over(alert));
        self.forgotten.extend(over.map(|(_, alert)| alert).filter(|a| a.fired_at_ms.is_none()));
    }

    /// Takes over an alert from before a restart. Until `spared_until_ms` none ends because nothing is heard of it.
    pub(crate) fn restore(&mut self, alert: Alert, spared_until_ms: i64) {
        self.spared_until_ms = spared_until_ms;
        self.known.insert(alert.labels.clone(), alert);
    }

    /// Whether the alert with these labels holds, or still fires.
    pub(crate) fn is_active(&self, labels: &Labels) -> bool {
        self.known.get(labels).is_some_and(|alert| alert.state != AlertState::Resolved)
    }

    /// All alerts, to note what is told of them.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Alert> {
        self.known.values_mut()
    }

    /// The alerts that were forgotten since the last call without ever having fired.
    pub(crate) fn take_forgotten(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.forgotten)
    }

    /// The series by which the active alerts are seen in the store.
    pub(crate) fn series(&self) -> impl Iterator<Item = Sample> {
        self.active().flat_map(Alert::series)
    }

    /// The alerts that hold, or still fire.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.known.values().filter(|alert| alert.state != AlertState::Resolved)
    }

    /// All alerts, those resolved lately too.
    pub fn all(&self) -> impl Iterator<Item = &Alert> {
        self.known.values()
    }
}

/// The alert that a sample makes if there is none yet.
fn fresh(rule: &AlertingRule, at_ms: i64, sample: &Sample, context: &Context<'_>) -> Alert {
    let expand = |template: &crate::template::Template| {
        template
            .expand(&sample.labels, sample.value, context)
            .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    };
    let mut labels = sample.labels.with(METRIC_NAME, "");
    for (name, template) in &rule.labels {
        labels = labels.with(name, &expand(template));
    }
    let annotations = rule.annotations.iter();
    Alert {
        state: AlertState::Pending,
        labels: labels.with(ALERT_NAME, &rule.alert),
        annotations: annotations.map(|(name, text)| (name.clone(), expand(text))).collect(),
        value: sample.value,
        active_at_ms: at_ms,
        fired_at_ms: None,
        resolved_at_ms: None,
        kept_since_ms: None,
        for_ms: rule.for_ms,
        keep_firing_for_ms: rule.keep_firing_for_ms,
        threshold: None,
        told: None,
    }
}

impl Alert {
    fn holds_again(&mut self, newer: Self) {
        if self.state == AlertState::Resolved {
            *self = newer;
        } else {
            self.value = newer.value;
            self.annotations = newer.annotations;
            self.for_ms = newer.for_ms;
            self.keep_firing_for_ms = newer.keep_firing_for_ms;
            self.threshold = newer.threshold;
            self.kept_since_ms = None;
        }
    }

    fn is_missing(&mut self, at_ms: i64) {
        if self.state == AlertState::Firing && self.keep_firing_for_ms > 0 {
            let since = *self.kept_since_ms.get_or_insert(at_ms);
            if at_ms - since < self.keep_firing_for_ms {
                return;
            }
        }
        self.resolve(at_ms);
    }

    fn resolve(&mut self, at_ms: i64) {
        if self.state != AlertState::Resolved {
            self.state = AlertState::Resolved;
            self.resolved_at_ms = Some(at_ms);
        }
    }

    /// The series by which an alert is seen in the store.
    fn series(&self) -> [Sample; 2] {
        let state = if self.state == AlertState::Firing { "firing" } else { "pending" };
        let alerts = self.labels.with(METRIC_NAME, "ALERTS").with("alertstate", state);
        let since = self.labels.with(METRIC_NAME, "ALERTS_FOR_STATE");
        let since_s = self.active_at_ms.div_euclid(1_000) as f64;
        [Sample { labels: alerts, value: 1.0 }, Sample { labels: since, value: since_s }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RuleFile;

    fn rule(more: &str) -> AlertingRule {
        let text = format!("groups: [{{name: g, rules: [{{alert: A, expr: x, {more}}}]}}]");
        RuleFile::parse(&text).unwrap().groups[0].rules[0].as_alerting().unwrap().clone()
    }

    fn sample(host: &str, value: f64) -> Sample {
        let labels = Labels::from_pairs([("__name__", "x"), ("host", host)]).unwrap();
        Sample { labels, value }
    }

    /// One letter an evaluation, a minute apart: `x` where the alert's series is there. What comes out is `.` for no
    /// active alert, `p` for a pending and `F` for a firing one.
    #[track_caller]
    fn check(more: &str, present: &str, expected: &str) {
        let (rule, mut alerts) = (rule(more), Alerts::default());
        let states = present.chars().zip(0..).map(|(letter, minute)| {
            let vector = if letter == 'x' { vec![sample("a", 1.0)] } else { vec![] };
            alerts.evaluate(&rule, minute * 60_000, &vector, &Context::default()).unwrap();
            match alerts.active().next().map(|alert| alert.state) {
                Some(AlertState::Pending) => 'p',
                Some(AlertState::Firing) => 'F',
                _ => '.',
            }
        });
        assert_eq!(states.collect::<String>(), expected, "{more} over {present}");
    }

    #[test]
    fn alerts_pend_fire_and_resolve() {
        check("for: 0s", "x-x", "F.F");
        check("for: 2m", "xxx-xxx", "ppF.ppF");
        check("for: 2m", "x-xxx", "p.ppF");
        check("keep_firing_for: 2m", "x---x", "FFF.F");
        check("for: 1m, keep_firing_for: 2m", "xx-x---x-", "pFFFFF.p.");
        check("for: 1m, keep_firing_for: 5m", "x--", "p..");
    }

    #[test]
    fn labels_and_texts_are_expanded_and_what_fails_says_so() {
        let rule = rule(
            "labels: {severity: '{{ if gt $value 1.0 }}high{{ else }}low{{ end }}', host: ''}, \
             annotations: {about: '{{ $labels.host }}: {{ .Value }}', bad: '{{ humanize \"x\" }}'}",
        );
        let mut alerts = Alerts::default();
        let series =
            alerts.evaluate(&rule, 5_000, &[sample("a", 2.5)], &Context::default()).unwrap();
        let names: Vec<String> = series.iter().map(|one| one.labels.to_string()).collect();
        assert_eq!(
            names,
            [
                "ALERTS{alertname=\"A\", alertstate=\"firing\", severity=\"high\"}",
                "ALERTS_FOR_STATE{alertname=\"A\", severity=\"high\"}"
            ]
        );
        assert_eq!(series[1].value, 5.0);
        let alert = alerts.active().next().unwrap();
        assert_eq!(alert.annotations["about"], "a: 2.5");
        assert!(alert.annotations["bad"].starts_with("<error expanding template: "));
    }

    #[test]
    fn series_that_become_one_and_too_many_of_them_are_refused() {
        let two = [sample("a", 1.0), sample("b", 1.0)];
        let same = rule("labels: {host: ''}");
        let refused = Alerts::default().evaluate(&same, 0, &two, &Context::default());
        assert_eq!(refused, Err(EvaluateError::SameLabels));
        let mut limited = rule("");
        limited.limit = 1;
        let refused = Alerts::default().evaluate(&limited, 0, &two, &Context::default());
        assert_eq!(refused, Err(EvaluateError::Limit { limit: 1, found: 2 }));
    }

    #[test]
    fn a_resolved_alert_is_kept_for_a_while() {
        let (rule, mut alerts) = (rule(""), Alerts::default());
        let context = Context::default();
        alerts.evaluate(&rule, 0, &[sample("a", 1.0)], &context).unwrap();
        for (minute, kept) in [(1, 1), (16, 1), (17, 0)] {
            alerts.evaluate(&rule, minute * 60_000, &[], &context).unwrap();
            assert_eq!(alerts.all().count(), kept, "after {minute} minutes");
        }
    }
}
