//! Live feeds, as server-sent events.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use muster_api::{Failure, HostList, LiveFailure, LivePoints, LiveResult, LiveSeries};
use muster_promql::{InstantSample, Value};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::authority::{Reader, SignedIn};
use super::failure::ApiFailure;
use crate::app::App;
use crate::fleet::changes;
use crate::roster::Entry;
use crate::store::{MetricStore, QueryRun};

/// How often the list of hosts is looked at.
const HOSTS_EVERY: Duration = Duration::from_secs(2);
/// The shortest time between two evaluations of a chart's expressions.
const POINTS_EVERY: Duration = Duration::from_millis(400);
/// How often a silent stream says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The most expressions of one stream.
const MAX_EXPRESSIONS: usize = 64;
/// The longest that a chart's expressions may take at one instant.
const EVALUATION_LIMIT: Duration = Duration::from_secs(5);
/// The most series of one expression.
const MAX_SERIES: usize = 10_000;
/// How often it is looked whether the session or token of a stream is still good, besides when one was ended here.
const AUTHORITY_EVERY: Duration = Duration::from_secs(10);
/// Events that wait for a slow reader; beyond, evaluation waits.
const QUEUED_EVENTS: usize = 4;

pub(super) type Events = mpsc::Sender<Result<Event, Infallible>>;

/// All hosts, then every two seconds those that changed.
#[utoipa::path(get, path = "/api/muster/v1/live/hosts", responses(
    (status = 200, description = "Events `hosts`: all hosts first, then those that changed", body = HostList, content_type = "text/event-stream"),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn hosts(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
) -> Result<Response, ApiFailure> {
    stream(&app, who, |app, events| async move {
        let mut before: Option<Arc<HostList>> = None;
        let mut every = tokio::time::interval(HOSTS_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let after = app.fleet.hosts(&app).await;
            let json = match before.replace(Arc::clone(&after.list)) {
                None => after.json,
                // Thousands of hosts take too long for a thread that serves others.
                Some(before) => {
                    let compare = move || serde_json::to_vec(&changes(&before, &after.list));
                    match tokio::task::spawn_blocking(compare).await {
                        Ok(Ok(json)) => json.into(),
                        _ => return,
                    }
                }
            };
            let text = std::str::from_utf8(&json).expect("JSON is UTF-8");
            let event = Event::default().event("hosts").data(text);
            if events.send(Ok(event)).await.is_err() {
                return;
            }
        }
    })
}

/// The values of expressions, again each time the host has sent; while the stream is open, the host sends every second.
#[utoipa::path(get, path = "/api/muster/v1/live/query", params(
    ("instance" = String, Query, description = "The host whose samples cause an event"),
    ("q" = Vec<String>, Query, description = "PromQL expressions, 64 at most"),
), responses(
    (status = 200, description = "Events `points`; an event `failed` names an expression that cannot be evaluated", body = LivePoints, content_type = "text/event-stream"),
    (status = 400, description = "No expression, or too many", body = Failure),
    (status = 404, description = "No such host", body = Failure),
))]
pub(crate) async fn query(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiFailure> {
    let mut instance = None;
    let mut expressions = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "instance" => instance = Some(value.into_owned()),
            "q" => expressions.push(value.into_owned()),
            other => {
                return Err(ApiFailure::bad_request(format!("unknown parameter {other:?}")));
            }
        }
    }
    if expressions.is_empty() || expressions.len() > MAX_EXPRESSIONS {
        let error = format!("give 1 to {MAX_EXPRESSIONS} expressions as q=…");
        return Err(ApiFailure::bad_request(error));
    }
    let instance = instance.ok_or_else(|| ApiFailure::bad_request("give a host as instance=…"))?;
    let entry =
        app.roster.get(&instance).ok_or_else(|| ApiFailure::not_found("there is no such host"))?;
    let principal = who.principal();
    stream(&app, who, |app, events| follow(app, principal, entry, expressions, events))
}

async fn follow(
    app: Arc<App>,
    principal: String,
    entry: Arc<Entry>,
    expressions: Vec<String>,
    events: Events,
) {
    let _look = entry.look();
    let mut newest = entry.newest();
    newest.mark_changed();
    let mut expressions: Vec<(usize, String)> = expressions.into_iter().enumerate().collect();
    while !expressions.is_empty() && newest.changed().await.is_ok() {
        let timestamp_ms = *newest.borrow_and_update();
        if timestamp_ms == 0 {
            continue;
        }
        let evaluated = evaluate(&app, &principal, &expressions, timestamp_ms).await;
        let Some((results, failures)) = evaluated else {
            return;
        };
        for failure in failures {
            expressions.retain(|(query, _)| *query != failure.query);
            if !send(&events, "failed", &failure).await {
                return;
            }
        }
        if !send(&events, "points", &LivePoints { timestamp_ms, results }).await {
            return;
        }
        tokio::time::sleep(POINTS_EVERY).await;
    }
}

