//! Rules at work: what is due is evaluated over the store, and what comes of it is stored and handed on.
//!
//! The decisions are `muster_alerting`'s [`Judge`]. Here are the two loops that serve it: one for the turns of groups, one
//! for nudges, so that a slow turn holds up nothing urgent. Neither waits for people's queries.

pub(crate) mod backtest;
pub(crate) mod evaluate;
pub(crate) mod metric_names;
pub(crate) mod sources;
pub(crate) mod thresholds;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use muster_alerting::{
    Alert, AlertSource, Judge, JudgedRule, LabelMap, PostedAlert, RULE_STATE, Thresholds, Turn,
    catalogue, fingerprint,
};
use muster_meta::AlertingChange;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::app::App;
use metric_names::MetricNames;
use sources::Document;

/// How often files and the database are looked at for changed rules.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// The longest that a turn may take; what is left of it fails.
const TURN_LIMIT: Duration = Duration::from_secs(30);
/// For so long after the start no alert ends because nothing is heard of it: hosts come back, and their series with them.
const SPARED_MS: i64 = 60_000;
/// How long a loop sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(1);

/// The rules in force and where they come from.
pub(crate) struct Judging {
    pub(crate) judge: Mutex<Judge>,
    /// What rules people have, with what is wrong with them.
    documents: Mutex<Arc<Vec<Document>>>,
    /// Numbers for the names of metrics.
    pub(crate) names: MetricNames,
    nudged: Notify,
    /// Held while rules are read anew, so that an old reading never replaces a newer one.
    reading: tokio::sync::Mutex<()>,
    /// Who is told what is new of alerts.
    listener: OnceLock<Box<Listener>>,
}

/// Takes alerts of which there is something new. It must not block.
pub(crate) type Listener = dyn Fn(Vec<PostedAlert>) + Send + Sync;

impl Default for Judging {
    fn default() -> Self {
        Self {
            judge: Mutex::new(Judge::new(Thresholds::default())),
            documents: Mutex::default(),
            names: MetricNames::default(),
            nudged: Notify::new(),
            reading: tokio::sync::Mutex::default(),
            listener: OnceLock::new(),
        }
    }
}

impl Judging {
    /// Samples of these metrics have come that cannot wait, the newest of `newest_ms`: the rules that read them are evaluated
    /// at once.
    pub(crate) fn nudge<'a>(
        &self,
        metrics: impl IntoIterator<Item = &'a str>,
        newest_ms: i64,
        now_ms: i64,
    ) {
        if self.judge.lock().nudge(metrics, newest_ms, now_ms) > 0 {
            self.nudged.notify_one();
        }
    }

    /// What a rule compares with has changed: it is evaluated at once.
    pub(crate) fn hurry(&self, rule: &str, now_ms: i64) {
        if self.judge.lock().hurry(rule, now_ms) {
            self.nudged.notify_one();
        }
    }

    /// Says who is told what is new of alerts; the first one stays.
    pub(crate) fn announce_to(&self, listener: Box<Listener>) {
        // Only the start of the server calls this.
        let _ = self.listener.set(listener);
    }

    fn announce(&self, posted: Vec<PostedAlert>) {
        if let Some(listener) = self.listener.get().filter(|_| !posted.is_empty()) {
            listener(posted);
        }
    }

    /// What rules people have.
    pub(crate) fn documents(&self) -> Arc<Vec<Document>> {
        Arc::clone(&self.documents.lock())
    }
}

/// Evaluates what is due until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    restore(&app).await;
    reload(&app).await;
    let orphans = app.judging.judge.lock().forget_orphans();
    let remove = orphans.into_iter().map(|key| (RULE_STATE.to_owned(), key)).collect();
    evaluate::keep(&app, AlertingChange { remove, ..AlertingChange::default() }).await;
    end_what_no_rule_holds(&app);
    tokio::join!(serve_turns(&app), serve_nudges(&app), watch_sources(&app));
}

/// Ends the alerts of rules that are gone since the server ran last: nobody else would.
fn end_what_no_rule_holds(app: &App) {
    let held: HashSet<u64> = {
        let judge = app.judging.judge.lock();
        let alerts =
            judge.groups().iter().flat_map(|group| &group.rules).flat_map(JudgedRule::active);
        let labels = |alert: &Alert| -> LabelMap {
            alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        alerts.map(|alert| fingerprint(&labels(alert))).collect()
    };
    let documents = app.judging.documents();
    let broken: Vec<String> = documents
        .iter()
        .filter(|document| document.failure.is_some())
        .map(|document| format!("{}/", document.name))
        .collect();
    let goes_on = |alert: &PostedAlert| match &alert.source {
        AlertSource::Pushed => true,
        // What cannot be read now may hold on.
        AlertSource::Rule(key) => {
            held.contains(&fingerprint(&alert.labels))
                || broken.iter().any(|name| key.starts_with(name))
        }
    };
    let now_ms = app.clock.now_ms();
    app.alarms.change(now_ms, |core| core.resolve_unless(goes_on, now_ms));
}

async fn restore(app: &App) {
    let records = loop {
        match app.meta.records(RULE_STATE).await {
            Ok(records) => break records,
            Err(error) => {
                tracing::warn!(%error, "rules wait for the database, which knows what fired before the restart");
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => {}
                    () = app.stopped() => return,
                }
            }
        }
    };
    let states = records.into_iter().map(|record| (record.key, record.value));
    let spared_until_ms = app.clock.now_ms() + SPARED_MS;
    for problem in app.judging.judge.lock().restore(states, spared_until_ms) {
        tracing::warn!(problem, "the state of an alert cannot be read; it begins anew");
    }
}

