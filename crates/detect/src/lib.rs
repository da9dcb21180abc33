//! What series mean: when a disk will be full, what is unusual for this hour, who differs from its peers.
//!
//! The crate is pure: values with their times come in, and the time; verdicts come out. It reads no file and no clock,
//! and keeps nothing but what its caller holds.
//!
//! ```
//! use muster_detect::{Forecast, Record, Side, Target, forecast};
//! use muster_series::Sample;
//!
//! const MINUTE_MS: i64 = 60_000;
//! // A disk of 1 TB fills by 1 GB an hour, told every 15 minutes for a day; 100 GB are left.
//! let now_ms = 1_790_000_000_000;
//! let history: Vec<Sample> = (0..=96)
//!     .map(|quarter| Sample {
//!         timestamp_ms: now_ms - (96 - quarter) * 15 * MINUTE_MS,
//!         value: 876e9 + 0.25e9 * quarter as f64,
//!     })
//!     .collect();
//! let target = Target { limit: 1e12, side: Side::Rising, size: 1e12 };
//! let Forecast::Date(date) = forecast(&history, target, now_ms, &Record::default()) else { panic!() };
//! assert_eq!((date.at_ms - now_ms) / (60 * MINUTE_MS), 100);
//! ```

mod anomaly_rate;
mod baseline;
mod change;
mod forecast;
mod host_figures;
mod judge;
mod outliers;
mod rank;
mod swings;
mod trend;

pub use anomaly_rate::{AnomalyRate, LEAST_SERIES, Rate};
pub use baseline::{Baseline, Direction, Outlook, Sensitivity};
pub use change::{ChangePoint, Difference, LEAST_SPAN, change_points, difference};
pub use forecast::{Date, Forecast, NoDate, Record, Side, Target, Unknown, forecast};
pub use host_figures::{HOST_FIGURES, HostFigure};
pub use judge::{Episode, Judgement, judge};
pub use outliers::{LEAST_PEERS, Outlier, outliers};
