//! Rules and alerts as Prometheus's API tells them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use muster_alerting::{Alert, AlertState, Group, JudgedRule, Rule, RuleKind, SEVERITY};
use muster_series::{Labels, Matcher};
use serde_json::{Value, json};

use super::authority::Reader;
use super::prometheus_params::Params;
use super::prometheus_reply::{PromFailure, data_reply};
use super::prometheus_status::time_text;
use crate::app::App;

/// Which rules a client asks for.
struct Wanted<'a> {
    /// Whether it asks for alerting rules only, or for recording rules only.
    alerting: Option<bool>,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    matchers: Vec<Vec<Matcher>>,
    with_alerts: bool,
}

impl<'a> Wanted<'a> {
    fn of(params: &'a Params) -> Result<Self, PromFailure> {
        let alerting = match params.get("type") {
            None => None,
            Some("alert") => Some(true),
            Some("record") => Some(false),
            Some(_) => {
                let text = "invalid parameter \"type\": use alert or record";
                return Err(PromFailure::bad_data(text));
            }
        };
        Ok(Self {
            alerting,
            names: params.all("rule_name[]"),
            groups: params.all("rule_group[]"),
            files: params.all("file[]"),
            matchers: params.selectors()?,
            with_alerts: params.get("exclude_alerts") != Some("true"),
        })
    }

    fn has_group(&self, group: &Group) -> bool {
        let is_wanted = |wanted: &[&str], name: &str| wanted.is_empty() || wanted.contains(&name);
        is_wanted(&self.groups, &group.name) && is_wanted(&self.files, &group.file)
    }

    fn has_rule(&self, rule: &JudgedRule) -> bool {
        let labels = written_labels(rule);
        let value = |name: &str| labels.get(name).map_or("", String::as_str);
        let fits = |set: &Vec<Matcher>| set.iter().all(|m| m.matches(value(m.name())));
        self.alerting.is_none_or(|alerting| alerting == is_alerting(rule))
            && (self.names.is_empty() || self.names.contains(&name(rule)))
            && (self.matchers.is_empty() || self.matchers.iter().any(fits))
    }
}

/// The rule groups.
pub(crate) async fn rules(
    _: Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let wanted = Wanted::of(&params)?;
    let judge = app.judging.judge.lock();
    let mut groups = Vec::new();
    for group in judge.groups().iter().filter(|group| wanted.has_group(group)) {
        let rules = group.rules.iter().filter(|rule| wanted.has_rule(rule));
        let told: Vec<Value> = rules.map(|rule| tell_rule(rule, wanted.with_alerts)).collect();
        if told.is_empty() && !group.rules.is_empty() {
            continue;
        }
        groups.push(json!({
            "name": group.name,
            "file": group.file,
            "interval": group.timing.interval_ms as f64 / 1e3,
            "limit": group.limit,
            "rules": told,
            "evaluationTime": group.rules.iter().map(|rule| rule.last().seconds).sum::<f64>(),
            "lastEvaluation": moment(group.timing.last_ms),
        }));
    }
    Ok(data_reply(&json!({ "groups": groups })))
}

/// The alerts of all rules that hold or fire.
pub(crate) async fn alerts(_: Reader, State(app): State<Arc<App>>) -> Response {
    let judge = app.judging.judge.lock();
    let rules = judge.groups().iter().flat_map(|group| &group.rules);
    let alerts: Vec<Value> = rules.flat_map(JudgedRule::active).map(tell_alert).collect();
    data_reply(&json!({ "alerts": alerts }))
}

fn is_alerting(rule: &JudgedRule) -> bool {
    !matches!(rule.kind(), RuleKind::Own { rule: Rule::Recording(_), .. })
}

fn name(rule: &JudgedRule) -> &str {
    match rule.kind() {
        RuleKind::Own { rule, .. } => rule.name(),
        RuleKind::Graded(graded) => graded.rule.alert,
    }
}

