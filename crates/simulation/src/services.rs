//! The systemd units of a host and its named processes: most run, some fail, some restart again and again.

use crate::course::Course;
use crate::host::{Builder, DAY_MS, ORIGIN_MS, Pace};
use crate::shape::Shape;
use crate::wave::Wave;

const MIB: f64 = 1024.0 * 1024.0;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Units that every host has and that only tell whether they are active.
const BACKGROUND: [(&str, &str); 9] = [
    ("dbus.service", "service"),
    ("networking.service", "service"),
    ("systemd-journald.service", "service"),
    ("systemd-logind.service", "service"),
    ("systemd-timesyncd.service", "service"),
    ("logrotate.timer", "timer"),
    ("apt-daily.timer", "timer"),
    ("-.mount", "mount"),
    ("var-lib.mount", "mount"),
];

/// What a trouble looks like to systemd.
#[derive(Debug, Clone, Copy)]
struct Blow {
    course: Course,
    /// The state while it is down.
    state: &'static str,
    result: &'static str,
    /// The exit status, or the signal.
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Code(f64),
    Signal(f64),
}

/// Whether a host runs containers.
pub(crate) fn runs_containers(host: &Builder, role: &str) -> bool {
    role == "build" || (role == "app" && host.number() % 4 == 1)
}

pub(crate) fn add(host: &mut Builder, role: &str, containers: bool) {
    host.constant("node_systemd_version", &[("version", "252.30-1~deb12u2")], 252.0);
    for (name, kind) in BACKGROUND {
        steady(host, name, kind);
    }
    host.constant("node_systemd_timer_last_trigger_seconds", &[("name", "logrotate.timer")], {
        (ORIGIN_MS / 1000) as f64
    });
    let mut own = vec![("ssh.service", 9.0), ("cron.service", 4.0), ("muster-agent.service", 8.0)];
    own.extend(of_role(role));
    if containers {
        own.extend([("docker.service", 120.0), ("containerd.service", 60.0)]);
    }
    let trouble = trouble(host);
    for (name, mib) in own {
        let blow = trouble.filter(|(unit, _)| *unit == name).map(|(_, blow)| blow);
        service(host, name, mib * MIB, blow);
    }
    if let Some((name, blow)) = trouble.filter(|(name, _)| *name == "backup.service") {
        service(host, name, 30.0 * MIB, Some(blow));
    }
    job(host);
    totals(host, trouble.map(|(_, blow)| blow));
    named_process(host);
}

fn of_role(role: &str) -> Vec<(&'static str, f64)> {
    match role {
        "web" => vec![("nginx.service", 180.0), ("php8.2-fpm.service", 420.0)],
        "app" => vec![("app-server.service", 900.0), ("app-worker.service", 600.0)],
        "db" => vec![("postgresql@15-main.service", 1_800.0)],
        "cache" => vec![("redis-server.service", 700.0)],
        "queue" => vec![("rabbitmq-server.service", 500.0)],
        _ => vec![("gitlab-runner.service", 90.0)],
    }
}

/// The trouble of a host, if it is one that has any, with the unit that has it. Small fleets have some of each kind.
fn trouble(host: &mut Builder) -> Option<(&'static str, Blow)> {
    let one_ms = ORIGIN_MS + MINUTE_MS * host.between(0, 1_440);
    let outages = |every_ms, for_ms| Course::outages(one_ms, every_ms, for_ms);
    match host.number() % 24 {
        // A leak: the worker is killed and restarted every three minutes until somebody acts.
        1 => {
            let course = Course {
                one_ms,
                every_ms: 2 * HOUR_MS,
                for_ms: 80 * MINUTE_MS,
                beat_ms: 3 * MINUTE_MS,
                down_ms: 12_000,
            };
            let end = End::Signal(9.0);
            Some((
                "app-worker.service",
                Blow { course, state: "activating", result: "oom-kill", end },
            ))
        }
        2 => {
            let course = outages(6 * HOUR_MS, 4 * HOUR_MS);
            let end = End::Code(1.0);
            Some(("backup.service", Blow { course, state: "failed", result: "exit-code", end }))
        }
        17 => {
            let course = outages(9 * HOUR_MS, 5 * HOUR_MS);
            let end = End::Signal(11.0);
            Some((
                "gitlab-runner.service",
                Blow { course, state: "failed", result: "core-dump", end },
            ))
        }
        12 => {
            let course = outages(DAY_MS, 3 * HOUR_MS);
            let end = End::Signal(6.0);
            Some(("nginx.service", Blow { course, state: "failed", result: "watchdog", end }))
        }
        _ => None,
    }
}

fn steady(host: &mut Builder, name: &str, kind: &str) {
    state(host, name, kind, "active", Shape::Constant(1.0), Pace::Slow);
    state(host, name, kind, "failed", Shape::Constant(0.0), Pace::Slow);
    let boots = host.boots;
    let started = Shape::WellSince { course: Course::CALM, boots };
    let labels = [("name", name), ("type", kind)];
    host.add(Pace::Slow, "node_systemd_unit_start_time_seconds", &labels, started);
}

