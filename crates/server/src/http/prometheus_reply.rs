//! Replies in Prometheus's envelope: `{"status":"success","data":…}` or an error with its type.
//!
//! Sample values are text; they are written as Prometheus writes them (shortest decimal that reads back the same,
//! an exponent below 1e-6 and from 1e21 on).

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_promql::{EvaluateError, Evaluated, Value};
use muster_series::Labels;
use muster_tsdb::TsdbError;
use serde::Serialize;

use super::failure::ApiFailure;
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
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "bad_data",
            error: error.to_owned(),
        }
    }

    pub(crate) fn internal() -> Self {
        let error = "the server failed at this query; its log says why".to_owned();
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "internal",
            error,
        }
    }

    fn execution(error: String) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            kind: "execution",
            error,
        }
    }
}

impl From<QueryError> for PromFailure {
    fn from(error: QueryError) -> Self {
        let text = error.to_string();
        match error {
            QueryError::Parse(_) => Self::bad_data(&format!("invalid parameter \"query\": {text}")),
            QueryError::Evaluate(EvaluateError::BadQuery(_)) => Self::bad_data(&text),
            QueryError::Evaluate(EvaluateError::Cancelled) => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                kind: "canceled",
                error: text,
            },
            QueryError::Evaluate(_) => Self::execution(text),
            QueryError::Store(error) => error.into(),
        }
    }
}

impl From<TsdbError> for PromFailure {
    fn from(error: TsdbError) -> Self {
        Self::execution(error.to_string())
    }
}

impl IntoResponse for PromFailure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "status": "error", "errorType": self.kind, "error": self.error,
        });
        (self.status, axum::Json(body)).into_response()
    }
}

impl From<ApiFailure> for PromFailure {
    fn from(_: ApiFailure) -> Self {
        Self::internal()
    }
}

/// `{"status":"success","data":DATA}`.
pub(crate) fn data_reply<T: Serialize + ?Sized>(data: &T) -> Response {
    axum::Json(serde_json::json!({ "status": "success", "data": data })).into_response()
}

/// The value of an expression, with its warnings and infos.
pub(crate) fn evaluated_reply(evaluated: &Evaluated) -> Response {
    let mut body = String::from(r#"{"status":"success","data":"#);
    write_value(&mut body, &evaluated.value);
    for (name, texts) in [
        ("warnings", &evaluated.warnings),
        ("infos", &evaluated.infos),
    ] {
        if !texts.is_empty() {
            let _ = write!(body, ",\"{name}\":{}", serde_json::json!(texts));
        }
    }
    body.push('}');
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], body).into_response()
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Scalar {
            timestamp_ms,
            value,
        } => {
            out.push_str(r#"{"resultType":"scalar","result":"#);
            write_point(out, *timestamp_ms, *value);
        }
        Value::String {
            timestamp_ms,
            value,
        } => {
            out.push_str(r#"{"resultType":"string","result":["#);
            write_seconds(out, *timestamp_ms);
            out.push(',');
            write_text(out, value);
            out.push(']');
        }
        Value::Vector(samples) => {
            out.push_str(r#"{"resultType":"vector","result":["#);
            for (at, sample) in samples.iter().enumerate() {
                out.push_str(if at > 0 {
                    ",{\"metric\":"
                } else {
                    "{\"metric\":"
                });
                write_labels(out, &sample.labels);
                out.push_str(",\"value\":");
                write_point(out, sample.timestamp_ms, sample.value);
                out.push('}');
            }
            out.push(']');
        }
        Value::Matrix(series) => {
            out.push_str(r#"{"resultType":"matrix","result":["#);
            for (at, one) in series.iter().enumerate() {
                out.push_str(if at > 0 {
                    ",{\"metric\":"
                } else {
                    "{\"metric\":"
                });
                write_labels(out, &one.labels);
                out.push_str(",\"values\":[");
                for (at, sample) in one.samples().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_point(out, sample.timestamp_ms, sample.value);
                }
                out.push_str("]}");
            }
            out.push(']');
        }
    }
    out.push('}');
}

fn write_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(out, name);
        out.push(':');
        write_text(out, value);
    }
    out.push('}');
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn write_point(out: &mut String, timestamp_ms: i64, value: f64) {
    out.push('[');
    write_seconds(out, timestamp_ms);
    out.push_str(",\"");
    write_number(out, value);
    out.push_str("\"]");
}

fn write_seconds(out: &mut String, ms: i64) {
    let sign = if ms < 0 { "-" } else { "" };
    let (seconds, rest) = (ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000);
    let _ = match rest {
        0 => write!(out, "{sign}{seconds}"),
        rest => write!(out, "{sign}{seconds}.{rest:03}"),
    };
}

fn write_number(out: &mut String, value: f64) {
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
    use muster_promql::InstantSample;

    #[track_caller]
    fn check_number(value: f64, expected: &str) {
        let mut text = String::new();
        write_number(&mut text, value);
        assert_eq!(text, expected);
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
        let value = Value::Vector(vec![InstantSample {
            labels,
            timestamp_ms: 1_500,
            value: 2.0,
        }]);
        let mut text = String::new();
        write_value(&mut text, &value);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["result"][0]["metric"]["a"], "x\"},{\u{1}</script>");
        assert_eq!(parsed["result"][0]["value"], serde_json::json!([1.5, "2"]));
    }

    #[test]
    fn seconds_keep_their_milliseconds() {
        for (ms, expected) in [(0, "0"), (1_000, "1"), (1_005, "1.005"), (-1_500, "-1.500")] {
            let mut text = String::new();
            write_seconds(&mut text, ms);
            assert_eq!(text, expected);
        }
    }
}
