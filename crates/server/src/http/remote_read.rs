//! Remote read: raw samples for another Prometheus, which evaluates over them itself.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use muster_wire::remote_read::{ReadQuery, decode_request, encode_result, encode_series};

use super::answer::{AnswerError, MAX_ANSWER};
use super::authority::Reader;
use super::json_body::BODY_TIMEOUT;
use super::prometheus_params::{Allowance, QUERY_TIMEOUT};
use super::prometheus_reply::PromFailure;
use super::prometheus_work::answer_as;
use crate::app::App;
use crate::store::{MetricStore, QueryRun};

/// The most bytes of a request, compressed, and what they may decompress to.
const MAX_REQUEST: usize = 1 << 20;
/// The type of requests and answers.
const PROTOBUF: &str = "application/x-protobuf";

/// Answers each query of the request with its series, sorted, and their samples.
pub(crate) async fn read(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, PromFailure> {
    let reading = axum::body::to_bytes(request.into_body(), MAX_REQUEST);
    let body = tokio::time::timeout(BODY_TIMEOUT, reading)
        .await
        .map_err(|_| PromFailure::timeout("the request did not arrive in time"))?
        .map_err(|_| PromFailure::bad_data("the request is larger than 1 MiB"))?;
    let queries = decode(&body)?;
    let allowance = Allowance { timeout: QUERY_TIMEOUT, run: QueryRun::default() };
    let answered = answer_as(PROTOBUF, &app, &who, allowance, move |store, run, out| {
        *out.text() = encode(store, &queries, run)?;
        out.turn()?;
        Ok(())
    });
    let mut response = answered.await?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    headers.insert(
        HeaderName::from_static("x-prometheus-remote-read-version"),
        HeaderValue::from_static("0.1.0"),
    );
    Ok(response)
}

fn decode(body: &Bytes) -> Result<Vec<ReadQuery>, PromFailure> {
    let no_snappy = |_| PromFailure::bad_data("the request is not compressed as a block of snappy");
    if snap::raw::decompress_len(body).map_err(no_snappy)? > MAX_REQUEST {
        return Err(PromFailure::bad_data("the request is larger than 1 MiB when decompressed"));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(body).map_err(no_snappy)?;
    decode_request(&bytes).map_err(|error| PromFailure::bad_data(&error.to_string()))
}

fn encode(
    store: &dyn MetricStore,
    queries: &[ReadQuery],
    run: &QueryRun,
) -> Result<Vec<u8>, PromFailure> {
    let mut answer = Vec::new();
    for ReadQuery { matchers, range } in queries {
        let mut found = store.select(matchers, *range, run)?;
        found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let mut result = Vec::new();
        for series in found {
            if !series.is_empty() {
                encode_series(&mut result, &series);
            }
            if run.is_stopped() {
                return Err(AnswerError::Cancelled.into());
            }
            if answer.len() + result.len() > MAX_ANSWER {
                return Err(AnswerError::TooLarge.into());
            }
        }
        encode_result(&mut answer, &result);
    }
    let compressed = snap::raw::Encoder::new().compress_vec(&answer);
    compressed.map_err(|_| AnswerError::TooLarge.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(body: &'static [u8], expected: &str) {
        let failure = decode(&Bytes::from_static(body)).expect_err("it is refused");
        assert!(format!("{failure:?}").contains(expected), "{failure:?}");
    }

    #[test]
    fn what_is_no_request_is_refused_before_anything_is_made_of_it() {
        check_refused(b"plain", "snappy");
        check_refused(b"\xff\xff\xff\xff\x0f", "larger than 1 MiB");
        check_refused(b"\x02\x04\xff\xff", "no remote read request");
    }
}
