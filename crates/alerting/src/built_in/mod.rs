//! The rules that come with Muster: what they measure, their grades, and what they say.
//!
//! A rule's expression yields a measure for each thing that can be the matter; grades compare it with thresholds, which
//! people may change for all hosts, for a group or for a host ([`Thresholds`]). Defaults are quiet on a healthy busy machine.

mod disks;
mod network;
mod own_health;
mod performance;
mod services;
mod thresholds;

use std::sync::LazyLock;

pub use thresholds::{LevelChange, LevelChanges, ThresholdScope, Thresholds};

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody has to act now.
    Critical,
    /// Somebody has to act today.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// As the label has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// Which of Muster's jobs a rule belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Hosts, CPU, memory, load, temperature, clocks.
    Performance,
    /// File systems, disks and arrays.
    Disks,
    /// Units and processes.
    Services,
    /// Links and endpoints.
    Network,
    /// Muster itself, and its agents.
    Muster,
}

/// A rule that comes with Muster.
///
/// Texts are pairs: English and Chinese. Those of alerts are templates as Prometheus's annotations are.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its name in addresses and in what people changed: it never changes.
    pub id: &'static str,
    /// The name of its alerts.
    pub alert: &'static str,
    /// Which of Muster's jobs it belongs to.
    pub job: Job,
    /// What it is about, in a few words.
    pub title: [&'static str; 2],
    /// When it fires, and what it leaves out.
    pub about: [&'static str; 2],
    /// The measure, in PromQL; rules with the same text are evaluated once.
    pub expr: &'static str,
    /// The unit of its values and thresholds: `percent`, `seconds`, `celsius`, `bytes`; empty for plain numbers.
    pub unit: &'static str,
    /// Whether it holds below the threshold; else from the threshold on.
    pub below: bool,
    /// Its grades, the most urgent first.
    pub levels: &'static [Level],
    /// What is the matter, on one line.
    pub summary: [&'static str; 2],
    /// More of it; may be empty.
    pub description: [&'static str; 2],
    /// What to do.
    pub action: [&'static str; 2],
    /// Whether an urgent batch of its metrics evaluates it at once.
    pub nudged: bool,
    /// What makes it fire sooner, if anything does.
    pub unusual: Option<Unusual>,
}

/// A host's figure that was learned: where it is unusual for the hour, a rule need not hold for as long to be believed.
/// It never fires by that alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusual {
    /// The figure: the label `metric` of `muster_anomaly_score`.
    pub metric: &'static str,
    /// How long the rule must have held then, in milliseconds; a shorter time of a grade's own stays.
    pub for_ms: i64,
}

/// A grade of a rule; the fields mean what those of [`Terms`] do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// How urgent its alerts are.
    pub severity: Severity,
    /// See [`Terms::threshold`].
    pub threshold: Option<f64>,
    /// See [`Terms::clear`].
    pub clear: Option<f64>,
    /// See [`Terms::for_ms`].
    pub for_ms: i64,
    /// See [`Terms::keep_firing_for_ms`].
    pub keep_firing_for_ms: i64,
}

impl Level {
    const fn critical(threshold: f64, for_ms: i64) -> Self {
        Self::new(Severity::Critical, threshold, for_ms)
    }

    const fn warning(threshold: f64, for_ms: i64) -> Self {
        Self::new(Severity::Warning, threshold, for_ms)
    }

    const fn info(threshold: f64, for_ms: i64) -> Self {
        Self::new(Severity::Info, threshold, for_ms)
    }

    const fn new(severity: Severity, threshold: f64, for_ms: i64) -> Self {
        Self { severity, threshold: Some(threshold), clear: None, for_ms, keep_firing_for_ms: 0 }
    }

    const fn clear(self, clear: f64) -> Self {
        Self { clear: Some(clear), ..self }
    }

    const fn keep(self, keep_firing_for_ms: i64) -> Self {
        Self { keep_firing_for_ms, ..self }
    }
}

/// What holds for a host in a grade of a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Whether it is judged at all.
    pub enabled: bool,
    /// From which value on (or below which) it holds; none: every value does.
    pub threshold: Option<f64>,
    /// Once it holds, it does while the value has not passed this.
    pub clear: Option<f64>,
    /// How long it must have held before it fires, in milliseconds.
    pub for_ms: i64,
    /// How long it goes on firing after it held last, in milliseconds.
    pub keep_firing_for_ms: i64,
}

/// All rules that come with Muster, by job.
pub fn catalogue() -> &'static [BuiltIn] {
    static ALL: LazyLock<Vec<BuiltIn>> = LazyLock::new(|| {
        [performance::RULES, disks::RULES, services::RULES, network::RULES, own_health::RULES]
            .concat()
    });
    &ALL
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What most rules have in common.
const PLAIN: BuiltIn = BuiltIn {
    id: "",
    alert: "",
    job: Job::Performance,
    title: ["", ""],
    about: ["", ""],
    expr: "",
    unit: "",
    below: false,
    levels: &[],
    summary: ["", ""],
    description: ["", ""],
    action: ["", ""],
    nudged: false,
    unusual: None,
};
