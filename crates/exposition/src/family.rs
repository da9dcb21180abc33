//! Metric families: what a name means, and its points.

use muster_series::{LabelError, Labels, METRIC_NAME};

/// What kind of metric a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only rises, but for a restart.
    Counter,
    /// Goes up and down.
    Gauge,
    /// `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Quantiles, `_sum` and `_count`.
    Summary,
    /// Not said.
    Untyped,
}

impl Kind {
    /// The word of a `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }

    /// The kind of that word; `unknown`, as `OpenMetrics` says it, is untyped.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            "untyped" | "unknown" => Self::Untyped,
            _ => return None,
        })
    }

    /// What may stand between the family's name and the end of a point's name.
    pub(crate) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Histogram => &["_bucket", "_sum", "_count"],
            Self::Summary => &["_sum", "_count"],
            Self::Counter | Self::Gauge | Self::Untyped => &[],
        }
    }
}

/// One line with a value.
#[derive(Debug, Clone)]
pub struct Point {
    /// The whole label set, the metric name included.
    pub labels: Labels,
    /// Any float; the format has only one NaN, so a stale marker does not survive it.
    pub value: f64,
    /// Milliseconds since 1970-01-01 UTC; mostly left to the reader.
    pub timestamp_ms: Option<i64>,
}

impl PartialEq for Point {
    /// All NaNs are equal, as they are in the format.
    fn eq(&self, other: &Self) -> bool {
        self.labels == other.labels
            && self.timestamp_ms == other.timestamp_ms
            && (self.value == other.value || (self.value.is_nan() && other.value.is_nan()))
    }
}

/// The points of one metric, with what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The metric's name; a histogram's without `_bucket`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// One sentence for people; empty if nothing is said.
    pub help: String,
    /// Its points, in the order they are written.
    pub points: Vec<Point>,
}

impl Family {
    /// A family without points.
    pub fn new(name: &str, kind: Kind, help: &str) -> Self {
        Self { name: name.into(), kind, help: help.into(), points: Vec::new() }
    }

    /// Adds a point under the family's own name; fails where a label comes twice or has no name.
    pub fn push<'a>(
        &mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) -> Result<(), LabelError> {
        let labels = Labels::from_pairs(labels)?.with(METRIC_NAME, &self.name);
        self.points.push(Point { labels, value, timestamp_ms: None });
        Ok(())
    }

    /// Adds a point whose label set is made already.
    pub fn push_labels(&mut self, labels: Labels, value: f64) {
        self.points.push(Point { labels, value, timestamp_ms: None });
    }
}
