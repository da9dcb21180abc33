//! A rule that came with Muster: one measure a thing, compared with what holds for its host, in grades.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use muster_series::Labels;

use super::unusual::UnusualFigures;
use crate::alerts::{Alert, AlertState, Alerts, Sample};
use crate::built_in::{BuiltIn, Severity, Terms, Thresholds};
use crate::posted::{ALERT_NAME, INSTANCE, SEVERITY};
use crate::template::{Context, Template};

/// The label that says by which way a sample came; it is no part of what an alert is about.
const JOB: &str = "job";

/// A built-in rule with the states of its alerts.
pub struct Graded {
    /// The rule.
    pub rule: &'static BuiltIn,
    /// Texts for people: annotations' names and what they say.
    texts: Vec<(&'static str, Template)>,
    /// By grade, as the rule lists them.
    grades: Vec<(Severity, Alerts)>,
}

impl Graded {
    pub(super) fn new(rule: &'static BuiltIn) -> Self {
        let texts = [
            ("summary", rule.summary[0]),
            ("summary_zh", rule.summary[1]),
            ("description", rule.description[0]),
            ("description_zh", rule.description[1]),
            ("action", rule.action[0]),
            ("action_zh", rule.action[1]),
        ];
        let parse = |(name, text): (&'static str, &str)| {
            let template = Template::parse(text)
                .expect("a test of the catalogue expands every text of every built-in rule");
            (name, template)
        };
        Self {
            rule,
            texts: texts.into_iter().filter(|(_, text)| !text.is_empty()).map(parse).collect(),
            grades: rule.levels.iter().map(|l| (l.severity, Alerts::default())).collect(),
        }
    }

    /// The alerts of each grade.
    pub(super) fn alerts(&self) -> impl Iterator<Item = &Alerts> {
        self.grades.iter().map(|(_, alerts)| alerts)
    }

    pub(super) fn alerts_mut(&mut self) -> impl Iterator<Item = &mut Alerts> {
        self.grades.iter_mut().map(|(_, alerts)| alerts)
    }

    pub(super) fn restore(&mut self, alert: Alert, spared_until_ms: i64) {
        let of = alert.labels.get(SEVERITY).unwrap_or_default().to_owned();
        let grade = self.grades.iter_mut().find(|(severity, _)| severity.as_str() == of);
        if let Some((_, alerts)) = grade {
            alerts.restore(alert, spared_until_ms);
        }
    }

    pub(super) fn end_all(&mut self, at_ms: i64) {
        self.alerts_mut().for_each(|alerts| alerts.end_all(at_ms));
    }

    /// Compares the measures of an instant; gives the series to store.
    pub(super) fn evaluate(
        &mut self,
        at_ms: i64,
        vector: &[Sample],
        context: &Context<'_>,
        (thresholds, unusual): (&Thresholds, &UnusualFigures),
    ) -> Vec<Sample> {
        let Self { rule, texts, grades } = self;
        for (severity, alerts) in &mut *grades {
            let mut present: BTreeMap<Labels, Alert> = BTreeMap::new();
            for sample in vector {
                let terms = thresholds.terms(rule, *severity, sample.labels.get(INSTANCE));
                let verdict = compare(rule.below, &terms, sample.value);
                if verdict == Verdict::Fine {
                    continue;
                }
                let labels = identity(rule, *severity, &sample.labels);
                if verdict == Verdict::Between && !alerts.is_active(&labels) {
                    continue;
                }
                let alert = || Alert {
                    state: AlertState::Pending,
                    labels: labels.clone(),
                    annotations: expand(texts, sample, context),
                    value: sample.value,
                    active_at_ms: at_ms,
                    fired_at_ms: None,
                    resolved_at_ms: None,
                    kept_since_ms: None,
                    for_ms: unusual.for_ms(rule.unusual, sample.labels.get(INSTANCE), terms.for_ms),
                    keep_firing_for_ms: terms.keep_firing_for_ms,
                    threshold: terms.threshold,
                    told: None,
                };
                match present.entry(labels.clone()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(alert());
                    }
                    // Two ways brought the same measure: the worse one counts.
                    Entry::Occupied(mut held) => {
                        if (sample.value < held.get().value) == rule.below {
                            held.insert(alert());
                        }
                    }
                }
            }
            alerts.advance(at_ms, present);
        }
        grades.iter().flat_map(|(_, alerts)| alerts.series()).collect()
    }
}

/// What a measure means for a grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It holds.
    Holds,
    /// It goes on if it held before.
    Between,
    Fine,
}

fn compare(below: bool, terms: &Terms, value: f64) -> Verdict {
    if !terms.enabled || value.is_nan() {
        return Verdict::Fine;
    }
    let Some(threshold) = terms.threshold else { return Verdict::Holds };
    let (holds, goes_on) = if below {
        (value < threshold, terms.clear.is_some_and(|clear| value <= clear))
    } else {
        (value >= threshold, terms.clear.is_some_and(|clear| value >= clear))
    };
    match (holds, goes_on) {
        (true, _) => Verdict::Holds,
        (false, true) => Verdict::Between,
        (false, false) => Verdict::Fine,
    }
}

fn identity(rule: &BuiltIn, severity: Severity, labels: &Labels) -> Labels {
    labels
        .without_metric_name()
        .with(JOB, "")
        .with(ALERT_NAME, rule.alert)
        .with(SEVERITY, severity.as_str())
}

fn expand(
    texts: &[(&'static str, Template)],
    sample: &Sample,
    context: &Context<'_>,
) -> BTreeMap<String, String> {
    let text = |template: &Template| {
        template
            .expand(&sample.labels, sample.value, context)
            .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    };
    texts.iter().map(|(name, template)| ((*name).to_owned(), text(template))).collect()
}
