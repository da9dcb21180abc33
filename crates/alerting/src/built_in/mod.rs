//! The rules that come with Muster: what they measure, their grades, and what they say.

mod thresholds;

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
    /// Hosts.
    Performance,
    /// File systems, disks and arrays.
    Disks,
    /// Units and processes.
    Services,
    /// Links and endpoints.
    Network,
    /// Muster itself.
    Muster,
}

/// A rule that comes with Muster.
#[derive(Debug)]
pub struct BuiltIn {
    /// Its name in addresses.
    pub id: &'static str,
    /// The name of its alerts.
    pub alert: &'static str,
    /// Which of Muster's jobs it belongs to.
    pub job: Job,
    /// What it is about, in English and Chinese.
    pub title: [&'static str; 2],
    /// When it fires and what to do then.
    pub about: [&'static str; 2],
    /// The measure, in PromQL.
    pub expr: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// Whether it holds below the threshold.
    pub below: bool,
    /// Its grades, the most urgent first.
    pub levels: &'static [Level],
    /// What is the matter, in English and Chinese.
    pub summary: [&'static str; 2],
    /// More of it.
    pub description: [&'static str; 2],
    /// What to do.
    pub action: [&'static str; 2],
    /// Whether an urgent batch of its metrics evaluates it at once.
    pub nudged: bool,
}

/// A grade.
#[derive(Debug)]
pub struct Level {
    /// How urgent.
    pub severity: Severity,
    /// See [`Terms`].
    pub threshold: Option<f64>,
    /// See [`Terms`].
    pub clear: Option<f64>,
    /// See [`Terms`].
    pub for_ms: i64,
    /// See [`Terms`].
    pub keep_firing_for_ms: i64,
}

/// What holds for a host.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Whether it is judged.
    pub enabled: bool,
    /// From which value on it holds.
    pub threshold: Option<f64>,
    /// It goes on until there.
    pub clear: Option<f64>,
    /// How long it must have held.
    pub for_ms: i64,
    /// How long it goes on.
    pub keep_firing_for_ms: i64,
}

/// All of them.
pub fn catalogue() -> &'static [BuiltIn] {
    &[]
}
