//! What people would have been told.

use std::collections::BTreeSet;

use muster_alerting::{
    ALERT_NAME, Dispatcher, INSTANCE, LabelMap, NotificationKind, PostedState, Routing, SEVERITY,
    fingerprint,
};

use super::judged::Posted;

/// A firing of an alert, when it was told first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Firing {
    /// When, in milliseconds since 1970.
    pub(super) at_ms: i64,
    /// The host.
    pub(super) instance: String,
    /// The alert's name.
    pub(super) alert: String,
    /// As its label says; `warning` if it has none.
    pub(super) severity: String,
}

impl Firing {
    fn new(at_ms: i64, labels: &LabelMap) -> Self {
        let label = |name: &str, otherwise: &str| {
            labels.get(name).map_or_else(|| otherwise.to_owned(), Clone::clone)
        };
        Self {
            at_ms,
            instance: label(INSTANCE, ""),
            alert: label(ALERT_NAME, ""),
            severity: label(SEVERITY, "warning"),
        }
    }
}

/// What was told, and in how many messages.
#[derive(Debug, Default)]
pub(super) struct Paged {
    /// Each firing once.
    pub(super) firings: Vec<Firing>,
    /// Messages of any kind.
    pub(super) messages: usize,
}

/// Lets the noise rules, as they are by default, decide about all that was posted; for one receiver.
pub(super) fn page(mut posted: Vec<Posted>, end_ms: i64) -> Paged {
    posted.sort_by_key(|(at_ms, _)| *at_ms);
    let mut dispatcher = Dispatcher::new(Routing::built_in(), ["people".to_owned()].into());
    let mut paged = Paged::default();
    let mut told = BTreeSet::new();
    for (at_ms, alerts) in posted {
        poll_until(&mut dispatcher, at_ms, &mut paged, &mut told);
        dispatcher.post(alerts, at_ms);
    }
    poll_until(&mut dispatcher, end_ms, &mut paged, &mut told);
    paged
}

fn poll_until(
    dispatcher: &mut Dispatcher,
    until_ms: i64,
    paged: &mut Paged,
    told: &mut BTreeSet<(String, i64)>,
) {
    // A poll always moves the next one on, but for what was posted in the same millisecond.
    let mut last_ms = i64::MIN;
    while let Some(due_ms) = dispatcher.next_due_ms().filter(|&due_ms| due_ms <= until_ms) {
        let at_ms = due_ms.max(last_ms.saturating_add(1));
        last_ms = at_ms;
        for notification in dispatcher.poll(at_ms).notifications {
            paged.messages += usize::from(notification.kind != NotificationKind::Test);
            for alert in notification.alerts.iter().filter(|alert| alert.firing) {
                if told.insert((alert.fingerprint.clone(), alert.starts_at_ms)) {
                    paged.firings.push(Firing::new(at_ms, &alert.labels));
                }
            }
        }
    }
}

/// All that fired, without any noise rule.
pub(super) fn fired(posted: &[Posted]) -> Vec<Firing> {
    let mut known = BTreeSet::new();
    let mut firings = Vec::new();
    for (at_ms, alerts) in posted {
        for alert in alerts.iter().filter(|alert| alert.state == PostedState::Firing) {
            if known.insert((fingerprint(&alert.labels), alert.starts_at_ms)) {
                firings.push(Firing::new(*at_ms, &alert.labels));
            }
        }
    }
    firings
}
