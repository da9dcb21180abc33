//! A request's bytes to a batch: the decoders tell series and samples, the table gives the store's numbers.

use muster_exposition::{RawPoint, TimestampUnit, parse_series, read_points};
use muster_series::Labels;
use muster_tsdb::{SeriesId, SeriesSample, TsdbError, WriteBatch};
use muster_wire::{
    DecodeError, LabelLimits, OtlpLabel, PointProblem, PointVisitor, RawLabelError, RawLabels,
    SeriesVisitor, decode_otlp, decode_v1, decode_v2,
};
use xxhash_rust::xxh3::xxh3_128_with_secret;

use super::PushError;
use super::counts::{Protocol, Reason, Refusals};
use super::series_table::{Reader, SeriesTable};
use crate::secrets::random_bytes;

/// The most samples of one request.
pub(super) const MAX_SAMPLES: usize = 1_000_000;

/// What a body holds.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    RemoteWrite1,
    RemoteWrite2,
    Otlp,
    Text(TextOptions),
}

/// What a sender of text says beside it.
#[derive(Debug, Clone)]
pub(crate) struct TextOptions {
    /// Labels of every series, in place of its own of those names.
    pub(crate) extra: Labels,
    /// The time of samples that do not say theirs; else it is now.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) unit: TimestampUnit,
}

impl Format {
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::RemoteWrite1 => Protocol::RemoteWrite1,
            Self::RemoteWrite2 => Protocol::RemoteWrite2,
            Self::Otlp => Protocol::Otlp,
            Self::Text(_) => Protocol::Text,
        }
    }
}

/// Whether what the table knows is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Trusted,
    /// The store does not know some of it any more: every series of the request is looked up anew.
    Forgotten,
}

/// Gives the store's number of a series, which becomes known if it was not.
pub(super) type Register<'a> = &'a dyn Fn(&Labels) -> Result<SeriesId, TsdbError>;

/// What a request came to, before it is stored.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) batch: WriteBatch,
    /// How many samples the batch has.
    pub(super) samples: u64,
    pub(super) refusals: Refusals,
    /// Data points of OTLP, and those of which something was refused.
    pub(super) points: u64,
    pub(super) rejected_points: u64,
    pub(super) exemplars: u64,
}

/// Makes keys of bytes, those of each protocol apart from the others'. Nobody outside can make two label sets with the
/// same key, as the secrets are of this process.
pub(super) struct Keys([[u8; 192]; Protocol::ALL.len()]);

impl Keys {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| random_bytes()))
    }

    fn of(&self, protocol: Protocol) -> impl Fn(&[u8]) -> u128 {
        let secret = &self.0[protocol as usize];
        move |bytes| xxh3_128_with_secret(bytes, secret)
    }
}

/// Reads a body without compression. New series are registered and remembered in the table.
pub(super) fn gather(
    (table, keys): (&SeriesTable, &Keys),
    register: Register<'_>,
    format: &Format,
    plain: &[u8],
    known: Known,
    now_ms: i64,
) -> Result<Gathered, PushError> {
    let hash = keys.of(format.protocol());
    let mut gather = Gather::new(table.read(), register, known);
    let decoded = match format {
        Format::RemoteWrite1 => decode_v1(plain, MAX_SAMPLES, hash, &mut gather),
        Format::RemoteWrite2 => decode_v2(plain, MAX_SAMPLES, hash, &mut gather),
        Format::Otlp => {
            let mut points = Points { gather: &mut gather, hash, bytes: Vec::new(), bad: false };
            decode_otlp(plain, MAX_SAMPLES, &mut points)
        }
        Format::Text(options) => {
            gather.text(plain, options, now_ms, hash);
            Ok(())
        }
    };
    let Gather { fresh, gathered, reader, .. } = gather;
    drop(reader);
    table.insert(&fresh, now_ms);
    match decoded {
        Ok(()) => Ok(gathered),
        Err(error @ DecodeError::TooMany { .. }) => Err(PushError::TooLarge(error.to_string())),
        Err(error) => Err(PushError::Malformed(error.to_string())),
    }
}

/// Why a series is not stored; what is wrong with it, for people.
type Refusal = (Reason, String);

struct Gather<'a> {
    reader: Reader<'a>,
    register: Register<'a>,
    known: Known,
    /// The series that samples belong to now.
    current: Result<SeriesId, Reason>,
    fresh: Vec<(u128, SeriesId)>,
    gathered: Gathered,
}

impl<'a> Gather<'a> {
    fn new(reader: Reader<'a>, register: Register<'a>, known: Known) -> Self {
        Self {
            reader,
            register,
            known,
            current: Err(Reason::Malformed),
            fresh: Vec::new(),
            gathered: Gathered::default(),
        }
    }

    /// Samples belong to the series of this key from now on; its labels are asked for only if it is not known.
    #[inline]
    fn turn_to(&mut self, key: u128, labels: impl FnOnce() -> Result<Labels, Refusal>) {
        self.current = match self.reader.get(key) {
            Some(series) if self.known == Known::Trusted => Ok(series),
            _ => self.register(key, labels),
        };
    }

