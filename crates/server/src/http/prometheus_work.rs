//! Work for the store: waits for its turn, computes on a thread that may block, is stopped when it takes too long or
//! the client goes away.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::answer::{self, MAX_ANSWER, Pieces};
use super::authority::SignedIn;
use super::prometheus_params::Allowance;
use super::prometheus_reply::PromFailure;
use crate::app::App;
use crate::shares::Place;
use crate::store::{MetricStore, QueryRun};

/// Lets the store work and its answer be written, at most so many at a time.
pub(super) async fn answer(
    app: &Arc<App>,
    who: &SignedIn,
    allowance: Allowance,
    work: impl FnOnce(&dyn MetricStore, &QueryRun, &mut Pieces) -> Result<(), PromFailure>
    + Send
    + 'static,
) -> Result<Response, PromFailure> {
    answer_as("application/json", app, who, allowance, work).await
}

/// The same, for an answer of another type.
pub(super) async fn answer_as(
    content_type: &'static str,
    app: &Arc<App>,
    who: &SignedIn,
    allowance: Allowance,
    work: impl FnOnce(&dyn MetricStore, &QueryRun, &mut Pieces) -> Result<(), PromFailure>
    + Send
    + 'static,
) -> Result<Response, PromFailure> {
    app.counters.queries.add(1);
    let result = compute(app, who.principal(), allowance, work).await;
    if result.is_err() {
        app.counters.failed_queries.add(1);
    }
    result.map(|(pieces, room)| {
        let content_type = HeaderValue::from_static(content_type);
        ([(header::CONTENT_TYPE, content_type)], answer::body(pieces, room)).into_response()
    })
}

/// The pieces of an answer, and the room that is kept for them.
async fn compute(
    app: &Arc<App>,
    principal: String,
    allowance: Allowance,
    work: impl FnOnce(&dyn MetricStore, &QueryRun, &mut Pieces) -> Result<(), PromFailure>
    + Send
    + 'static,
) -> Result<(Vec<Bytes>, Place), PromFailure> {
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
