//! Alarms: what the noise core decides is written down, in one transaction with the messages that it brings, and shown.
//!
//! 1. Rules and other programs post alerts ([`Alarms::post`]), people change things ([`Alarms::change`]); neither waits.
//! 2. One task ([`run`]) lets the [`Dispatcher`] decide, and commits what it decided. Until that has worked it is tried
//!    again; what is decided meanwhile joins it, so a database that is away loses nothing.
//! 3. After the commit the outbox is woken, and those who wait for their change to last ([`Alarms::settled`]).

mod answers;
mod shown;
mod unusual;
mod why;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use muster_alerting::{
    Decisions, Dispatcher, INSTANCE, Notification, PostedAlert, PostedState, Routing, TrailLine,
};
use muster_api::ChannelSpec;
use muster_meta::{AlertingChange, Meta, MetaError, NewMessage, Record};
use parking_lot::{Mutex, RwLock};
use serde_json::json;
use tokio::sync::{Notify, watch};

use crate::app::{App, Counter};

pub(crate) use answers::{AlertFilter, counts, list, related};
pub(crate) use shown::{
    matchers_of, of_its_host, shown, shown_episode, shown_matcher, shown_silence, shown_step,
    silence_of,
};
pub(crate) use unusual::{spans, unusual};
pub(crate) use why::{Question, is_receiver, why_not};

/// The setting that holds the routes.
pub(crate) const ROUTING_SETTING: &str = "alert-routing";
/// How often the database is looked at for routes and channels that others have changed.
const LOOK_EVERY_MS: i64 = 30_000;
/// The longest that nobody looks.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// How soon a commit that failed is tried again; it doubles up to the other.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(10);
/// For so long a change is tried as a whole before it is written in parts, in milliseconds.
const TRIED_AS_ONE_MS: i64 = 30_000;
/// The kind and key of the record by which it is seen whether the database takes anything, and its bytes: where the disk
/// is full, a smaller one may still find room.
const PROBE: &str = "probe";
const PROBE_BYTES: usize = 64 << 10;
/// So many steps of alerts wait for the database at the most; older ones are let go.
const MOST_UNSAVED_STEPS: usize = 200_000;
/// How long somebody waits for their change to be written down.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// How long trail and history are kept.
const KEEP_TRAIL_MS: i64 = 400 * 86_400_000;
/// How long messages are kept that were sent or given up.
const KEEP_MESSAGES_MS: i64 = 30 * 86_400_000;
/// How often what is old is forgotten.
const PRUNE_EVERY_MS: i64 = 3_600_000;
/// How much of the time before an alert a host is asked for, second by second.
const RECALL_BEFORE_MS: i64 = 600_000;
/// How much of the time after.
const RECALL_AFTER_MS: i64 = 120_000;
/// The shortest time between two such questions to a host.
const RECALL_EVERY_MS: i64 = 60_000;

/// What the alarms share with the rest of the server.
pub(crate) struct Alarms {
    core: Mutex<Dispatcher>,
    /// What was posted and not yet looked at.
    posted: Mutex<Vec<PostedAlert>>,
    wake: Notify,
    asked: AtomicU64,
    settled: watch::Sender<u64>,
    changed: watch::Sender<u64>,
    /// The numbers of the enabled channels, by name.
    channels: RwLock<BTreeMap<String, String>>,
    routing_version: AtomicU64,
    recalled: Mutex<HashMap<String, i64>>,
    /// Since when what was decided cannot be written down, by the clock that never goes back.
    unwritten_since_ms: Mutex<Option<i64>>,
    pub(crate) figures: Figures,
}

/// What `/metrics` tells of the alarms.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) decided: Counter,
    pub(crate) commits: Counter,
    pub(crate) failed_commits: Counter,
    pub(crate) unreadable_records: Counter,
    /// What no database took, although it takes other things.
    pub(crate) refused_records: Counter,
}

