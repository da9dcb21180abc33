//! Prometheus's remote read as bytes: requests decoded, answers of type `SAMPLES` encoded.
//!
//! Both are protobuf in one block of snappy, which is the caller's to take off and put on. An answer is encoded one
//! series at a time, so that it takes little more memory than its bytes.
//! Format: <https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/>.

use muster_series::{MatchOp, Matcher, MatcherError, SeriesColumns, TimeRange};
use prost::Message as _;

/// The most queries of one request.
const MAX_QUERIES: usize = 100;
/// The type of an answer that holds plain samples.
const SAMPLES: i32 = 0;
/// The key of field 1 with a length before it, which is all that the outer messages of an answer consist of.
const FIELD_1: u8 = 0x0a;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes are no `ReadRequest`.
    #[error("the request is no remote read request: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// There are too many queries in it.
    #[error("the request holds {0} queries; send at most {MAX_QUERIES}")]
    TooManyQueries(usize),
    /// The client only takes answers of other types.
    #[error("the request does not accept answers of the type SAMPLES, and there are no others")]
    ResponseType,
    /// A matcher has a type that is not known.
    #[error("{0} is no type of matcher")]
    MatcherType(i32),
    /// A regular expression is malformed.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
}

/// One query of a request.
#[derive(Debug)]
pub struct ReadQuery {
    /// What selects the series.
    pub matchers: Vec<Matcher>,
    /// Of which samples are wanted, both ends included.
    pub range: TimeRange,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<RawQuery>,
    #[prost(int32, repeated, tag = "2")]
    accepted_response_types: Vec<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawQuery {
    #[prost(int64, tag = "1")]
    start_ms: i64,
    #[prost(int64, tag = "2")]
    end_ms: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<RawMatcher>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawMatcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<RawLabel>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<RawSample>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawLabel {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct RawSample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp_ms: i64,
}

/// The queries of a request.
pub fn decode_request(bytes: &[u8]) -> Result<Vec<ReadQuery>, ReadError> {
    let request = RawRequest::decode(bytes)?;
    if request.queries.len() > MAX_QUERIES {
        return Err(ReadError::TooManyQueries(request.queries.len()));
    }
    let types = &request.accepted_response_types;
    if !types.is_empty() && !types.contains(&SAMPLES) {
        return Err(ReadError::ResponseType);
    }
    request.queries.iter().map(query).collect()
}

fn query(raw: &RawQuery) -> Result<ReadQuery, ReadError> {
    let matcher = |raw: &RawMatcher| {
        let op = match raw.kind {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            other => return Err(ReadError::MatcherType(other)),
        };
        Ok(Matcher::new(&raw.name, op, &raw.value)?)
    };
    let matchers = raw.matchers.iter().map(matcher).collect::<Result<_, _>>()?;
    Ok(ReadQuery { matchers, range: TimeRange::new(raw.start_ms, raw.end_ms) })
}

/// Appends one series to the result of a query.
pub fn encode_series(result: &mut Vec<u8>, series: &SeriesColumns) {
    let labels = series.labels.iter();
    let raw = RawSeries {
        labels: labels
            .map(|(name, value)| RawLabel { name: name.into(), value: value.into() })
            .collect(),
        samples: series
            .samples()
            .map(|sample| RawSample { value: sample.value, timestamp_ms: sample.timestamp_ms })
            .collect(),
    };
    result.push(FIELD_1);
    raw.encode_length_delimited(result).expect("a vector takes all");
}

/// Appends the result of a query, made by [`encode_series`], to an answer; results come in the order of the queries.
pub fn encode_result(answer: &mut Vec<u8>, result: &[u8]) {
    answer.push(FIELD_1);
    prost::encode_length_delimiter(result.len(), answer).expect("a vector takes all");
    answer.extend_from_slice(result);
}

#[cfg(test)]
mod tests {
    use muster_series::Labels;

    use super::*;

    #[derive(Clone, PartialEq, prost::Message)]
    struct RawAnswer {
        #[prost(message, repeated, tag = "1")]
        results: Vec<RawResult>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct RawResult {
        #[prost(message, repeated, tag = "1")]
        series: Vec<RawSeries>,
    }

    fn request(kind: i32, value: &str, types: &[i32]) -> Vec<u8> {
        let matcher = RawMatcher { kind, name: "job".into(), value: value.into() };
        let query = RawQuery { start_ms: -5, end_ms: 10, matchers: vec![matcher] };
        RawRequest { queries: vec![query], accepted_response_types: types.to_vec() }.encode_to_vec()
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], expected: &str) {
        let error = decode_request(bytes).expect_err("it is refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_request_is_matchers_and_a_range() {
        for (kind, text) in [(0, "="), (1, "!="), (2, "=~"), (3, "!~")] {
            let queries = decode_request(&request(kind, "a", &[1, 0])).expect("a request");
            assert_eq!(queries[0].matchers[0].to_string(), format!("job{text}\"a\""));
            assert_eq!(queries[0].range, TimeRange::new(-5, 10));
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        check_refused(&request(4, "a", &[]), "4 is no type of matcher");
        check_refused(&request(2, "(", &[]), "regular expression");
        check_refused(&request(0, "a", &[1]), "SAMPLES");
        check_refused(b"\xff\xff", "no remote read request");
        let many = RawRequest { queries: vec![RawQuery::default(); 101], ..RawRequest::default() };
        check_refused(&many.encode_to_vec(), "101 queries");
    }

    #[test]
    fn an_answer_reads_back() {
        let mut series = SeriesColumns::new(Labels::from_pairs([("a", "b")]).expect("labels"));
        (series.timestamps, series.values) = (vec![-1, 7], vec![1.5, f64::INFINITY]);
        let (mut result, mut answer) = (Vec::new(), Vec::new());
        encode_series(&mut result, &series);
        encode_series(&mut result, &series);
        encode_result(&mut answer, &result);
        encode_result(&mut answer, &[]);
        let read = RawAnswer::decode(&*answer).expect("an answer");
        assert_eq!(read.results.len(), 2);
        assert_eq!(read.results[0].series.len(), 2);
        let one = &read.results[0].series[1];
        assert_eq!((one.labels[0].name.as_str(), one.labels[0].value.as_str()), ("a", "b"));
        assert_eq!(one.samples[0], RawSample { value: 1.5, timestamp_ms: -1 });
        assert!(read.results[1].series.is_empty());
    }
}
