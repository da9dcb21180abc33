//! What becomes of a collection: the recorder gets all of it, the queue what is to be sent; and how much the agent
//! costs by all that.

use std::fs;

use muster_series::is_stale_marker;
use muster_wire::Group;

use crate::config::CpuCounted;
use crate::governor::{Pressure, Why};
use crate::own_metrics::OwnFigures;
use crate::recorder::{Held, Recorder};
use crate::schedule::Due;
use crate::source::Collection;
use crate::spool::Spool;
use crate::tasks::{Collected, Written, process_cpu_us};

use super::{Agent, CLOSE_TIMEOUT};

/// A tick that the collectors could not serve counts as so late.
const SKIPPED_MS: i64 = 60_000;

impl Agent {
    /// Asks for a collection. While the last one still runs there is none, and only the agent's own figures tell so.
    pub(super) fn collect(&mut self, due: Due, now_ms: i64) {
        if self.collector.request(due) {
            self.governor.ticked(due.late_ms);
            return;
        }
        self.skipped_ticks += 1;
        self.governor.ticked(SKIPPED_MS);
        self.schedule.skipped(due);
        if due.sent {
            let mut samples = Vec::new();
            self.figures(now_ms).append(self.exchange.table(), &mut samples);
            let group = Group { timestamp_ms: due.timestamp_ms, samples };
            self.exchange.push(group, now_ms);
        }
    }

    /// Records a collection, and turns it into a batch if it is to be sent.
    pub(super) fn keep(&mut self, collected: Collected) {
        let Collected { due, collection, took_ms, thread_cpu_us } = collected;
        let now_ms = self.clock.monotonic_ms();
        self.collect_seconds = took_ms as f64 / 1_000.0;
        self.collector_cpu_us = thread_cpu_us;
        let Collection { new_series, samples, recorded } = collection;
        for (own, labels) in new_series {
            self.source_numbers.insert(own, self.exchange.table().number_of(labels));
        }
        let sent = due.sent;
        // Of two samples of a series the later counts, so those that have come back are not ended.
        let mut numbered = Vec::with_capacity(self.ended.len() + samples.len());
        if sent {
            let ended = self.ended.drain(..);
            numbered.extend(ended.map(|number| (number, muster_series::stale_marker())));
        }
        self.number(&samples, &mut numbered);
        if sent {
            self.figures(now_ms).append(self.exchange.table(), &mut numbered);
        } else {
            let goes_on = |number| {
                numbered.iter().any(|(other, value)| *other == number && !is_stale_marker(*value))
            };
            let ended = numbered.iter().filter(|(_, value)| is_stale_marker(*value));
            self.ended.extend(ended.map(|(number, _)| *number).filter(|number| !goes_on(*number)));
        }
        let group = Group { timestamp_ms: due.timestamp_ms, samples: numbered };
        self.record(&group, sent, now_ms);
        if !recorded.is_empty() {
            let mut samples = Vec::with_capacity(recorded.len());
            self.number(&recorded, &mut samples);
            self.record(&Group { timestamp_ms: due.timestamp_ms, samples }, false, now_ms);
        }
        if sent {
            self.exchange.push(group, now_ms);
        }
        let in_use = self.source_numbers.values().chain(&self.ended).copied();
        self.exchange.forget_idle_series(self.source_numbers.len() + self.ended.len(), in_use);
    }

    /// Gives samples the agent's numbers in place of the source's.
    fn number(&mut self, samples: &[(u32, f64)], numbered: &mut Vec<(u32, f64)>) {
        for &(own, value) in samples {
            if let Some(&number) = self.source_numbers.get(&own) {
                numbered.push((number, value));
                if is_stale_marker(value) {
                    self.source_numbers.remove(&own);
                }
            }
        }
    }

    fn record(&mut self, group: &Group, sent: bool, now_ms: i64) {
        let Some(recorder) = &mut self.recorder else { return };
        let table = self.exchange.table();
        recorder.record(group, sent, |number| table.labels_of(number), now_ms);
    }

