//! What is new of a rule's alerts: what to post, and what to keep for the time after a restart.

use super::Outcome;
use super::stored;
use crate::alerts::{Alert, AlertState, Alerts, Told};
use crate::posted::{AlertSource, LabelMap, PostedAlert, PostedState, fnv};

/// How often a new value of an alert is told, where nothing else changes, in milliseconds.
const VALUES_EVERY_MS: i64 = 60_000;
/// How often an alert is told of which there is nothing new, so that who lost it learns of it again.
const AGAIN_EVERY_MS: i64 = 5 * 60_000;
/// By how much a value must have moved for that, as a share.
const MOVED: f64 = 0.05;

/// Whose alerts are told.
pub(super) struct Teller<'a> {
    pub(super) key: &'a str,
    pub(super) expr: &'a str,
    pub(super) unit: &'a str,
    pub(super) at_ms: i64,
}

/// Adds what is new of the alerts.
pub(super) fn tell(alerts: &mut Alerts, teller: &Teller<'_>, outcome: &mut Outcome) {
    for alert in alerts.take_forgotten() {
        outcome.posted.push(teller.post(&alert));
        outcome.remove.push(stored::key(teller.key, &alert.labels));
    }
    for alert in alerts.all_mut() {
        let now = told(alert, teller.at_ms);
        let state_differs = alert
            .told
            .is_none_or(|told| (told.state, told.kept_since_ms) != (now.state, now.kept_since_ms));
        let is_over = alert.state == AlertState::Resolved;
        if !state_differs && (is_over || !alert.told.is_some_and(|told| is_news(told, now))) {
            continue;
        }
        if alert.told.is_none_or(|told| told.state != now.state) || !state_differs {
            outcome.posted.push(teller.post(alert));
        }
        if is_over {
            outcome.remove.push(stored::key(teller.key, &alert.labels));
        } else if state_differs {
            let key = stored::key(teller.key, &alert.labels);
            outcome.put.push((key, stored::write(teller.key, alert)));
        }
        alert.told = Some(now);
    }
}

fn told(alert: &Alert, at_ms: i64) -> Told {
    let texts = alert.annotations.iter().flat_map(|(name, text)| [name.as_str(), text]);
    Told {
        state: alert.state,
        kept_since_ms: alert.kept_since_ms,
        value: alert.value,
        texts: fnv(texts),
        at_ms,
    }
}

/// Whether an alert whose state is the same has something to tell.
fn is_news(before: Told, now: Told) -> bool {
    if now.at_ms - before.at_ms < VALUES_EVERY_MS {
        return false;
    }
    let again = now.at_ms - before.at_ms >= AGAIN_EVERY_MS;
    let moved = (now.value - before.value).abs() > MOVED * before.value.abs();
    let same_value = now.value.to_bits() == before.value.to_bits();
    again || moved || (same_value && now.texts != before.texts)
}

impl Teller<'_> {
    fn post(&self, alert: &Alert) -> PostedAlert {
        let state = match alert.state {
            AlertState::Resolved => PostedState::Resolved,
            AlertState::Pending => PostedState::Pending,
            AlertState::Firing => PostedState::Firing,
        };
        let labels = alert.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
        PostedAlert {
            source: AlertSource::Rule(self.key.to_owned()),
            state,
            labels: labels.collect::<LabelMap>(),
            annotations: alert.annotations.clone(),
            active_at_ms: alert.active_at_ms,
            starts_at_ms: alert.fired_at_ms,
            ends_at_ms: alert.resolved_at_ms,
            value: Some(alert.value),
            threshold: alert.threshold,
            unit: self.unit.to_owned(),
            expression: self.expr.to_owned(),
            generator_url: String::new(),
        }
    }
}
