//! The parts of a host, with the names, labels and units that `node_exporter` gives them.

use crate::course::Course;
use crate::host::{Builder, DAY_MS, HostModel, ORIGIN_MS, Pace};
use crate::shape::Shape;
use crate::wave::Wave;
use crate::{sensors, services, workloads};

const KIB: f64 = 1024.0;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const HOUR_MS: i64 = 3_600_000;

/// What hosts of a fleet do, and so are called.
const ROLES: [&str; 6] = ["web", "app", "db", "cache", "queue", "build"];
const KERNELS: [&str; 3] = ["5.15.0-119-generic", "6.1.0-25-amd64", "6.8.0-45-generic"];

pub(crate) fn build(mut host: Builder) -> HostModel {
    let role = ROLES[host.number() as usize % ROLES.len()];
    let instance = format!("{role}-{:04}", host.number());
    let release = host.pick(&KERNELS);
    identity(&mut host, &instance, release);
    let cpus = host.pick(&[2, 4, 4, 8]);
    processors(&mut host, cpus);
    memory(&mut host);
    paging(&mut host);
    let devices: &[&str] = if role == "db" { &["nvme0n1", "nvme1n1"] } else { &["nvme0n1"] };
    for device in devices {
        disk(&mut host, device);
    }
    file_systems(&mut host, devices.len() > 1);
    if role == "app" {
        share_of_another(&mut host);
    }
    for device in ["eth0", "lo"] {
        network(&mut host, device);
    }
    sockets(&mut host);
    sensors::add(&mut host, cpus);
    let containers = services::runs_containers(&host, role);
    services::add(&mut host, role, containers);
    workloads::add(&mut host, role, containers);
    host.finish(instance, release)
}

fn identity(host: &mut Builder, instance: &str, release: &str) {
    let boots = host.boots;
    host.add(Pace::Fast, "node_time_seconds", &[], Shape::Now);
    host.add(Pace::Slow, "node_boot_time_seconds", &[], Shape::BootTime(boots));
    host.constant(
        "node_uname_info",
        &[
            ("domainname", "(none)"),
            ("machine", "x86_64"),
            ("nodename", instance),
            ("release", release),
            ("sysname", "Linux"),
            ("version", "#1 SMP PREEMPT_DYNAMIC"),
        ],
        1.0,
    );
    host.constant(
        "node_os_info",
        &[
            ("id", "debian"),
            ("name", "Debian GNU/Linux"),
            ("pretty_name", "Debian GNU/Linux 12 (bookworm)"),
            ("version", "12 (bookworm)"),
            ("version_codename", "bookworm"),
            ("version_id", "12"),
        ],
        1.0,
    );
    host.constant("node_os_version", &[("id", "debian"), ("name", "Debian GNU/Linux")], 12.0);
    host.constant("node_filefd_maximum", &[], 9_223_372_036_854_775_807.0);
    host.constant("node_nf_conntrack_entries_limit", &[], 262_144.0);
    host.constant("node_entropy_pool_size_bits", &[], 256.0);
    host.constant("node_entropy_available_bits", &[], 256.0);
}

/// The busy modes of a CPU: name, share of the CPU when the host is as busy as can be, rhythm.
/// Together they stay under a half, so that with rhythm and noise time remains for `idle`.
const BUSY_MODES: [(&str, f64, f64); 7] = [
    ("user", 0.26, 1.0),
    ("system", 0.06, 1.0),
    ("iowait", 0.02, 0.6),
    ("softirq", 0.01, 1.0),
    ("steal", 0.004, 0.2),
    ("nice", 0.002, 0.0),
    ("irq", 0.0, 0.0),
];

