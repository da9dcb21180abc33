//! Prometheus's queries over HTTP: parameters in, the store's answers out.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use axum::response::Response;
use muster_promql::{Evaluated, Value};

use super::answer::Answer;
use super::authority::Reader;
use super::prometheus_params::{Params, unescape_name};
use super::prometheus_reply::{
    PromFailure, data_reply, evaluated_answer, label_sets_answer, texts_answer,
};
use super::prometheus_stats::Stopwatch;
use super::prometheus_work::answer;
use crate::app::App;
use crate::store::QueryError;

/// What is said of an answer that `limit` cut.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// The value of an expression at one instant.
pub(crate) async fn query(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let (text, limit) = (params.required("query")?.to_owned(), params.limit()?);
    let at_ms = params.time_ms("time")?.unwrap_or_else(|| app.clock.now_ms());
    let stopwatch = Stopwatch::start(&params);
    answer(&app, &who, params.allowance()?, move |store, run| {
        evaluate(stopwatch, limit, || store.query_instant(&text, at_ms, run))
    })
    .await
}

/// The values of an expression at each step of a range.
pub(crate) async fn query_range(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let (text, limit) = (params.required("query")?.to_owned(), params.limit()?);
    params.required("start")?;
    params.required("end")?;
    let (range, step_ms) = (params.range()?, params.step_ms()?);
    let stopwatch = Stopwatch::start(&params);
    answer(&app, &who, params.allowance()?, move |store, run| {
        evaluate(stopwatch, limit, || store.query_range(&text, range, step_ms, run))
    })
    .await
}

/// The answer of a query, with as many series and such statistics as are wanted.
fn evaluate(
    stopwatch: Stopwatch,
    limit: usize,
    query: impl FnOnce() -> Result<Evaluated, QueryError>,
) -> Result<Answer, PromFailure> {
    let began = Instant::now();
    let mut evaluated = query()?;
    let stats = stopwatch.stats(began, evaluated.samples.take());
    if truncate(&mut evaluated.value, limit) {
        evaluated.warnings.push(TRUNCATED.into());
    }
    Ok(evaluated_answer(evaluated, stats.as_ref()))
}

/// Leaves the first `limit` series; whether there were more.
fn truncate(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Scalar { .. } | Value::String { .. } => false,
        Value::Vector(samples) => {
            let more = samples.len() > limit;
            samples.truncate(limit);
            more
        }
        Value::Matrix(series) => {
            let more = series.len() > limit;
            series.truncate(limit);
            more
        }
    }
}

/// The label sets of series.
pub(crate) async fn series(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let (sets, range, limit) = (params.required_selectors()?, params.range()?, params.limit()?);
    answer(&app, &who, params.allowance()?, move |store, _| {
        let found = store.series_labels(&sets, range, limit.saturating_add(1))?;
        Ok(label_sets_answer(found, limit))
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
    answer(&app, &who, params.allowance()?, move |store, _| {
        let names = store.label_names(&sets, range, limit.saturating_add(1))?;
        Ok(texts_answer(names, limit))
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
    if name.is_empty() {
        return Err(PromFailure::not_found());
    }
    let name = unescape_name(&name);
    if name.is_empty() {
        return Err(PromFailure::bad_data("invalid label name: \"\""));
    }
    let (sets, range, limit) = (params.selectors()?, params.range()?, params.limit()?);
    answer(&app, &who, params.allowance()?, move |store, _| {
        let values = store.label_values(&name, &sets, range, limit.saturating_add(1))?;
        Ok(texts_answer(values, limit))
    })
    .await
}

/// Exemplars, of which the store keeps none.
pub(crate) async fn exemplars(_: Reader, params: Params) -> Result<Response, PromFailure> {
    parse_query(&params, |text| muster_promql::parse(text).map(drop))?;
    params.range()?;
    Ok(data_reply(&[(); 0]))
}

/// An expression in Prometheus's layout.
pub(crate) async fn format_query(_: Reader, params: Params) -> Result<Response, PromFailure> {
    Ok(data_reply(&parse_query(&params, muster_promql::format_query)?))
}

/// An expression as a tree.
pub(crate) async fn parse_query_tree(_: Reader, params: Params) -> Result<Response, PromFailure> {
    Ok(data_reply(&parse_query(&params, muster_promql::syntax_tree)?))
}

/// What `parse` makes of the parameter `query`.
fn parse_query<T>(
    params: &Params,
    parse: impl Fn(&str) -> Result<T, muster_promql::ParseError>,
) -> Result<T, PromFailure> {
    parse(params.required("query")?)
        .map_err(|error| PromFailure::bad_data(&format!("invalid parameter \"query\": {error}")))
}
