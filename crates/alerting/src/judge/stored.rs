//! The states of alerts as they survive a restart.

use muster_series::{LabelError, Labels};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alerts::{Alert, AlertState};
use crate::posted::{LabelMap, fnv};

/// Why a state cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredError {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Labels(#[from] LabelError),
}

/// An active alert.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The rule's key.
    rule: String,
    labels: LabelMap,
    annotations: LabelMap,
    value: f64,
    active_at_ms: i64,
    fired_at_ms: Option<i64>,
    kept_since_ms: Option<i64>,
    for_ms: i64,
    keep_firing_for_ms: i64,
    threshold: Option<f64>,
}

/// The name of an alert's record.
pub(super) fn key(rule: &str, labels: &Labels) -> String {
    format!("{:016x}{:016x}", fnv([rule]), labels.fingerprint())
}

pub(super) fn write(rule: &str, alert: &Alert) -> Value {
    let stored = Stored {
        rule: rule.to_owned(),
        labels: alert.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        annotations: alert.annotations.clone(),
        // JSON has no infinite numbers.
        value: if alert.value.is_finite() { alert.value } else { 0.0 },
        active_at_ms: alert.active_at_ms,
        fired_at_ms: alert.fired_at_ms,
        kept_since_ms: alert.kept_since_ms,
        for_ms: alert.for_ms,
        keep_firing_for_ms: alert.keep_firing_for_ms,
        threshold: alert.threshold,
    };
    serde_json::to_value(stored).expect("texts and finite numbers are JSON")
}

/// The rule's key, and the alert as it was.
pub(super) fn read(value: Value) -> Result<(String, Alert), StoredError> {
    let stored: Stored = serde_json::from_value(value)?;
    let firing = stored.fired_at_ms.is_some();
    let alert = Alert {
        state: if firing { AlertState::Firing } else { AlertState::Pending },
        labels: Labels::from_pairs(&stored.labels)?,
        annotations: stored.annotations,
        value: stored.value,
        active_at_ms: stored.active_at_ms,
        fired_at_ms: stored.fired_at_ms,
        resolved_at_ms: None,
        kept_since_ms: stored.kept_since_ms,
        for_ms: stored.for_ms,
        keep_firing_for_ms: stored.keep_firing_for_ms,
        threshold: stored.threshold,
        told: None,
    };
    Ok((stored.rule, alert))
}
