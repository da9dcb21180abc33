//! The core's words as those of the API.

use muster_alerting::{
    AlertSource, AlertView, Hush, INSTANCE, Matchers, MatchersError, PostedState, Recurrence,
    SEVERITY, Silence, SilenceError, SilenceState,
};
use muster_api::{
    Acknowledgement, Alert, AlertEpisode, AlertHush, AlertState, Severity, SilenceMatcher,
    SilenceSpec, TrailKind, TrailStep,
};
use muster_series::{MatchOp, Matcher};
use serde_json::Value;

/// Why something is no silence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSilence {
    #[error("{0}")]
    Matchers(#[from] MatchersError),
    #[error("{0}")]
    Matcher(#[from] muster_series::MatcherError),
    #[error("{0}")]
    Silence(#[from] SilenceError),
}

/// An alert as the page and the command line see it. Its expression is that of its host alone.
pub(crate) fn shown(view: &AlertView<'_>) -> Alert {
    let posted = view.posted;
    let label = |name: &str| posted.labels.get(name).cloned();
    let instance = label(INSTANCE);
    Alert {
        id: view.fingerprint.clone(),
        name: label(muster_alerting::ALERT_NAME).unwrap_or_default(),
        severity: severity(posted.labels.get(SEVERITY).map(String::as_str)),
        state: match view.state {
            PostedState::Pending => AlertState::Pending,
            PostedState::Firing => AlertState::Firing,
            PostedState::Resolved => AlertState::Resolved,
        },
        rule: match &posted.source {
            AlertSource::Rule(key) => Some(key.clone()),
            AlertSource::Pushed => None,
        },
        instance,
        labels: posted.labels.clone(),
        annotations: posted.annotations.clone(),
        value: posted.value.filter(|value| value.is_finite()),
        threshold: posted.threshold,
        unit: posted.unit.clone(),
        expression: posted.expression.clone(),
        active_at_ms: posted.active_at_ms,
        starts_at_ms: posted.starts_at_ms,
        ends_at_ms: posted.ends_at_ms.filter(|_| view.state == PostedState::Resolved),
        hush: view.hush.map(|hush| match hush {
            Hush::Silenced => AlertHush::Silenced,
            Hush::Inhibited => AlertHush::Inhibited,
            Hush::Muted => AlertHush::Muted,
            Hush::Flapping => AlertHush::Flapping,
            Hush::NoReceiver => AlertHush::NoReceiver,
        }),
        silenced_by: view.silenced_by.to_vec(),
        inhibited_by: view.inhibited_by.clone(),
        incident: view.incident.clone(),
        acknowledged: view.acknowledged.map(|ack| Acknowledgement {
            by: ack.by.clone(),
            at_ms: ack.at_ms,
            note: ack.note.clone(),
        }),
        assignee: view.assignee.map(str::to_owned),
        receivers: view.receivers.clone(),
        notified_ms: view.notified_ms,
    }
}

/// What is not graded counts as a warning.
fn severity(label: Option<&str>) -> Severity {
    match label {
        Some("critical") => Severity::Critical,
        Some("info") => Severity::Info,
        _ => Severity::Warning,
    }
}

/// The expression of an alert for its host alone, so that a chart asks for no more than it draws.
pub(crate) fn of_its_host(alert: &Alert) -> String {
    let Some(instance) = &alert.instance else { return alert.expression.clone() };
    muster_promql::narrow(&alert.expression, INSTANCE, instance)
        .unwrap_or_else(|_| alert.expression.clone())
}

/// A firing of the past.
pub(crate) fn shown_episode(episode: muster_meta::Episode) -> AlertEpisode {
    let text = |name: &str| episode.annotations[name].as_str().unwrap_or_default().to_owned();
    let labels = match &episode.labels {
        Value::Object(labels) => labels
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        _ => std::collections::BTreeMap::new(),
    };
    AlertEpisode {
        summary: text("summary"),
        summary_zh: text("summary_zh"),
        severity: severity(Some(&episode.severity)),
        labels,
        alert: episode.alert,
        name: episode.name,
        instance: episode.instance,
        starts_at_ms: episode.starts_at_ms,
        ends_at_ms: episode.ends_at_ms,
        messages: episode.messages,
    }
}

/// A step of the paper trail; none of a kind that is not known, as a later version may have written.
pub(crate) fn shown_step(line: muster_meta::TrailLine) -> Option<TrailStep> {
    let kind: TrailKind = serde_json::from_value(Value::String(line.kind)).ok()?;
    Some(TrailStep {
        at_ms: line.at_ms,
        kind,
        receiver: line.receiver,
        message: line.message,
        subject: line.subject,
        value: line.value,
        text: line.text,
    })
}

/// A silence, with the alerts that it hides now.
pub(crate) fn shown_silence(
    silence: &Silence,
    hides: Vec<String>,
    now_ms: i64,
) -> muster_api::Silence {
    muster_api::Silence {
        id: silence.id.clone(),
        spec: SilenceSpec {
            matchers: silence.matchers.iter().map(shown_matcher).collect(),
            starts_at_ms: silence.starts_at_ms,
            ends_at_ms: silence.ends_at_ms,
            comment: silence.comment.clone(),
            recurrence: silence.recurrence.as_ref().map(|recurrence| muster_api::Recurrence {
                weekdays: recurrence.weekdays.clone(),
                from: time_of_day(recurrence.from_minute),
                to: time_of_day(recurrence.to_minute),
                time_zone: recurrence.time_zone.clone(),
            }),
            until_resolved: silence.until_resolved,
        },
        created_by: silence.created_by.clone(),
        updated_ms: silence.updated_ms,
        state: match silence.state(now_ms) {
            SilenceState::Pending => muster_api::SilenceState::Pending,
            SilenceState::Active => muster_api::SilenceState::Active,
            SilenceState::Expired => muster_api::SilenceState::Expired,
        },
        hides,
    }
}

fn time_of_day(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// A matcher in Alertmanager's form.
pub(crate) fn shown_matcher(matcher: &Matcher) -> SilenceMatcher {
    SilenceMatcher {
        name: matcher.name().to_owned(),
        value: matcher.value().to_owned(),
        is_regex: matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex),
        is_equal: matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex),
    }
}

/// The matchers of a silence.
pub(crate) fn matchers_of(matchers: &[SilenceMatcher]) -> Result<Matchers, NoSilence> {
    let one = |matcher: &SilenceMatcher| {
        let op = match (matcher.is_equal, matcher.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (false, true) => MatchOp::NotRegex,
        };
        Matcher::new(&matcher.name, op, &matcher.value)
    };
    let matchers: Vec<Matcher> = matchers.iter().map(one).collect::<Result<_, _>>()?;
    Ok(Matchers::new(matchers)?)
}

/// The silence that somebody asks for; whether it makes sense is for the core to say.
pub(crate) fn silence_of(
    spec: &SilenceSpec,
    id: String,
    created_by: &str,
    now_ms: i64,
) -> Result<Silence, NoSilence> {
    let recurrence = spec
        .recurrence
        .as_ref()
        .map(|one| Recurrence::new(one.weekdays.clone(), &one.from, &one.to, &one.time_zone))
        .transpose()?;
    Ok(Silence {
        id,
        matchers: matchers_of(&spec.matchers)?,
        starts_at_ms: spec.starts_at_ms,
        ends_at_ms: spec.ends_at_ms,
        recurrence,
        until_resolved: spec.until_resolved,
        created_by: created_by.to_owned(),
        comment: spec.comment.clone(),
        updated_ms: now_ms,
    })
}
