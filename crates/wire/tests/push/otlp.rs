//! OTLP metrics.

use muster_series::{Labels, is_stale_marker};
use muster_wire::{
    DecodeError, OtlpLabel, PointProblem, PointVisitor, decode_otlp, encode_failure,
    encode_response,
};
use proptest::prelude::*;
use prost::Message as _;

use crate::messages::{
    Any, AnyValue, Data, Export, Histogram, Histograms, KeyValue, List, Metric, Number,
    NumberValue, Numbers, Quantile, Resource, ResourceMetrics, ScopeMetrics, Summaries, Summary,
};

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;
/// 1.5 s after the epoch.
const NANOS: u64 = 1_500_000_000;

/// Everything a request said, as text.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    points: usize,
}

impl PointVisitor for Told {
    fn point(&mut self) {
        self.points += 1;
    }

    fn sample(&mut self, labels: &[OtlpLabel<'_>], timestamp_ms: i64, value: f64) {
        let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (&**n, &**v)));
        let labels = labels.expect("none comes twice");
        let value = if is_stale_marker(value) { "stale".to_owned() } else { value.to_string() };
        self.lines.push(format!("{labels} {value} @{timestamp_ms}"));
    }

    fn refused(&mut self, problem: PointProblem) {
        self.lines.push(format!("{problem:?}"));
    }
}

fn read(export: &Export) -> Vec<String> {
    let mut told = Told::default();
    decode_otlp(&export.encode_to_vec(), 1_000, &mut told).unwrap();
    told.lines
}

fn value_of(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).into(),
        value: Some(value_of(Any::Text((*value).into()))),
    };
    pairs.iter().map(pair).collect()
}

fn export(resource: &[(&str, &str)], metrics: Vec<Metric>) -> Export {
    let resource = Some(Resource { attributes: pairs(resource) });
    let scope_metrics = vec![ScopeMetrics { metrics }];
    Export { resource_metrics: vec![ResourceMetrics { resource, scope_metrics }] }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.into(), unit: unit.into(), data: Some(data) }
}

fn number(value: NumberValue, attributes: &[(&str, &str)]) -> Number {
    Number { nanos: NANOS, value: Some(value), attributes: pairs(attributes), flags: 0 }
}

fn gauge(points: Vec<Number>) -> Data {
    Data::Gauge(Numbers { points, ..Numbers::default() })
}

#[track_caller]
fn check(metrics: Vec<Metric>, expected: &[&str]) {
    assert_eq!(read(&export(&[], metrics)), expected);
}

#[test]
fn numbers_become_samples_under_prometheus_names() {
    let points = vec![number(NumberValue::Whole(-7), &[("http.method", "GET"), ("5xx", "n")])];
    let sum = Numbers { points, temporality: CUMULATIVE, monotonic: true };
    check(
        vec![
            metric("http.requests", "{request}", Data::Sum(sum)),
            metric("memory.used", "By", gauge(vec![number(NumberValue::Float(0.5), &[])])),
        ],
        &[
            r#"http_requests_total{http_method="GET", key_5xx="n"} -7 @1500"#,
            "memory_used_bytes 0.5 @1500",
        ],
    );
}

