//! What a host's hardware tells of itself: temperatures, fans, voltages, the health of disks, graphics processors.

use crate::host::{Builder, Pace};
use crate::shape::Shape;
use crate::wave::Wave;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Every eighth host has a graphics processor, the fourth of them first, so that small fleets have one too.
const GPU_EVERY: u32 = 8;
const GPU_FIRST: u32 = 3;

pub(crate) fn add(host: &mut Builder, cpus: i64) {
    temperatures(host, cpus);
    board(host);
    disk_health(host);
    if host.number() % GPU_EVERY == GPU_FIRST {
        graphics(host);
    }
}

fn temperatures(host: &mut Builder, cpus: i64) {
    let chip = "platform_coretemp_0";
    host.constant("node_hwmon_chip_names", &[("chip", chip), ("chip_name", "coretemp")], 1.0);
    for core in 0..cpus / 2 {
        let sensor = format!("temp{}", core + 2);
        let wave = Wave { noise: 0.3, ..host.wave(52.0, 0.2) };
        let labels = [("chip", chip), ("sensor", sensor.as_str())];
        host.gauge("node_hwmon_temp_celsius", &labels, wave, 1.0);
        host.constant("node_hwmon_temp_crit_celsius", &labels, 100.0);
        let name = format!("Core {core}");
        let labels = [("chip", chip), ("sensor", sensor.as_str()), ("label", name.as_str())];
        host.constant("node_hwmon_sensor_label", &labels, 1.0);
    }
}

/// Fans and voltages, which virtual machines lack: two hosts of three are some.
fn board(host: &mut Builder) {
    if !host.number().is_multiple_of(3) {
        return;
    }
    let chip = "platform_nct6775_656";
    host.constant("node_hwmon_chip_names", &[("chip", chip), ("chip_name", "nct6798")], 1.0);
    for (sensor, level) in [("fan1", 1_150.0), ("fan2", 820.0)] {
        let wave = Wave { noise: 0.3, ..host.wave(level, 0.2) };
        host.gauge("node_hwmon_fan_rpm", &[("chip", chip), ("sensor", sensor)], wave, 1.0);
    }
    for (sensor, level) in [("in0", 1.02), ("in1", 12.1), ("in2", 3.34)] {
        let wave = Wave { level, daily: 0.0, noise: 0.02, ..host.wave(level, 0.0) };
        host.gauge("node_hwmon_in_volts", &[("chip", chip), ("sensor", sensor)], wave, 0.001);
    }
    let wave = Wave { noise: 0.3, ..host.wave(85.0 + 120.0 * host.busyness, 0.6) };
    host.gauge("node_hwmon_power_average_watt", &[("chip", chip), ("sensor", "power1")], wave, 0.1);
}

fn disk_health(host: &mut Builder) {
    let labels = [("device", "nvme0n1"), ("model", "Simulated SSD")];
    host.constant("muster_disk_smart_healthy", &labels, 1.0);
    let hours = host.between(2_000, 30_000) as f64;
    host.constant("muster_disk_smart_power_on_seconds", &labels, hours * 3600.0);
    let worn = host.number() % 9 == 4;
    host.constant("muster_disk_smart_bad_sectors", &labels, if worn { 12.0 } else { 0.0 });
    let wave = Wave { noise: 0.3, ..host.wave(41.0, 0.1) };
    host.add(
        Pace::Slow,
        "muster_disk_smart_temperature_celsius",
        &labels,
        Shape::Gauge { wave, step: 1.0 },
    );
}

fn graphics(host: &mut Builder) {
    let uuid = format!("GPU-{:08x}-simulated", host.number());
    let total = 16.0 * GIB;
    host.constant(
        "muster_gpu_info",
        &[("gpu", "0"), ("uuid", &uuid), ("name", "Simulated T4"), ("driver", "550.90")],
        1.0,
    );
    host.constant("muster_gpu_memory_total_bytes", &[("gpu", "0")], total);
    host.constant("muster_gpu_power_limit_watts", &[("gpu", "0")], 70.0);
    host.constant("muster_gpu_ecc_errors_total", &[("gpu", "0"), ("kind", "corrected")], 3.0);
    host.constant("muster_gpu_ecc_errors_total", &[("gpu", "0"), ("kind", "uncorrected")], 0.0);
    for (field, level, step) in [
        ("utilization_ratio", 0.45, 0.01),
        ("memory_used_bytes", 0.4 * total, 4096.0),
        ("temperature_celsius", 52.0, 1.0),
        ("power_watts", 42.0, 0.1),
        ("fan_ratio", 0.3, 0.01),
        ("clock_hertz", 1.2e9, 1e6),
        ("processes", 2.5, 1.0),
    ] {
        let wave = host.wave(level, 0.3);
        host.gauge(&format!("muster_gpu_{field}"), &[("gpu", "0")], wave, step);
    }
    let wave = host.wave(0.3 * total, 0.3);
    let labels = [("gpu", "0"), ("program", "python3")];
    host.gauge("muster_gpu_process_memory_bytes", &labels, wave, 4096.0);
}
