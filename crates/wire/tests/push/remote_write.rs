//! Remote write 1.0 and 2.0.

use std::collections::HashMap;

use muster_series::{STALE_MARKER_BITS, stale_marker};
use muster_wire::{
    DecodeError, LabelLimits, RawLabelError, RawLabels, SeriesVisitor, decode_v1, decode_v2,
};
use proptest::prelude::*;
use prost::Message as _;

use crate::hash;
use crate::messages::{
    Label, MetricMetadata, Request, Sample, TimeSeries, TimeSeriesV2, WriteRequest,
};

/// Everything a request said, as text, one line each.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    keys: Vec<u128>,
    samples: usize,
}

impl SeriesVisitor for Told {
    fn series(&mut self, key: u128, labels: RawLabels<'_>) {
        let mut pairs = Vec::new();
        let line = match labels.pairs(&LabelLimits::default(), &mut pairs) {
            Ok(()) => pairs.iter().flat_map(|(n, v)| [n, "=", v, " "]).collect(),
            Err(error) => format!("error: {error}"),
        };
        self.lines.push(line);
        self.keys.push(key);
    }

    fn sample(&mut self, timestamp_ms: i64, value: f64) {
        self.samples += 1;
        self.lines.push(format!("@{timestamp_ms} {:x}", value.to_bits()));
    }

    fn histogram(&mut self) {
        self.lines.push("histogram".into());
    }

    fn exemplar(&mut self) {
        self.lines.push("exemplar".into());
    }
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.into(), value: value.into() }
}

fn sample(timestamp: i64, value: f64) -> Sample {
    Sample { value, timestamp }
}

fn read_v1(bytes: &[u8]) -> Result<Told, DecodeError> {
    let mut told = Told::default();
    decode_v1(bytes, 1_000, hash, &mut told).map(|()| told)
}

fn read_v2(bytes: &[u8]) -> Result<Told, DecodeError> {
    let mut told = Told::default();
    decode_v2(bytes, 1_000, hash, &mut told).map(|()| told)
}

fn v1_request() -> WriteRequest {
    let up = TimeSeries {
        labels: vec![label("__name__", "up"), label("job", "größe")],
        samples: vec![sample(-5, stale_marker()), sample(1_700_000_000_000, -5e-324)],
        exemplars: vec![sample(1, 1.0)],
        histograms: vec![],
    };
    let spread = TimeSeries { histograms: vec![sample(1, 1.0)], ..TimeSeries::default() };
    let metadata = vec![MetricMetadata { kind: 1, family: "up".into() }];
    WriteRequest { timeseries: vec![up, spread], metadata }
}

#[test]
fn a_v1_request_is_told_in_its_order_and_bit_for_bit() {
    let told = read_v1(&v1_request().encode_to_vec()).unwrap();
    let stale = format!("@-5 {STALE_MARKER_BITS:x}");
    let expected = [
        "__name__=up job=größe ",
        &stale,
        "@1700000000000 8000000000000001",
        "exemplar",
        "",
        "histogram",
    ];
    assert_eq!(told.lines, expected);
}

#[test]
fn labels_after_samples_are_the_same_labels() {
    let first = label("__name__", "up").encode_to_vec();
    let second = label("a", "b").encode_to_vec();
    let sample = sample(1, 1.0).encode_to_vec();
    let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8][..], bytes].concat();
    let in_order = [field(0x0a, &first), field(0x0a, &second), field(0x12, &sample)].concat();
    let mixed = [field(0x0a, &first), field(0x12, &sample), field(0x0a, &second)].concat();
    let [usual, unusual] = [in_order, mixed].map(|series| read_v1(&field(0x0a, &series)).unwrap());
    assert_eq!(usual.lines, ["__name__=up a=b ", "@1 3ff0000000000000"]);
    assert_eq!((usual.lines, usual.keys), (unusual.lines, unusual.keys));
}

