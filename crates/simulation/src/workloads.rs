//! What runs on a host: its programs, and its containers where it has some.

use crate::host::{Builder, Pace};
use crate::shape::Shape;
use crate::wave::Wave;

const MIB: f64 = 1024.0 * 1024.0;
/// How noisy memory is: it changes slowly.
const CALM: f64 = 0.15;

/// A program: its share of a CPU on a busy host, memory in MiB, processes, bytes written a second.
type Program = (&'static str, f64, f64, f64, f64);

const EVERYWHERE: [Program; 4] = [
    ("systemd-journald", 0.004, 40.0, 1.0, 3_000.0),
    ("sshd", 0.001, 12.0, 4.0, 0.0),
    ("muster", 0.002, 8.0, 1.0, 500.0),
    ("other", 0.01, 160.0, 60.0, 1_000.0),
];

pub(crate) fn add(host: &mut Builder, role: &str, containers: bool) {
    let own: &[Program] = match role {
        "web" => &[("nginx", 0.3, 180.0, 9.0, 40_000.0), ("php-fpm8.2", 0.7, 420.0, 16.0, 9_000.0)],
        "app" => &[("java", 0.9, 900.0, 1.0, 20_000.0), ("app-worker", 0.4, 600.0, 8.0, 8_000.0)],
        "db" => &[("postgres", 0.8, 1_800.0, 38.0, 1_900_000.0)],
        "cache" => &[("redis-server", 0.5, 700.0, 1.0, 90_000.0)],
        "queue" => &[("beam.smp", 0.6, 500.0, 1.0, 300_000.0)],
        _ => &[("cc1plus", 1.4, 900.0, 6.0, 600_000.0), ("cargo", 0.1, 120.0, 1.0, 9_000.0)],
    };
    for &program in own.iter().chain(&EVERYWHERE) {
        self::program(host, program);
    }
    processes(host);
    if containers {
        for (id, name, image, mib) in [
            ("3f9a1c77d2e0", "registry", "registry:2.8", 90.0),
            ("b81e04c6aa19", "frontend", "shop/frontend:4.12", 310.0),
            ("0c5d9ef1378b", "metrics-relay", "shop/relay:1.3", 60.0),
        ] {
            container(host, id, name, image, mib * MIB);
        }
    }
}

fn program(host: &mut Builder, (name, cpu, mib, processes, written): Program) {
    let labels = [("program", name)];
    let busyness = host.busyness;
    let counter = |host: &mut Builder, metric: &str, rate: f64, per_unit: f64| {
        let (wave, boots) = (host.wave(rate * busyness, 0.9), host.boots);
        host.add(Pace::Fast, metric, &labels, Shape::Counter { wave, boots, per_unit });
    };
    counter(host, "muster_program_cpu_seconds_total", cpu, 100.0);
    counter(host, "muster_program_written_bytes_total", written, 1.0 / 4096.0);
    counter(host, "muster_program_read_bytes_total", 0.2 * written, 1.0 / 4096.0);
    let gauge = |host: &mut Builder, metric: &str, level: f64, step: f64| {
        let wave = Wave { noise: CALM, ..host.wave(level, 0.2) };
        host.add(Pace::Slow, metric, &labels, Shape::Gauge { wave, step });
    };
    gauge(host, "muster_program_memory_bytes", mib * MIB, 4096.0);
    host.constant("muster_program_processes", &labels, processes);
    host.constant("muster_program_threads", &labels, 3.0 * processes);
}

fn processes(host: &mut Builder) {
    for (state, level) in [("R", 2.0), ("S", 130.0), ("I", 60.0), ("D", 0.4)] {
        let wave = host.wave(level, 0.2);
        let gauge = Shape::Gauge { wave, step: 1.0 };
        host.add(Pace::Slow, "node_processes_state", &[("state", state)], gauge);
    }
    host.constant("node_processes_max_processes", &[], 4_194_304.0);
    for (name, level) in [("node_processes_pids", 190.0), ("node_processes_threads", 420.0)] {
        let wave = host.wave(level, 0.2);
        host.add(Pace::Slow, name, &[], Shape::Gauge { wave, step: 1.0 });
    }
}

fn container(host: &mut Builder, id: &str, name: &str, image: &str, memory: f64) {
    let labels = [("container", id), ("name", name)];
    host.constant(
        "muster_container_info",
        &[("container", id), ("name", name), ("image", image), ("runtime", "docker")],
        1.0,
    );
    let (boots, busyness) = (host.boots, host.busyness);
    for (metric, rate, per_unit) in [
        ("cpu_seconds_total", 0.2, 1_000_000.0),
        ("read_bytes_total", 9_000.0, 1.0 / 4096.0),
        ("written_bytes_total", 60_000.0, 1.0 / 4096.0),
    ] {
        let wave = host.wave(rate * busyness, 0.9);
        let metric = format!("muster_container_{metric}");
        host.add(Pace::Fast, &metric, &labels, Shape::Counter { wave, boots, per_unit });
    }
    let wave = Wave { noise: CALM, ..host.wave(memory, 0.2) };
    let gauge = Shape::Gauge { wave, step: 4096.0 };
    host.add(Pace::Fast, "muster_container_memory_bytes", &labels, gauge);
    host.constant("muster_container_memory_limit_bytes", &labels, 512.0 * MIB);
    host.constant("muster_container_processes", &labels, 7.0);
    host.constant("muster_container_oom_kills_total", &labels, 0.0);
}