/// Reads all rules and thresholds anew, if they changed.
pub(crate) async fn reload(app: &Arc<App>) {
    let judging = &app.judging;
    let _reading = judging.reading.lock().await;
    let former = judging.documents();
    let settings = app.meta.list_settings().await;
    let (settings, agents) = match (settings, app.meta.list_agents().await) {
        (Ok(settings), Ok(agents)) => (settings, agents),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "rules stay as they are: the database does not tell them");
            return;
        }
    };
    judging.judge.lock().set_thresholds(thresholds::of_settings(&settings, &agents));
    let documents = sources::read(app, &settings, &former).await;
    let is_first = judging.judge.lock().groups().is_empty();
    if !is_first && documents == **former {
        return;
    }
    for document in &documents {
        let known = former.iter().find(|known| known.name == document.name);
        if let Some(failure) = &document.failure
            && known.and_then(|known| known.failure.as_ref()) != Some(failure)
        {
            tracing::warn!(
                rules = document.name,
                failure,
                "rules are not in force as they are written"
            );
        }
    }
    let sources = documents.iter().filter_map(Document::source).collect();
    let built_in: Vec<_> = catalogue().iter().collect();
    let now_ms = app.clock.now_ms();
    let outcome = judging.judge.lock().set_rules(&built_in, sources, &reads, now_ms);
    *judging.documents.lock() = Arc::new(documents);
    evaluate::settle(app, now_ms, vec![outcome]).await;
}

fn reads(expr: &str) -> BTreeSet<String> {
    muster_promql::parse(expr).map(|query| query.metric_names()).unwrap_or_default()
}

async fn watch_sources(app: &Arc<App>) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = app.stopped() => return,
        }
        reload(app).await;
    }
}

async fn serve_turns(app: &Arc<App>) {
    loop {
        let turns = app.judging.judge.lock().due(app.clock.now_ms());
        for turn in turns {
            if turn.missed > 0 {
                tracing::warn!(
                    group = turn.group,
                    missed = turn.missed,
                    "rules were not evaluated in time: the server has too much to do, or stood still"
                );
            }
            evaluate_turn(app, turn).await;
        }
        let next_ms = app.judging.judge.lock().next_due_ms();
        let wait = until(next_ms, app.clock.now_ms());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = app.stopped() => return,
        }
    }
}

async fn serve_nudges(app: &Arc<App>) {
    loop {
        let turn = app.judging.judge.lock().due_nudged(app.clock.now_ms());
        if let Some(turn) = turn {
            evaluate_turn(app, turn).await;
            continue;
        }
        let next_ms = app.judging.judge.lock().next_nudged_ms();
        let wait = until(next_ms, app.clock.now_ms());
        tokio::select! {
            () = tokio::time::sleep(wait), if next_ms.is_some() => {}
            () = app.judging.nudged.notified() => {}
            () = app.stopped() => return,
        }
    }
}

fn until(next_ms: Option<i64>, now_ms: i64) -> Duration {
    let wait = next_ms.map(|next_ms| next_ms.saturating_sub(now_ms).max(1).unsigned_abs());
    wait.map_or(IDLE, Duration::from_millis).min(IDLE)
}

/// Evaluates a turn on a thread of its own.
async fn evaluate_turn(app: &Arc<App>, turn: Turn) {
    let run = crate::store::QueryRun::default();
    let stop = run.stop_on_drop();
    let working = Arc::clone(app);
    let mut work = tokio::task::spawn_blocking(move || evaluate::turn(&working, &turn, &run));
    let done = if let Ok(done) = tokio::time::timeout(TURN_LIMIT, &mut work).await {
        done
    } else {
        // What computes ends soon, and says for each rule that it was stopped.
        drop(stop);
        work.await
    };
    match done {
        Ok(outcome) => evaluate::hand_on(app, outcome).await,
        Err(error) => {
            app.counters.panics.add(1);
            tracing::error!(%error, "the evaluation of rules failed in a way it should not");
        }
    }
}
