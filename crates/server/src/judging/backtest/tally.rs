//! What a replay brings: episodes, and the messages that would have told of them.

use std::collections::HashMap;

use muster_alerting::{Alert, AlertState, Dispatcher, PostedAlert, PostedState, SEVERITY};
use muster_api::{BacktestEpisode, BacktestMessage, BacktestResult, MessageLanguage, Severity};
use muster_series::Labels;

use super::Receivers;
use crate::store::QueryRun;

/// The most episodes that are told, and the most messages.
const MAX_TOLD: usize = 1_000;

/// One change of an alert's state.
pub(super) struct Event {
    at_ms: i64,
    posted: PostedAlert,
    labels: Labels,
    /// The worst value of the firing that ends.
    worst: Option<f64>,
}

/// Looks at the alerts of one rule.
#[derive(Default)]
pub(super) struct Watch {
    states: HashMap<Labels, PostedState>,
    /// The worst values of the alerts that fire.
    worst: HashMap<Labels, f64>,
    events: Vec<Event>,
}

impl Watch {
    /// Takes in what was posted at a step, and the alerts that are active then.
    pub(super) fn see<'a>(
        &mut self,
        at_ms: i64,
        posted: Vec<PostedAlert>,
        active: impl Iterator<Item = &'a Alert>,
        below: bool,
    ) {
        for alert in active.filter(|alert| alert.state == AlertState::Firing) {
            let value = alert.value;
            let is_worse = |worst: f64| if below { value < worst } else { value > worst };
            match self.worst.get_mut(&alert.labels) {
                Some(worst) if is_worse(*worst) || worst.is_nan() => *worst = value,
                Some(_) => {}
                None => {
                    self.worst.insert(alert.labels.clone(), value);
                }
            }
        }
        for posted in posted {
            let labels = Labels::from_pairs(&posted.labels)
                .expect("the labels of an alert were a series' labels");
            let before = match posted.state {
                PostedState::Resolved => self.states.remove(&labels),
                state => self.states.insert(labels.clone(), state),
            };
            // A new value alone changes nothing of who is told.
            if before != Some(posted.state) {
                let is_over = posted.state == PostedState::Resolved;
                let worst = is_over.then(|| self.worst.remove(&labels)).flatten();
                self.events.push(Event { at_ms, posted, labels, worst });
            }
        }
    }

    /// What happened since the last call.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// Counts what the rules bring.
pub(super) struct Tally {
    dispatcher: Dispatcher,
    /// The time of the dispatcher's last poll.
    now_ms: i64,
    /// What happened in this stretch, by rule.
    pending: Vec<(usize, Event)>,
    /// Where the episodes of the alerts that fire are, by rule; none for those that are not told.
    open: HashMap<(usize, Labels), Option<usize>>,
    episodes: Vec<BacktestEpisode>,
    total_episodes: u64,
    messages: Vec<BacktestMessage>,
    total_messages: u64,
}

impl Tally {
    pub(super) fn new(receivers: Receivers, now_ms: i64) -> Self {
        let Receivers { routing, channels, external_url: _ } = receivers;
        Self {
            dispatcher: Dispatcher::new(routing, channels),
            now_ms: now_ms - 1,
            pending: Vec::new(),
            open: HashMap::new(),
            episodes: Vec::new(),
            total_episodes: 0,
            messages: Vec::new(),
            total_messages: 0,
        }
    }

    /// Takes what happened to a rule's alerts.
    pub(super) fn collect(&mut self, rule: usize, events: Vec<Event>) {
        self.pending.extend(events.into_iter().map(|event| (rule, event)));
    }

