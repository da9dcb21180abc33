//! Replies in Prometheus's envelope: `{"status":"success","data":…}` or an error with its type.

use std::io::Write as _;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muster_promql::{EvaluateError, Evaluated, Value};
use muster_series::Labels;
use muster_tsdb::TsdbError;
use serde::Serialize;

use super::answer::{Answer, AnswerError};
use super::failure::ApiFailure;
use super::prometheus::TRUNCATED;
use super::prometheus_json::{
    Items, Matrix, labels_held, write_labels, write_point, write_sample, write_seconds, write_text,
};
use crate::store::QueryError;

/// The most warnings, and the most infos, of one answer.
const MAX_NOTES: usize = 10;

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

    fn canceled(error: String) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "canceled", error }
    }

    pub(crate) fn execution(error: String) -> Self {
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

/// `{"status":"success","data":DATA}`, for small data.
pub(crate) fn data_reply<T: Serialize + ?Sized>(data: &T) -> Response {
    axum::Json(serde_json::json!({ "status": "success", "data": data })).into_response()
}

/// An answer with data that is small enough to be built first.
pub(crate) fn data_answer(data: &serde_json::Value) -> Answer {
    Answer::text(format!("{{\"status\":\"success\",\"data\":{data}}}").into_bytes())
}

/// What every answer that is written here begins with.
const SUCCESS: &str = "{\"status\":\"success\",\"data\":";

/// The value of an expression, with its statistics, warnings and infos.
pub(crate) fn evaluated_answer(evaluated: Evaluated, stats: Option<&serde_json::Value>) -> Answer {
    let mut begin = SUCCESS.as_bytes().to_vec();
    let mut end = Vec::new();
    if let Some(stats) = stats {
        let _ = write!(end, ",\"stats\":{stats}");
    }
    end.push(b'}');
    for (name, mut texts) in [("warnings", evaluated.warnings), ("infos", evaluated.infos)] {
        cut_notes(&mut texts, name);
        if !texts.is_empty() {
            let _ = write!(end, ",\"{name}\":{}", serde_json::json!(texts));
        }
    }
    end.push(b'}');
    match evaluated.value {
        Value::Scalar { timestamp_ms, value } => {
            begin.extend_from_slice(br#"{"resultType":"scalar","result":"#);
            write_point(&mut begin, timestamp_ms, value);
            begin.append(&mut end);
            Answer::text(begin)
        }
        Value::String { timestamp_ms, value } => {
            begin.extend_from_slice(br#"{"resultType":"string","result":["#);
            write_seconds(&mut begin, timestamp_ms);
            begin.push(b',');
            write_text(&mut begin, &value);
            begin.push(b']');
            begin.append(&mut end);
            Answer::text(begin)
        }
        Value::Vector(samples) => {
            begin.extend_from_slice(br#"{"resultType":"vector","result":["#);
            end.insert(0, b']');
            Answer::new(
                begin,
                Items::new(samples, write_sample, |one| labels_held(&one.labels)),
                end,
            )
        }
        Value::Matrix(series) => {
            begin.extend_from_slice(br#"{"resultType":"matrix","result":["#);
            end.insert(0, b']');
            Answer::new(begin, Matrix::new(series), end)
        }
    }
}

/// The first `limit` of a list of texts; a warning says that there were more.
pub(crate) fn texts_answer(texts: Vec<String>, limit: usize) -> Answer {
    list_answer(texts, limit, |out, text| write_text(out, text), String::len)
}

/// The first `limit` of a list of label sets; a warning says that there were more.
pub(crate) fn label_sets_answer(sets: Vec<Labels>, limit: usize) -> Answer {
    list_answer(sets, limit, write_labels, labels_held)
}

fn list_answer<T: Send + 'static>(
    mut items: Vec<T>,
    limit: usize,
    write: fn(&mut Vec<u8>, &T),
    held: fn(&T) -> usize,
) -> Answer {
    let mut end = b"]".to_vec();
    if items.len() > limit {
        items.truncate(limit);
        let _ = write!(end, ",\"warnings\":[\"{TRUNCATED}\"]");
    }
    end.push(b'}');
    let begin = format!("{SUCCESS}[").into_bytes();
    Answer::new(begin, Items::new(items, write, held), end)
}

/// Leaves as many notes as Prometheus gives, and says how many more there are.
fn cut_notes(notes: &mut Vec<String>, kind: &str) {
    if let Some(more) = notes.len().checked_sub(MAX_NOTES).filter(|more| *more > 0) {
        notes.truncate(MAX_NOTES);
        let kind = kind.trim_end_matches('s');
        notes.push(format!("{more} more {kind} annotations omitted"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_promql::InstantSample;
    use muster_series::SeriesColumns;

    #[track_caller]
    fn check(mut answer: Answer, expected: &str) {
        let piece = answer.next_piece().unwrap();
        assert!(answer.is_written());
        assert_eq!(String::from_utf8_lossy(&piece), expected);
    }

    fn evaluated(value: Value) -> Evaluated {
        Evaluated { value, warnings: Vec::new(), infos: Vec::new(), samples: None }
    }

    #[test]
    fn values_are_whole_json() {
        let labels = Labels::from_pairs([("a", "b")]).unwrap();
        let series = |values: &[f64]| SeriesColumns {
            labels: labels.clone(),
            timestamps: (0..values.len() as i64).collect(),
            values: values.to_vec(),
        };
        check(
            evaluated_answer(
                evaluated(Value::Matrix(vec![series(&[1.0, 2.0]), series(&[3.0])])),
                None,
            ),
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[0,"1"],[0.001,"2"]]},{"metric":{"a":"b"},"values":[[0,"3"]]}]}}"#,
        );
        check(
            evaluated_answer(evaluated(Value::Matrix(Vec::new())), None),
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
        );
        let one = InstantSample { labels, timestamp_ms: 1_500, value: 2.0 };
        check(
            evaluated_answer(evaluated(Value::Vector(vec![one.clone(), one])), None),
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.500,"2"]},{"metric":{"a":"b"},"value":[1.500,"2"]}]}}"#,
        );
        check(
            evaluated_answer(evaluated(Value::Scalar { timestamp_ms: 0, value: f64::NAN }), None),
            r#"{"status":"success","data":{"resultType":"scalar","result":[0,"NaN"]}}"#,
        );
        check(
            evaluated_answer(
                evaluated(Value::String { timestamp_ms: 0, value: "\"".into() }),
                None,
            ),
            r#"{"status":"success","data":{"resultType":"string","result":[0,"\""]}}"#,
        );
    }

    #[test]
    fn lists_say_that_they_are_cut() {
        for (texts, limit, expected) in [
            (0, 1, r#"{"status":"success","data":[]}"#),
            (2, 2, r#"{"status":"success","data":["x","x"]}"#),
            (
                2,
                1,
                r#"{"status":"success","data":["x"],"warnings":["results truncated due to limit"]}"#,
            ),
        ] {
            check(texts_answer(vec!["x".to_owned(); texts], limit), expected);
        }
    }

    #[test]
    fn of_many_notes_only_some_are_told() {
        let notes = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        for (count, left) in [(0, 0), (10, 10), (11, 11), (500, 11)] {
            let mut cut = notes(count);
            cut_notes(&mut cut, "infos");
            assert_eq!(cut.len(), left);
        }
        let mut cut = notes(12);
        cut_notes(&mut cut, "warnings");
        assert_eq!(cut[10], "2 more warning annotations omitted");
        let value = Value::Scalar { timestamp_ms: 0, value: 1.0 };
        check(
            evaluated_answer(
                Evaluated { value, warnings: notes(1), infos: notes(2), samples: None },
                Some(&serde_json::json!({ "a": 1 })),
            ),
            r#"{"status":"success","data":{"resultType":"scalar","result":[0,"1"],"stats":{"a":1}},"warnings":["0"],"infos":["0","1"]}"#,
        );
    }
}
