//! How a host is at one moment, and the series by which it tells so.

use super::history::History;

/// A file system: mount point's labels, size in bytes, number of inodes.
pub(super) const VAR: &str = r#"device="/dev/sdb1",fstype="ext4",mountpoint="/var""#;
pub(super) const SRV: &str = r#"device="/dev/sdc1",fstype="xfs",mountpoint="/srv""#;
const SNAP: &str = r#"device="/dev/loop0",fstype="squashfs",mountpoint="/snap/base/1""#;
/// Bytes of a file system that can be written to.
pub(super) const FILE_SYSTEM_BYTES: f64 = 500e9;
/// Inodes of one.
pub(super) const INODES: f64 = 30e6;
const MEMORY_BYTES: f64 = 64e9;
const SWAP_BYTES: f64 = 8e9;
const CORES: [&str; 4] = [
    r#"cpu="0",mode="idle""#,
    r#"cpu="1",mode="idle""#,
    r#"cpu="2",mode="idle""#,
    r#"cpu="3",mode="idle""#,
];
const DISK: &str = r#"device="sda""#;

/// How the service of a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// It does what it is there for.
    Runs,
    /// It is not ready yet.
    Starting,
    /// It ended with a failure.
    Failed,
}

/// A host at one moment. Shares are from 0 to 1.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// Share of the processors in use.
    pub(super) cpu: f64,
    /// Share of the time in which something waits for a processor.
    pub(super) cpu_waiting: f64,
    /// Tasks that run or want to, for each processor.
    pub(super) demand: f64,
    /// Share of memory that is available.
    pub(super) available: f64,
    /// Share of the time in which something waits for memory.
    pub(super) memory_waiting: f64,
    /// Pages a second read back from swap.
    pub(super) swap_in: f64,
    /// Share of swap in use.
    pub(super) swap_used: f64,
    /// Share of `/var` in use.
    pub(super) var_used: f64,
    /// Share of `/srv` in use.
    pub(super) srv_used: f64,
    /// Share of the inodes of `/var` in use.
    pub(super) inodes_used: f64,
    /// Whether `/var` cannot be written to.
    pub(super) read_only: bool,
    /// Seconds that a read takes.
    pub(super) read_seconds: f64,
    /// Reads a second.
    pub(super) reads: f64,
    /// Errors of the disk so far: those that count, and harmless ones.
    pub(super) disk_errors: [f64; 2],
    /// The hottest sensor, in degrees Celsius.
    pub(super) celsius: f64,
    /// What the clock is off, in seconds.
    pub(super) clock_off: f64,
    /// The clock's possible error in seconds, if no server keeps it.
    pub(super) unsynchronised: Option<f64>,
    /// When it started, in seconds since 1970.
    pub(super) boot_s: f64,
    /// Processes that were killed for want of memory so far.
    pub(super) killed: f64,
    /// How the service is.
    pub(super) service: Service,
    /// How often systemd has restarted the service by itself.
    pub(super) restarts: f64,
    /// Whether a task that runs once is at work.
    pub(super) task_runs: bool,
    /// Packets a second, and the share of them that is damaged.
    pub(super) packets: [f64; 2],
    /// Bytes that the agent keeps until the server takes them.
    pub(super) spooled: f64,
}

/// What counts up while a host lives.
#[derive(Debug, Default)]
pub(super) struct Counters {
    idle_s: f64,
    cpu_waiting_s: f64,
    memory_waiting_s: f64,
    swap_in: f64,
    major_faults: f64,
    read_s: f64,
    reads: f64,
    packets: f64,
    damaged: f64,
    load15: f64,
}

impl Counters {
    /// Lives for `seconds` as the moment is.
    pub(super) fn live(&mut self, now: &Moment, seconds: f64) {
        self.idle_s += (1.0 - now.cpu) * seconds;
        self.cpu_waiting_s += now.cpu_waiting * seconds;
        self.memory_waiting_s += now.memory_waiting * seconds;
        self.swap_in += now.swap_in * seconds;
        self.major_faults += (now.swap_in / 2.0 + 5.0) * seconds;
        self.read_s += now.reads * now.read_seconds * seconds;
        self.reads += now.reads * seconds;
        self.packets += now.packets[0] * seconds;
        self.damaged += now.packets[0] * now.packets[1] * seconds;
        let kept = (-seconds / 900.0).exp();
        self.load15 = self.load15 * kept + now.demand * CORES.len() as f64 * (1.0 - kept);
    }

