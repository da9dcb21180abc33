//! Fleets of hosts that do not exist, for demos, load and tests.
//!
//! A [`HostModel`] follows from a seed and a number and knows the value of each of its series at any
//! moment, so a test can compute what must be stored. [`run_fleet`] lets many of them speak the
//! agent protocol with a real server, in one process and at little cost: no threads or spool of
//! their own. Where the agent itself is what matters, each host can be a whole `muster-agent` that
//! collects from its model. A numbered fleet sends counters instead, and [`write_log`] keeps what was
//! acknowledged, so that a crash test can ask the server for all of it.

mod host;
mod parts;
mod sensors;
mod services;
mod workloads;

mod course;
mod shape;
mod wave;

mod outbox;
mod script;

mod ack_log;
mod fleet;
mod host_loop;
mod link;
mod whole_agent;

mod weeks;

mod error;
mod target;

pub use ack_log::{AcknowledgedTick, parse_log, write_log};
pub use error::SimulationError;
pub use fleet::{Acknowledged, FleetConfig, FleetKind, FleetReport, Present, Totals, run_fleet};
pub use host::{HostModel, Pace, SimulatedSeries};
pub use script::NUMBERED_METRIC;
pub use target::Target;
pub use weeks::{FAULT_KINDS, FaultKind, FaultReport, FleetReport as HealthyReport, Report, Weeks};
pub use whole_agent::ModelSource;
