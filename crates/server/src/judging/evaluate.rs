//! One turn: expressions over the store, results to the judge, what comes of them to the store, the alarms and the database.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use muster_alerting::{Context, Outcome, RULE_STATE, Sample, Step, Turn};
use muster_meta::{AlertingChange, Record};
use muster_promql::Value;
use muster_series::{Labels, stale_marker};
use muster_tsdb::WriteBatch;

use crate::app::App;
use crate::store::{MetricStore, QueryRun};

/// How long a rule waits for what the rule before it stores.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// The value of an expression at an instant, as samples.
pub(crate) fn instant(
    store: &dyn MetricStore,
    expr: &str,
    at_ms: i64,
    run: &QueryRun,
) -> Result<Vec<Sample>, String> {
    let evaluated = store.query_instant(expr, at_ms, run).map_err(|error| error.to_string())?;
    match evaluated.value {
        Value::Vector(samples) => {
            let samples = samples.into_iter();
            Ok(samples.map(|s| Sample { labels: s.labels, value: s.value }).collect())
        }
        Value::Scalar { value, .. } => Ok(vec![Sample { labels: Labels::empty(), value }]),
        Value::String { .. } | Value::Matrix(_) => {
            Err("the expression yields neither a vector nor a number".into())
        }
    }
}

/// Evaluates the steps in order; equal expressions at the same instant once. What comes of it is stored; the rest is given
/// back to be handed on.
pub(super) fn turn(app: &App, turn: &Turn, run: &QueryRun) -> Outcome {
    let mut whole = Outcome::default();
    let mut last: Option<(&Step, Result<Vec<Sample>, String>)> = None;
    for step in &turn.steps {
        let began = Instant::now();
        let same =
            |other: &Step| (&other.expr, other.query_at_ms) == (&step.expr, step.query_at_ms);
        let result = match last.take() {
            Some((other, result)) if same(other) => result,
            _ => instant(&*app.store, &step.expr, step.query_at_ms, run),
        };
        let ask = |text: &str| instant(&*app.store, text, step.query_at_ms, run);
        let context = Context {
            query: Some(Box::new(ask)),
            external_url: app.outbox.place.public_url.clone(),
            ..Context::default()
        };
        let seconds = began.elapsed().as_secs_f64();
        let outcome = app.judging.judge.lock().take(step, result.clone(), seconds, &context);
        last = Some((step, result));
        if let Some(failure) = &outcome.failure {
            tracing::debug!(rule = step.key, failure, "a rule could not be evaluated");
        }
        store(app, step.at_ms, &outcome);
        whole.posted.extend(outcome.posted);
        whole.put.extend(outcome.put);
        whole.remove.extend(outcome.remove);
    }
    whole
}

/// Stores samples and the ends of series, and waits until queries see them.
fn store(app: &App, at_ms: i64, outcome: &Outcome) {
    let samples = outcome.samples.iter().map(|sample| (&sample.labels, sample.value));
    let ended = outcome.ended.iter().map(|labels| (labels, stale_marker()));
    let mut numbered = Vec::new();
    for (labels, value) in samples.chain(ended) {
        match app.store.series(labels) {
            Ok(id) => numbered.push((id, value)),
            Err(error) => tracing::warn!(%labels, %error, "what a rule yields cannot be stored"),
        }
    }
    if numbered.is_empty() {
        return;
    }
    let (sender, done) = mpsc::channel();
    app.store.append(
        WriteBatch::scrape(at_ms, numbered),
        Box::new(move |result| {
            // Who waited may have given up.
            let _ = sender.send(result.map(|_| ()));
        }),
    );
    match done.recv_timeout(STORED_WITHIN) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "what rules yield was not stored"),
        Err(_) => tracing::warn!("what rules yield is not stored after 10 s; the disk is slow"),
    }
}

/// Tells the alarms what is new, and keeps what must be known after a restart.
pub(super) async fn hand_on(app: &App, outcome: Outcome) {
    let Outcome { posted, put, remove, .. } = outcome;
    app.judging.announce(posted);
    // A key that was put and removed, or the other way round, has its last state.
    let mut last: HashMap<String, Option<serde_json::Value>> = HashMap::new();
    last.extend(put.into_iter().map(|(key, value)| (key, Some(value))));
    last.extend(remove.into_iter().map(|key| (key, None)));
    let mut change = AlertingChange::default();
    for (key, value) in last {
        match value {
            Some(value) => change.put.push(Record { kind: RULE_STATE.into(), key, value }),
            None => change.remove.push((RULE_STATE.into(), key)),
        }
    }
    keep(app, change).await;
}

/// Writes states into the database. One that cannot be written is written with the next change of its alert.
pub(super) async fn keep(app: &App, change: AlertingChange) {
    if change.is_empty() {
        return;
    }
    if let Err(error) = app.meta.commit_alerting(&change, app.clock.now_ms()).await {
        tracing::warn!(%error, "the states of alerts were not kept; after a restart now some would begin anew");
    }
}

/// Stores and hands on what came of a change of the rules.
pub(super) async fn settle(app: &Arc<App>, at_ms: i64, outcomes: Vec<Outcome>) {
    for outcome in outcomes {
        let (storing, ended) = (Arc::clone(app), outcome.ended.clone());
        let end = Outcome { ended, ..Outcome::default() };
        let work = tokio::task::spawn_blocking(move || store(&storing, at_ms, &end));
        if let Err(error) = work.await {
            tracing::error!(%error, "ending the series of rules failed in a way it should not");
        }
        hand_on(app, outcome).await;
    }
}