fn symbols(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn a_v2_series_has_one_key_whatever_its_symbols_numbers_are() {
    let series = |labels_refs: &[u32]| TimeSeriesV2 {
        labels_refs: labels_refs.to_vec(),
        samples: vec![sample(7, 1.5)],
        ..TimeSeriesV2::default()
    };
    let one = Request {
        symbols: symbols(&["", "__name__", "up", "job", "x"]),
        timeseries: vec![series(&[1, 2, 3, 4]), series(&[1, 2])],
    };
    let other = Request {
        symbols: symbols(&["", "x", "job", "up", "__name__", "unused"]),
        timeseries: vec![series(&[4, 3, 2, 1])],
    };
    let one = read_v2(&one.encode_to_vec()).unwrap();
    let other = read_v2(&other.encode_to_vec()).unwrap();
    assert_eq!(
        one.lines,
        ["__name__=up job=x ", "@7 3ff8000000000000", "__name__=up ", "@7 3ff8000000000000"]
    );
    assert_eq!(one.keys[0], other.keys[0]);
    assert_ne!(one.keys[0], one.keys[1]);
}

#[track_caller]
fn check_v2_labels(texts: &[&str], labels_refs: &[u32], expected: &str) {
    let series = TimeSeriesV2 { labels_refs: labels_refs.to_vec(), ..TimeSeriesV2::default() };
    let request = Request { symbols: symbols(texts), timeseries: vec![series] };
    assert_eq!(read_v2(&request.encode_to_vec()).unwrap().lines, [expected]);
}

#[test]
fn bad_labels_are_told_with_their_series() {
    check_v2_labels(&["", "a"], &[1], "error: the number of label references is odd");
    let error = "error: a label refers to symbol 2, and the request has 2";
    check_v2_labels(&["", "a"], &[1, 2], error);
    check_v2_labels(&["", "a"], &[1; 130], "error: a series has more than 64 labels");
    let long = "x".repeat(8_193);
    let error = "error: a label's value has 8193 bytes, more than 8192";
    check_v2_labels(&["", "a", &long], &[1, 2], error);
    let error = "error: a label's name has 8193 bytes, more than 1024";
    check_v2_labels(&["", "a", &long], &[2, 1], error);

    let bytes = v1_request().encode_to_vec();
    let at = bytes.windows(2).position(|two| two == "ü".as_bytes() || two == "ö".as_bytes());
    let mut not_utf8 = bytes.clone();
    not_utf8[at.unwrap()] = 0xff;
    let error = format!("error: {}", RawLabelError::NotUtf8);
    assert_eq!(read_v1(&not_utf8).unwrap().lines[0], error);
}

#[test]
fn a_request_of_the_other_version_or_over_the_limits_is_refused() {
    let told = read_v2(&v1_request().encode_to_vec()).unwrap();
    assert_eq!(told.lines, [] as [&str; 0]);
    let request = Request { symbols: symbols(&["a"]), timeseries: vec![] };
    assert_eq!(read_v2(&request.encode_to_vec()).err(), Some(DecodeError::FirstSymbol));
    let series = TimeSeriesV2::default();
    let request = Request { symbols: vec![], timeseries: vec![series] };
    assert_eq!(read_v2(&request.encode_to_vec()).err(), Some(DecodeError::FirstSymbol));

    let many = TimeSeries { samples: vec![sample(1, 1.0); 1_001], ..TimeSeries::default() };
    let request = WriteRequest { timeseries: vec![many], metadata: vec![] };
    let error = DecodeError::TooMany { what: "samples", limit: 1_000 };
    assert_eq!(read_v1(&request.encode_to_vec()).err(), Some(error));
    let series = TimeSeriesV2 { labels_refs: vec![0; 2_001], ..TimeSeriesV2::default() };
    let request = Request { symbols: symbols(&[""]), timeseries: vec![series] };
    let error = DecodeError::TooMany { what: "labels of one series", limit: 1_000 };
    assert_eq!(read_v2(&request.encode_to_vec()).err(), Some(error));
}

fn any_request() -> impl Strategy<Value = WriteRequest> {
    let label = (".{0,9}", ".{0,9}").prop_map(|(name, value)| Label { name, value });
    let sample = (any::<u64>(), any::<i64>())
        .prop_map(|(bits, timestamp)| Sample { value: f64::from_bits(bits), timestamp });
    let series = (
        proptest::collection::vec(label, 0..4),
        proptest::collection::vec(sample, 0..4),
        0..2_usize,
    )
        .prop_map(|(labels, samples, more)| TimeSeries {
            labels,
            samples,
            exemplars: vec![Sample::default(); more],
            histograms: vec![Sample::default(); more],
        });
    proptest::collection::vec(series, 0..5)
        .prop_map(|timeseries| WriteRequest { timeseries, metadata: vec![] })
}

/// The same request as 2.0 says it.
fn as_v2(request: &WriteRequest) -> Request {
    let mut symbols = vec![String::new()];
    let mut numbers = HashMap::from([(String::new(), 0)]);
    let mut timeseries = Vec::new();
    for series in &request.timeseries {
        let mut labels_refs = Vec::new();
        for text in series.labels.iter().flat_map(|label| [&label.name, &label.value]) {
            let number = *numbers.entry(text.clone()).or_insert_with(|| {
                symbols.push(text.clone());
                symbols.len() as u32 - 1
            });
            labels_refs.push(number);
        }
        let TimeSeries { samples, exemplars, histograms, .. } = series.clone();
        timeseries.push(TimeSeriesV2 { labels_refs, samples, histograms, exemplars });
    }
    Request { symbols, timeseries }
}

fn sorted(told: Told) -> Vec<String> {
    let mut lines = told.lines;
    lines.sort_unstable();
    lines
}

proptest! {
    #[test]
    fn both_versions_tell_the_same(request in any_request()) {
        let first = read_v1(&request.encode_to_vec()).unwrap();
        let second = read_v2(&as_v2(&request).encode_to_vec()).unwrap();
        let samples: usize = request.timeseries.iter().map(|series| series.samples.len()).sum();
        prop_assert_eq!(first.samples, samples);
        prop_assert_eq!(sorted(first), sorted(second));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_v1(&bytes);
        let _ = read_v2(&bytes);
    }

    #[test]
    fn a_damaged_request_is_read_or_refused(
        request in any_request(),
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        for mut bytes in [request.encode_to_vec(), as_v2(&request).encode_to_vec()] {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                let most = bytes.len();
                for told in [read_v1(&bytes), read_v2(&bytes)].into_iter().flatten() {
                    prop_assert!(told.samples <= most);
                }
                bytes.truncate(cut.index(bytes.len()));
                let _ = (read_v1(&bytes), read_v2(&bytes));
            }
        }
    }
}
