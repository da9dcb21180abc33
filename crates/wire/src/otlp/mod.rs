//! OpenTelemetry's metrics (OTLP): export requests as bytes to series and samples, by Prometheus's rules.
//!
//! 1. `walk` goes through a request in place: resources, metrics, data points.
//! 2. `names` gives metrics and attributes the names that Prometheus gives them by default: other characters become
//!    underscores, units and `_total` become suffixes.
//! 3. `translate` makes samples of data points: one of a number, one a bucket and two more of a histogram, and so on.
//!
//! What Prometheus does not take is refused by the point: deltas, exponential histograms, numbers without a number.
//!
//! Sources: <https://opentelemetry.io/docs/specs/otlp/>,
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>.

mod names;
mod response;
mod translate;
mod walk;

use std::borrow::Cow;

pub use response::{encode_failure, encode_response};

use crate::protobuf::DecodeError;

/// A label's name and value.
pub type OtlpLabel<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What a request says.
pub trait PointVisitor {
    /// A data point; its samples follow, or it is refused.
    fn point(&mut self);
    /// A sample of the point told last, or of `target_info`, which tells of the resource whose points came before.
    /// Labels are in no order, the first is the metric's name; none comes twice.
    fn sample(&mut self, labels: &[OtlpLabel<'_>], timestamp_ms: i64, value: f64);
    /// The point told last is not taken.
    fn refused(&mut self, problem: PointProblem);
}

/// Why a data point is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PointProblem {
    /// A change since the last report and not a total.
    #[error(
        "delta temporality is not stored; let the exporter send cumulative values \
         (OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative), or put the collector's deltatocumulative processor before it"
    )]
    Delta,
    /// An exponential histogram.
    #[error(
        "exponential histograms are not stored; let the SDK use explicit buckets \
         (OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=explicit_bucket_histogram)"
    )]
    ExponentialHistogram,
    /// Its parts do not fit together, or there are none, or they are no text.
    #[error(
        "a data point has no name or value, buckets that do not fit their bounds, or text that is not UTF-8"
    )]
    Malformed,
    /// More attributes, text or buckets than one point may have.
    #[error("a data point has more than 64 attributes, 32 KiB of their text or 1,000 buckets")]
    TooLarge,
}

/// Walks an export request with at most `max_samples` samples.
///
/// What comes before an error has been told to the visitor.
pub fn decode_otlp(
    request: &[u8],
    max_samples: usize,
    visitor: &mut impl PointVisitor,
) -> Result<(), DecodeError> {
    translate::Translator::new(max_samples, visitor).request(request)
}
