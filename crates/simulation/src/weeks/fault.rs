//! What can go wrong with a host, and what it looks like from there.

use super::dice::Dice;
use super::moment::{FAILED, KILLED, Moment, Service};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A file system fills at a steady pace.
    DiskFilling,
    /// A service fails and stays so.
    ServiceCrash,
    /// A process takes more and more memory.
    MemoryLeak,
    /// A host stops without a word.
    HostDeath,
    /// Files are made and never deleted.
    InodeLeak,
    /// A service falls again and again, and systemd restarts it.
    ServiceFlapping,
    /// More is in use than fits into memory.
    SwapStorm,
    /// Processors do nothing but turn.
    CpuStuck,
    /// No server keeps the clock, and it drifts.
    ClockDrift,
    /// A disk fails commands, and its file system becomes read-only.
    DiskErrors,
    /// A fan stands still.
    Heat,
    /// A file system fills within minutes.
    DiskBurst,
    /// The kernel kills a process.
    OomKill,
    /// A service starts and does not get ready.
    ServiceHung,
}

/// All kinds, in the order in which they are injected.
pub const FAULT_KINDS: [FaultKind; 14] = [
    FaultKind::DiskFilling,
    FaultKind::ServiceCrash,
    FaultKind::MemoryLeak,
    FaultKind::HostDeath,
    FaultKind::InodeLeak,
    FaultKind::ServiceFlapping,
    FaultKind::SwapStorm,
    FaultKind::CpuStuck,
    FaultKind::ClockDrift,
    FaultKind::DiskErrors,
    FaultKind::Heat,
    FaultKind::DiskBurst,
    FaultKind::OomKill,
    FaultKind::ServiceHung,
];

impl FaultKind {
    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::DiskFilling => "disk filling steadily",
            Self::ServiceCrash => "service crash",
            Self::MemoryLeak => "memory leak",
            Self::HostDeath => "host death",
            Self::InodeLeak => "inode leak",
            Self::ServiceFlapping => "service flapping",
            Self::SwapStorm => "swap storm",
            Self::CpuStuck => "processors stuck",
            Self::ClockDrift => "clock drift",
            Self::DiskErrors => "disk errors, read-only",
            Self::Heat => "heat",
            Self::DiskBurst => "disk filling in a burst",
            Self::OomKill => "killed for want of memory",
            Self::ServiceHung => "service hung",
        }
    }

    /// The alerts that tell of it: those of the built-in rules, and those of static thresholds.
    pub(super) fn told_by(self) -> &'static [&'static str] {
        match self {
            Self::DiskFilling | Self::DiskBurst => {
                &["DiskFilling", "DiskFull", "HostOutOfDiskSpace"]
            }
            Self::InodeLeak => &["InodesFilling", "InodesFull", "HostOutOfInodes"],
            Self::MemoryLeak | Self::SwapStorm => &[
                "MemoryPressure",
                "MemoryLow",
                "SwapStorm",
                "OomKill",
                "HostOutOfMemory",
                "HostMemoryUnderMemoryPressure",
                "HostSwapIsFillingUp",
                "HostOomKillDetected",
            ],
            Self::OomKill => &["OomKill", "HostOomKillDetected"],
            Self::CpuStuck => &["CpuSaturated", "LoadHigh", "HostHighCpuLoad"],
            Self::ServiceCrash => &["ServiceFailed", "HostSystemdServiceCrashed"],
            Self::ServiceFlapping => &["ServiceFlapping", "HostSystemdServiceCrashed"],
            Self::ServiceHung => &["ServiceHung", "HostSystemdServiceCrashed"],
            Self::HostDeath => &["HostSilent", "PrometheusTargetMissing"],
            Self::ClockDrift => {
                &["ClockOff", "ClockUnsynchronised", "HostClockSkew", "HostClockNotSynchronising"]
            }
            Self::DiskErrors => &[
                "DiskErrors",
                "DiskReadOnly",
                "DiskSlow",
                "HostFilesystemReadOnly",
                "HostUnusualDiskReadLatency",
            ],
            Self::Heat => &["Temperature", "HostPhysicalComponentTooHot"],
        }
    }

    /// How long it lasts, at the least and at the most, in milliseconds; in a `short` run slow faults are quicker.
    fn lasts_ms(self, short: bool) -> (i64, i64) {
        match self {
            Self::DiskFilling | Self::InodeLeak if short => (10 * HOUR_MS, 14 * HOUR_MS),
            Self::DiskFilling | Self::InodeLeak => (24 * HOUR_MS, 60 * HOUR_MS),
            Self::MemoryLeak if short => (2 * HOUR_MS, 4 * HOUR_MS),
            Self::MemoryLeak => (3 * HOUR_MS, 12 * HOUR_MS),
            Self::CpuStuck | Self::ClockDrift => (3 * HOUR_MS, 6 * HOUR_MS),
            Self::DiskBurst | Self::OomKill => (30 * MINUTE_MS, 50 * MINUTE_MS),
            Self::ServiceCrash
            | Self::HostDeath
            | Self::ServiceFlapping
            | Self::SwapStorm
            | Self::DiskErrors
            | Self::Heat
            | Self::ServiceHung => (HOUR_MS, 2 * HOUR_MS),
        }
    }
}

