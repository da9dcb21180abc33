//! Prometheus's HTTP API: parameters in, the store's answers out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{Method, header};
use axum::response::Response;
use muster_series::{Matcher, TimeRange, parse_duration_ms};

use super::answer::{self, MAX_ANSWER, Pieces};
use super::authority::{Reader, SignedIn};
use super::json_body::BODY_TIMEOUT;
use super::prometheus_reply::{
    PromFailure, data_reply, json_reply, write_evaluated, write_label_sets, write_texts,
};
use crate::app::App;
use crate::shares::Place;
use crate::store::{MetricStore, QueryRun};

/// The most bytes of a form.
const MAX_FORM: usize = 1 << 20;
/// How long a query may wait for its turn, and how long it may compute then.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Parameters of a request: of its address, and of its body if that is a form.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = PromFailure;

    async fn from_request(request: Request, _: &S) -> Result<Self, PromFailure> {
        let mut pairs = parse_pairs(request.uri().query().unwrap_or_default().as_bytes());
        let form = request.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().starts_with(b"application/x-www-form-urlencoded")
        });
        if matches!(*request.method(), Method::POST | Method::PUT) && form {
            let reading = axum::body::to_bytes(request.into_body(), MAX_FORM);
            let body = tokio::time::timeout(BODY_TIMEOUT, reading)
                .await
                .map_err(|_| PromFailure::timeout("the form did not arrive in time"))?
                .map_err(|_| PromFailure::bad_data("the form is larger than 1 MiB"))?;
            pairs.extend(parse_pairs(&body));
        }
        Ok(Self(pairs))
    }
}

fn parse_pairs(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

impl Params {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, PromFailure> {
        self.get(name)
            .ok_or_else(|| PromFailure::bad_data(&format!("the parameter {name:?} is missing")))
    }

    fn time_ms(&self, name: &str) -> Result<Option<i64>, PromFailure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        parse_time_ms(text).map(Some).ok_or_else(|| {
            PromFailure::bad_data(&format!(
                "invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp; \
                 give seconds since 1970 or a time like 2026-09-01T08:00:00Z"
            ))
        })
    }

    /// The sets of matchers in `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, PromFailure> {
        self.0
            .iter()
            .filter(|(name, _)| name == "match[]")
            .map(|(_, text)| {
                muster_promql::parse_selector(text).map_err(|error| {
                    PromFailure::bad_data(&format!("invalid parameter \"match[]\": {error}"))
                })
            })
            .collect()
    }

    pub(super) fn range(&self) -> Result<TimeRange, PromFailure> {
        let start = self.time_ms("start")?.unwrap_or(i64::MIN);
        let end = self.time_ms("end")?.unwrap_or(i64::MAX);
        if end < start {
            return Err(PromFailure::bad_data("end timestamp must not be before start timestamp"));
        }
        Ok(TimeRange::new(start, end))
    }

    fn limit(&self) -> Result<usize, PromFailure> {
        match self.get("limit").map(str::parse::<usize>) {
            None | Some(Ok(0)) => Ok(usize::MAX),
            Some(Ok(limit)) => Ok(limit),
            Some(Err(_)) => Err(PromFailure::bad_data("limit must be a number")),
        }
    }
}

/// Seconds since 1970, with fraction, or RFC 3339.
fn parse_time_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1_000.0).round();
        return (ms.abs() < 9e15).then_some(ms as i64);
    }
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Seconds with fraction, or a duration like `15s`.
fn parse_step_ms(text: &str) -> Option<i64> {
    let ms = match text.parse::<f64>() {
        Ok(seconds) => {
            let ms = (seconds * 1_000.0).round();
            (ms.abs() < 9e15).then_some(ms as i64)?
        }
        Err(_) => parse_duration_ms(text).ok()?,
    };
    (ms > 0).then_some(ms)
}

/// Lets the store work and its answer be written, at most so many at a time; stops it when it takes too long or the
/// client goes away.
async fn answer(
    app: &Arc<App>,
    who: &SignedIn,
    work: impl FnOnce(&dyn MetricStore, &QueryRun, &mut Pieces) -> Result<(), PromFailure>
    + Send
    + 'static,
) -> Result<Response, PromFailure> {
    app.counters.queries.add(1);
    let result = compute(app, who.principal(), work, QUERY_TIMEOUT).await;
    if result.is_err() {
        app.counters.failed_queries.add(1);
    }
    result.map(|(pieces, room)| json_reply(answer::body(pieces, room)))
}

