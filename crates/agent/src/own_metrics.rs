//! What the agent says about itself, as series beside those of its host.

use muster_series::{Labels, METRIC_NAME};

use crate::recorder::Held;
use crate::series_table::SeriesTable;

/// Counts and sizes of the agent, all since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct OwnFigures {
    pub(crate) queued_batches: usize,
    pub(crate) spool_bytes: u64,
    pub(crate) acknowledged: u64,
    pub(crate) dropped: u64,
    pub(crate) dropped_samples: u64,
    pub(crate) sessions: u64,
    pub(crate) skipped_ticks: u64,
    pub(crate) collect_seconds: f64,
    /// CPU time of the agent, in seconds.
    pub(crate) cpu_seconds: f64,
    /// From one collection to the next, and from one that is sent to the next.
    pub(crate) intervals_ms: (i64, i64),
    /// How much slower than configured the agent goes: 0 for not at all.
    pub(crate) slowdown: u32,
    pub(crate) recorder: Held,
    /// How far this host's clock is behind the server's; unknown until a session was opened.
    pub(crate) clock_offset_seconds: Option<f64>,
    /// Which of the server's settings are applied; none before any were given.
    pub(crate) settings_revision: Option<u64>,
    /// Whether a release did not come up and another runs; unknown where updates are not allowed.
    pub(crate) update_set_aside: Option<bool>,
}

impl OwnFigures {
    /// Appends the figures as samples.
    pub(crate) fn append(&self, table: &mut SeriesTable, samples: &mut Vec<(u32, f64)>) {
        let all = [
            ("muster_agent_queued_batches", Some(self.queued_batches as f64)),
            ("muster_agent_spool_bytes", Some(self.spool_bytes as f64)),
            ("muster_agent_acknowledged_batches_total", Some(self.acknowledged as f64)),
            ("muster_agent_dropped_batches_total", Some(self.dropped as f64)),
            ("muster_agent_dropped_samples_total", Some(self.dropped_samples as f64)),
            ("muster_agent_sessions_total", Some(self.sessions as f64)),
            ("muster_agent_skipped_ticks_total", Some(self.skipped_ticks as f64)),
            ("muster_agent_collect_seconds", Some(self.collect_seconds)),
            ("muster_agent_update_set_aside", self.update_set_aside.map(f64::from)),
            ("muster_agent_clock_offset_seconds", self.clock_offset_seconds),
            ("muster_agent_cpu_seconds_total", Some(self.cpu_seconds)),
            ("muster_agent_collect_interval_seconds", Some(self.intervals_ms.0 as f64 / 1e3)),
            ("muster_agent_send_interval_seconds", Some(self.intervals_ms.1 as f64 / 1e3)),
            ("muster_agent_slowdown", Some(f64::from(self.slowdown))),
            ("muster_agent_recorder_bytes", Some(self.recorder.bytes as f64)),
            ("muster_agent_recorder_seconds", Some((self.recorder.span_ms / 1_000) as f64)),
            (
                "muster_agent_recorder_write_failures_total",
                Some(self.recorder.write_failures as f64),
            ),
            (
                "muster_agent_settings_revision",
                self.settings_revision.map(|revision| revision as f64),
            ),
        ];
        for (name, value) in all {
            if let (Ok(labels), Some(value)) = (Labels::from_pairs([(METRIC_NAME, name)]), value) {
                samples.push((table.number_of(labels), value));
            }
        }
    }
}
