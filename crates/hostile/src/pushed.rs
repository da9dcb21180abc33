//! Requests that other programs push: remote write 1.0 and 2.0 as protobuf, OTLP, and text line by line.

use muster_exposition::{TimestampUnit, parse_series, read_points};
use muster_wire::{
    LabelLimits, OtlpLabel, PointProblem, PointVisitor, RawLabels, SeriesVisitor, decode_otlp,
    decode_v1, decode_v2,
};

/// As many samples as a request may hold here; the server's limit is higher.
const MAX_SAMPLES: usize = 10_000;

/// Counts what it is told, and reads all labels.
#[derive(Default)]
struct Counting {
    series: usize,
    samples: usize,
}

impl SeriesVisitor for Counting {
    fn series(&mut self, _: u128, labels: RawLabels<'_>) {
        self.series += 1;
        let (limits, mut pairs) = (LabelLimits::default(), Vec::new());
        if labels.pairs(&limits, &mut pairs).is_ok() {
            assert!(pairs.len() <= limits.labels, "{} labels are over the limit", pairs.len());
        }
    }

    fn sample(&mut self, _: i64, _: f64) {
        assert!(self.series > 0, "a sample of no series");
        self.samples += 1;
    }

    fn histogram(&mut self) {}

    fn exemplar(&mut self) {}
}

impl PointVisitor for Counting {
    fn point(&mut self) {
        self.series += 1;
    }

