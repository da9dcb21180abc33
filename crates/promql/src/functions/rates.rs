//! Functions of change: rates of counters, differences of gauges.

use crate::evaluate::{Evaluator, Operand, Window};
use crate::plan::Call;

pub(super) fn rate(window: &Window<'_>) -> Option<f64> {
    let seconds = (window.end_ms - window.start_ms) as f64 / 1000.0;
    extrapolated(window, true, Some(seconds))
}

pub(super) fn increase(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, true, None)
}

pub(super) fn delta(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, false, None)
}

/// The change over a window, as if its first and last sample lay on its ends (Prometheus's
/// `extrapolatedRate`).
///
/// 1. The difference of last and first value; for a counter, plus the value before each reset.
/// 2. Extended to an end of the window that is at most 1.1 average intervals away, else by half an
///    interval; a counter never to before the time at which it was zero.
/// 3. For a rate, divided by `per_seconds`.
fn extrapolated(window: &Window<'_>, is_counter: bool, per_seconds: Option<f64>) -> Option<f64> {
    let (&first_ms, &last_ms) = (window.timestamps.first()?, window.timestamps.last()?);
    let (&first, &last) = (window.values.first()?, window.values.last()?);
    if window.values.len() < 2 {
        return None;
    }
    let mut change = last - first;
    if is_counter {
        for two in window.values.windows(2).filter(|two| two[1] < two[0]) {
            change += two[0];
        }
    }
    let sampled = (last_ms - first_ms) as f64 / 1000.0;
    let interval = sampled / (window.values.len() - 1) as f64;
    let threshold = interval * 1.1;
    let mut to_start = (first_ms - window.start_ms) as f64 / 1000.0;
    let mut to_end = (window.end_ms - last_ms) as f64 / 1000.0;
    if to_start >= threshold {
        to_start = interval / 2.0;
    }
    if is_counter && change > 0.0 && first >= 0.0 {
        to_start = to_start.min(sampled * (first / change));
    }
    if to_end >= threshold {
        to_end = interval / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if let Some(seconds) = per_seconds {
        factor /= seconds;
    }
    Some(change * factor)
}

pub(super) fn irate(window: &Window<'_>) -> Option<f64> {
    let (change, last, seconds) = last_step(window)?;
    // After a reset, the counter has counted its whole value.
    let change = if change < 0.0 { last } else { change };
    (seconds != 0.0).then(|| change / seconds)
}

pub(super) fn idelta(window: &Window<'_>) -> Option<f64> {
    last_step(window).map(|(change, _, _)| change)
}

/// Difference of the last two values, the last value, and the seconds between them.
fn last_step(window: &Window<'_>) -> Option<(f64, f64, f64)> {
    let [.., before, last] = *window.values else {
        return None;
    };
    let [.., before_ms, last_ms] = *window.timestamps else {
        return None;
    };
    Some((last - before, last, (last_ms - before_ms) as f64 / 1000.0))
}

pub(super) fn changes(window: &Window<'_>) -> f64 {
    let changed = |two: &&[f64]| two[0] != two[1] && !(two[0].is_nan() && two[1].is_nan());
    window.values.windows(2).filter(changed).count() as f64
}

pub(super) fn resets(window: &Window<'_>) -> f64 {
    window.values.windows(2).filter(|two| two[1] < two[0]).count() as f64
}

/// Remarks that a metric's name is not one of a counter.
pub(super) fn note_non_counters(evaluator: &mut Evaluator<'_>, call: &Call, operand: &Operand) {
    let Operand::Vector(series) = operand else {
        return;
    };
    for one in series {
        let Some(name) = one.labels.metric_name() else {
            continue;
        };
        let endings = ["_total", "_sum", "_count", "_bucket"];
        if !endings.iter().any(|ending| name.ends_with(ending)) {
            let message = format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
            );
            evaluator.notes.info(&message, call.position.map(|p| p.argument));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        samples: &[(i64, f64)],
        compute: fn(&Window<'_>) -> Option<f64>,
        expected: Option<f64>,
    ) {
        let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        let window = Window {
            timestamps: &timestamps,
            values: &values,
            start_ms: 0,
            end_ms: 60_000,
            step_ms: 60_000,
        };
        assert_eq!(compute(&window), expected);
    }

    #[test]
    fn changes_of_counters() {
        let steady = [(15_000, 100.0), (30_000, 110.0), (45_000, 120.0), (60_000, 130.0)];
        check(&steady, increase, Some(40.0));
        check(&steady, rate, Some(40.0 / 60.0));
        check(&steady, irate, Some(10.0 / 15.0));
        let reset = [(15_000, 100.0), (30_000, 5.0), (45_000, 15.0), (60_000, 25.0)];
        check(&reset, |window| Some(resets(window)), Some(1.0));
        check(&reset, increase, Some(25.0 * (60.0 / 45.0)));
        check(&[(30_000, 1.0)], rate, None);
        check(&[(30_000, 9.0), (60_000, 3.0)], irate, Some(0.1));
        check(&[(30_000, 9.0), (60_000, 3.0)], idelta, Some(-6.0));
    }
}
