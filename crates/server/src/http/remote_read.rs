//! Remote read: raw samples for another Prometheus, which evaluates over them itself.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use muster_series::SeriesColumns;
use muster_wire::remote_read::{self as wire, ReadQuery, decode_request};

use super::answer::{Answer, AnswerError, Rest};
use super::authority::Reader;
use super::json_body::BODY_TIMEOUT;
use super::prometheus_json::series_held;
use super::prometheus_params::{Allowance, QUERY_TIMEOUT};
use super::prometheus_reply::PromFailure;
use super::prometheus_work::answer_as;
use crate::app::App;
use crate::store::{MAX_SAMPLES, MetricStore, QueryRun};

/// The most bytes of a request, compressed, and what they may decompress to.
const MAX_REQUEST: usize = 1 << 20;
/// How many bytes a fragment of a block of snappy may have: copies reach no further back.
const FRAGMENT: usize = 64 << 10;
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
    let answered =
        answer_as(PROTOBUF, &app, &who, allowance, move |store, run| select(store, &queries, run));
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

/// The series of all queries, and all of them together within the limit of one query.
fn select(
    store: &dyn MetricStore,
    queries: &[ReadQuery],
    run: &QueryRun,
) -> Result<Answer, PromFailure> {
    let (mut results, mut samples) = (Vec::new(), 0);
    for ReadQuery { matchers, range } in queries {
        let mut found = store.select(matchers, *range, run)?;
        found.retain(|series| !series.is_empty());
        found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        samples += found.iter().map(SeriesColumns::len).sum::<usize>();
        if samples > MAX_SAMPLES {
            return Err(PromFailure::execution(format!(
                "the queries of this request would load more than {MAX_SAMPLES} samples together; \
                 send fewer at once, or choose fewer series or a shorter range"
            )));
        }
        results.push(found);
    }
    Snappy::answer(wire::Answer::new(results))
}

/// An answer on its way into one block of snappy, which is the length of all and then fragments, each compressed on its own.
struct Snappy {
    answer: wire::Answer,
    fragment: Vec<u8>,
    encoder: snap::raw::Encoder,
}

impl Snappy {
    fn answer(answer: wire::Answer) -> Result<Answer, PromFailure> {
        // Decoders take no more than a block of snappy can say.
        let bytes = u32::try_from(answer.bytes()).map_err(|_| {
            PromFailure::execution(
                "the answer is larger than 4 GiB; choose fewer series or a shorter range".into(),
            )
        })?;
        let mut begin = Vec::new();
        write_varint(&mut begin, bytes);
        let (fragment, encoder) = (Vec::new(), snap::raw::Encoder::new());
        Ok(Answer::new(begin, Self { answer, fragment, encoder }, Vec::new()))
    }
}

impl Rest for Snappy {
    fn write(&mut self, out: &mut Vec<u8>) -> Result<bool, AnswerError> {
        let more = self.answer.write(&mut self.fragment, FRAGMENT);
        while self.fragment.len() >= FRAGMENT || (!more && !self.fragment.is_empty()) {
            let left = self.fragment.split_off(self.fragment.len().min(FRAGMENT));
            let fragment = std::mem::replace(&mut self.fragment, left);
            let block = self.encoder.compress_vec(&fragment);
            let block = block.map_err(|error| AnswerError(error.to_string()))?;
            let length_ends = block.iter().position(|byte| byte & 0x80 == 0);
            out.extend_from_slice(&block[length_ends.map_or(0, |at| at + 1)..]);
        }
        Ok(more)
    }

    fn held(&self) -> usize {
        self.answer.unwritten().map(series_held).sum()
    }
}

fn write_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use muster_series::Labels;

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

    #[test]
    fn fragments_are_one_block_of_snappy() {
        for count in [0_i64, 1, 5_000, 50_000] {
            let series = SeriesColumns {
                labels: Labels::from_pairs([("__name__", "m")]).unwrap(),
                timestamps: (0..count).collect(),
                values: (0..count).map(|n| (n as f64).sin()).collect(),
            };
            let results = || vec![vec![series.clone(), series.clone()], Vec::new()];
            let mut plain = Vec::new();
            while wire::Answer::new(results()).write(&mut plain, usize::MAX) {}
            let mut answer = Snappy::answer(wire::Answer::new(results())).unwrap();
            let mut block = Vec::new();
            loop {
                let piece = answer.next_piece().unwrap();
                if piece.is_empty() {
                    break;
                }
                block.extend_from_slice(&piece);
            }
            let read = snap::raw::Decoder::new().decompress_vec(&block).unwrap();
            assert_eq!(read, plain, "{count}");
        }
    }
}
