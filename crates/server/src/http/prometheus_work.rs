//! Work for the store: waits for its turn, computes on a thread that may block, is stopped when it takes too long or
//! the client goes away.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::answer::{self, Answer};
use super::authority::SignedIn;
use super::prometheus_params::Allowance;
use super::prometheus_reply::PromFailure;
use crate::app::App;
use crate::shares::Place;
use crate::store::{MetricStore, QueryRun};

/// Lets the store work, at most so many at a time, and sends what comes out of it.
pub(super) async fn answer(
    app: &Arc<App>,
    who: &SignedIn,
    allowance: Allowance,
    work: impl FnOnce(&dyn MetricStore, &QueryRun) -> Result<Answer, PromFailure> + Send + 'static,
) -> Result<Response, PromFailure> {
    answer_as("application/json", app, who, allowance, work).await
}

/// The same, for an answer of another type.
pub(super) async fn answer_as(
    content_type: &'static str,
    app: &Arc<App>,
    who: &SignedIn,
    allowance: Allowance,
    work: impl FnOnce(&dyn MetricStore, &QueryRun) -> Result<Answer, PromFailure> + Send + 'static,
) -> Result<Response, PromFailure> {
    app.counters.queries.add(1);
    let result = compute(app, who.principal(), allowance, work).await;
    if result.is_err() {
        app.counters.failed_queries.add(1);
    }
    result.map(|Begun { first, answer, place }| {
        let content_type = HeaderValue::from_static(content_type);
        ([(header::CONTENT_TYPE, content_type)], answer::body(first, answer, place)).into_response()
    })
}

/// An answer, and the place that what it holds takes until it is sent.
struct Begun {
    first: Bytes,
    answer: Answer,
    place: Option<Place>,
}

async fn compute(
    app: &Arc<App>,
    principal: String,
    allowance: Allowance,
    work: impl FnOnce(&dyn MetricStore, &QueryRun) -> Result<Answer, PromFailure> + Send + 'static,
) -> Result<Begun, PromFailure> {
    let Allowance { timeout, run } = allowance;
    if timeout.is_zero() {
        return Err(PromFailure::timeout("the query was given no time"));
    }
    let Ok(turn) = tokio::time::timeout(timeout, app.queries.acquire(&principal)).await else {
        return Err(PromFailure::timeout(
            "the query did not get its turn in time; others are computing, try again later",
        ));
    };
    let _stop = run.stop_on_drop();
    let working = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || {
        let mut answer = work(&*working.store, &run)?;
        let first = answer.next_piece()?;
        if answer.is_written() {
            return Ok(Begun { first, answer, place: None });
        }
        // What is held for a client that reads slowly keeps nobody from computing while there is room for it, and is
        // one of the computing queries itself where there is none: together they bound what all of them take.
        let kib = u32::try_from(answer.held().div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let room = working.answers.try_acquire(&principal, kib);
        Ok(Begun { first, answer, place: Some(room.unwrap_or(turn)) })
    });
    match tokio::time::timeout(timeout, done).await {
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
