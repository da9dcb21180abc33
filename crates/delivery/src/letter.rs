//! A message as text, before it is laid out: a first line, the alerts one by one, what stands around them.
//!
//! The first line says how bad it is, what it is and where; people read it on a phone that is locked.

use std::collections::BTreeSet;

use jiff::Timestamp;
use muster_alerting::{
    ALERT_NAME, INSTANCE, LabelMap, Notification, NotificationKind, NotifiedAlert, SEVERITY,
};
use muster_api::MessageLanguage;

use crate::figure::with_unit;
use crate::message::Message;
use crate::words::Words;

/// How many alerts are told one by one.
const TOLD: usize = 10;
/// The longest first line, in characters.
const LONGEST_SUBJECT: usize = 160;
/// The longest text of an alert, in characters.
const LONGEST_TEXT: usize = 2_000;

/// A message before it is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// The first line.
    pub(crate) subject: String,
    /// Sentences before the alerts.
    pub(crate) before: Vec<String>,
    /// The first alerts.
    pub(crate) items: Vec<Item>,
    /// Sentences after the alerts.
    pub(crate) after: Vec<String>,
    /// What the last link says, and where it leads.
    pub(crate) link: (String, String),
    /// The last line.
    pub(crate) signature: String,
}

/// One alert of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// How bad, as a word.
    pub(crate) badge: String,
    /// How bad, as a colour.
    pub(crate) tone: Tone,
    /// One sentence.
    pub(crate) title: String,
    /// More of it; empty if there is no more.
    pub(crate) description: String,
    /// What to do; empty if nobody said.
    pub(crate) action: String,
    /// Names and values.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// The alert's page.
    pub(crate) url: String,
}

/// How bad something looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Critical,
    Warning,
    Info,
    Resolved,
}

/// The first line of a message.
pub fn subject(notification: &Notification, language: MessageLanguage) -> String {
    let words = Words(language);
    let worst = worst_severity(notification);
    let badge = match notification.kind {
        NotificationKind::Test => words.test().to_owned(),
        NotificationKind::Storm => words.storm().to_owned(),
        _ if !notification.is_firing() => words.resolved().to_owned(),
        NotificationKind::Flapping => words.flapping().to_owned(),
        NotificationKind::Escalation => words.escalated(&worst),
        NotificationKind::Repeat => words.still(&worst),
        NotificationKind::Change => words.severity(&worst),
    };
    one_line(&format!("[{badge}] {}", what_and_where(notification, words)), LONGEST_SUBJECT)
}

impl Letter {
    /// Writes a message down.
    pub(crate) fn write(message: &Message<'_>) -> Self {
        let (notification, words) = (message.notification, Words(message.language));
        let firing = notification.alerts.iter().filter(|alert| alert.firing).count();
        let resolved = notification.alerts.len() - firing;
        let mut before: Vec<String> =
            words.why(notification.kind).map(str::to_owned).into_iter().collect();
        if firing > 0 && resolved > 0 {
            before.push(words.counts(firing, resolved));
        }
        let mut after = Vec::new();
        let untold = notification.alerts.len().saturating_sub(TOLD) + notification.left_out;
        if untold > 0 {
            after.push(words.more(untold));
        }
        if notification.swallowed > 0 {
            after.push(words.swallowed(notification.swallowed));
        }
        let told = notification.alerts.iter().take(TOLD);
        Self {
            subject: subject(notification, message.language),
            before,
            items: told.map(|alert| Item::write(alert, message, words)).collect(),
            after,
            link: (words.all_alerts().to_owned(), message.place.alerts_url()),
            signature: words.signature(&notification.receiver),
        }
    }
}