    /// Writes what the recorder has for the disk, and sends on what the server has asked it for.
    pub(super) fn tend_recorder(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        if let Some(writer) = &mut self.recorder_writer
            && !writer.is_busy()
            && let Some(write) = recorder.poll_write()
        {
            writer.start(write);
        }
        let now_ms = self.clock.monotonic_ms();
        if recorder.is_recalling()
            && self.exchange.wants_segment(now_ms)
            && let Some(groups) = recorder.next_recalled(self.exchange.table())
        {
            self.exchange.push_recalled(groups, now_ms);
        }
    }

    /// The recorder's folder has done, or not done, what it was asked for.
    pub(super) fn recorded(&mut self, written: Option<Written>) {
        let (Some(recorder), Some(Written { write, result })) = (&mut self.recorder, written)
        else {
            self.recorder_writer = None;
            return;
        };
        let Some(append) = write.append else { return };
        if recorder.written(append.segment, append.bytes.len(), result.is_ok())
            && let Err(error) = result
        {
            tracing::warn!(%error, "the recorder cannot write its files; a crash would lose what they lack");
        }
    }

    /// Leaves the recorder's folder so that the next run sees that this one ended on purpose.
    pub(super) async fn end_recording(&mut self) {
        let boot_id = self.facts.boot_id.clone();
        let ended = async {
            let mut recorder = self.recorder.take()?;
            let mut writer = self.recorder_writer.take()?;
            recorder.finish();
            loop {
                if writer.is_busy()
                    && let Some(append) = writer.next().await?.write.append
                {
                    recorder.written(append.segment, append.bytes.len(), true);
                }
                match recorder.poll_write() {
                    Some(write) => writer.start(write),
                    None => break,
                }
            }
            writer.start_end(boot_id);
            writer.next().await?.result.ok()
        };
        // A disk that hangs must not hold up the end of the process; the next run takes this one for killed.
        if !matches!(tokio::time::timeout(CLOSE_TIMEOUT, ended).await, Ok(Some(()))) {
            tracing::debug!("the recorder is not closed");
        }
    }

    /// Now and then: looks whether the agent costs too much, or the host has to be spared.
    pub(super) fn govern(&mut self, now_ms: i64) {
        if !self.governor.is_due(now_ms) {
            return;
        }
        let text = |name: &str| {
            let path = self.config.proc_root.join("pressure").join(name);
            fs::read_to_string(path).unwrap_or_default()
        };
        let pressure = Pressure::parse(&text("cpu"), &text("memory"));
        let quickening = self.schedule.quickening(now_ms);
        let why = self.governor.judge(now_ms, self.cpu_us(), pressure, quickening);
        let level = self.governor.level();
        self.schedule.slow_down(level);
        match why {
            Some(Why::TooMuchCpu(share)) => tracing::warn!(
                level,
                "the agent takes {:.1} % of a core and may take {:.1} %: it collects less often",
                share * 100.0,
                self.config.max_cpu_ratio * 100.0
            ),
            Some(Why::Starved) => tracing::warn!(
                level,
                "this host is starved of processors or memory: the agent collects less often"
            ),
            Some(Why::Eased) => tracing::info!(level, "the agent collects more often again"),
            None => {}
        }
    }

    /// CPU time that the agent has used, in microseconds.
    fn cpu_us(&self) -> i64 {
        match self.config.cpu_counted {
            CpuCounted::Process => process_cpu_us(),
            CpuCounted::Collecting => self.collector_cpu_us,
        }
    }

    fn figures(&self, now_ms: i64) -> OwnFigures {
        let (acknowledged, dropped, dropped_samples, sessions) = self.exchange.counts();
        OwnFigures {
            queued_batches: self.exchange.queued(),
            spool_bytes: self.spool.as_ref().map_or(0, Spool::bytes),
            acknowledged,
            dropped,
            dropped_samples,
            sessions,
            skipped_ticks: self.skipped_ticks,
            collect_seconds: self.collect_seconds,
            clock_offset_seconds: self.exchange.clock_offset_ms().map(|ms| ms as f64 / 1_000.0),
            settings_revision: Some(self.central.revision).filter(|&revision| revision > 0),
            update_set_aside: self.updater.set_aside(),
            cpu_seconds: self.cpu_us() as f64 / 1e6,
            intervals_ms: self.schedule.intervals_ms(now_ms),
            slowdown: self.governor.level(),
            recorder: self
                .recorder
                .as_ref()
                .map_or_else(Held::default, |r| Recorder::held(r, now_ms)),
        }
    }
}