fn processors(host: &mut Builder, cpus: i64) {
    let (boots, busyness) = (host.boots, host.busyness);
    for cpu in 0..cpus {
        let cpu = cpu.to_string();
        let mut busy: Vec<Wave> = Vec::new();
        for (mode, share, daily) in BUSY_MODES {
            let wave = host.wave(share * busyness, daily);
            host.counter("node_cpu_seconds_total", &[("cpu", &cpu), ("mode", mode)], wave, 100.0);
            busy.push(wave);
        }
        let idle = Shape::Idle { busy, boots };
        host.add(Pace::Fast, "node_cpu_seconds_total", &[("cpu", &cpu), ("mode", "idle")], idle);
    }
    for cpu in 0..cpus {
        let wave = host.wave(2.6e9, 0.2);
        host.gauge("node_cpu_scaling_frequency_hertz", &[("cpu", &cpu.to_string())], wave, 1e5);
    }
    let load = host.wave(cpus as f64 * 0.6 * busyness, 1.0);
    for (name, noise) in [("node_load1", 1.0), ("node_load5", 0.5), ("node_load15", 0.2)] {
        host.gauge(name, &[], Wave { noise, ..load }, 0.01);
    }
    let running = host.wave(1.0 + cpus as f64 * busyness, 1.0);
    host.gauge("node_procs_running", &[], running, 1.0);
    let blocked = host.wave(1.2 * busyness, 1.0);
    host.gauge("node_procs_blocked", &[], blocked, 1.0);
    for (name, rate) in [
        ("node_context_switches_total", 9_000.0),
        ("node_intr_total", 6_000.0),
        ("node_forks_total", 12.0),
    ] {
        let wave = host.wave(rate * busyness * cpus as f64, 0.8);
        host.counter(name, &[], wave, 1.0);
    }
    for (name, share) in [
        ("node_pressure_cpu_waiting_seconds_total", 0.08),
        ("node_pressure_io_waiting_seconds_total", 0.03),
        ("node_pressure_io_stalled_seconds_total", 0.01),
        ("node_pressure_memory_waiting_seconds_total", 0.001),
        ("node_pressure_memory_stalled_seconds_total", 0.0005),
    ] {
        let wave = host.wave(share * busyness, 1.0);
        host.counter(name, &[], wave, 1_000_000.0);
    }
}

fn memory(host: &mut Builder) {
    let total = host.pick(&[4.0, 8.0, 16.0, 32.0]) * GIB - 123_456.0 * KIB;
    let name = |field: &str| format!("node_memory_{field}_bytes");
    let field = |host: &mut Builder, field: &str, share: f64, daily: f64| {
        let wave = host.wave(total * share, daily);
        host.gauge(&name(field), &[], wave, KIB);
        wave
    };
    let busyness = host.busyness;
    let anonymous = field(host, "AnonPages", 0.08 + 0.15 * busyness, 0.3);
    let cached = field(host, "Cached", 0.2, 0.1);
    let buffers = field(host, "Buffers", 0.01, 0.0);
    let slab = field(host, "Slab", 0.02, 0.05);
    for (part, share) in [
        ("Active", 0.25),
        ("Inactive", 0.15),
        ("Active_anon", 0.1),
        ("Inactive_anon", 0.05),
        ("Active_file", 0.1),
        ("Inactive_file", 0.1),
        ("Mapped", 0.04),
        ("Shmem", 0.01),
        ("SReclaimable", 0.015),
        ("SUnreclaim", 0.008),
        ("PageTables", 0.002),
        ("KernelStack", 0.001),
        ("Committed_AS", 0.4),
        ("Dirty", 0.0005),
        ("Writeback", 0.000_01),
    ] {
        field(host, part, share, 0.2);
    }
    host.constant(&name("MemTotal"), &[], total);
    host.constant(&name("SwapTotal"), &[], 2.0 * GIB);
    host.constant(&name("CommitLimit"), &[], 2.0 * GIB + (total / 2.0 / KIB).floor() * KIB);
    host.constant(&name("HardwareCorrupted"), &[], 0.0);
    let swapped = host.wave(0.05 * GIB * busyness, 0.0);
    let rest = |whole, parts| Shape::Rest { whole, parts, step: KIB };
    host.add(Pace::Fast, &name("SwapFree"), &[], rest(2.0 * GIB, vec![swapped]));
    host.add(Pace::Fast, &name("MemAvailable"), &[], rest(total, vec![anonymous, slab]));
    let used = vec![anonymous, cached, buffers, slab];
    host.add(Pace::Fast, &name("MemFree"), &[], rest(total, used));
}