/// The labels that a rule gives, as they are written.
fn written_labels(rule: &JudgedRule) -> BTreeMap<String, String> {
    match rule.kind() {
        RuleKind::Own { rule: Rule::Recording(rule), .. } => rule.labels.clone(),
        RuleKind::Own { rule: Rule::Alerting(rule), .. } => {
            rule.labels.iter().map(|(n, text)| (n.clone(), text.text().to_owned())).collect()
        }
        RuleKind::Graded(graded) => {
            let worst = graded.rule.levels.first().map(|level| level.severity.as_str());
            worst.map(|worst| (SEVERITY.to_owned(), worst.to_owned())).into_iter().collect()
        }
    }
}

fn tell_rule(rule: &JudgedRule, with_alerts: bool) -> Value {
    let last = rule.last();
    let health = match (&last.failure, last.at_ms) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let mut told = json!({
        "name": name(rule),
        "query": rule.expr,
        "labels": written_labels(rule),
        "health": health,
        "evaluationTime": last.seconds,
        "lastEvaluation": moment(last.at_ms),
        "type": if is_alerting(rule) { "alerting" } else { "recording" },
    });
    if let Some(failure) = &last.failure {
        told["lastError"] = json!(failure);
    }
    if is_alerting(rule) {
        let (for_ms, keep_ms, annotations) = terms(rule);
        told["duration"] = json!(for_ms as f64 / 1e3);
        told["keepFiringFor"] = json!(keep_ms as f64 / 1e3);
        told["annotations"] = json!(annotations);
        told["state"] = json!(state(rule));
        let alerts = rule.active().filter(|_| with_alerts);
        told["alerts"] = alerts.map(tell_alert).collect();
    }
    told
}

/// How long a rule waits, how long its alerts go on, and its texts. Of a rule with grades, those of the most urgent.
fn terms(rule: &JudgedRule) -> (i64, i64, BTreeMap<&str, &str>) {
    match rule.kind() {
        RuleKind::Own { rule: Rule::Alerting(rule), .. } => {
            let texts = rule.annotations.iter();
            let texts = texts.map(|(name, text)| (name.as_str(), text.text())).collect();
            (rule.for_ms, rule.keep_firing_for_ms, texts)
        }
        RuleKind::Own { .. } => (0, 0, BTreeMap::new()),
        RuleKind::Graded(graded) => {
            let level = graded.rule.levels.first();
            let texts = BTreeMap::from([
                ("summary", graded.rule.summary[0]),
                ("description", graded.rule.description[0]),
            ]);
            (level.map_or(0, |l| l.for_ms), level.map_or(0, |l| l.keep_firing_for_ms), texts)
        }
    }
}

fn state(rule: &JudgedRule) -> &'static str {
    let mut state = "inactive";
    for alert in rule.active() {
        if alert.state == AlertState::Firing {
            return "firing";
        }
        state = "pending";
    }
    state
}

fn tell_alert(alert: &Alert) -> Value {
    let mut told = json!({
        "labels": label_map(&alert.labels),
        "annotations": alert.annotations,
        "state": if alert.state == AlertState::Firing { "firing" } else { "pending" },
        "activeAt": time_text(alert.active_at_ms),
        "value": exponent(alert.value),
    });
    if let Some(since_ms) = alert.kept_since_ms {
        told["keepFiringSince"] = json!(time_text(since_ms));
    }
    told
}

fn label_map(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().collect()
}

/// A moment, or Go's zero time.
fn moment(ms: Option<i64>) -> String {
    ms.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), time_text)
}

/// A number as Go writes it with an exponent of at least two digits: `1e+00`.
fn exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let text = format!("{value:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_gos_exponent() {
        let cases = [(1.0, "1e+00"), (0.05, "5e-02"), (-1234.5, "-1.2345e+03"), (1e123, "1e+123")];
        for (value, expected) in cases {
            assert_eq!(exponent(value), expected);
        }
        assert_eq!(exponent(f64::NEG_INFINITY), "-Inf");
        assert_eq!(exponent(f64::NAN), "NaN");
    }
}
