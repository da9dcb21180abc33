//! When a rule would have fired: a replay over what is stored, as a person's query.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use muster_alerting::catalogue;
use muster_api::{Backtest, BacktestResult, Failure, SettingsScope};
use muster_series::TimeRange;

use super::authority::Reader;
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use super::rules::check_change;
use crate::app::App;
use crate::judging::backtest::{self, BacktestError, Receivers, Wanted};
use crate::judging::{sources, thresholds};
use crate::store::QueryRun;

/// The longest range, in milliseconds: 90 days.
const MAX_RANGE_MS: i64 = 90 * 86_400_000;
/// How long a replay waits for its turn among queries.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take then.
const REPLAY_TIMEOUT: Duration = Duration::from_mins(1);

/// Says when a rule would have fired, and what would have been sent.
#[utoipa::path(post, path = "/api/muster/v1/rules/backtest", request_body = Backtest, responses(
    (status = 200, description = "What came of it", body = BacktestResult),
    (status = 400, description = "The rule or the range cannot be used", body = Failure),
    (status = 404, description = "No such built-in rule", body = Failure),
    (status = 422, description = "It takes too long (`too_much`)", body = Failure),
    (status = 503, description = "Too many others compute", body = Failure),
))]
pub(crate) async fn backtest(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<Backtest>,
) -> Result<Json<BacktestResult>, ApiFailure> {
    let range = range(&request, app.clock.now_ms())?;
    let hosts = hosts(&app, &request);
    let wanted = wanted(&app, request)?;
    app.counters.queries.add(1);
    let result = compute(&app, &who.principal(), (wanted, hosts), range).await;
    if result.is_err() {
        app.counters.failed_queries.add(1);
    }
    result.map(Json)
}

fn range(request: &Backtest, now_ms: i64) -> Result<TimeRange, ApiFailure> {
    let (from_ms, to_ms) = (request.from_ms, request.to_ms.min(now_ms));
    if from_ms < 0 || to_ms <= from_ms {
        return Err(ApiFailure::bad_request(
            "from_ms must be before to_ms and before now; both are milliseconds since 1970",
        ));
    }
    if to_ms - from_ms > MAX_RANGE_MS {
        return Err(ApiFailure::bad_request("choose a range of at most 90 days"));
    }
    Ok(TimeRange::new(from_ms, to_ms))
}

/// The hosts that are looked at, if not all.
fn hosts(app: &App, request: &Backtest) -> Option<HashSet<String>> {
    match request.scope {
        SettingsScope::All => None,
        SettingsScope::Group => {
            Some(app.judging.judge.lock().thresholds().hosts_of(&request.target))
        }
        SettingsScope::Host => Some(HashSet::from([request.target.clone()])),
    }
}

fn wanted(app: &App, request: Backtest) -> Result<Wanted, ApiFailure> {
    let Backtest { built_in, levels, yaml, .. } = request;
    match (built_in, yaml) {
        (Some(id), None) => {
            let rule = catalogue().iter().find(|rule| rule.id == id);
            let rule =
                rule.ok_or_else(|| ApiFailure::not_found("there is no such built-in rule"))?;
            for (name, change) in &levels {
                check_change(rule, name, change).map_err(ApiFailure::bad_request)?;
            }
            let now = app.judging.judge.lock().thresholds().clone();
            let changes = thresholds::inner(&levels);
            let is_changed = !changes.is_empty();
            let thresholds = if is_changed { backtest::tried(rule, &now, changes) } else { now };
            Ok(Wanted::BuiltIn(rule, thresholds))
        }
        (None, Some(_)) if !levels.is_empty() => {
            Err(ApiFailure::bad_request("levels are for built-in rules; change the YAML instead"))
        }
        (None, Some(yaml)) => {
            let file = sources::parse(&yaml)
                .map_err(|problems| ApiFailure::bad_request(sources::describe(&problems)))?;
            Ok(Wanted::Own(file))
        }
        _ => Err(ApiFailure::bad_request("give either built_in or yaml")),
    }
}

async fn compute(
    app: &Arc<App>,
    principal: &str,
    (wanted, hosts): (Wanted, Option<HashSet<String>>),
    range: TimeRange,
) -> Result<BacktestResult, ApiFailure> {
    let Ok(turn) = tokio::time::timeout(TURN_TIMEOUT, app.queries.acquire(principal)).await else {
        return Err(ApiFailure::busy("others are computing; try again later"));
    };
    let run = QueryRun::default();
    // The replay ends soon when the client goes away.
    let _stop = run.stop_on_drop();
    let working = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let began = Instant::now();
        let routing = working.alarms.look(|core| core.routing().clone());
        let receivers = Receivers {
            routing,
            channels: working.alarms.channel_names(),
            external_url: working.outbox.place.public_url.clone(),
        };
        let result = backtest::replay((wanted, hosts), receivers, range, &*working.store, &run);
        result
            .map(|result| BacktestResult { took_seconds: began.elapsed().as_secs_f64(), ..result })
    });
    let too_much = || {
        ApiFailure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "too_much",
            "the replay takes longer than a minute; choose a shorter range, fewer rules, or rules that fire less",
        )
    };
    match tokio::time::timeout(REPLAY_TIMEOUT, done).await {
        Ok(Ok(Ok(result))) => Ok(result),
        Ok(Ok(Err(BacktestError::Stopped))) | Err(_) => Err(too_much()),
        Ok(Ok(Err(error @ BacktestError::Rule { .. }))) => {
            Err(ApiFailure::bad_request(error.to_string()))
        }
        Ok(Err(error)) => {
            app.counters.panics.add(1);
            tracing::error!(%error, "a replay failed in a way it should not");
            Err(ApiFailure::internal())
        }
    }
}