    /// Tells the moment.
    pub(super) fn tell(&self, history: &mut History, now: &Moment, at_ms: i64) {
        let mut tell = |name: &'static str, labels: &'static str, value: f64| {
            history.push(name, labels, at_ms, value);
        };
        tell("up", "", 1.0);
        tell("muster_host_silent_seconds", "", 0.0);
        tell("node_boot_time_seconds", "", now.boot_s);
        tell("node_load15", "", self.load15);
        for core in CORES {
            tell("node_cpu_seconds_total", core, self.idle_s);
        }
        tell("node_pressure_cpu_waiting_seconds_total", "", self.cpu_waiting_s);
        tell("node_pressure_memory_waiting_seconds_total", "", self.memory_waiting_s);
        tell("node_memory_MemAvailable_bytes", "", now.available * MEMORY_BYTES);
        tell("node_memory_MemTotal_bytes", "", MEMORY_BYTES);
        tell("node_memory_SwapFree_bytes", "", (1.0 - now.swap_used) * SWAP_BYTES);
        tell("node_memory_SwapTotal_bytes", "", SWAP_BYTES);
        tell("node_vmstat_pswpin", "", self.swap_in);
        tell("node_vmstat_pgmajfault", "", self.major_faults);
        tell("node_vmstat_oom_kill", "", now.killed);
        tell("muster_oom_kills_total", KILLED, now.killed);
        tell("node_hwmon_temp_celsius", r#"chip="coretemp",sensor="temp1""#, now.celsius);
        tell("node_hwmon_temp_crit_celsius", r#"chip="coretemp",sensor="temp1""#, 100.0);
        tell("node_timex_maxerror_seconds", "", now.unsynchronised.unwrap_or(0.02));
        tell("node_timex_sync_status", "", f64::from(u8::from(now.unsynchronised.is_none())));
        // Nobody tells the kernel how far off it is when no server keeps the clock.
        let known_off = if now.unsynchronised.is_some() { 0.0 } else { now.clock_off };
        tell("node_timex_offset_seconds", "", known_off);
        tell("muster_agent_clock_offset_seconds", "", now.clock_off);
        tell("muster_agent_spool_bytes", "", now.spooled);
        tell("muster_agent_dropped_samples_total", "", 0.0);
        self.tell_limits(&mut tell, now);
        tell_disks(&mut tell, now);
        self.tell_counted(&mut tell);
        tell_services(&mut tell, now);
    }

    fn tell_counted(&self, tell: &mut impl FnMut(&'static str, &'static str, f64)) {
        tell("node_disk_read_time_seconds_total", DISK, self.read_s);
        tell("node_disk_reads_completed_total", DISK, self.reads);
        tell("node_network_receive_packets_total", r#"device="eth0""#, self.packets);
        tell("node_network_receive_errs_total", r#"device="eth0""#, self.damaged);
    }

    fn tell_limits(&self, tell: &mut impl FnMut(&'static str, &'static str, f64), now: &Moment) {
        tell("node_filefd_allocated", "", 4e3 + 1e3 * self.load15);
        tell("node_filefd_maximum", "", 1e6);
        tell("node_processes_threads", "", 800.0 + 600.0 * now.demand);
        tell("node_processes_max_processes", "", 4_194_304.0);
        tell("node_nf_conntrack_entries", "", 2.0 * now.packets[0]);
        tell("node_nf_conntrack_entries_limit", "", 262_144.0);
        tell("node_network_carrier_changes_total", r#"device="eth0""#, 2.0);
        tell("node_reboot_required", "", 0.0);
    }
}

fn tell_disks(tell: &mut impl FnMut(&'static str, &'static str, f64), now: &Moment) {
    let read_only = f64::from(u8::from(now.read_only));
    for (labels, used, inodes_used, read_only) in
        [(VAR, now.var_used, now.inodes_used, read_only), (SRV, now.srv_used, 0.03, 0.0)]
    {
        tell("node_filesystem_avail_bytes", labels, (1.0 - used).max(0.0) * FILE_SYSTEM_BYTES);
        tell("node_filesystem_size_bytes", labels, FILE_SYSTEM_BYTES);
        tell("node_filesystem_files_free", labels, (1.0 - inodes_used).max(0.0) * INODES);
        tell("node_filesystem_files", labels, INODES);
        tell("node_filesystem_readonly", labels, read_only);
    }
    for name in ["node_filesystem_avail_bytes", "node_filesystem_files_free"] {
        tell(name, SNAP, 0.0);
    }
    tell("node_filesystem_size_bytes", SNAP, 6e7);
    tell("node_filesystem_files", SNAP, 12e3);
    tell("node_filesystem_readonly", SNAP, 1.0);
    tell("muster_disk_errors_total", r#"device="sda",kind="timeout""#, now.disk_errors[0]);
    tell("muster_disk_errors_total", r#"device="sda",kind="io""#, now.disk_errors[1]);
    tell("muster_disk_online", DISK, 1.0);
    tell("muster_disk_smart_healthy", DISK, 1.0);
    tell("muster_disk_life_used_ratio", DISK, 0.31);
    tell("node_md_disks_required", r#"device="md0""#, 2.0);
    tell("node_md_disks", r#"device="md0",state="active""#, 2.0);
}

fn tell_services(tell: &mut impl FnMut(&'static str, &'static str, f64), now: &Moment) {
    const STATE: &str = "node_systemd_unit_state";
    let flag = |holds: bool| f64::from(u8::from(holds));
    tell(STATE, FAILED, flag(now.service == Service::Failed));
    tell(
        STATE,
        r#"name="app.service",state="activating",type="notify""#,
        flag(now.service == Service::Starting),
    );
    tell(STATE, r#"name="app.service",state="deactivating",type="notify""#, 0.0);
    tell(STATE, r#"name="backup.service",state="failed",type="oneshot""#, 0.0);
    tell(STATE, r#"name="backup.service",state="activating",type="oneshot""#, flag(now.task_runs));
    tell("node_systemd_service_restart_total", r#"name="app.service""#, now.restarts);
}

/// The series that says whether the service has failed.
pub(super) const FAILED: &str = r#"name="app.service",state="failed",type="notify""#;
/// The series that counts what was killed for want of memory.
pub(super) const KILLED: &str = r#"program="java",unit="app.service""#;
