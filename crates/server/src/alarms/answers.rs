//! Lists of alerts, filtered and sorted.

use muster_alerting::Dispatcher;
use muster_api::{Alert, AlertCounts, AlertHush, AlertList, AlertState, Severity};

use super::shown::{of_its_host, shown};

/// The most alerts of the same incident or host that are shown beside one.
const MAX_RELATED: usize = 50;

/// Which alerts are wanted; what is absent does not matter.
#[derive(Debug, Default)]
pub(crate) struct AlertFilter {
    pub(crate) states: Vec<AlertState>,
    pub(crate) severities: Vec<Severity>,
    pub(crate) instance: Option<String>,
    /// Words that all occur in its name, labels or texts.
    pub(crate) search: String,
    /// Those that nobody is told of, or those that somebody is.
    pub(crate) hushed: Option<bool>,
}

impl AlertFilter {
    /// Reads what stands behind the question mark.
    pub(crate) fn read(query: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let unknown = || format!("{value:?} is not known as {name}");
            match &*name {
                "state" => filter.states.push(word(&value).ok_or_else(unknown)?),
                "severity" => filter.severities.push(word(&value).ok_or_else(unknown)?),
                "instance" => filter.instance = Some(value.into_owned()),
                "search" => filter.search = value.to_lowercase(),
                "hushed" => filter.hushed = Some(value.parse().map_err(|_| unknown())?),
                other => return Err(format!("unknown parameter {other:?}")),
            }
        }
        Ok(filter)
    }

    fn lets(&self, alert: &Alert) -> bool {
        (self.states.is_empty() || self.states.contains(&alert.state))
            && (self.severities.is_empty() || self.severities.contains(&alert.severity))
            && self.instance.as_ref().is_none_or(|wanted| alert.instance.as_ref() == Some(wanted))
            && self.hushed.is_none_or(|wanted| alert.hush.is_some() == wanted)
            && (self.search.is_empty() || holds_words(alert, &self.search))
    }
}

fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

fn holds_words(alert: &Alert, search: &str) -> bool {
    let texts = alert.labels.values().chain(alert.annotations.values());
    let all: String =
        texts.flat_map(|text| [text.as_str(), "\n"]).collect::<String>().to_lowercase();
    search.split_whitespace().all(|word| all.contains(word))
}

/// The alerts that pass, the most urgent and newest first.
pub(crate) fn list(core: &Dispatcher, filter: &AlertFilter, now_ms: i64) -> AlertList {
    let mut counted = AlertCounts::default();
    let mut alerts = Vec::new();
    for view in core.alerts() {
        let alert = shown(&view);
        count(&mut counted, &alert);
        if filter.lets(&alert) {
            alerts.push(alert);
        }
    }
    sort(&mut alerts);
    for alert in &mut alerts {
        alert.expression = of_its_host(alert);
    }
    AlertList { alerts, counts: counted, at_ms: now_ms }
}

/// How many alerts there are.
pub(crate) fn counts(core: &Dispatcher) -> AlertCounts {
    let mut counted = AlertCounts::default();
    for view in core.alerts() {
        count(&mut counted, &shown(&view));
    }
    counted
}

fn count(counts: &mut AlertCounts, alert: &Alert) {
    // Who made no channel yet is told on the page, so those alerts count.
    let is_hushed = alert
        .hush
        .is_some_and(|hush| hush != AlertHush::NoReceiver || alert.severity == Severity::Info);
    match (alert.state, is_hushed, alert.severity) {
        (AlertState::Resolved, ..) => {}
        (AlertState::Pending, ..) => counts.pending += 1,
        (AlertState::Firing, _, Severity::Info) => counts.info += 1,
        (AlertState::Firing, true, _) => counts.hushed += 1,
        (AlertState::Firing, false, Severity::Critical) => counts.critical += 1,
        (AlertState::Firing, false, Severity::Warning) => counts.warning += 1,
    }
}

/// Other alerts of the same incident, then of the same host.
pub(crate) fn related(core: &Dispatcher, alert: &Alert) -> Vec<Alert> {
    let mut others: Vec<Alert> = core
        .alerts()
        .map(|view| shown(&view))
        .filter(|other| other.id != alert.id)
        .filter(|other| {
            other.incident == alert.incident
                || (alert.instance.is_some() && other.instance == alert.instance)
        })
        .collect();
    sort(&mut others);
    others.sort_by_key(|other| other.incident != alert.incident);
    others.truncate(MAX_RELATED);
    others
}

fn sort(alerts: &mut [Alert]) {
    let rank = |state: AlertState| match state {
        AlertState::Firing => 0,
        AlertState::Pending => 1,
        AlertState::Resolved => 2,
    };
    alerts.sort_by(|a, b| {
        (rank(a.state), a.hush.is_some(), a.severity)
            .cmp(&(rank(b.state), b.hush.is_some(), b.severity))
            .then_with(|| {
                let since = |alert: &Alert| alert.starts_at_ms.unwrap_or(alert.active_at_ms);
                since(b).cmp(&since(a))
            })
            .then_with(|| a.id.cmp(&b.id))
    });
}
