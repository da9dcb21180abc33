//! What the server tells an agent beside what becomes of its batches: settings, and that somebody looks at the processes.

use std::sync::Arc;

use muster_wire::{Configuration, ProcessTable};

use crate::central_settings::{of_collectors, save};
use crate::recorder::Recorder;
use crate::tasks::{ProcessReader, on_disk};

use super::Agent;
use super::start::RECORD_MS;

impl Agent {
    /// Takes over settings of the server and keeps them, unless this host's administrator forbids it.
    pub(super) async fn configure(&mut self, configuration: Configuration) {
        if !self.config.central_settings {
            if configuration.revision != self.refused_revision {
                self.refused_revision = configuration.revision;
                tracing::info!(
                    "the server sends settings; this agent was started with --no-central-settings and leaves them"
                );
            }
            return;
        }
        if configuration == self.central {
            return;
        }
        tracing::info!(revision = configuration.revision, "new settings from the server");
        let saved = configuration.clone();
        self.apply(configuration).await;
        let (disk, state_dir) = (Arc::clone(&self.disk), self.config.state_dir.clone());
        if let Err(error) = on_disk(move || save(&*disk, &state_dir, &saved)).await {
            tracing::warn!(%error, "the settings from the server cannot be kept; after a restart without a server they are forgotten");
        }
    }

    /// Hands settings to the parts that they concern. What was given when this agent was started wins.
    pub(super) async fn apply(&mut self, configuration: Configuration) {
        let central = configuration.fast_interval_ms.filter(|_| !self.config.interval_is_fixed);
        let interval_ms = central.unwrap_or(self.config.interval_ms);
        let slow_interval_ms =
            configuration.slow_interval_ms.unwrap_or(self.config.slow_interval_ms);
        self.schedule.set_intervals(interval_ms, slow_interval_ms);
        let cpu_percent = configuration.cpu_limit_percent.filter(|_| !self.config.max_cpu_is_fixed);
        self.governor.set_limit(cpu_percent.map_or(self.config.max_cpu_ratio, |p| p / 100.0));
        self.switch_recorder(configuration.recorder.unwrap_or(true)).await;
        let (settings, wrong) = of_collectors(&configuration);
        for error in wrong {
            tracing::warn!(%error, "a pattern from the server is left out");
        }
        self.collector.configure(settings);
        self.central = configuration;
    }

    /// Ends the recorder, or begins it anew: in memory only, until the next start opens its folder again.
    async fn switch_recorder(&mut self, on: bool) {
        if self.config.recorder_bytes == 0 || on == self.recorder.is_some() {
            return;
        }
        self.schedule.set_record_interval(on.then_some(RECORD_MS));
        if on {
            self.recorder = Some(Recorder::new(self.config.recorder_bytes, Vec::new()));
        } else {
            self.end_recording().await;
        }
    }

    /// Somebody looks at the processes for so long.
    pub(super) fn watch_processes(&mut self, lease_ms: i64) {
        self.process_watch.extend(lease_ms, self.clock.monotonic_ms());
    }

    /// Asks for a table where one is due; lets go of the reader when nobody looks any more.
    pub(super) fn tend_processes(&mut self) {
        let due = self.process_watch.poll(self.clock.monotonic_ms());
        if !self.process_watch.is_watched() {
            self.process_reader = None;
        }
        if !due {
            return;
        }
        if self.process_reader.is_none() {
            let Some(make) = &self.make_process_source else { return };
            match ProcessReader::spawn(make(), Arc::clone(&self.clock)) {
                Ok(reader) => self.process_reader = Some(reader),
                Err(error) => {
                    tracing::warn!(%error, "the table of processes cannot be read");
                    return;
                }
            }
        }
        if let Some(reader) = &mut self.process_reader {
            reader.request();
        }
    }

    /// Sends a table; none means that its reader has ended.
    pub(super) fn send_processes(&mut self, table: Option<ProcessTable>) {
        let Some(mut table) = table else {
            self.process_reader = None;
            return;
        };
        if self.central.process_arguments == Some(false) || self.config.hide_arguments {
            for row in &mut table.rows {
                row.command.clone_from(&row.program);
            }
        }
        self.exchange.send_processes(table);
    }
}
