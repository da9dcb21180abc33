//! "Why was I not told?", answered from the paper trail.

use std::collections::BTreeSet;

use muster_alerting::{ALERT_NAME, INSTANCE, TrailLine, why};
use muster_api::WhyNot;
use muster_meta::{Episode, EpisodeFilter, MetaError};

use super::shown::{shown_episode, shown_step};
use crate::app::App;

/// How far back the trail of an alert is read: longer than any `for`.
const BEFORE_MS: i64 = 8 * 86_400_000;
/// How far beyond the moment, to say when it was told at last.
const AFTER_MS: i64 = 3_600_000;
/// The most alerts that one question is about.
const MAX_ALERTS: u64 = 20;

/// Which alerts, at which moment, and whom.
#[derive(Debug, Default)]
pub(crate) struct Question {
    pub(crate) alert: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) at_ms: i64,
    pub(crate) receiver: Option<String>,
}

/// How much an answer tells: the alert that comes nearest to having been told is the one in question.
fn weight(code: &str) -> u8 {
    match code {
        "told" => 9,
        "failed" => 8,
        "waiting" => 7,
        "silenced" | "inhibited" | "muted" | "flapping" | "no_receiver" => 6,
        "unchanged" => 5,
        "pending" => 4,
        _ => 0,
    }
}

/// The answer.
pub(crate) async fn why_not(app: &App, question: &Question) -> Result<WhyNot, MetaError> {
    let at_ms = question.at_ms;
    let filter = EpisodeFilter {
        alert: question.alert.clone(),
        instance: question.instance.clone(),
        name: question.name.clone(),
        from_ms: Some(at_ms - BEFORE_MS),
        to_ms: Some(at_ms),
        ..EpisodeFilter::default()
    };
    let (episodes, _) = app.meta.episodes(&filter, MAX_ALERTS).await?;
    let mut best: Option<(&'static str, String, Vec<TrailLine>)> = None;
    for alert in candidates(app, question, &episodes) {
        let trail = app.meta.trail_of(&alert, at_ms - BEFORE_MS, at_ms + AFTER_MS).await?;
        let trail: Vec<TrailLine> = trail.into_iter().filter_map(core_line).collect();
        let about = |line: &&TrailLine| match (&question.receiver, &line.receiver) {
            (Some(wanted), Some(of)) => wanted == of,
            _ => true,
        };
        let of_receiver: Vec<TrailLine> = trail.iter().filter(about).cloned().collect();
        let (mut code, mut sentence) = why(&of_receiver, at_ms);
        if let Some(wanted) = &question.receiver
            && matches!(code, "waiting" | "told" | "unchanged")
            && !names(&of_receiver, wanted, at_ms)
        {
            code = "no_receiver";
            sentence = format!("Until then nothing of it was meant for {wanted}.");
        }
        if best.as_ref().is_none_or(|(before, ..)| weight(code) > weight(before)) {
            best = Some((code, sentence, trail));
        }
    }
    let (code, answer, trail) = best.unwrap_or_else(|| {
        let answer = "No such alert was pending or fired at that moment, nor in the week before: \
                      the rule's condition did not hold, or there is no such rule.";
        ("not_firing", answer.to_owned(), Vec::new())
    });
    Ok(WhyNot {
        answer,
        code: code.to_owned(),
        trail: trail.into_iter().map(super::stored_line).filter_map(shown_step).collect(),
        alerts: episodes.into_iter().map(shown_episode).collect(),
    })
}

/// Whether a step until then is about this receiver.
fn names(trail: &[TrailLine], receiver: &str, at_ms: i64) -> bool {
    let mut until_then = trail.iter().filter(|line| line.at_ms <= at_ms);
    until_then.any(|line| line.receiver.as_deref() == Some(receiver))
}

/// Whether there is such a receiver of the routes, or such a channel.
pub(crate) fn is_receiver(app: &App, name: &str) -> bool {
    app.alarms.channel_names().contains(name)
        || app.alarms.look(|core| core.routing().has_receiver(name))
}

/// The alerts in question: those that fired, and those that are known now.
fn candidates(app: &App, question: &Question, episodes: &[Episode]) -> BTreeSet<String> {
    let mut alerts: BTreeSet<String> =
        episodes.iter().map(|episode| episode.alert.clone()).collect();
    alerts.extend(question.alert.clone());
    if question.alert.is_none() {
        let has = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        app.alarms.look(|core| {
            for view in core.alerts() {
                let labels = &view.posted.labels;
                if has(&question.instance, labels.get(INSTANCE))
                    && has(&question.name, labels.get(ALERT_NAME))
                    && alerts.len() < MAX_ALERTS as usize
                {
                    alerts.insert(view.fingerprint);
                }
            }
        });
    }
    alerts
}

fn core_line(line: muster_meta::TrailLine) -> Option<TrailLine> {
    Some(TrailLine {
        kind: serde_json::from_value(serde_json::Value::String(line.kind)).ok()?,
        at_ms: line.at_ms,
        alert: line.alert,
        receiver: line.receiver,
        message: line.message,
        subject: line.subject,
        value: line.value,
        text: line.text,
    })
}