fn paging(host: &mut Builder) {
    let busyness = host.busyness;
    for (event, rate) in [
        ("pgfault", 4_000.0),
        ("pgmajfault", 0.4),
        ("pgpgin", 800.0),
        ("pgpgout", 2_500.0),
        ("pswpin", 0.02),
        ("pswpout", 0.05),
        ("oom_kill", 0.000_002),
    ] {
        let wave = host.wave(rate * busyness, 0.8);
        host.counter(&format!("node_vmstat_{event}"), &[], wave, 1.0);
    }
}

fn disk(host: &mut Builder, device: &str) {
    let busyness = host.busyness;
    let labels = [("device", device)];
    for (field, rate, per_unit) in [
        ("reads_completed_total", 40.0, 1.0),
        ("reads_merged_total", 2.0, 1.0),
        ("read_bytes_total", 1_500.0, 1.0 / 512.0),
        ("read_time_seconds_total", 0.03, 1000.0),
        ("writes_completed_total", 120.0, 1.0),
        ("writes_merged_total", 60.0, 1.0),
        ("written_bytes_total", 2_500_000.0, 1.0 / 512.0),
        ("write_time_seconds_total", 0.2, 1000.0),
        ("io_time_seconds_total", 0.12, 1000.0),
        ("io_time_weighted_seconds_total", 0.3, 1000.0),
        ("discards_completed_total", 0.5, 1.0),
        ("flush_requests_total", 4.0, 1.0),
        ("flush_requests_time_seconds_total", 0.01, 1000.0),
    ] {
        let wave = host.wave(rate * busyness, 0.9);
        host.counter(&format!("node_disk_{field}"), &labels, wave, per_unit);
    }
    let queue = host.wave(1.5 * busyness, 0.9);
    host.gauge("node_disk_io_now", &labels, queue, 1.0);
    host.constant("node_disk_info", &[("device", device), ("model", "Simulated SSD")], 1.0);
}

fn file_systems(host: &mut Builder, second_disk: bool) {
    let mut mounts = vec![("/dev/nvme0n1p2", "ext4", "/"), ("/dev/nvme0n1p3", "ext4", "/var/lib")];
    if second_disk {
        mounts.push(("/dev/nvme1n1p1", "xfs", "/data"));
    }
    for (device, fstype, mountpoint) in mounts {
        let labels = [("device", device), ("fstype", fstype), ("mountpoint", mountpoint)];
        let size = (host.pick(&[20.0, 50.0, 100.0, 400.0]) * GIB / 4096.0).floor() * 4096.0;
        let filling = host.filling(mountpoint);
        // ext4 keeps a twentieth for root; it is free, and not available.
        let reserved = if fstype == "ext4" { 0.05 * size } else { 0.0 };
        let free = |size: f64, step| Shape::Free { filling, size, step };
        host.constant("node_filesystem_size_bytes", &labels, size);
        host.add(
            Pace::Slow,
            "node_filesystem_readonly",
            &labels,
            turns_read_only(host, mountpoint),
        );
        host.constant("node_filesystem_device_error", &labels, 0.0);
        host.constant("node_filesystem_files", &labels, (size / 16_384.0).floor());
        let available = free(size - reserved, 4096.0);
        host.add(Pace::Slow, "node_filesystem_avail_bytes", &labels, available);
        host.add(Pace::Slow, "node_filesystem_free_bytes", &labels, free(size, 4096.0));
        let files = Shape::Free { filling, size: (size / 16_384.0).floor(), step: 1.0 };
        host.add(Pace::Slow, "node_filesystem_files_free", &labels, files);
    }
}

/// The second disk of some hosts has errors for some hours every few days, and the kernel takes it read-only.
fn turns_read_only(host: &Builder, mountpoint: &str) -> Shape {
    if mountpoint != "/data" || !host.number().is_multiple_of(4) {
        return Shape::Constant(0.0);
    }
    let shift_ms = i64::from(host.number()) * 5_000_000;
    let course = Course::outages(ORIGIN_MS + shift_ms, 2 * DAY_MS, 5 * HOUR_MS);
    Shape::Is { down: true, course }
}

