//! The shapes of Alertmanager's API v2, whose field names these are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use muster_alerting::{
    ALERT_NAME, AlertSource, AlertView, GroupView, Hush, MAX_ALERT_BYTES, PostedAlert, PostedState,
    Silence, SilenceState,
};
use muster_api::{SilenceMatcher, SilenceSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::alarms::shown_matcher;

/// How far ahead the end of an alert lies that fires: Alertmanager's `resolve_timeout`.
pub(super) const RESOLVE_TIMEOUT_MS: i64 = 5 * 60_000;

/// An alert as other programs post it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostableAlert {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: Option<Timestamp>,
    #[serde(default)]
    ends_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
}

impl PostableAlert {
    /// The alert as the core takes it, or what is wrong with it.
    pub(super) fn posted(self, now_ms: i64) -> Result<PostedAlert, String> {
        // What is empty is not there, as in Alertmanager.
        let tidy = |map: BTreeMap<String, String>| -> BTreeMap<String, String> {
            map.into_iter().filter(|(_, value)| !value.is_empty()).collect()
        };
        let labels = tidy(self.labels);
        if labels.is_empty() {
            return Err("an alert has at least one label".to_owned());
        }
        if labels.keys().any(String::is_empty) {
            return Err("the name of a label is empty".to_owned());
        }
        // Go's zero time, which some programs send, means that there is none.
        let given = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond).filter(|&at| at > 0);
        let ends_at_ms = given(self.ends_at);
        let starts_at_ms = given(self.starts_at)
            .unwrap_or_else(|| ends_at_ms.map_or(now_ms, |end| end.min(now_ms)));
        if ends_at_ms.is_some_and(|end| end < starts_at_ms) {
            return Err("start time must be before end time".to_owned());
        }
        let is_over = ends_at_ms.is_some_and(|end| end <= now_ms);
        let posted = PostedAlert {
            source: AlertSource::Pushed,
            state: if is_over { PostedState::Resolved } else { PostedState::Firing },
            labels,
            annotations: tidy(self.annotations),
            active_at_ms: starts_at_ms,
            starts_at_ms: Some(starts_at_ms),
            ends_at_ms,
            value: None,
            threshold: None,
            unit: String::new(),
            expression: String::new(),
            generator_url: self.generator_url,
        };
        let bytes = posted.bytes();
        if bytes > MAX_ALERT_BYTES {
            let name: String = posted
                .labels
                .get(ALERT_NAME)
                .into_iter()
                .flat_map(|name| name.chars())
                .take(80)
                .collect();
            return Err(format!(
                "the alert {name:?} has {bytes} bytes of labels, annotations and links; {MAX_ALERT_BYTES} are allowed"
            ));
        }
        Ok(posted)
    }
}

/// A silence as other programs post it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostableSilence {
    #[serde(default)]
    pub(super) id: Option<String>,
    matchers: Vec<SilenceMatcher>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    #[serde(default)]
    pub(super) created_by: String,
    #[serde(default)]
    comment: String,
}

impl PostableSilence {
    /// What it asks for; what began already begins now.
    pub(super) fn spec(self, now_ms: i64) -> SilenceSpec {
        SilenceSpec {
            matchers: self.matchers,
            starts_at_ms: self.starts_at.as_millisecond().max(now_ms),
            ends_at_ms: self.ends_at.as_millisecond(),
            comment: self.comment,
            recurrence: None,
            until_resolved: false,
        }
    }
}

/// An alert as Alertmanager gives it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GettableAlert {
    annotations: BTreeMap<String, String>,
    ends_at: String,
    pub(super) fingerprint: String,
    pub(super) receivers: Vec<Value>,
    starts_at: String,
    pub(super) status: AlertStatus,
    updated_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    pub(super) labels: BTreeMap<String, String>,
}

/// Whether anybody is told of an alert.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertStatus {
    pub(super) inhibited_by: Vec<String>,
    pub(super) silenced_by: Vec<String>,
    pub(super) state: &'static str,
}

impl GettableAlert {
    pub(super) fn new(view: &AlertView<'_>, now_ms: i64) -> Self {
        let posted = view.posted;
        let ends_at_ms = posted.ends_at_ms.unwrap_or(now_ms + RESOLVE_TIMEOUT_MS);
        let is_hidden = matches!(view.hush, Some(Hush::Silenced | Hush::Inhibited));
        Self {
            annotations: posted.annotations.clone(),
            ends_at: time(ends_at_ms),
            fingerprint: view.fingerprint.clone(),
            receivers: view.receivers.iter().map(|name| json!({ "name": name })).collect(),
            starts_at: time(posted.starts_at_ms.unwrap_or(posted.active_at_ms)),
            status: AlertStatus {
                inhibited_by: view.inhibited_by.clone(),
                silenced_by: view.silenced_by.to_vec(),
                state: if is_hidden { "suppressed" } else { "active" },
            },
            updated_at: time(now_ms),
            generator_url: posted.generator_url.clone(),
            labels: posted.labels.clone(),
        }
    }

    /// The alert as a member of a group.
    pub(super) fn group(group: &GroupView<'_>, alerts: &[Self]) -> Value {
        json!({ "labels": group.labels, "receiver": { "name": group.receiver }, "alerts": alerts })
    }
}

/// A silence as Alertmanager gives it.
pub(super) fn gettable_silence(silence: &Silence, now_ms: i64) -> Value {
    let state = match silence.state(now_ms) {
        SilenceState::Pending => "pending",
        SilenceState::Active => "active",
        SilenceState::Expired => "expired",
    };
    let matchers: Vec<SilenceMatcher> = silence.matchers.iter().map(shown_matcher).collect();
    json!({
        "id": silence.id,
        "status": { "state": state },
        "updatedAt": time(silence.updated_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": time(silence.ends_at_ms),
        "matchers": matchers,
        "startsAt": time(silence.starts_at_ms),
    })
}

/// A time in RFC 3339.
pub(super) fn time(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, state: PostedState, starts_at_ms: i64) {
        let alert: PostableAlert = serde_json::from_str(json).unwrap();
        let posted = alert.posted(10_000).unwrap();
        assert_eq!((posted.state, posted.starts_at_ms), (state, Some(starts_at_ms)), "{json}");
    }

    #[test]
    fn posted_alerts_begin_and_end_as_in_alertmanager() {
        let labels = "\"labels\": {\"alertname\": \"A\", \"empty\": \"\"}";
        check(&format!("{{{labels}}}"), PostedState::Firing, 10_000);
        let zero = "\"startsAt\": \"1970-01-01T00:00:02Z\", \"endsAt\": \"0001-01-01T00:00:00Z\"";
        check(&format!("{{{labels}, {zero}}}"), PostedState::Firing, 2_000);
        let over = "\"endsAt\": \"1970-01-01T00:00:05Z\"";
        check(&format!("{{{labels}, {over}}}"), PostedState::Resolved, 5_000);
        let refused = |text: &str| {
            serde_json::from_str::<PostableAlert>(text).unwrap().posted(10_000).unwrap_err()
        };
        assert!(refused("{\"labels\": {\"a\": \"\"}}").contains("at least one label"));
        let backwards = "\"startsAt\": \"1970-01-01T00:00:09Z\"";
        assert!(refused(&format!("{{{labels}, {over}, {backwards}}}")).contains("before end"));
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(1_500), "1970-01-01T00:00:01.500Z");
    }
}