/// Evaluates all expressions at one instant, on a thread that may block; `None` if that thread died.
async fn evaluate(
    app: &Arc<App>,
    principal: &str,
    expressions: &[(usize, String)],
    at_ms: i64,
) -> Option<(Vec<LiveResult>, Vec<LiveFailure>)> {
    let turn = app.live_queries.acquire(principal).await;
    let (store, expressions) = (Arc::clone(&app.store), expressions.to_vec());
    let run = QueryRun::live();
    let stop = run.stop_on_drop();
    let mut work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        evaluate_all(&*store, &expressions, at_ms, &run)
    });
    let in_time = tokio::time::timeout(EVALUATION_LIMIT, &mut work).await;
    let done = if let Ok(done) = in_time {
        done
    } else {
        drop(stop);
        work.await
    };
    match done {
        Ok(done) => Some(done),
        Err(error) => {
            app.counters.panics.add(1);
            tracing::error!(%error, "a live expression failed in a way it should not");
            None
        }
    }
}

fn evaluate_all(
    store: &dyn MetricStore,
    expressions: &[(usize, String)],
    at_ms: i64,
    run: &QueryRun,
) -> (Vec<LiveResult>, Vec<LiveFailure>) {
    let (mut results, mut failures) = (Vec::new(), Vec::new());
    for (query, text) in expressions {
        let query = *query;
        let failed = |error: String| LiveFailure { query, error };
        match store.query_instant(text, at_ms, run) {
            Ok(done) => match series(done.value) {
                series if series.len() <= MAX_SERIES => results.push(LiveResult { query, series }),
                series => failures.push(failed(format!(
                    "{} series are too many for a live chart, which takes {MAX_SERIES}; choose fewer",
                    series.len()
                ))),
            },
            Err(_) if run.is_stopped() => {
                // Those that come after it are not to blame, and have their turn at the next instant.
                failures.push(failed(
                    "this takes too long for a live chart; choose fewer series or a shorter range".into(),
                ));
                break;
            }
            Err(error) => failures.push(failed(error.to_string())),
        }
    }
    (results, failures)
}

fn series(value: Value) -> Vec<LiveSeries> {
    let one = |sample: InstantSample| LiveSeries {
        labels: sample.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        value: Some(sample.value).filter(|value| value.is_finite()),
    };
    match value {
        Value::Vector(samples) => samples.into_iter().map(one).collect(),
        Value::Scalar { value, .. } => vec![LiveSeries {
            labels: BTreeMap::new(),
            value: Some(value).filter(|value| value.is_finite()),
        }],
        Value::String { .. } | Value::Matrix(_) => Vec::new(),
    }
}

/// An event stream fed by `work`, which is dropped when the client goes away, may not read any more, or the server stops.
pub(super) fn stream<F, W>(app: &Arc<App>, who: SignedIn, work: W) -> Result<Response, ApiFailure>
where
    F: Future<Output = ()> + Send + 'static,
    W: FnOnce(Arc<App>, Events) -> F,
{
    let place = app
        .streams
        .try_acquire(&who.principal(), 1)
        .ok_or_else(|| ApiFailure::busy("too many live streams are open"))?;
    let (events, receiver) = mpsc::channel(QUEUED_EVENTS);
    let gone = events.clone();
    let stopping = Arc::clone(app);
    let work = work(Arc::clone(app), events);
    tokio::spawn(async move {
        tokio::select! {
            () = work => {}
            () = gone.closed() => {}
            () = stopping.stopped() => {}
            () = until_revoked(&stopping, &who) => {}
        }
        drop(place);
    });
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    let mut response =
        Sse::new(ReceiverStream::new(receiver)).keep_alive(keep_alive).into_response();
    // Proxies that gather answers before they pass them on would break a live feed.
    let no = axum::http::HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", no);
    Ok(response)
}

/// Resolves when the session has ended or the token was revoked.
async fn until_revoked(app: &App, who: &SignedIn) {
    loop {
        // Made before the look, so that an end during it is not missed.
        let changed = app.authority_changed.notified();
        if !who.still_reads(app).await {
            return;
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(AUTHORITY_EVERY) => {}
        }
    }
}

pub(super) async fn send<T: serde::Serialize>(events: &Events, name: &str, data: &T) -> bool {
    match Event::default().event(name).json_data(data) {
        Ok(event) => events.send(Ok(event)).await.is_ok(),
        Err(error) => {
            tracing::error!(%error, "an event could not be written as JSON");
            false
        }
    }
}
