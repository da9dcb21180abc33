//! One alert as the dispatcher knows it, and its penalty for flapping.

use serde::{Deserialize, Serialize};

use super::inhibition::Presence;
use super::view::{Acknowledgement, Episode, Hush};
use crate::notification::NotifiedAlert;
use crate::posted::{
    ALERT_NAME, INSTANCE, LabelMap, PostedAlert, PostedState, SEVERITY, format_fingerprint,
};

/// What a firing after a resolution adds to the penalty.
const PENALTY: f64 = 1_000.0;
/// In what time a penalty halves, in milliseconds.
const HALF_LIFE_MS: f64 = 15.0 * 60_000.0;
/// From which penalty on an alert flaps.
const SUPPRESS: f64 = 2_500.0;
/// Below which it has settled.
const RELEASE: f64 = 750.0;
/// How long an alert counts as flapping at most, in milliseconds.
const MAX_SUPPRESSED_MS: i64 = 60 * 60_000;
/// How long a resolved alert is shown, in milliseconds.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// The damping of routes in RFC 2439, for alerts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Flap {
    /// As of `at_ms`.
    penalty: f64,
    at_ms: i64,
    /// Since when it flaps.
    since_ms: Option<i64>,
}

impl Flap {
    fn penalty(&self, now_ms: i64) -> f64 {
        let age_ms = (now_ms - self.at_ms).max(0) as f64;
        self.penalty * (-age_ms / HALF_LIFE_MS).exp2()
    }

    /// The alert fires again; whether it flaps from now on.
    fn add(&mut self, now_ms: i64) -> bool {
        let penalty = self.penalty(now_ms) + PENALTY;
        (self.penalty, self.at_ms) = (penalty, now_ms);
        let begins = self.since_ms.is_none() && penalty >= SUPPRESS;
        if begins {
            self.since_ms = Some(now_ms);
        }
        begins
    }

    /// When it has settled, if it flaps and nothing more happens.
    pub(super) fn settles_ms(&self) -> Option<i64> {
        let since_ms = self.since_ms?;
        let halvings = (self.penalty / RELEASE).log2().max(0.0);
        // A millisecond more, so that the penalty is below the limit then.
        let by_itself = self.at_ms + (halvings * HALF_LIFE_MS) as i64 + 1;
        Some(by_itself.min(since_ms + MAX_SUPPRESSED_MS))
    }

    /// Whether it flaps.
    pub(super) fn is_on(&self) -> bool {
        self.since_ms.is_some()
    }

    /// Looks at the time; whether it has settled just now.
    pub(super) fn settle(&mut self, now_ms: i64) -> bool {
        let settled = self.settles_ms().is_some_and(|at| at <= now_ms);
        if settled {
            *self = Self::default();
        }
        settled
    }

    /// Puts times that lie in the future back to now, as the clock was set back.
    fn clamp(&mut self, now_ms: i64) {
        self.at_ms = self.at_ms.min(now_ms);
        self.since_ms = self.since_ms.map(|since| since.min(now_ms));
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    /// What was told of it last.
    pub(super) posted: PostedAlert,
    /// Since when it fires, or fired last.
    pub(super) started_ms: Option<i64>,
    /// When it was resolved, if it does not fire.
    pub(super) ended_ms: Option<i64>,
    /// When it ends by itself.
    pub(super) until_ms: Option<i64>,
    pub(super) flap: Flap,
    pub(super) acknowledged: Option<Acknowledgement>,
    pub(super) assignee: Option<String>,
    pub(super) notified_ms: Option<i64>,
    /// How many messages told of this firing.
    pub(super) messages: u64,
    /// What the trail says last of why nobody is told.
    pub(super) hush: Option<Hush>,
    /// The silences that hide it.
    #[serde(skip)]
    pub(super) silenced_by: Vec<String>,
    /// The alerts that explain it.
    #[serde(skip)]
    pub(super) inhibited_by: Vec<u64>,
    /// The routes that it takes.
    #[serde(skip)]
    pub(super) routes: Vec<usize>,
}

impl Known {
    pub(super) fn new(posted: PostedAlert) -> Self {
        Self {
            posted,
            started_ms: None,
            ended_ms: None,
            until_ms: None,
            flap: Flap::default(),
            acknowledged: None,
            assignee: None,
            notified_ms: None,
            messages: 0,
            hush: None,
            silenced_by: Vec::new(),
            inhibited_by: Vec::new(),
            routes: Vec::new(),
        }
    }

    pub(super) fn labels(&self) -> &LabelMap {
        &self.posted.labels
    }

    pub(super) fn is_firing(&self) -> bool {
        self.posted.state == PostedState::Firing
    }

