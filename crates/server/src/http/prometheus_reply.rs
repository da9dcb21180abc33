//! Replies in Prometheus's envelope: `{"status":"success","data":…}` or an error with its type.
//!
//! Sample values are text; they are written as Prometheus writes them (shortest decimal that reads back the same,
//! an exponent below 1e-6 and from 1e21 on).

use std::io::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_promql::{EvaluateError, Evaluated, Value};
use muster_series::Labels;
use muster_tsdb::TsdbError;
use serde::Serialize;

use super::answer::{AnswerError, Pieces};
use super::failure::ApiFailure;
use super::prometheus::TRUNCATED;
use crate::store::QueryError;

/// A failure in Prometheus's envelope.
#[derive(Debug)]
pub(crate) struct PromFailure {
    status: StatusCode,
    kind: &'static str,
    error: String,
}

impl PromFailure {
    pub(crate) fn bad_data(error: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", error: error.to_owned() }
    }

    pub(crate) fn not_found() -> Self {
        let error = "Muster does not answer this part of Prometheus's API".to_owned();
        Self { status: StatusCode::NOT_FOUND, kind: "not_found", error }
    }

    pub(crate) fn internal() -> Self {
        let error = "the server failed at this query; its log says why".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", error }
    }

    /// The query took too long, to get its turn or to compute.
    pub(crate) fn timeout(error: &str) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "timeout", error: error.to_owned() }
    }

    /// There is no room for the answer at this moment.
    pub(crate) fn unavailable(error: &str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: "unavailable",
            error: error.to_owned(),
        }
    }

    fn canceled(error: String) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "canceled", error }
    }

    fn execution(error: String) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", error }
    }
}

impl From<QueryError> for PromFailure {
    fn from(error: QueryError) -> Self {
        let text = error.to_string();
        match error {
            QueryError::Parse(_) => Self::bad_data(&format!("invalid parameter \"query\": {text}")),
            QueryError::Evaluate(EvaluateError::BadQuery(_)) => Self::bad_data(&text),
            QueryError::Evaluate(EvaluateError::Cancelled) => Self::canceled(text),
            QueryError::Evaluate(_) => Self::execution(text),
            QueryError::Store(error) => error.into(),
        }
    }
}

impl From<TsdbError> for PromFailure {
    fn from(error: TsdbError) -> Self {
        let text = error.to_string();
        match error {
            TsdbError::Cancelled => Self::canceled(text),
            _ => Self::execution(text),
        }
    }
}

impl From<AnswerError> for PromFailure {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::TooLarge => Self::execution(error.to_string()),
            AnswerError::Cancelled => Self::canceled(error.to_string()),
        }
    }
}

