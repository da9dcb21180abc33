//! Prometheus' text format (0.0.4), written and read.
//!
//! The server's `/metrics` is written with it, and what other programs expose is read with it.
//! Names outside `[a-zA-Z_:][a-zA-Z0-9_:]*` are quoted as Prometheus 3 does: `{"disk.free",von="b"} 1`.
//!
//! ```
//! use muster_exposition::{Family, Kind, parse, write};
//!
//! let mut family = Family::new("requests_total", Kind::Counter, "Requests answered.");
//! family.push([("code", "200")], 3.0)?;
//! let text = write(&[family.clone()]);
//! assert_eq!(text, "# HELP requests_total Requests answered.\n# TYPE requests_total counter\nrequests_total{code=\"200\"} 3\n");
//! assert_eq!(parse(&text)?, [family]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

mod family;
mod line;
mod parse;
mod points;
mod write;

pub use family::{Family, Kind, Point};
pub use parse::{ParseError, Problem, parse};
pub use points::{RawPoint, TimestampUnit, parse_series, read_points};
pub use write::{CONTENT_TYPE, write};