/// The pieces of an answer, and the room that is kept for them.
async fn compute(
    app: &Arc<App>,
    principal: String,
    work: impl FnOnce(&dyn MetricStore, &QueryRun, &mut Pieces) -> Result<(), PromFailure>
    + Send
    + 'static,
    limit: Duration,
) -> Result<(Vec<Bytes>, Place), PromFailure> {
    let Ok(turn) = tokio::time::timeout(limit, app.queries.acquire(&principal)).await else {
        return Err(PromFailure::timeout(
            "the query did not get its turn in time; others are computing, try again later",
        ));
    };
    let run = QueryRun::default();
    let _stop = run.stop_on_drop();
    let working = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut pieces = Pieces::new(run.clone(), MAX_ANSWER);
        work(&*working.store, &run, &mut pieces)?;
        let (pieces, bytes) = pieces.finish()?;
        // One piece is handed over whole, and so waits for nobody's reading.
        let unsent = if pieces.len() > 1 { bytes } else { 0 };
        let kib = u32::try_from(unsent.div_ceil(1 << 10)).expect("an answer has a limit");
        let room = working.answers.try_acquire(&principal, kib);
        let room = room.ok_or_else(|| {
            PromFailure::unavailable("too many answers are waiting to be read; try again")
        })?;
        Ok((pieces, room))
    });
    match tokio::time::timeout(limit, done).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => {
            app.counters.panics.add(1);
            tracing::error!(%error, "a query failed in a way it should not");
            Err(PromFailure::internal())
        }
        Err(_) => Err(PromFailure::timeout(
            "the query timed out in expression evaluation; \
             choose fewer series, a shorter range or a longer step",
        )),
    }
}

/// The value of an expression at one instant.
pub(crate) async fn query(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let text = params.required("query")?.to_owned();
    let at_ms = params.time_ms("time")?.unwrap_or_else(|| app.clock.now_ms());
    answer(&app, &who, move |store, run, out| {
        let evaluated = store.query_instant(&text, at_ms, run)?;
        Ok(write_evaluated(out, &evaluated)?)
    })
    .await
}

/// The values of an expression at each step of a range.
pub(crate) async fn query_range(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let text = params.required("query")?.to_owned();
    params.required("start")?;
    params.required("end")?;
    let range = params.range()?;
    let step = params.required("step")?;
    let step_ms = parse_step_ms(step).ok_or_else(|| {
        PromFailure::bad_data(&format!(
            "invalid parameter \"step\": {step:?} is no positive duration; give seconds or a duration like 15s"
        ))
    })?;
    answer(&app, &who, move |store, run, out| {
        let evaluated = store.query_range(&text, range, step_ms, run)?;
        Ok(write_evaluated(out, &evaluated)?)
    })
    .await
}

/// The label sets of series.
pub(crate) async fn series(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let (sets, range, limit) = (params.selectors()?, params.range()?, params.limit()?);
    if sets.is_empty() {
        return Err(PromFailure::bad_data("no match[] parameter provided"));
    }
    answer(&app, &who, move |store, _, out| {
        let found = store.series_labels(&sets, range, limit)?;
        Ok(write_label_sets(out, &found)?)
    })
    .await
}

/// The names of labels.
pub(crate) async fn labels(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let (sets, range, limit) = (params.selectors()?, params.range()?, params.limit()?);
    answer(&app, &who, move |store, _, out| {
        let names = store.label_names(&sets, range, limit)?;
        Ok(write_texts(out, &names)?)
    })
    .await
}

/// The values of one label.
pub(crate) async fn label_values(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, PromFailure> {
    let (sets, range, limit) = (params.selectors()?, params.range()?, params.limit()?);
    answer(&app, &who, move |store, _, out| {
        let values = store.label_values(&name, &sets, range, limit)?;
        Ok(write_texts(out, &values)?)
    })
    .await
}

/// What Grafana asks to learn which Prometheus it talks to.
pub(crate) async fn build_info(_: Reader) -> Response {
    data_reply(&serde_json::json!({
        "version": "3.8.0",
        "revision": concat!("muster-", env!("CARGO_PKG_VERSION")),
        "branch": "muster",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        assert_eq!(parse_time_ms("1.5"), Some(1_500));
        assert_eq!(parse_time_ms("2026-09-01T08:00:00Z"), Some(1_788_249_600_000));
        assert_eq!(parse_time_ms("2026-09-01T10:00:00+02:00"), Some(1_788_249_600_000));
        for text in ["", "yesterday", "NaN", "1e300", "inf"] {
            assert_eq!(parse_time_ms(text), None, "{text}");
        }
    }

    #[test]
    fn steps_are_positive() {
        assert_eq!(parse_step_ms("0.5"), Some(500));
        assert_eq!(parse_step_ms("1h30m"), Some(5_400_000));
        for text in ["0", "-1", "0s", "NaN", "soon"] {
            assert_eq!(parse_step_ms(text), None, "{text}");
        }
    }
}