    /// Begins to fire; whether it flaps from now on.
    pub(super) fn fires(&mut self, now_ms: i64) -> bool {
        let again = self.ended_ms.is_some();
        let started_ms = self.posted.starts_at_ms.unwrap_or(now_ms).min(now_ms);
        // Two firings are two episodes, even if who tells of them says that they began at the same time.
        let same_start = again && self.started_ms == Some(started_ms);
        self.started_ms = Some(if same_start { now_ms } else { started_ms });
        self.posted.state = PostedState::Firing;
        (self.ended_ms, self.acknowledged, self.messages) = (None, None, 0);
        again && self.flap.add(now_ms)
    }

    /// Does not fire any more.
    pub(super) fn ends(&mut self, now_ms: i64) {
        let ended_ms = self.posted.ends_at_ms.map_or(now_ms, |end| end.min(now_ms));
        let ended_ms = ended_ms.max(self.started_ms.unwrap_or(ended_ms));
        self.posted.state = PostedState::Resolved;
        self.posted.ends_at_ms = Some(ended_ms);
        (self.ended_ms, self.until_ms) = (Some(ended_ms), None);
    }

    pub(super) fn presence(&self) -> Presence {
        match (self.posted.state, self.ended_ms) {
            (PostedState::Firing, _) => Presence::Firing,
            (PostedState::Pending, _) => Presence::Pending,
            (PostedState::Resolved, Some(at_ms)) => Presence::Ended(at_ms),
            (PostedState::Resolved, None) => Presence::Gone,
        }
    }

    /// When it need not be known any more; none while it is pending or fires.
    pub(super) fn forget_ms(&self) -> Option<i64> {
        if self.posted.state != PostedState::Resolved {
            return None;
        }
        let shown = self.ended_ms? + RESOLVED_RETENTION_MS;
        // Its penalty counts until it has halved twice.
        let counts =
            if self.flap.penalty > 0.0 { self.flap.at_ms + 2 * HALF_LIFE_MS as i64 } else { shown };
        Some(shown.max(counts).max(self.flap.settles_ms().unwrap_or(shown)))
    }

    /// Puts times that lie in the future back to now, as the clock was set back.
    pub(super) fn clamp(&mut self, now_ms: i64) {
        self.flap.clamp(now_ms);
        self.ended_ms = self.ended_ms.map(|ended| ended.min(now_ms));
    }

    pub(super) fn notified(&self, fingerprint: u64) -> NotifiedAlert {
        NotifiedAlert {
            fingerprint: format_fingerprint(fingerprint),
            firing: self.is_firing(),
            labels: self.posted.labels.clone(),
            annotations: self.posted.annotations.clone(),
            starts_at_ms: self.started_ms.unwrap_or(self.posted.active_at_ms),
            ends_at_ms: if self.is_firing() { None } else { self.ended_ms },
            value: self.posted.value,
            threshold: self.posted.threshold,
            unit: self.posted.unit.clone(),
            generator_url: self.posted.generator_url.clone(),
        }
    }

    /// The firing that goes on or was last; none if it never fired.
    pub(super) fn episode(&self, fingerprint: u64) -> Option<Episode> {
        let labels = self.labels();
        Some(Episode {
            alert: format_fingerprint(fingerprint),
            name: labels.get(ALERT_NAME).cloned().unwrap_or_default(),
            severity: severity(labels).to_owned(),
            instance: labels.get(INSTANCE).cloned(),
            labels: labels.clone(),
            annotations: self.posted.annotations.clone(),
            starts_at_ms: self.started_ms?,
            ends_at_ms: self.ended_ms,
            messages: self.messages,
        })
    }
}

/// The severity of an alert; one that says none, or one that nobody knows, is a warning.
pub(super) fn severity(labels: &LabelMap) -> &str {
    match labels.get(SEVERITY).map(String::as_str) {
        Some(known @ ("critical" | "info")) => known,
        _ => "warning",
    }
}

/// The order of severities, the most urgent first.
pub(super) fn urgency(labels: &LabelMap) -> u8 {
    match severity(labels) {
        "critical" => 0,
        "info" => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_firings_again_in_a_quarter_of_an_hour_are_flapping() {
        let mut flap = Flap::default();
        let minutes = |minutes: i64| minutes * 60_000;
        let begins: Vec<bool> = [0, 2, 4, 6].map(|at| flap.add(minutes(at))).into();
        assert_eq!(begins, [false, false, true, false]);
        let settles_ms = flap.settles_ms().unwrap();
        assert!((minutes(30)..minutes(45)).contains(&settles_ms), "{settles_ms}");
        assert!(!flap.settle(settles_ms - 1) && flap.is_on());
        assert!(flap.settle(settles_ms) && !flap.is_on());
    }

    #[test]
    fn what_fires_again_now_and_then_does_not_flap() {
        let mut flap = Flap::default();
        assert!((0..100).all(|at| !flap.add(at * 15 * 60_000)));
    }

    #[test]
    fn flapping_ends_after_an_hour_at_the_latest() {
        let mut flap = Flap::default();
        for at in 0..50 {
            flap.add(at * 60_000);
        }
        assert_eq!(flap.settles_ms(), Some(2 * 60_000 + MAX_SUPPRESSED_MS));
    }
}