    /// Tells, in the order of time, what was collected up to `until_ms`; none if somebody stopped it.
    pub(super) fn tell(&mut self, until_ms: i64, run: &QueryRun) -> Option<()> {
        let mut events = std::mem::take(&mut self.pending);
        events.sort_by_key(|(_, event)| event.at_ms);
        let mut events = events.into_iter().peekable();
        while let Some(at_ms) = events.peek().map(|(_, event)| event.at_ms) {
            self.wait_until(at_ms - 1, run)?;
            let mut posted = Vec::new();
            while let Some((rule, event)) = events.next_if(|(_, event)| event.at_ms == at_ms) {
                self.note(rule, &event);
                posted.push(event.posted);
            }
            self.dispatcher.post(posted, at_ms);
            self.poll(at_ms);
        }
        self.wait_until(until_ms, run)
    }

    /// Lets the dispatcher do what it does by itself.
    fn wait_until(&mut self, until_ms: i64, run: &QueryRun) -> Option<()> {
        while let Some(due_ms) = self.dispatcher.next_due_ms() {
            let at_ms = due_ms.max(self.now_ms + 1);
            if at_ms > until_ms {
                break;
            }
            if run.is_stopped() {
                return None;
            }
            self.poll(at_ms);
        }
        Some(())
    }

    fn poll(&mut self, at_ms: i64) {
        self.now_ms = at_ms;
        for notification in self.dispatcher.poll(at_ms).notifications {
            self.total_messages += 1;
            if self.messages.len() < MAX_TOLD {
                self.messages.push(BacktestMessage {
                    at_ms: notification.at_ms,
                    subject: muster_delivery::subject(&notification, MessageLanguage::English),
                    alerts: (notification.alerts.len() + notification.left_out) as u64,
                    receiver: notification.receiver,
                });
            }
        }
    }

    fn note(&mut self, rule: usize, event: &Event) {
        let key = (rule, event.labels.clone());
        match event.posted.state {
            PostedState::Pending => {}
            PostedState::Firing => {
                self.total_episodes += 1;
                let place = (self.episodes.len() < MAX_TOLD).then_some(self.episodes.len());
                if place.is_some() {
                    self.episodes.push(episode(&event.posted, event.at_ms));
                }
                self.open.insert(key, place);
            }
            PostedState::Resolved => {
                let Some(Some(place)) = self.open.remove(&key) else { return };
                let episode = &mut self.episodes[place];
                episode.ends_at_ms = Some(event.posted.ends_at_ms.unwrap_or(event.at_ms));
                episode.worst = event.worst.unwrap_or(episode.worst);
            }
        }
    }

    /// Notes the worst values of a rule's alerts that still fire.
    pub(super) fn note_worst(&mut self, rule: usize, watch: &Watch) {
        for (labels, worst) in &watch.worst {
            if let Some(Some(place)) = self.open.get(&(rule, labels.clone())) {
                self.episodes[*place].worst = *worst;
            }
        }
    }

    pub(super) fn into_result(self, step_ms: i64) -> BacktestResult {
        BacktestResult {
            episodes: self.episodes,
            messages: self.messages,
            total_episodes: self.total_episodes,
            total_messages: self.total_messages,
            step_ms,
            took_seconds: 0.0,
        }
    }
}

fn episode(posted: &PostedAlert, at_ms: i64) -> BacktestEpisode {
    let text = |name: &str| posted.annotations.get(name).cloned();
    let severity = match posted.labels.get(SEVERITY).map(String::as_str) {
        Some("critical") => Severity::Critical,
        Some("info") => Severity::Info,
        _ => Severity::Warning,
    };
    BacktestEpisode {
        name: posted.labels.get(muster_alerting::ALERT_NAME).cloned().unwrap_or_default(),
        severity,
        labels: posted.labels.clone(),
        active_at_ms: posted.active_at_ms,
        starts_at_ms: posted.starts_at_ms.unwrap_or(at_ms),
        ends_at_ms: None,
        worst: posted.value.unwrap_or(f64::NAN),
        summary: text("summary").or_else(|| text("description")).unwrap_or_default(),
        summary_zh: text("summary_zh").unwrap_or_default(),
    }
}