impl Item {
    fn write(alert: &NotifiedAlert, message: &Message<'_>, words: Words) -> Self {
        let severity = text_of(&alert.labels, SEVERITY);
        let time = |at_ms: i64| {
            Timestamp::from_millisecond(at_ms).map_or_else(
                |_| at_ms.to_string(),
                |at| at.to_zoned(message.place.zone.clone()).strftime("%F %T %:z").to_string(),
            )
        };
        let description = annotation(&alert.annotations, "description", words);
        let mut facts = Vec::new();
        let instance = text_of(&alert.labels, INSTANCE);
        if !instance.is_empty() {
            facts.push((words.host(), one_line(instance, LONGEST_SUBJECT)));
        }
        facts.extend(measured(alert, &description, words).map(|text| (words.value(), text)));
        facts.push((words.since(), time(alert.starts_at_ms)));
        if let (false, Some(ended)) = (alert.firing, alert.ends_at_ms) {
            facts.push((words.ended(), time(ended)));
        }
        Self {
            badge: if alert.firing {
                words.severity(severity)
            } else {
                words.resolved().to_owned()
            },
            tone: match (alert.firing, severity) {
                (false, _) => Tone::Resolved,
                (_, "critical") => Tone::Critical,
                (_, "info") => Tone::Info,
                _ => Tone::Warning,
            },
            title: title(alert, words),
            description: cut(&description, LONGEST_TEXT),
            action: if alert.firing {
                cut(&annotation(&alert.annotations, "action", words), LONGEST_TEXT)
            } else {
                String::new()
            },
            facts,
            url: message.place.url_of(alert, message.notification.kind),
        }
    }
}

/// The value, and what it is compared with if the rule knows it: `92 % (threshold 90 %)`.
///
/// A threshold without a unit only says that something is so. A description says the value; where there is neither, the
/// number is better than nothing. What is resolved has passed its threshold.
fn measured(alert: &NotifiedAlert, description: &str, words: Words) -> Option<String> {
    let value = with_unit(alert.value?, &alert.unit);
    match alert.threshold {
        Some(threshold) if !alert.unit.is_empty() && alert.firing => {
            Some(words.compared(&value, &with_unit(threshold, &alert.unit)))
        }
        _ => description.is_empty().then_some(value),
    }
}

/// What a message is about: one alert's sentence, or how many there are and where.
fn what_and_where(notification: &Notification, words: Words) -> String {
    let alerts = &notification.alerts;
    if let ([alert], 0) = (alerts.as_slice(), notification.left_out) {
        return title(alert, words);
    }
    let shared = annotation(&notification.common_annotations, "summary", words);
    if !shared.is_empty() {
        return format!("{shared} (×{})", alerts.len() + notification.left_out);
    }
    let name = notification.common_labels.get(ALERT_NAME).map(String::as_str);
    let hosts: BTreeSet<&str> =
        alerts.iter().filter_map(|alert| alert.labels.get(INSTANCE)).map(String::as_str).collect();
    let text = words.several(name, alerts.len() + notification.left_out, hosts.len());
    match hosts.iter().next() {
        Some(host) if hosts.len() == 1 => words.on(&text, host),
        _ => text,
    }
}

/// An alert in one line, with its host.
fn title(alert: &NotifiedAlert, words: Words) -> String {
    let mut text = annotation(&alert.annotations, "summary", words);
    if text.is_empty() {
        text_of(&alert.labels, ALERT_NAME).clone_into(&mut text);
    }
    let instance = text_of(&alert.labels, INSTANCE);
    let text = if instance.is_empty() || text.contains(instance) {
        text
    } else {
        words.on(&text, instance)
    };
    one_line(&text, LONGEST_SUBJECT)
}

/// The gravest severity among the alerts that fire, or among all if none does.
fn worst_severity(notification: &Notification) -> String {
    let rank = |severity: &str| match severity {
        "critical" => 0,
        "info" => 2,
        _ => 1,
    };
    let firing = notification.is_firing();
    let severities = notification
        .alerts
        .iter()
        .filter(|alert| alert.firing == firing)
        .map(|alert| text_of(&alert.labels, SEVERITY));
    severities.min_by_key(|severity| rank(severity)).unwrap_or_default().to_owned()
}

/// A text of the language, or the English one where there is no other. Prometheus's rules often say `message` instead.
fn annotation(annotations: &LabelMap, name: &str, words: Words) -> String {
    let own = text_of(annotations, &format!("{name}{}", words.suffix()));
    let text = if own.is_empty() { text_of(annotations, name) } else { own };
    let text = match (text.is_empty(), name) {
        (true, "description") => text_of(annotations, "message"),
        _ => text,
    };
    text.trim().to_owned()
}

fn text_of<'a>(map: &'a LabelMap, name: &str) -> &'a str {
    map.get(name).map_or("", String::as_str)
}

/// The text on one line, without anything that is no character to be seen.
pub(crate) fn one_line(text: &str, longest: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    cut(&words.join(" "), longest)
}

/// The text, cut where it is too long.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
