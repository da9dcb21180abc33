//! PromQL over any source of series: parsing, limits and evaluation with the semantics of Prometheus 3.
//!
//! The crate is pure and synchronous. It knows no storage engine and no clock: samples come from a
//! [`SeriesSource`], times are arguments. A range query selects once per selector for its whole
//! range, then slides over the samples of each series.
//!
//! Metric names are dropped at the end of a query, not at each step of it (Prometheus's
//! `promql-delayed-name-removal`), so that a regular expression on `__name__` causes no collisions.
//!
//! ```
//! use muster_promql::{Options, SeriesSource, SourceError, Value, evaluate_instant, parse};
//! use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};
//!
//! struct Fixed(Vec<SeriesColumns>);
//!
//! impl SeriesSource for Fixed {
//!     fn select(&self, matchers: &[Matcher], _: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
//!         let fits = |s: &&SeriesColumns| {
//!             matchers.iter().all(|m| m.matches(s.labels.get(m.name()).unwrap_or("")))
//!         };
//!         Ok(self.0.iter().filter(fits).cloned().collect())
//!     }
//! }
//!
//! let mut load = SeriesColumns::new(Labels::from_pairs([("__name__", "node_load1")])?);
//! load.timestamps.push(1_000);
//! load.values.push(0.5);
//! let query = parse("sum(node_load1) * 2")?;
//! let evaluated = evaluate_instant(&Fixed(vec![load]), &query, 2_000, &Options::default())?;
//! let Value::Vector(samples) = evaluated.value else { unreachable!() };
//! assert_eq!(samples[0].value, 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod evaluate;
mod functions;
mod guard;
mod lower;
mod narrow;
mod options;
mod plan;
mod positions;
mod query;
mod source;
mod sums;
mod syntax;
mod value;

pub use evaluate::{EvaluateError, evaluate_instant, evaluate_range};
pub use narrow::narrow;
pub use options::Options;
pub use query::{ParseError, Query, parse, parse_selector};
pub use source::{SelectHints, Selected, SeriesPart, SeriesSource, SourceError};
pub use syntax::{format_query, syntax_tree};
pub use value::{Evaluated, InstantSample, SampleStats, Value};