impl Alarms {
    /// The alarms as the database knows them.
    pub(crate) async fn open(meta: &Meta, now_ms: i64) -> Result<Self, MetaError> {
        let channels = enabled_channels(meta).await?;
        let (routing, version) = stored_routing(meta).await?;
        let mut core = Dispatcher::new(routing, channels.keys().cloned().collect());
        let mut records = Vec::new();
        for kind in Dispatcher::RECORD_KINDS {
            records.extend(meta.records(kind).await?);
        }
        let figures = Figures::default();
        let records = records.into_iter().map(|record| (record.kind, record.key, record.value));
        for problem in core.restore(records.collect()) {
            figures.unreadable_records.add(1);
            tracing::error!(
                problem,
                "something that was known of alerts cannot be read and is left out"
            );
        }
        tracing::debug!(alerts = core.alerts().count(), now_ms, "alerts restored");
        Ok(Self {
            core: Mutex::new(core),
            posted: Mutex::default(),
            wake: Notify::new(),
            asked: AtomicU64::new(0),
            settled: watch::Sender::new(0),
            changed: watch::Sender::new(0),
            channels: RwLock::new(channels),
            routing_version: AtomicU64::new(version),
            recalled: Mutex::default(),
            unwritten_since_ms: Mutex::default(),
            figures,
        })
    }

    /// Takes alerts in, in order; what comes of them is decided soon.
    pub(crate) fn post(&self, alerts: Vec<PostedAlert>) {
        if !alerts.is_empty() {
            self.posted.lock().extend(alerts);
            self.wake.notify_one();
        }
    }

    /// Changes something, after all that was posted before; what comes of it is decided soon.
    pub(crate) fn change<T>(&self, now_ms: i64, change: impl FnOnce(&mut Dispatcher) -> T) -> T {
        let mut core = self.core.lock();
        let posted = std::mem::take(&mut *self.posted.lock());
        core.post(posted, now_ms);
        let result = change(&mut core);
        self.wake.notify_one();
        result
    }

    /// How many alerts were posted and not yet looked at.
    pub(crate) fn waiting(&self) -> usize {
        self.posted.lock().len()
    }