/// A sample that is told at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Urgent {
    /// When, in milliseconds since 1970.
    pub(super) at_ms: i64,
    /// Its metric.
    pub(super) name: &'static str,
    /// Its labels, as [`super::history::History::push`] takes them.
    pub(super) labels: &'static str,
    /// Its value.
    pub(super) value: f64,
}

/// A fault of one host.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// What kind.
    pub(super) kind: FaultKind,
    /// When it begins, in milliseconds since 1970.
    pub(super) from_ms: i64,
    /// When it ends.
    pub(super) to_ms: i64,
    /// How hard it is, from 0 to 1.
    level: f64,
    /// How full the file systems are when it begins.
    begin_used: f64,
}

impl Fault {
    /// A fault that begins at `from_ms`.
    pub(super) fn new(kind: FaultKind, from_ms: i64, short: bool, dice: &mut Dice) -> Self {
        let (least, most) = kind.lasts_ms(short);
        let lasts_ms = dice.between(least as f64, most as f64) as i64;
        let level = dice.share();
        Self { kind, from_ms, to_ms: from_ms + lasts_ms, level, begin_used: f64::NAN }
    }

    /// Whether the host tells nothing at all.
    pub(super) fn silences(&self, at_ms: i64) -> bool {
        self.kind == FaultKind::HostDeath && self.holds(at_ms)
    }

    fn holds(&self, at_ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&at_ms)
    }

    /// The sample that cannot wait for the next turn.
    pub(super) fn urgent(&self) -> Option<Urgent> {
        let (after_ms, name, labels, value) = match self.kind {
            FaultKind::ServiceCrash => (0, "node_systemd_unit_state", FAILED, 1.0),
            FaultKind::OomKill => (0, "muster_oom_kills_total", KILLED, 1.0),
            FaultKind::HostDeath => (9_000, "muster_host_silent_seconds", "", 9.0),
            _ => return None,
        };
        Some(Urgent { at_ms: self.from_ms + after_ms, name, labels, value })
    }

    /// Makes a healthy moment what it is with the fault. To be called in the order of time.
    pub(super) fn worsen(&mut self, now: &mut Moment, at_ms: i64, dice: &mut Dice) {
        if !self.holds(at_ms) {
            return;
        }
        let since_s = (at_ms - self.from_ms) as f64 / 1_000.0;
        let way = (at_ms - self.from_ms) as f64 / (self.to_ms - self.from_ms) as f64;
        match self.kind {
            FaultKind::DiskFilling => {
                now.var_used = self.filled(now.var_used, way, dice.between(0.0, 0.002));
            }
            FaultKind::DiskBurst => now.var_used = self.filled(now.var_used, 2.0 * way, 0.0),
            FaultKind::InodeLeak => {
                now.inodes_used = self.filled(now.inodes_used, way, dice.between(0.0, 0.001));
            }
            FaultKind::MemoryLeak => leak(now, way, dice),
            FaultKind::SwapStorm => {
                now.available = dice.between(0.03, 0.07);
                now.memory_waiting = dice.between(0.2, 0.5) + 0.2 * self.level;
                now.swap_in = 1_500.0 + 6_000.0 * self.level;
                now.swap_used = (0.3 + 2.0 * way).min(0.95);
            }
            FaultKind::CpuStuck => {
                (now.cpu, now.cpu_waiting) = (1.0, dice.between(0.93, 1.0));
                now.demand += 2.0 + 4.0 * self.level;
            }
            FaultKind::ServiceCrash => now.service = Service::Failed,
            FaultKind::ServiceFlapping => {
                now.restarts += (since_s / (45.0 + 75.0 * self.level)).floor();
            }
            FaultKind::ServiceHung => now.service = Service::Starting,
            FaultKind::HostDeath => {}
            FaultKind::ClockDrift => {
                now.clock_off += since_s * (0.000_3 + 0.000_7 * self.level);
                now.unsynchronised = Some((0.02 + since_s * 0.000_5).min(16.0));
            }
            FaultKind::DiskErrors => {
                now.disk_errors[0] += 1.0 + (since_s / 120.0).floor();
                now.read_seconds += 0.4;
                now.read_only = since_s > 600.0;
            }
            FaultKind::Heat => {
                let rise = (since_s / 900.0).min(1.0);
                now.celsius += (98.0 + 3.0 * self.level - now.celsius) * rise;
            }
            FaultKind::OomKill => now.killed += 1.0,
        }
    }

    /// From how full it was when the fault began to full.
    fn filled(&mut self, healthy: f64, way: f64, noise: f64) -> f64 {
        if self.begin_used.is_nan() {
            self.begin_used = healthy;
        }
        (self.begin_used + (1.0 - self.begin_used) * way.min(1.0) - noise).clamp(healthy, 1.0)
    }
}

/// Memory falls; at its end programs wait, swap is in use, and the kernel kills.
fn leak(now: &mut Moment, way: f64, dice: &mut Dice) {
    const WORST: f64 = 0.005;
    now.available = (now.available * (1.0 - way / 0.9)).max(WORST);
    let tight = ((0.08 - now.available) / 0.08).max(0.0);
    now.memory_waiting += tight * dice.between(0.3, 0.6);
    now.swap_in += tight * 2_000.0;
    now.swap_used = (now.swap_used + 0.9 * way).min(0.99);
    now.killed += f64::from(u8::from(way > 0.97));
}
