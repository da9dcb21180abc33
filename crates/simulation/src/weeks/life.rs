//! Lets a host live, and keeps what it tells.

use muster_detect::{Forecast, Record, Side, Target, forecast};
use muster_series::Sample;

use super::dice::Dice;
use super::fault::Fault;
use super::habits::{Habits, MONDAY_MS};
use super::history::History;
use super::moment::{Counters, FILE_SYSTEM_BYTES, INODES, SRV, VAR};
use super::unusual;

/// From one sample to the next where nothing happens, in milliseconds.
pub(super) const SLOW_MS: i64 = 60_000;
/// From one sample to the next around a fault.
pub(super) const FAST_MS: i64 = 15_000;
/// A forecast reads the least of each of these steps, as the server does.
const FORECAST_STEP_MS: i64 = 300_000;

/// A host's time.
#[expect(clippy::struct_field_names, reason = "a time without its unit is not understood")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// From here on it is sampled, and judged, every [`FAST_MS`].
    pub(super) fast_from_ms: i64,
    /// Its end, in milliseconds since 1970.
    pub(super) end_ms: i64,
    /// From one forecast to the next; they are made from `judged_from_ms` on.
    pub(super) forecast_ms: i64,
    /// From here on it is judged.
    pub(super) judged_from_ms: i64,
}

impl Span {
    /// The instants from `from_ms` on.
    pub(super) fn instants(self, from_ms: i64) -> impl Iterator<Item = i64> {
        let next = move |at_ms: &i64| {
            let step_ms = if *at_ms < self.fast_from_ms { SLOW_MS } else { FAST_MS };
            Some(*at_ms + step_ms)
        };
        std::iter::successors(Some(from_ms), next).take_while(move |&at_ms| at_ms <= self.end_ms)
    }
}

/// All that host `number` tells in its time.
pub(super) fn live(
    seed: u64,
    number: u64,
    instance: &str,
    span: Span,
    fault: Option<&Fault>,
) -> History {
    let days = (span.end_ms - MONDAY_MS) as f64 / 86_400_000.0;
    let mut habits = Habits::new(seed, number, days);
    let mut dice = Dice::new(seed ^ 0xfa17, number);
    let mut fault = fault.cloned();
    let mut history = History::new(instance);
    let mut counters = Counters::default();
    let mut last_ms = MONDAY_MS;
    let mut last_seen_ms = MONDAY_MS;
    let urgent = fault.as_ref().and_then(Fault::urgent);
    for at_ms in span.instants(MONDAY_MS) {
        if let Some(urgent) = urgent.filter(|urgent| (last_seen_ms..at_ms).contains(&urgent.at_ms))
        {
            history.push(urgent.name, urgent.labels, urgent.at_ms, urgent.value);
        }
        last_seen_ms = at_ms;
        let silent_ms = fault.as_ref().filter(|one| one.silences(at_ms)).map(|one| one.from_ms);
        if let Some(from_ms) = silent_ms {
            let silent_s = (at_ms - from_ms) as f64 / 1_000.0;
            let told_s = if silent_s < 9.0 { 0.0 } else { silent_s };
            history.push("muster_host_silent_seconds", "", at_ms, told_s);
            history.push("up", "", at_ms, 0.0);
            continue;
        }
        let Some(mut now) = habits.at(at_ms) else {
            // A clean goodbye: nobody calls the host silent for minutes, but who asks it hears nothing.
            history.push("muster_host_silent_seconds", "", at_ms, 0.0);
            history.push("up", "", at_ms, 0.0);
            counters = Counters::default();
            continue;
        };
        if let Some(fault) = &mut fault {
            fault.worsen(&mut now, at_ms, &mut dice);
        }
        counters.live(&now, (at_ms - last_ms) as f64 / 1_000.0);
        counters.tell(&mut history, &now, at_ms);
        last_ms = at_ms;
    }
    foretell(&mut history, span);
    unusual::tell(&mut history, span);
    history
}

/// Adds what the server foretells of the file systems.
fn foretell(history: &mut History, span: Span) {
    const BYTES: [&str; 2] = ["node_filesystem_avail_bytes", "muster_filesystem_full_seconds"];
    const FILES: [&str; 2] =
        ["node_filesystem_files_free", "muster_filesystem_inodes_full_seconds"];
    for (labels, [left, full], size) in
        [(VAR, BYTES, FILE_SYSTEM_BYTES), (SRV, BYTES, FILE_SYSTEM_BYTES), (VAR, FILES, INODES)]
    {
        let lows = lows(history, left, labels);
        let target = Target { limit: 0.0, side: Side::Falling, size };
        let mut record = Record::default();
        let mut told = Forecast::NoDate(muster_detect::NoDate::Flat);
        let mut next_ms = span.judged_from_ms;
        for at_ms in span.instants(MONDAY_MS).filter(|&at_ms| at_ms >= span.judged_from_ms) {
            if at_ms >= next_ms {
                next_ms += span.forecast_ms;
                let known = lows.partition_point(|low| low.timestamp_ms <= at_ms);
                told = forecast(&lows[..known], target, at_ms, &record);
                if let Some(low) = lows[..known].last() {
                    record.note(&told, Side::Falling, low.value, at_ms);
                }
            }
            let left_s = match &told {
                Forecast::Date(date) => (date.at_ms - at_ms) as f64 / 1_000.0,
                Forecast::Reached => 0.0,
                Forecast::NoDate(_) | Forecast::Unknown(_) => continue,
            };
            history.push(full, labels, at_ms, left_s.max(0.0));
        }
    }
}

/// The least of each step, at the end of the step.
fn lows(history: &History, name: &'static str, labels: &'static str) -> Vec<Sample> {
    let mut lows: Vec<Sample> = Vec::new();
    let Some(series) = history.of(name, labels) else { return lows };
    for sample in series.samples() {
        let end_ms =
            sample.timestamp_ms.div_euclid(FORECAST_STEP_MS) * FORECAST_STEP_MS + FORECAST_STEP_MS;
        match lows.last_mut() {
            Some(last) if last.timestamp_ms == end_ms => last.value = last.value.min(sample.value),
            _ => lows.push(Sample { timestamp_ms: end_ms, value: sample.value }),
        }
    }
    lows
}
