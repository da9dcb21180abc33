//! The metrics of systemd's units, and the labels of their series.
//!
//! Names and labels are `node_exporter`'s where it has them. One departure: of a unit's states only the present one, those that it
//! was in since the agent started, and `failed` are told; the others are 0 for ever.

use crate::metric::{Metric, Unit};

pub(super) static STATE: Metric = Metric::gauge(
    "node_systemd_unit_state",
    Unit::None,
    "1 for the state that the unit is in, 0 for `failed` and other states that it was in since the agent started.",
    &["name", "state", "type"],
);
pub(super) static UNITS: Metric =
    Metric::gauge("node_systemd_units", Unit::None, "Number of units in a state.", &["state"]);
pub(super) static RUNNING: Metric = Metric::gauge(
    "node_systemd_system_running",
    Unit::None,
    "Whether the system is operational: all is started, nothing has failed.",
    &[],
);
pub(super) static VERSION: Metric = Metric::gauge(
    "node_systemd_version",
    Unit::None,
    "systemd's version as a number, and in full.",
    &["version"],
);
pub(super) static RESTARTS: Metric = Metric::counter(
    "node_systemd_service_restart_total",
    Unit::None,
    "How often systemd has restarted the service by itself.",
    &["name"],
);
pub(super) static START_TIME: Metric = Metric::gauge(
    "node_systemd_unit_start_time_seconds",
    Unit::Seconds,
    "When the unit became active, since 1970; absent while it is not.",
    &["name", "type"],
);
pub(super) static LAST_TRIGGER: Metric = Metric::gauge(
    "node_systemd_timer_last_trigger_seconds",
    Unit::Seconds,
    "When the timer last triggered its unit, since 1970; 0 if never.",
    &["name"],
);
pub(super) static TASKS: Metric = Metric::gauge(
    "node_systemd_unit_tasks_current",
    Unit::None,
    "Threads of the unit's processes.",
    &["name"],
);
pub(super) static RESULT: Metric = Metric::info(
    "muster_systemd_unit_result",
    "How the service's last run ended, in systemd's words; absent until one has ended.",
    &["name", "result"],
);
pub(super) static EXIT_CODE: Metric = Metric::gauge(
    "muster_systemd_unit_exit_code",
    Unit::None,
    "The exit code with which the service's main process last ended; absent if a signal ended it.",
    &["name"],
);
pub(super) static EXIT_SIGNAL: Metric = Metric::gauge(
    "muster_systemd_unit_exit_signal",
    Unit::None,
    "The signal that ended the service's main process last; absent if it exited by itself.",
    &["name"],
);
pub(super) static CPU: Metric = Metric::counter(
    "muster_systemd_unit_cpu_seconds_total",
    Unit::Seconds,
    "Processor time of the unit's control group.",
    &["name"],
);
pub(super) static MEMORY: Metric = Metric::gauge(
    "muster_systemd_unit_memory_bytes",
    Unit::Bytes,
    "Memory of the unit's control group, page cache included.",
    &["name"],
);

/// All of them.
pub(super) static ALL: [&Metric; 13] = [
    &STATE,
    &UNITS,
    &RUNNING,
    &VERSION,
    &RESTARTS,
    &START_TIME,
    &LAST_TRIGGER,
    &TASKS,
    &RESULT,
    &EXIT_CODE,
    &EXIT_SIGNAL,
    &CPU,
    &MEMORY,
];

/// Takes series of this collector: for the sink, or for a change that is told at once.
pub(super) type Push<'a> = dyn FnMut(&'static Metric, &[&str], f64) + 'a;