impl IntoResponse for PromFailure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "status": "error", "errorType": self.kind, "error": self.error,
        });
        let mut response = (self.status, axum::Json(body)).into_response();
        if self.kind == "unavailable" {
            let soon = HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

impl From<ApiFailure> for PromFailure {
    fn from(_: ApiFailure) -> Self {
        Self::internal()
    }
}

/// `{"status":"success","data":DATA}`, for small data.
pub(crate) fn data_reply<T: Serialize + ?Sized>(data: &T) -> Response {
    axum::Json(serde_json::json!({ "status": "success", "data": data })).into_response()
}

/// Writes data that is small enough to be built first.
pub(crate) fn write_data(out: &mut Pieces, data: &serde_json::Value) {
    let _ = write!(out.text(), "{{\"status\":\"success\",\"data\":{data}}}");
}

/// What every answer that is written here begins with.
const SUCCESS: &[u8] = br#"{"status":"success","data":"#;

/// Writes the value of an expression, with its warnings and infos.
pub(crate) fn write_evaluated(out: &mut Pieces, evaluated: &Evaluated) -> Result<(), AnswerError> {
    out.text().extend_from_slice(SUCCESS);
    write_value(out, &evaluated.value)?;
    for (name, texts) in [("warnings", &evaluated.warnings), ("infos", &evaluated.infos)] {
        if !texts.is_empty() {
            let _ = write!(out.text(), ",\"{name}\":{}", serde_json::json!(texts));
        }
    }
    out.text().push(b'}');
    Ok(())
}

/// Writes the first `limit` of a list of texts; a warning says that there were more.
pub(crate) fn write_texts(
    out: &mut Pieces,
    texts: &[String],
    limit: usize,
) -> Result<(), AnswerError> {
    write_list(out, texts, limit, |out, text| write_text(out, text))
}

/// Writes the first `limit` of a list of label sets; a warning says that there were more.
pub(crate) fn write_label_sets(
    out: &mut Pieces,
    sets: &[Labels],
    limit: usize,
) -> Result<(), AnswerError> {
    write_list(out, sets, limit, write_labels)
}

fn write_list<T>(
    out: &mut Pieces,
    items: &[T],
    limit: usize,
    write: impl Fn(&mut Vec<u8>, &T),
) -> Result<(), AnswerError> {
    out.text().extend_from_slice(SUCCESS);
    out.text().push(b'[');
    for (at, item) in items.iter().take(limit).enumerate() {
        if at > 0 {
            out.text().push(b',');
        }
        write(out.text(), item);
        out.turn()?;
    }
    out.text().push(b']');
    if items.len() > limit {
        let _ = write!(out.text(), ",\"warnings\":[\"{TRUNCATED}\"]");
    }
    out.text().push(b'}');
    Ok(())
}

fn write_value(out: &mut Pieces, value: &Value) -> Result<(), AnswerError> {
    match value {
        Value::Scalar { timestamp_ms, value } => {
            let out = out.text();
            out.extend_from_slice(br#"{"resultType":"scalar","result":"#);
            write_point(out, *timestamp_ms, *value);
            out.push(b'}');
        }
        Value::String { timestamp_ms, value } => {
            let out = out.text();
            out.extend_from_slice(br#"{"resultType":"string","result":["#);
            write_seconds(out, *timestamp_ms);
            out.push(b',');
            write_text(out, value);
            out.extend_from_slice(b"]}");
        }
        Value::Vector(samples) => {
            begin(out, "vector");
            for (at, sample) in samples.iter().enumerate() {
                write_metric(out, at, &sample.labels);
                out.text().extend_from_slice(b",\"value\":");
                write_point(out.text(), sample.timestamp_ms, sample.value);
                out.text().push(b'}');
                out.turn()?;
            }
            out.text().extend_from_slice(b"]}");
        }
        Value::Matrix(series) => {
            begin(out, "matrix");
            for (at, one) in series.iter().enumerate() {
                write_metric(out, at, &one.labels);
                out.text().extend_from_slice(b",\"values\":[");
                for (at, sample) in one.samples().enumerate() {
                    if at > 0 {
                        out.text().push(b',');
                    }
                    write_point(out.text(), sample.timestamp_ms, sample.value);
                    out.turn()?;
                }
                out.text().extend_from_slice(b"]}");
            }
            out.text().extend_from_slice(b"]}");
        }
    }
    Ok(())
}

fn begin(out: &mut Pieces, kind: &str) {
    let _ = write!(out.text(), "{{\"resultType\":\"{kind}\",\"result\":[");
}

/// The beginning of the `at`th series of a list.
fn write_metric(out: &mut Pieces, at: usize, labels: &Labels) {
    let out = out.text();
    let opening = if at > 0 { ",{\"metric\":" } else { "{\"metric\":" };
    out.extend_from_slice(opening.as_bytes());
    write_labels(out, labels);
}

fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_text(out, value);
    }
    out.push(b'}');
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text is JSON, and memory takes it");
}

fn write_point(out: &mut Vec<u8>, timestamp_ms: i64, value: f64) {
    out.push(b'[');
    write_seconds(out, timestamp_ms);
    out.extend_from_slice(b",\"");
    write_number(out, value);
    out.extend_from_slice(b"\"]");
}

fn write_seconds(out: &mut Vec<u8>, ms: i64) {
    let sign = if ms < 0 { "-" } else { "" };
    let (seconds, rest) = (ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000);
    let _ = match rest {
        0 => write!(out, "{sign}{seconds}"),
        rest => write!(out, "{sign}{seconds}.{rest:03}"),
    };
}

fn write_number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    let _ = if value.is_nan() {
        write!(out, "NaN")
    } else if value.is_infinite() {
        write!(out, "{}Inf", if value > 0.0 { '+' } else { '-' })
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        match text.split_once("e-") {
            Some((digits, exponent)) => write!(out, "{digits}e-{exponent:0>2}"),
            None => write!(out, "{}", text.replace('e', "e+")),
        }
    } else {
        write!(out, "{value}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::QueryRun;
    use muster_promql::InstantSample;
    use muster_series::SeriesColumns;

    #[track_caller]
    fn check_number(value: f64, expected: &str) {
        let mut text = Vec::new();
        write_number(&mut text, value);
        assert_eq!(text, expected.as_bytes());
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        check_number(0.0, "0");
        check_number(1.5, "1.5");
        check_number(1e20, "100000000000000000000");
        check_number(1e21, "1e+21");
        check_number(-1.5e-7, "-1.5e-07");
        check_number(1e-12, "1e-12");
        check_number(f64::NAN, "NaN");
        check_number(f64::NEG_INFINITY, "-Inf");
        check_number(f64::INFINITY, "+Inf");
    }

    #[test]
    fn a_label_cannot_break_out_of_the_json() {
        let labels = Labels::from_pairs([("a", "x\"},{\u{1}</script>")]).unwrap();
        let value = Value::Vector(vec![InstantSample { labels, timestamp_ms: 1_500, value: 2.0 }]);
        let mut pieces = Pieces::new(QueryRun::default(), 1 << 10);
        write_value(&mut pieces, &value).unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(pieces.text()).unwrap();
        assert_eq!(parsed["result"][0]["metric"]["a"], "x\"},{\u{1}</script>");
        assert_eq!(parsed["result"][0]["value"], serde_json::json!([1.5, "2"]));
    }

    #[test]
    fn seconds_keep_their_milliseconds() {
        for (ms, expected) in [(0, "0"), (1_000, "1"), (1_005, "1.005"), (-1_500, "-1.500")] {
            let mut text = Vec::new();
            write_seconds(&mut text, ms);
            assert_eq!(text, expected.as_bytes());
        }
    }

    #[test]
    fn lists_and_matrices_are_whole_json() {
        let labels = Labels::from_pairs([("a", "b")]).unwrap();
        let series = |values: &[f64]| SeriesColumns {
            labels: labels.clone(),
            timestamps: (0..values.len() as i64).collect(),
            values: values.to_vec(),
        };
        let mut pieces = Pieces::new(QueryRun::default(), 1 << 10);
        let value = Value::Matrix(vec![series(&[1.0, 2.0]), series(&[3.0])]);
        write_value(&mut pieces, &value).unwrap();
        assert_eq!(
            String::from_utf8_lossy(pieces.text()),
            r#"{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[0,"1"],[0.001,"2"]]},{"metric":{"a":"b"},"values":[[0,"3"]]}]}"#
        );
        for (texts, limit, expected) in [
            (vec![], 1, r#"{"status":"success","data":[]}"#),
            (vec!["x"; 2], 2, r#"{"status":"success","data":["x","x"]}"#),
            (
                vec!["x"; 2],
                1,
                r#"{"status":"success","data":["x"],"warnings":["results truncated due to limit"]}"#,
            ),
        ] {
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            let mut pieces = Pieces::new(QueryRun::default(), 1 << 10);
            write_texts(&mut pieces, &texts, limit).unwrap();
            assert_eq!(String::from_utf8_lossy(pieces.text()), expected);
        }
    }
}