    fn register(
        &mut self,
        key: u128,
        labels: impl FnOnce() -> Result<Labels, Refusal>,
    ) -> Result<SeriesId, Reason> {
        let registered = labels().and_then(|labels| {
            (self.register)(&labels).map_err(|error| {
                let reason = match error {
                    TsdbError::SeriesLimit { .. } => Reason::SeriesLimit,
                    _ => Reason::LabelLimit,
                };
                (reason, format!("{labels}: {error}"))
            })
        });
        match registered {
            Ok(series) => {
                self.fresh.push((key, series));
                Ok(series)
            }
            Err((reason, detail)) => {
                self.gathered.refusals.detail(|| detail);
                Err(reason)
            }
        }
    }

    #[inline]
    fn push(&mut self, timestamp_ms: i64, value: f64) {
        match self.current {
            Ok(series) => {
                self.gathered.batch.samples.push(SeriesSample { series, timestamp_ms, value });
                self.gathered.samples += 1;
            }
            Err(reason) => self.gathered.refusals.add(reason, 1),
        }
    }

    fn text(
        &mut self,
        text: &[u8],
        options: &TextOptions,
        now_ms: i64,
        hash: impl Fn(&[u8]) -> u128,
    ) {
        // No text has the byte 0xff, so that a series with these labels before it is never one without.
        let mut extended = Vec::new();
        for (name, value) in options.extra.iter() {
            put_label(&mut extended, name, value);
        }
        let prefix = extended.len();
        read_points(text, options.unit, |line, point| {
            let RawPoint { series, value, timestamp_ms } = match point {
                Ok(_) if self.gathered.batch.samples.len() == MAX_SAMPLES => {
                    self.gathered.refusals.add(Reason::Malformed, 1);
                    let detail =
                        || format!("line {line}: after {MAX_SAMPLES} samples; send fewer at once");
                    return self.gathered.refusals.detail(detail);
                }
                Ok(point) => point,
                Err(problem) => {
                    self.gathered.refusals.add(Reason::Malformed, 1);
                    return self.gathered.refusals.detail(|| format!("line {line}: {problem}"));
                }
            };
            let key = if prefix == 0 {
                hash(series.as_bytes())
            } else {
                extended.truncate(prefix);
                extended.extend_from_slice(series.as_bytes());
                hash(&extended)
            };
            self.turn_to(key, || {
                let labels = parse_series(series)
                    .map_err(|problem| (Reason::BadLabels, format!("line {line}: {problem}")))?;
                let labels = options.extra.iter().fold(labels, |labels, (n, v)| labels.with(n, v));
                check(&labels)
                    .map_err(|(reason, what)| (reason, format!("line {line}: {what}")))?;
                Ok(labels)
            });
            self.push(timestamp_ms.or(options.timestamp_ms).unwrap_or(now_ms), value);
        });
    }
}

impl SeriesVisitor for Gather<'_> {
    #[inline]
    fn series(&mut self, key: u128, labels: RawLabels<'_>) {
        self.turn_to(key, || raw_labels(labels));
    }

    #[inline]
    fn sample(&mut self, timestamp_ms: i64, value: f64) {
        self.push(timestamp_ms, value);
    }

    fn histogram(&mut self) {
        self.gathered.refusals.add(Reason::NativeHistogram, 1);
    }

    fn exemplar(&mut self) {
        if self.current.is_ok() {
            self.gathered.exemplars += 1;
        }
    }
}

fn raw_labels(raw: RawLabels<'_>) -> Result<Labels, Refusal> {
    let mut pairs = Vec::new();
    raw.pairs(&LabelLimits::default(), &mut pairs).map_err(|error| {
        let reason = match error {
            RawLabelError::TooMany { .. } | RawLabelError::TooLong { .. } => Reason::LabelLimit,
            _ => Reason::BadLabels,
        };
        (reason, error.to_string())
    })?;
    let labels =
        Labels::from_pairs(pairs).map_err(|error| (Reason::BadLabels, error.to_string()))?;
    check(&labels)?;
    Ok(labels)
}

/// What every series must have, whatever it came by: a name, and labels within the limits.
fn check(labels: &Labels) -> Result<(), Refusal> {
    let limits = LabelLimits::default();
    if labels.metric_name().is_none() {
        return Err((Reason::BadLabels, format!("{labels}: a series without a metric name")));
    }
    let long = |(name, value): (&str, &str)| {
        name.len() > limits.name_bytes || value.len() > limits.value_bytes
    };
    let name = labels.metric_name().unwrap_or_default();
    if labels.len() > limits.labels || name.len() > limits.name_bytes || labels.iter().any(long) {
        return Err((Reason::LabelLimit, format!("{labels}")));
    }
    Ok(())
}

fn put_label(bytes: &mut Vec<u8>, name: &str, value: &str) {
    for text in [name, value] {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0xff);
    }
}

