//! How the kernel's clock is kept right: `adjtimex(2)`.

use crate::error::CollectError;
use crate::metric::{Kind, Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::sink::Sink;

use muster_environment::kernel_clock;

/// `STA_NANO`: the kernel counts fractions of a second in nanoseconds, else in microseconds.
const NANOSECONDS: i32 = 0x2000;
/// The kernel's state of a clock that nobody keeps right.
const STATE_ERROR: i32 = 5;
/// Parts of a million, as the kernel counts them: 16 bits after the point.
const PPM_FRACTION: f64 = 65_536.0 * 1e6;

const fn metric(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Metric {
    Metric { name, kind, unit, help, labels: &[] }
}

static METRICS: [Metric; 17] = [
    metric(
        "node_timex_offset_seconds",
        Kind::Gauge,
        Unit::Seconds,
        "Time offset in between local system and reference clock.",
    ),
    metric(
        "node_timex_frequency_adjustment_ratio",
        Kind::Gauge,
        Unit::None,
        "Local clock frequency adjustment.",
    ),
    metric("node_timex_maxerror_seconds", Kind::Gauge, Unit::Seconds, "Maximum error in seconds."),
    metric(
        "node_timex_estimated_error_seconds",
        Kind::Gauge,
        Unit::Seconds,
        "Estimated error in seconds.",
    ),
    metric("node_timex_status", Kind::Gauge, Unit::None, "Value of the status array bits."),
    metric(
        "node_timex_loop_time_constant",
        Kind::Gauge,
        Unit::None,
        "Phase-locked loop time constant.",
    ),
    metric("node_timex_tick_seconds", Kind::Gauge, Unit::Seconds, "Seconds between clock ticks."),
    metric(
        "node_timex_pps_frequency_hertz",
        Kind::Gauge,
        Unit::Hertz,
        "Pulse per second frequency.",
    ),
    metric("node_timex_pps_jitter_seconds", Kind::Gauge, Unit::Seconds, "Pulse per second jitter."),
    metric(
        "node_timex_pps_shift_seconds",
        Kind::Gauge,
        Unit::Seconds,
        "Pulse per second interval duration.",
    ),
    metric(
        "node_timex_pps_stability_hertz",
        Kind::Gauge,
        Unit::Hertz,
        "Pulse per second stability, average of recent frequency changes.",
    ),
    metric(
        "node_timex_pps_jitter_total",
        Kind::Counter,
        Unit::None,
        "Pulse per second count of jitter limit exceeded events.",
    ),
    metric(
        "node_timex_pps_calibration_total",
        Kind::Counter,
        Unit::None,
        "Pulse per second count of calibration intervals.",
    ),
    metric(
        "node_timex_pps_error_total",
        Kind::Counter,
        Unit::None,
        "Pulse per second count of calibration errors.",
    ),
    metric(
        "node_timex_pps_stability_exceeded_total",
        Kind::Counter,
        Unit::None,
        "Pulse per second count of stability limit exceeded events.",
    ),
    metric(
        "node_timex_tai_offset_seconds",
        Kind::Gauge,
        Unit::Seconds,
        "International Atomic Time (TAI) offset.",
    ),
    metric(
        "node_timex_sync_status",
        Kind::Gauge,
        Unit::None,
        "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
    ),
];

/// Asks the kernel how its clock is kept right.
#[derive(Debug)]
pub(crate) struct Timex;

impl Collector for Timex {
    fn name(&self) -> &'static str {
        "timex"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        METRICS.iter().collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        // Where a sandbox does not let us ask, as in some containers, nothing is known.
        let Ok(clock) = kernel_clock() else { return Ok(()) };
        let fraction = if clock.status & NANOSECONDS != 0 { 1e9 } else { 1e6 };
        let values = [
            clock.offset as f64 / fraction,
            1.0 + clock.frequency as f64 / PPM_FRACTION,
            clock.max_error_us as f64 / 1e6,
            clock.estimated_error_us as f64 / 1e6,
            f64::from(clock.status),
            clock.loop_time_constant as f64,
            clock.tick_us as f64 / 1e6,
            clock.pps_frequency as f64 / PPM_FRACTION,
            clock.pps_jitter as f64 / fraction,
            f64::from(clock.pps_shift),
            clock.pps_stability as f64 / PPM_FRACTION,
            clock.pps_jitter_exceeded as f64,
            clock.pps_calibrations as f64,
            clock.pps_errors as f64,
            clock.pps_stability_exceeded as f64,
            f64::from(clock.tai_offset_s),
            if clock.state == STATE_ERROR { 0.0 } else { 1.0 },
        ];
        for (metric, value) in METRICS.iter().zip(values) {
            sink.push(metric, &[], value);
        }
        Ok(())
    }
}