fn state(host: &mut Builder, name: &str, kind: &str, state: &str, shape: Shape, pace: Pace) {
    let labels = [("name", name), ("state", state), ("type", kind)];
    host.add(pace, "node_systemd_unit_state", &labels, shape);
}

fn service(host: &mut Builder, name: &str, memory: f64, blow: Option<Blow>) {
    let boots = host.boots;
    let course = blow.map_or(Course::CALM, |blow| blow.course);
    let pace = if blow.is_some() { Pace::Fast } else { Pace::Slow };
    state(host, name, "service", "active", Shape::Is { down: false, course }, pace);
    match blow {
        Some(blow) if blow.state != "failed" => {
            state(host, name, "service", blow.state, Shape::Is { down: true, course }, pace);
            state(host, name, "service", "failed", Shape::Constant(0.0), pace);
        }
        _ => state(host, name, "service", "failed", Shape::Is { down: true, course }, pace),
    }
    let labels = [("name", name)];
    let started = Shape::WellSince { course, boots };
    let both = [("name", name), ("type", "service")];
    host.add(pace, "node_systemd_unit_start_time_seconds", &both, started);
    // What waits for somebody is not restarted by systemd.
    let restarts = match blow {
        Some(blow) if blow.state != "failed" => Shape::Blows { course, boots },
        _ => Shape::Constant(0.0),
    };
    host.add(pace, "node_systemd_service_restart_total", &labels, restarts);
    host.constant("node_systemd_unit_tasks_current", &labels, 12.0);
    if let Some(blow) = blow {
        end(host, name, blow);
    }
    let wave = Wave { noise: 0.15, ..host.wave(memory, 0.3) };
    let gauge = Shape::Gauge { wave, step: 4096.0 };
    host.add(Pace::Slow, "muster_systemd_unit_memory_bytes", &labels, gauge);
    let wave = host.wave(0.08 * host.busyness, 0.8);
    let counter = Shape::Counter { wave, boots, per_unit: 1_000_000.0 };
    host.add(Pace::Slow, "muster_systemd_unit_cpu_seconds_total", &labels, counter);
}

/// How a unit in trouble ended the last time; a restarted one keeps that until all is well.
fn end(host: &mut Builder, name: &str, blow: Blow) {
    let course = Course { beat_ms: blow.course.for_ms, down_ms: blow.course.for_ms, ..blow.course };
    for (result, down) in [(blow.result, true), ("success", false)] {
        let labels = [("name", name), ("result", result)];
        host.add(Pace::Fast, "muster_systemd_unit_result", &labels, Shape::Is { down, course });
    }
    let (metric, value) = match blow.end {
        End::Code(code) => ("muster_systemd_unit_exit_code", code),
        End::Signal(signal) => ("muster_systemd_unit_exit_signal", signal),
    };
    host.constant(metric, &[("name", name)], value);
    if blow.result == "oom-kill" {
        let program = name.trim_end_matches(".service");
        let killed = Shape::Blows { course: blow.course, boots: host.boots };
        let labels = [("program", program), ("unit", name)];
        host.add(Pace::Fast, "muster_oom_kills_total", &labels, killed);
    }
}

/// A job that a timer starts: it works for a minute every hour.
fn job(host: &mut Builder) {
    let name = "logrotate.service";
    let course = Course::outages(ORIGIN_MS, HOUR_MS, MINUTE_MS);
    state(host, name, "service", "inactive", Shape::Is { down: false, course }, Pace::Slow);
    state(host, name, "service", "activating", Shape::Is { down: true, course }, Pace::Slow);
    state(host, name, "service", "failed", Shape::Constant(0.0), Pace::Slow);
}

fn totals(host: &mut Builder, blow: Option<Blow>) {
    let failing = blow.filter(|blow| blow.state == "failed").map_or(Course::CALM, |b| b.course);
    host.constant("node_systemd_units", &[("state", "active")], 148.0);
    host.constant("node_systemd_units", &[("state", "inactive")], 61.0);
    let failed = Shape::Is { down: true, course: failing };
    host.add(Pace::Fast, "node_systemd_units", &[("state", "failed")], failed);
    let running = Shape::Is { down: false, course: failing };
    host.add(Pace::Fast, "node_systemd_system_running", &[], running);
}

/// One process that is watched by name, beside systemd.
fn named_process(host: &mut Builder) {
    if !host.number().is_multiple_of(6) {
        return;
    }
    let boots = host.boots;
    let labels = [("name", "legacy-billing")];
    let one_ms = ORIGIN_MS + MINUTE_MS * host.between(0, 720);
    let course = Course::outages(one_ms, 12 * HOUR_MS, 5 * MINUTE_MS);
    host.add(Pace::Slow, "muster_named_processes", &labels, Shape::Is { down: false, course });
    let started = Shape::WellSince { course, boots };
    host.add(Pace::Slow, "muster_named_process_start_time_seconds", &labels, started);
    let exits = Shape::Blows { course, boots };
    host.add(Pace::Slow, "muster_named_process_exits_total", &labels, exits);
}