    /// Looks at what there is.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Dispatcher) -> T) -> T {
        look(&self.core.lock())
    }

    /// Waits until what was changed before is written down; an error if that takes too long.
    pub(crate) async fn settled(&self) -> Result<(), MetaError> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        let mut settled = self.settled.subscribe();
        let waiting = settled.wait_for(|done| *done >= ticket);
        match tokio::time::timeout(SETTLE_LIMIT, waiting).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(MetaError::Conflict(
                "what was changed is in force and not yet written down".into(),
            )),
        }
    }

    /// Since when what was decided cannot be written down, by the clock that never goes back; none if it can.
    pub(crate) fn unwritten_since_ms(&self) -> Option<i64> {
        *self.unwritten_since_ms.lock()
    }

    /// Wakes when alerts, silences or groups have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The names of the enabled channels.
    pub(crate) fn channel_names(&self) -> BTreeSet<String> {
        self.channels.read().keys().cloned().collect()
    }

    /// Takes over routes and channels as the database has them.
    pub(crate) async fn refresh(&self, meta: &Meta, now_ms: i64) -> Result<(), MetaError> {
        let channels = enabled_channels(meta).await?;
        let (routing, version) = stored_routing(meta).await?;
        let same_routing = self.routing_version.swap(version, Ordering::Relaxed) == version;
        let same_channels = *self.channels.read() == channels;
        if same_routing && same_channels {
            return Ok(());
        }
        let names = channels.keys().cloned().collect();
        *self.channels.write() = channels;
        self.change(now_ms, |core| core.set_routing(routing, names, now_ms));
        Ok(())
    }

    /// Lets the core decide; what is to be written down, and when to come again.
    fn decide(&self, app: &App) -> (AlertingChange, Option<i64>) {
        let now_ms = app.clock.now_ms();
        let mut core = self.core.lock();
        let posted = std::mem::take(&mut *self.posted.lock());
        self.recall(app, &posted, now_ms);
        core.post(posted, now_ms);
        let decisions = core.poll(now_ms);
        let routing = core.routing().clone();
        let next_due_ms = core.next_due_ms();
        drop(core);
        if !decisions.is_empty() {
            self.changed.send_modify(|count| *count += 1);
        }
        (self.written(decisions, &routing), next_due_ms)
    }

    /// Asks the hosts of new alerts for every second around them.
    fn recall(&self, app: &App, posted: &[PostedAlert], now_ms: i64) {
        let begins = |alert: &&PostedAlert| alert.state != PostedState::Resolved;
        let mut recalled = self.recalled.lock();
        recalled.retain(|_, at_ms| (0..RECALL_EVERY_MS).contains(&(now_ms - *at_ms)));
        for instance in posted.iter().filter(begins).filter_map(|alert| alert.labels.get(INSTANCE))
        {
            let Some(entry) = app.roster.get(instance) else { continue };
            if recalled.insert(instance.clone(), now_ms).is_none() {
                entry.recall(now_ms - RECALL_BEFORE_MS, now_ms + RECALL_AFTER_MS);
            }
        }
    }

    fn written(&self, decisions: Decisions, routing: &Routing) -> AlertingChange {
        self.figures.decided.add(decisions.notifications.len() as u64);
        let channels = self.channels.read();
        let names: BTreeSet<String> = channels.keys().cloned().collect();
        let mut messages = Vec::new();
        for notification in &decisions.notifications {
            for name in routing.channels_of(&notification.receiver, &names) {
                messages.push(new_message(notification, &channels[&name]));
            }
        }
        AlertingChange {
            put: decisions
                .put
                .into_iter()
                .map(|(kind, key, value)| Record { kind, key, value })
                .collect(),
            remove: decisions.remove,
            trail: decisions.trail.into_iter().map(stored_line).collect(),
            messages,
            episodes: decisions.episodes.into_iter().map(stored_episode).collect(),
        }
    }
}