#[test]
fn a_resource_names_job_and_instance_and_tells_the_rest_once() {
    let resource = [
        ("service.name", "shop"),
        ("service.namespace", "eu"),
        ("service.instance.id", "a1"),
        ("host.name", "web-1"),
    ];
    let one = || metric("m", "", gauge(vec![number(NumberValue::Whole(1), &[("job", "forged")])]));
    let told = read(&export(&resource, vec![one(), one()]));
    let sample = r#"m{instance="a1", job="eu/shop"} 1 @1500"#;
    let info = r#"target_info{host_name="web-1", instance="a1", job="eu/shop"} 1 @1500"#;
    assert_eq!(told, [sample, sample, info]);
    let nobody = read(&export(&[("host.name", "web-1")], vec![one()]));
    assert_eq!(nobody, [r#"m{job="forged"} 1 @1500"#]);
}

#[test]
fn histograms_are_cumulative_in_the_end() {
    let point = Histogram {
        nanos: NANOS,
        count: 6,
        sum: Some(2.5),
        bucket_counts: vec![1, 2, 3],
        bounds: vec![0.005, 10.0],
        attributes: pairs(&[("le", "mine")]),
        flags: 0,
    };
    let ended = Histogram { flags: 1, attributes: vec![], ..point.clone() };
    let data = Data::Histogram(Histograms { points: vec![point, ended], temporality: CUMULATIVE });
    check(
        vec![metric("latency", "s", data)],
        &[
            r#"latency_seconds_sum{le="mine"} 2.5 @1500"#,
            r#"latency_seconds_count{le="mine"} 6 @1500"#,
            r#"latency_seconds_bucket{le="0.005"} 1 @1500"#,
            r#"latency_seconds_bucket{le="10"} 3 @1500"#,
            r#"latency_seconds_bucket{le="+Inf"} 6 @1500"#,
            "latency_seconds_sum stale @1500",
            "latency_seconds_count stale @1500",
            r#"latency_seconds_bucket{le="0.005"} stale @1500"#,
            r#"latency_seconds_bucket{le="10"} stale @1500"#,
            r#"latency_seconds_bucket{le="+Inf"} stale @1500"#,
        ],
    );
}

/// The request with every `~` in its texts as a byte that no text in UTF-8 has.
fn damaged(export: &Export) -> Vec<String> {
    let mut request = export.encode_to_vec();
    for byte in request.iter_mut().filter(|byte| **byte == b'~') {
        *byte = 0xff;
    }
    let mut told = Told::default();
    decode_otlp(&request, 1_000, &mut told).unwrap();
    told.lines
}

#[test]
fn points_with_text_that_is_not_utf8_are_refused_and_the_others_read() {
    let point = |attributes| number(NumberValue::Whole(1), attributes);
    let gauges = |points| vec![metric("m", "", gauge(points))];
    let points = vec![point(&[("a", "x~")]), point(&[("a", "y")]), point(&[("a~", "x")])];
    let told = damaged(&export(&[("service.name", "shop")], gauges(points)));
    let good = r#"m{a="y", job="shop"} 1 @1500"#;
    assert_eq!(told, ["Malformed", good, "Malformed"]);
    let nobody = damaged(&export(&[("service.name", "shop~")], gauges(vec![point(&[])])));
    assert_eq!(nobody, ["Malformed"]);
    let mut metrics = vec![metric("m~", "", gauge(vec![point(&[])]))];
    metrics.extend(gauges(vec![point(&[])]));
    assert_eq!(damaged(&export(&[], metrics)), ["Malformed", "m 1 @1500"]);
}

#[test]
fn summaries_have_quantiles() {
    let quantiles = vec![Quantile { quantile: 0.99, value: 3.0 }];
    let point = Summary { nanos: NANOS, count: 2, sum: 4.0, quantiles };
    check(
        vec![metric("rpc", "ms", Data::Summary(Summaries { points: vec![point] }))],
        &[
            "rpc_milliseconds_sum 4 @1500",
            "rpc_milliseconds_count 2 @1500",
            r#"rpc_milliseconds{quantile="0.99"} 3 @1500"#,
        ],
    );
}

#[test]
fn what_prometheus_does_not_take_is_refused_by_the_point() {
    let points = || vec![number(NumberValue::Whole(1), &[]); 2];
    let delta = Numbers { points: points(), temporality: DELTA, monotonic: true };
    let unfit = Histogram { bucket_counts: vec![1], bounds: vec![1.0], ..Histogram::default() };
    let large =
        Histogram { bucket_counts: vec![0; 1_002], bounds: vec![0.0; 1_001], ..unfit.clone() };
    let exponential = Histograms { points: vec![Histogram::default()], temporality: CUMULATIVE };
    let histograms = Histograms { points: vec![unfit, large], temporality: CUMULATIVE };
    let attributes: Vec<KeyValue> = (0..64)
        .map(|n| KeyValue { key: format!("k{n}"), value: Some(value_of(Any::Whole(n))) })
        .collect();
    let many = Number { attributes, ..number(NumberValue::Whole(1), &[]) };
    let empty = Number { value: None, ..number(NumberValue::Whole(1), &[]) };
    check(
        vec![
            metric("a", "", Data::Sum(delta)),
            metric("b", "", Data::Exponential(exponential)),
            metric("c", "", Data::Histogram(histograms)),
            metric("d", "", gauge(vec![many, empty, number(NumberValue::Whole(9), &[])])),
            Metric { name: "e".into(), ..Metric::default() },
        ],
        &[
            "Delta",
            "Delta",
            "ExponentialHistogram",
            "Malformed",
            "TooLarge",
            "TooLarge",
            "Malformed",
            "d 9 @1500",
        ],
    );
}

#[test]
fn attributes_of_any_kind_are_text_and_equal_names_are_joined() {
    let list = List { values: vec![value_of(Any::Text("x\"".into())), value_of(Any::Whole(2))] };
    let attribute = |key: &str, value| KeyValue { key: key.into(), value: Some(value_of(value)) };
    let attributes = vec![
        attribute("a.b", Any::Text("second".into())),
        attribute("flag", Any::Flag(true)),
        attribute("float", Any::Float(1e21)),
        attribute("list", Any::List(list)),
        attribute("a-b", Any::Text("first".into())),
        KeyValue { key: "none".into(), value: None },
    ];
    let point = Number { attributes, ..number(NumberValue::Whole(1), &[]) };
    check(
        vec![metric("m", "", gauge(vec![point]))],
        &[
            r#"m{a_b="first;second", flag="true", float="1000000000000000000000", list="[\"x\\\"\",2]"} 1 @1500"#,
        ],
    );
}

#[test]
fn a_request_may_have_so_many_samples() {
    let points = vec![number(NumberValue::Whole(1), &[]); 1_001];
    let bytes = export(&[], vec![metric("m", "", gauge(points))]).encode_to_vec();
    let error = decode_otlp(&bytes, 1_000, &mut Told::default()).unwrap_err();
    assert_eq!(error, DecodeError::TooMany { what: "samples", limit: 1_000 });
}

#[test]
fn answers_are_the_messages_of_their_specification() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Response {
        #[prost(message, optional, tag = "1")]
        partial: Option<Partial>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Partial {
        #[prost(int64, tag = "1")]
        rejected: i64,
        #[prost(string, tag = "2")]
        message: String,
    }
    assert_eq!(encode_response(0, ""), []);
    let text = "x".repeat(300);
    let response = Response::decode(&encode_response(400, &text)[..]).unwrap();
    assert_eq!(response.partial, Some(Partial { rejected: 400, message: text.clone() }));
    let status = Partial::decode(&encode_failure(3, &text)[..]).unwrap();
    assert_eq!(status, Partial { rejected: 3, message: text });
}

fn any_export() -> impl Strategy<Value = Export> {
    let attribute = ("[a-c._0-9]{0,3}", ".{0,3}");
    let attributes = proptest::collection::vec(attribute, 0..3)
        .prop_map(|list| pairs(&list.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>()));
    let data = (attributes, 0_i32..3, any::<f64>(), any::<u64>(), 0..5_usize, 0..5_usize).prop_map(
        |(attributes, temporality, value, nanos, counts, bounds)| {
            let flags = (nanos % 3) as u32;
            let number = Number {
                nanos,
                value: Some(NumberValue::Float(value)),
                attributes: attributes.clone(),
                flags,
            };
            let histogram = Histogram {
                nanos,
                count: nanos,
                sum: Some(value),
                bucket_counts: vec![nanos; counts],
                bounds: vec![value; bounds],
                attributes,
                flags,
            };
            vec![
                gauge(vec![number.clone()]),
                Data::Sum(Numbers { points: vec![number], temporality, monotonic: true }),
                Data::Histogram(Histograms { points: vec![histogram], temporality }),
            ]
        },
    );
    ("[a-z.]{0,5}", "[a-zA-Z/{}%1 ]{0,4}", data).prop_map(|(name, unit, data)| {
        let metrics = data.into_iter().map(|data| metric(&name, &unit, data)).collect();
        export(&[("service.name", &name), ("other", &unit)], metrics)
    })
}

proptest! {
    #[test]
    fn every_point_is_told_and_a_damaged_request_is_read_or_refused(
        export in any_export(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut bytes = export.encode_to_vec();
        let mut told = Told::default();
        prop_assert_eq!(decode_otlp(&bytes, 1_000, &mut told), Ok(()));
        prop_assert_eq!(told.points, 3);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode_otlp(&bytes, 1_000, &mut Told::default());
        let _ = decode_otlp(&bytes[..at], 1_000, &mut Told::default());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_otlp(&bytes, 1_000, &mut Told::default());
    }
}