/// A share of another machine, which on some hosts does not answer for some hours of the day.
fn share_of_another(host: &mut Builder) {
    let labels = [("device", "files:/export"), ("fstype", "nfs4"), ("mountpoint", "/srv/share")];
    let size = 2_000.0 * GIB;
    let filling = host.filling("/srv/share");
    let shift_ms = i64::from(host.number()) * 3_000_000;
    let hangs = Course::outages(ORIGIN_MS + shift_ms, DAY_MS, 8 * HOUR_MS);
    host.constant("node_filesystem_size_bytes", &labels, size);
    host.constant("node_filesystem_readonly", &labels, 0.0);
    let error = Shape::Is { down: true, course: hangs };
    host.add(Pace::Slow, "node_filesystem_device_error", &labels, error);
    for name in ["node_filesystem_avail_bytes", "node_filesystem_free_bytes"] {
        host.add(Pace::Slow, name, &labels, Shape::Free { filling, size, step: 4096.0 });
    }
}

fn network(host: &mut Builder, device: &str) {
    let (bytes, mtu) = if device == "lo" { (20_000.0, 65_536.0) } else { (900_000.0, 1_500.0) };
    let rate = bytes * host.busyness;
    let labels = [("device", device)];
    for direction in ["receive", "transmit"] {
        for (field, rate) in [
            ("bytes", rate),
            ("packets", rate / 700.0),
            ("errs", rate / 5e9),
            ("drop", rate / 1e8),
            ("fifo", 0.0),
            ("compressed", 0.0),
        ] {
            let wave = host.wave(rate, 1.0);
            host.counter(&format!("node_network_{direction}_{field}_total"), &labels, wave, 1.0);
        }
    }
    host.constant("node_network_up", &labels, 1.0);
    host.constant("node_network_carrier", &labels, 1.0);
    host.constant("node_network_mtu_bytes", &labels, mtu);
    if device != "lo" {
        host.constant("node_network_speed_bytes", &labels, 1_250_000_000.0);
        host.constant("node_network_info", &[("device", device), ("operstate", "up")], 1.0);
    }
}

fn sockets(host: &mut Builder) {
    let busyness = host.busyness;
    for (name, level) in [
        ("node_sockstat_sockets_used", 400.0),
        ("node_sockstat_TCP_inuse", 120.0),
        ("node_sockstat_TCP_alloc", 160.0),
        ("node_sockstat_TCP_tw", 90.0),
        ("node_sockstat_TCP_orphan", 2.0),
        ("node_sockstat_UDP_inuse", 8.0),
        ("node_netstat_Tcp_CurrEstab", 110.0),
        ("node_nf_conntrack_entries", 600.0),
        ("node_filefd_allocated", 3_000.0),
    ] {
        let wave = host.wave(level * busyness, 1.0);
        host.gauge(name, &[], wave, 1.0);
    }
    for (state, level) in [
        ("established", 110.0),
        ("time_wait", 90.0),
        ("close_wait", 2.0),
        ("listen", 24.0),
        ("syn_sent", 0.6),
        ("fin_wait2", 3.0),
    ] {
        let wave = host.wave(level * busyness, 1.0);
        host.gauge("node_tcp_connection_states", &[("state", state)], wave, 1.0);
    }
    for (field, rate) in [
        ("Tcp_ActiveOpens", 6.0),
        ("Tcp_PassiveOpens", 20.0),
        ("Tcp_InSegs", 1_800.0),
        ("Tcp_OutSegs", 1_900.0),
        ("Tcp_RetransSegs", 0.8),
        ("TcpExt_ListenDrops", 0.0001),
        ("TcpExt_ListenOverflows", 0.0001),
        ("TcpExt_TCPTimeouts", 0.05),
        ("Udp_InDatagrams", 30.0),
        ("Udp_OutDatagrams", 30.0),
        ("Udp_NoPorts", 0.01),
        ("Icmp_InMsgs", 0.2),
        ("IpExt_InOctets", 950_000.0),
        ("IpExt_OutOctets", 900_000.0),
    ] {
        let wave = host.wave(rate * busyness, 1.0);
        host.counter(&format!("node_netstat_{field}"), &[], wave, 1.0);
    }
}