/// OTLP's data points on their way into a batch.
struct Points<'g, 'a, H> {
    gather: &'g mut Gather<'a>,
    hash: H,
    bytes: Vec<u8>,
    /// Whether something of the point told last was refused already.
    bad: bool,
}

impl<H: Fn(&[u8]) -> u128> PointVisitor for Points<'_, '_, H> {
    fn point(&mut self) {
        self.gather.gathered.points += 1;
        self.bad = false;
    }

    fn sample(&mut self, labels: &[OtlpLabel<'_>], timestamp_ms: i64, value: f64) {
        self.bytes.clear();
        for (name, value) in labels {
            put_label(&mut self.bytes, name, value);
        }
        let key = (self.hash)(&self.bytes);
        self.gather.turn_to(key, || {
            let pairs = labels.iter().map(|(name, value)| (&**name, &**value));
            let labels = Labels::from_pairs(pairs)
                .map_err(|error| (Reason::BadLabels, error.to_string()))?;
            check(&labels)?;
            Ok(labels)
        });
        self.gather.push(timestamp_ms, value);
        if self.gather.current.is_err() {
            self.reject();
        }
    }

    fn refused(&mut self, problem: PointProblem) {
        let reason = match problem {
            PointProblem::Delta => Reason::Delta,
            PointProblem::ExponentialHistogram => Reason::NativeHistogram,
            PointProblem::Malformed => Reason::Malformed,
            PointProblem::TooLarge => Reason::LabelLimit,
        };
        let gathered = &mut self.gather.gathered;
        if gathered.refusals.of(reason) == 0 {
            gathered.refusals.detail(|| problem.to_string());
        }
        gathered.refusals.add(reason, 1);
        self.reject();
    }
}

impl<H> Points<'_, '_, H> {
    fn reject(&mut self) {
        if !std::mem::replace(&mut self.bad, true) {
            self.gather.gathered.rejected_points += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use muster_environment::{ManualClock, MemoryDisk};
    use muster_tsdb::{Db, Options};

    use super::*;

    const TEXT: &[u8] = b"up{job=\"a\"} 1 5\nup{job=\"b\"} 2 5\nup{job=\"a\"} 3 6\n";

    fn text(extra: &[(&str, &str)]) -> Format {
        Format::Text(TextOptions {
            extra: Labels::from_pairs(extra.iter().copied()).unwrap(),
            timestamp_ms: None,
            unit: TimestampUnit::Milliseconds,
        })
    }

    struct Fixture {
        table: SeriesTable,
        keys: Keys,
        db: Db,
        registered: Cell<usize>,
    }

    impl Fixture {
        fn new(max_series: usize) -> Self {
            let (disk, clock) = (Arc::new(MemoryDisk::new()), Arc::new(ManualClock::at(0)));
            let options = Options { max_series, ..Options::default() };
            let (db, _) = Db::open("/data".as_ref(), disk, clock, options).unwrap();
            Self { table: SeriesTable::new(), keys: Keys::new(), db, registered: Cell::new(0) }
        }

        fn gather(&self, format: &Format, body: &[u8], known: Known) -> Gathered {
            let register = |labels: &Labels| {
                self.registered.set(self.registered.get() + 1);
                self.db.series(labels)
            };
            gather((&self.table, &self.keys), &register, format, body, known, 0).unwrap()
        }
    }

    #[test]
    fn a_known_series_is_not_registered_again_unless_it_was_forgotten() {
        let fixture = Fixture::new(10);
        let first = fixture.gather(&text(&[]), TEXT, Known::Trusted);
        assert_eq!(first.samples, 3);
        assert_eq!(first.batch.samples[0].series, first.batch.samples[2].series);
        let registered = fixture.registered.get();
        let again = fixture.gather(&text(&[]), TEXT, Known::Trusted);
        assert_eq!(again.batch.samples, first.batch.samples);
        assert_eq!(fixture.registered.get(), registered);
        fixture.gather(&text(&[]), TEXT, Known::Forgotten);
        assert!(fixture.registered.get() >= registered + 2);
    }

    #[test]
    fn labels_of_the_query_make_other_series() {
        let fixture = Fixture::new(10);
        let plain = fixture.gather(&text(&[]), TEXT, Known::Trusted);
        let extended = fixture.gather(&text(&[("job", "x")]), TEXT, Known::Trusted);
        let ids = |gathered: &Gathered| {
            gathered.batch.samples.iter().map(|sample| sample.series).collect::<Vec<_>>()
        };
        let (plain, extended) = (ids(&plain), ids(&extended));
        assert!(extended.iter().all(|id| *id == extended[0] && !plain.contains(id)));
    }

    #[test]
    fn series_over_the_limit_are_refused_and_the_others_stored() {
        let fixture = Fixture::new(1);
        let gathered = fixture.gather(&text(&[]), TEXT, Known::Trusted);
        assert_eq!(gathered.samples, 2);
        assert_eq!(gathered.refusals.of(Reason::SeriesLimit), 1);
        assert_eq!(fixture.table.len(), 1);
    }
}