/// Lets the core decide and writes down what it decided, until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut unsaved = AlertingChange::default();
    let mut retry = FIRST_RETRY;
    let mut looked_ms = app.clock.monotonic_ms();
    let mut pruned_ms = None;
    loop {
        let ticket = app.alarms.asked.load(Ordering::SeqCst);
        let deciding = Arc::clone(&app);
        // Thousands of alerts take too long for a thread that serves others.
        let decided = tokio::task::spawn_blocking(move || deciding.alarms.decide(&deciding)).await;
        let next_due_ms = match decided {
            Ok((change, next_due_ms)) => {
                join(&mut unsaved, change);
                next_due_ms
            }
            Err(error) => {
                app.counters.panics.add(1);
                tracing::error!(%error, "deciding about alerts failed; this is a defect of Muster");
                None
            }
        };
        let stopping = *app.stop.borrow();
        let mut sleep = until(next_due_ms, app.clock.now_ms());
        let since_ms = app.alarms.unwritten_since_ms();
        let tried_ms = since_ms.map_or(0, |since_ms| app.clock.monotonic_ms() - since_ms);
        let committed = if tried_ms < TRIED_AS_ONE_MS {
            commit(&app, &mut unsaved).await
        } else {
            commit_in_parts(&app, &mut unsaved).await
        };
        match committed {
            Ok(()) => {
                retry = FIRST_RETRY;
                *app.alarms.unwritten_since_ms.lock() = None;
                app.alarms.settled.send_replace(ticket);
            }
            Err(error) => {
                app.alarms.figures.failed_commits.add(1);
                let now_ms = app.clock.monotonic_ms();
                app.alarms.unwritten_since_ms.lock().get_or_insert(now_ms);
                tracing::error!(%error, "what was decided about alerts is not written down yet; it is tried again");
                sleep = sleep.min(retry);
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
        if stopping {
            return;
        }
        let now_ms = app.clock.monotonic_ms();
        if now_ms - looked_ms >= LOOK_EVERY_MS {
            looked_ms = now_ms;
            look_around(&app, &mut pruned_ms).await;
        }
        tokio::select! {
            () = app.stopped() => {}
            () = app.alarms.wake.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Writes down what is unsaved, and wakes who sends.
async fn commit(app: &App, unsaved: &mut AlertingChange) -> Result<(), MetaError> {
    if unsaved.is_empty() {
        return Ok(());
    }
    app.meta.commit_alerting(unsaved, app.clock.now_ms()).await?;
    app.alarms.figures.commits.add(1);
    if !unsaved.messages.is_empty() {
        app.outbox.changed.notify_one();
    }
    *unsaved = AlertingChange::default();
    Ok(())
}

/// Writes down in parts what cannot be written as one, as long as the database takes anything at all: what it refuses by
/// itself is left out, so that one thing never holds up all others.
async fn commit_in_parts(app: &App, unsaved: &mut AlertingChange) -> Result<(), MetaError> {
    let mut parts = vec![std::mem::take(unsaved)];
    while let Some(mut part) = parts.pop() {
        let Err(error) = commit(app, &mut part).await else { continue };
        if let Err(error) = probe(app).await {
            *unsaved = part;
            while let Some(later) = parts.pop() {
                join(unsaved, later);
            }
            return Err(error);
        }
        if part.len() > 1 {
            let (first, second) = part.halved();
            parts.extend([second, first]);
        } else {
            app.alarms.figures.refused_records.add(1);
            tracing::error!(%error, "the database refuses a part of what was decided about alerts; it is left out");
        }
    }
    Ok(())
}

/// Whether the database takes anything.
async fn probe(app: &App) -> Result<(), MetaError> {
    let value = json!("0".repeat(PROBE_BYTES));
    let put = vec![Record { kind: PROBE.into(), key: PROBE.into(), value }];
    let probe = AlertingChange { put, ..AlertingChange::default() };
    app.meta.commit_alerting(&probe, app.clock.now_ms()).await?;
    let remove = vec![(PROBE.to_owned(), PROBE.to_owned())];
    let gone = AlertingChange { remove, ..AlertingChange::default() };
    app.meta.commit_alerting(&gone, app.clock.now_ms()).await
}

/// Takes over what others have changed in the database, and forgets what is old there.
async fn look_around(app: &App, pruned_ms: &mut Option<i64>) {
    let now_ms = app.clock.now_ms();
    if let Err(error) = app.alarms.refresh(&app.meta, now_ms).await {
        tracing::warn!(%error, "routes and channels are as they were until the database answers");
    }
    let at_ms = app.clock.monotonic_ms();
    if pruned_ms.is_some_and(|last| at_ms - last < PRUNE_EVERY_MS) {
        return;
    }
    *pruned_ms = Some(at_ms);
    let pruned = async {
        app.meta.prune_alerting(now_ms - KEEP_TRAIL_MS).await?;
        app.meta.prune_messages(now_ms - KEEP_MESSAGES_MS).await
    };
    if let Err(error) = pruned.await {
        tracing::warn!(%error, "what is old of alerts stays until the database answers");
    }
}

fn until(due_ms: Option<i64>, now_ms: i64) -> Duration {
    let wait = due_ms.map_or(LONGEST_SLEEP, |due_ms| {
        Duration::from_millis(u64::try_from(due_ms.saturating_sub(now_ms)).unwrap_or(0))
    });
    wait.min(LONGEST_SLEEP)
}

/// Adds a later change to an earlier one that was not written down.
fn join(unsaved: &mut AlertingChange, later: AlertingChange) {
    let named = |change: &AlertingChange| -> BTreeSet<(String, String)> {
        let put = change.put.iter().map(|record| (record.kind.clone(), record.key.clone()));
        put.chain(change.remove.iter().cloned()).collect()
    };
    if !unsaved.is_empty() {
        let newer = named(&later);
        let is_old = |kind: &str, key: &str| newer.contains(&(kind.to_owned(), key.to_owned()));
        unsaved.put.retain(|record| !is_old(&record.kind, &record.key));
        unsaved.remove.retain(|(kind, key)| !is_old(kind, key));
    }
    unsaved.put.extend(later.put);
    unsaved.remove.extend(later.remove);
    unsaved.trail.extend(later.trail);
    let too_many = unsaved.trail.len().saturating_sub(MOST_UNSAVED_STEPS);
    unsaved.trail.drain(..too_many);
    unsaved.messages.extend(later.messages);
    unsaved.episodes.extend(later.episodes);
}

fn new_message(notification: &Notification, channel_id: &str) -> NewMessage {
    let alerts = notification.alerts.iter().map(|alert| alert.fingerprint.clone());
    NewMessage {
        id: format!("{}/{channel_id}", notification.id),
        channel_id: channel_id.to_owned(),
        subject: muster_delivery::subject(notification, muster_api::MessageLanguage::English),
        notification: serde_json::to_value(notification).expect("texts and numbers are JSON"),
        alerts: alerts.collect(),
    }
}

fn stored_line(line: TrailLine) -> muster_meta::TrailLine {
    let kind = serde_json::to_value(line.kind).expect("a kind is a word");
    muster_meta::TrailLine {
        at_ms: line.at_ms,
        alert: line.alert,
        kind: kind.as_str().unwrap_or_default().to_owned(),
        receiver: line.receiver,
        message: line.message,
        subject: line.subject,
        value: line.value,
        text: line.text,
    }
}

fn stored_episode(episode: muster_alerting::Episode) -> muster_meta::Episode {
    muster_meta::Episode {
        alert: episode.alert,
        name: episode.name,
        severity: episode.severity,
        instance: episode.instance,
        labels: json!(episode.labels),
        annotations: json!(episode.annotations),
        starts_at_ms: episode.starts_at_ms,
        ends_at_ms: episode.ends_at_ms,
        messages: episode.messages,
    }
}

async fn enabled_channels(meta: &Meta) -> Result<BTreeMap<String, String>, MetaError> {
    let channels = meta.list_channels().await?.into_iter();
    let is_enabled = |channel: &muster_meta::Channel| {
        serde_json::from_value::<ChannelSpec>(channel.settings.clone())
            .is_ok_and(|spec| spec.enabled)
    };
    Ok(channels.filter(is_enabled).map(|channel| (channel.name, channel.id)).collect())
}

/// The routes that are set, or those that Muster has by itself; and how often they were changed.
pub(crate) async fn stored_routing(meta: &Meta) -> Result<(Routing, u64), MetaError> {
    let Some(setting) = meta.setting(ROUTING_SETTING).await? else {
        return Ok((Routing::built_in(), 0));
    };
    let routing = match setting.value["yaml"].as_str().map(Routing::parse) {
        None => Routing::built_in(),
        Some(Ok(routing)) => routing,
        Some(Err(error)) => {
            tracing::error!(%error, "the alerts' routes cannot be read; those of the first start are used");
            Routing::built_in()
        }
    };
    Ok((routing, setting.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: i64) -> Record {
        Record { kind: "alert".into(), key: key.into(), value: json!(value) }
    }

    #[test]
    fn what_was_not_written_down_is_joined_by_what_came_later() {
        let remove = |key: &str| vec![("alert".to_owned(), key.to_owned())];
        let mut unsaved = AlertingChange {
            put: vec![record("a", 1), record("b", 1)],
            remove: remove("c"),
            ..AlertingChange::default()
        };
        let later = AlertingChange {
            put: vec![record("a", 2), record("c", 2)],
            remove: remove("b"),
            ..AlertingChange::default()
        };
        join(&mut unsaved, later);
        assert_eq!(unsaved.put, [record("a", 2), record("c", 2)]);
        assert_eq!(unsaved.remove, remove("b"));
    }
}
