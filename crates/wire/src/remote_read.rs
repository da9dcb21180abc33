//! Prometheus's remote read as bytes: requests decoded, answers of type `SAMPLES` encoded.
//!
//! Both are protobuf in one block of snappy, which is the caller's to take off and put on. An answer's length is known
//! before it is written ([`Answer::bytes`]), as a block of snappy begins with it; then it is written piece by piece.
//! Format: <https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/>.

use std::vec;

use muster_series::{MatchOp, Matcher, MatcherError, Sample, SeriesColumns, TimeRange};
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};

/// The most queries of one request.
const MAX_QUERIES: usize = 100;
/// The type of an answer that holds plain samples.
const SAMPLES: i32 = 0;
/// The keys of the fields 1 and 2 with a length before them: messages and texts.
const FIELD_1: u8 = 0x0a;
const FIELD_2: u8 = 0x12;
/// The keys of a sample's value, 8 bytes, and of its time, a varint.
const VALUE: u8 = 0x09;
const TIME: u8 = 0x10;
/// A sample takes no fewer bytes.
const MIN_SAMPLE_BYTES: usize = 13;

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

/// An answer: for each query of the request, in their order, a result of many series.
#[derive(Debug)]
pub struct Answer {
    results: vec::IntoIter<Vec<SeriesColumns>>,
    series: vec::IntoIter<SeriesColumns>,
    /// The series that is being written, and how many of its samples have been.
    open: Option<(SeriesColumns, usize)>,
    bytes: usize,
}

impl Answer {
    /// The answer of these results, a list of series for each query.
    pub fn new(results: Vec<Vec<SeriesColumns>>) -> Self {
        let bytes = results.iter().map(|result| field_bytes(result_bytes(result))).sum();
        let (results, series) = (results.into_iter(), Vec::new().into_iter());
        Self { results, series, open: None, bytes }
    }

    /// How many bytes the whole answer has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The series that are not written yet.
    pub fn unwritten(&self) -> impl Iterator<Item = &SeriesColumns> {
        let open = self.open.iter().map(|(series, _)| series);
        open.chain(self.series.as_slice()).chain(self.results.as_slice().iter().flatten())
    }

    /// Appends the next part of the answer to `out`, until that has at least `enough` bytes; false if all is written.
    pub fn write(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        while out.len() < enough {
            if let Some((series, written)) = &mut self.open {
                let end = series.len().min(*written + enough.div_ceil(MIN_SAMPLE_BYTES));
                for at in *written..end {
                    let (timestamp_ms, value) = (series.timestamps[at], series.values[at]);
                    write_sample(out, Sample { timestamp_ms, value });
                }
                *written = end;
                if *written == series.len() {
                    self.open = None;
                }
            } else if let Some(series) = self.series.next() {
                write_length(out, FIELD_1, series_bytes(&series));
                for (name, value) in series.labels.iter() {
                    write_length(out, FIELD_1, label_bytes(name, value));
                    for (key, text) in [(FIELD_1, name), (FIELD_2, value)] {
                        write_length(out, key, text.len());
                        out.extend_from_slice(text.as_bytes());
                    }
                }
                self.open = Some((series, 0));
            } else if let Some(result) = self.results.next() {
                write_length(out, FIELD_1, result_bytes(&result));
                self.series = result.into_iter();
            } else {
                return false;
            }
        }
        true
    }
}

fn result_bytes(result: &[SeriesColumns]) -> usize {
    result.iter().map(|series| field_bytes(series_bytes(series))).sum()
}

fn series_bytes(series: &SeriesColumns) -> usize {
    let labels = series.labels.iter().map(|(name, value)| field_bytes(label_bytes(name, value)));
    let samples = series.samples().map(|sample| field_bytes(sample_bytes(sample)));
    labels.sum::<usize>() + samples.sum::<usize>()
}

fn label_bytes(name: &str, value: &str) -> usize {
    field_bytes(name.len()) + field_bytes(value.len())
}

fn sample_bytes(sample: Sample) -> usize {
    9 + 1 + encoded_len_varint(sample.timestamp_ms.cast_unsigned())
}

/// A field of so many bytes, with its key and its length.
fn field_bytes(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

fn write_length(out: &mut Vec<u8>, key: u8, bytes: usize) {
    out.push(key);
    encode_varint(bytes as u64, out);
}

fn write_sample(out: &mut Vec<u8>, sample: Sample) {
    write_length(out, FIELD_2, sample_bytes(sample));
    out.push(VALUE);
    out.extend_from_slice(&sample.value.to_le_bytes());
    out.push(TIME);
    encode_varint(sample.timestamp_ms.cast_unsigned(), out);
}

#[cfg(test)]
mod tests {
    use muster_series::Labels;

    use super::*;

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
    fn an_answer_reads_back_however_small_its_pieces() {
        let mut series = SeriesColumns::new(Labels::from_pairs([("a", "b")]).expect("labels"));
        (series.timestamps, series.values) = (vec![-1, 0, 7], vec![1.5, -0.0, f64::INFINITY]);
        let empty = SeriesColumns::new(Labels::empty());
        for enough in [1, 20, 1_000] {
            let results = vec![vec![series.clone(), series.clone()], vec![], vec![empty.clone()]];
            let mut answer = Answer::new(results);
            let (mut bytes, expected) = (Vec::new(), answer.bytes());
            assert_eq!(answer.unwritten().count(), 3);
            loop {
                let mut piece = Vec::new();
                let more = answer.write(&mut piece, enough);
                bytes.append(&mut piece);
                if !more {
                    break;
                }
            }
            assert_eq!((bytes.len(), answer.unwritten().count()), (expected, 0));
            let read = RawAnswer::decode(&*bytes).expect("an answer");
            assert_eq!(
                read.results.iter().map(|one| one.series.len()).collect::<Vec<_>>(),
                [2, 0, 1]
            );
            let one = &read.results[0].series[1];
            assert_eq!((one.labels[0].name.as_str(), one.labels[0].value.as_str()), ("a", "b"));
            assert_eq!(one.samples[0], RawSample { value: 1.5, timestamp_ms: -1 });
            assert_eq!(one.samples[1].value.to_bits(), (-0.0_f64).to_bits());
            assert_eq!(one.samples[2], RawSample { value: f64::INFINITY, timestamp_ms: 7 });
            assert_eq!(read.results[2].series[0], RawSeries::default());
        }
    }
}
