//! The vocabulary that every other crate shares: labels, matchers, samples, time ranges, durations.
//!
//! Nothing here does I/O, reads a clock or knows a storage format.
//!
//! ```
//! use muster_series::{Labels, Matcher};
//!
//! let labels = Labels::from_pairs([("__name__", "node_load1"), ("instance", "web-1")])?;
//! let matcher = Matcher::parse_pair("instance", "=~", "web-.*")?;
//! assert!(matcher.matches(labels.get("instance").unwrap_or("")));
//! assert_eq!(labels.to_string(), r#"node_load1{instance="web-1"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod columns;
mod duration;
mod labels;
mod matcher;
mod packed;
mod sample;
mod time_range;

pub use columns::SeriesColumns;
pub use duration::{DurationError, format_duration_ms, parse_duration_ms};
pub use labels::{LabelError, Labels, METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use sample::{STALE_MARKER_BITS, Sample, is_stale_marker, stale_marker};
pub use time_range::TimeRange;