    fn sample(&mut self, labels: &[OtlpLabel<'_>], _: i64, _: f64) {
        assert_eq!(labels[0].0, "__name__", "the first label is the name");
        self.samples += 1;
    }

    fn refused(&mut self, _: PointProblem) {}
}

/// A remote-write 1.0 request, after decompression.
pub(crate) fn remote_write_1(bytes: &[u8]) {
    let mut told = Counting::default();
    let _ = decode_v1(bytes, MAX_SAMPLES, hash, &mut told);
    assert!(told.samples <= MAX_SAMPLES.min(bytes.len()), "{} samples", told.samples);
}

/// A remote-write 2.0 request, after decompression.
pub(crate) fn remote_write_2(bytes: &[u8]) {
    let mut told = Counting::default();
    let _ = decode_v2(bytes, MAX_SAMPLES, hash, &mut told);
    assert!(told.samples <= MAX_SAMPLES.min(bytes.len()), "{} samples", told.samples);
}

/// An OTLP export of metrics, after decompression.
pub(crate) fn otlp(bytes: &[u8]) {
    let mut told = Counting::default();
    let _ = decode_otlp(bytes, MAX_SAMPLES, &mut told);
    assert!(told.samples <= MAX_SAMPLES, "{} samples", told.samples);
}

/// Text of samples, of which each line stands for itself.
pub(crate) fn text_lines(bytes: &[u8]) {
    for unit in [TimestampUnit::Milliseconds, TimestampUnit::Seconds] {
        read_points(bytes, unit, |line, point| {
            assert!(line > 0, "lines are counted from 1");
            if let Ok(point) = point {
                let _ = parse_series(point.series);
            }
        });
    }
}

/// Any function of the bytes will do.
fn hash(bytes: &[u8]) -> u128 {
    u128::from(crc32fast::hash(bytes))
}

pub(crate) fn seeds_1() -> Vec<Vec<u8>> {
    let label = |name: &str, value: &str| {
        bytes(1, &[bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat())
    };
    let sample = |value: f64, at: u64| bytes(2, &[double(1, value), number(2, at)].concat());
    let series = |own: &str| {
        let labels = [label("__name__", "up"), label("instance", own), label("job", "node")];
        let samples = [sample(1.0, 1_790_000_000_000), sample(f64::NAN, 1_790_000_015_000)];
        bytes(1, &[labels.concat(), samples.concat()].concat())
    };
    vec![[series("a"), series("b")].concat()]
}

pub(crate) fn seeds_2() -> Vec<Vec<u8>> {
    let symbols = ["", "__name__", "up", "job", "node"].map(|symbol| bytes(4, symbol.as_bytes()));
    let sample = bytes(2, &[double(1, 1.0), number(2, 1_790_000_000_000)].concat());
    let series = bytes(5, &[bytes(1, &[1, 2, 3, 4]), sample].concat());
    vec![[symbols.concat(), series.clone(), series].concat()]
}

pub(crate) fn seeds_otlp() -> Vec<Vec<u8>> {
    let attribute = |number: u32, key: &str, value: &str| {
        let value = bytes(2, &bytes(1, value.as_bytes()));
        bytes(number, &[bytes(1, key.as_bytes()), value].concat())
    };
    let at = fixed(3, 1_790_000_000_000_000_000);
    let point = bytes(1, &[attribute(7, "cpu.mode", "idle"), at.clone(), double(4, 0.5)].concat());
    let metric = |name: &str, unit: &str, kind: Vec<u8>| {
        bytes(2, &[bytes(1, name.as_bytes()), bytes(3, unit.as_bytes()), kind].concat())
    };
    let counts: Vec<u8> = [1_u64, 2, 3].iter().flat_map(|count| count.to_le_bytes()).collect();
    let bounds: Vec<u8> = [0.1_f64, 1.0].iter().flat_map(|bound| bound.to_le_bytes()).collect();
    let buckets = [at, fixed(4, 6), double(5, 2.5), bytes(6, &counts), bytes(7, &bounds)].concat();
    let metrics = [
        metric("system.cpu.utilization", "1", bytes(5, &point)),
        metric(
            "requests",
            "{request}",
            bytes(7, &[point.clone(), number(2, 2), number(3, 1)].concat()),
        ),
        metric("latency", "s", bytes(9, &[bytes(1, &buckets), number(2, 2)].concat())),
    ];
    let resource = bytes(1, &attribute(1, "service.name", "shop"));
    vec![bytes(1, &[resource, bytes(2, &metrics.concat())].concat())]
}

pub(crate) fn seeds_text() -> Vec<Vec<u8>> {
    vec![
        b"# TYPE up gauge\nup{instance=\"a\"} 1 1790000000000\nup{instance=\"b\",} -Inf\r\n\n"
            .to_vec(),
        b"{\"disk.free\",von=\"b\\\\\\\"\"} 1e9 1790000000.5 # {trace=\"x\"} 1\n# EOF\n".to_vec(),
    ]
}

/// A field of bytes, texts or another message; content and number are short.
fn bytes(field: u32, content: &[u8]) -> Vec<u8> {
    [&varint(u64::from(field << 3 | 2)), &varint(content.len() as u64), content].concat()
}

fn number(field: u32, value: u64) -> Vec<u8> {
    [varint(u64::from(field << 3)), varint(value)].concat()
}

fn double(field: u32, value: f64) -> Vec<u8> {
    fixed(field, value.to_bits())
}

fn fixed(field: u32, value: u64) -> Vec<u8> {
    [varint(u64::from(field << 3 | 1)), value.to_le_bytes().to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed that is refused at its first byte would test nothing.
    #[test]
    fn seeds_are_read_to_their_end() {
        let mut told = Counting::default();
        decode_v1(&seeds_1()[0], MAX_SAMPLES, hash, &mut told).unwrap();
        assert_eq!((told.series, told.samples), (2, 4));
        let mut told = Counting::default();
        decode_v2(&seeds_2()[0], MAX_SAMPLES, hash, &mut told).unwrap();
        assert_eq!((told.series, told.samples), (2, 2));
        let mut told = Counting::default();
        decode_otlp(&seeds_otlp()[0], MAX_SAMPLES, &mut told).unwrap();
        assert_eq!(told.series, 3);
        assert!(told.samples >= 7, "{} samples", told.samples);
    }
}
