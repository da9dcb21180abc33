//! The health of disks, as far as the kernel tells it to users without rights.
//!
//! Temperatures come from the disks' drivers (`drivetemp`, `nvme`), states and error counts from the SCSI
//! layer, wear from eMMC and SD cards. The SMART values themselves can only be asked by root: Debian's
//! `prometheus-node-exporter-collectors` does it from a timer, and writes `smartmon_…` and `nvme_…` for the
//! textfile collector; so does every other textfile script for `smartctl`.

use std::path::{Path, PathBuf};

use crate::diskstats::is_ignored;
use crate::error::CollectError;
use crate::file::{attribute, is_digits, names_in, number_attribute};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

const LABELS: &[&str] = &["device", "model"];

static TEMPERATURE: Metric = Metric::gauge(
    "muster_disk_smart_temperature_celsius",
    Unit::Celsius,
    "Temperature of a disk, from its driver.",
    LABELS,
);
static HEALTHY: Metric = Metric::gauge(
    "muster_disk_smart_healthy",
    Unit::None,
    "Whether a disk says that it is healthy: of eMMC, whether spare blocks are left.",
    LABELS,
);
static LIFE_USED: Metric = Metric::gauge(
    "muster_disk_life_used_ratio",
    Unit::None,
    "How much of its life an eMMC has used, in steps of 0.1; 1.1 is more than it was made for.",
    LABELS,
);
static ONLINE: Metric = Metric::gauge(
    "muster_disk_online",
    Unit::None,
    "Whether the kernel has the disk in use: 0 while it is offline, blocked, or being reset.",
    LABELS,
);
static ERRORS: Metric = Metric::counter(
    "muster_disk_errors_total",
    Unit::None,
    "Commands that a SCSI or ATA disk did not complete; some kinds of io are harmless questions for what it lacks.",
    &["device", "model", "kind"],
);

/// Files of a SCSI device that count commands, and what kind they count.
const COUNTS: [(&str, &str); 2] = [("ioerr_cnt", "io"), ("iotmo_cnt", "timeout")];
/// An eMMC tells its life in tenths.
const LIFE_STEPS: f64 = 10.0;
/// What an eMMC says of its spare blocks when they are not running out.
const SPARE_BLOCKS_NORMAL: f64 = 1.0;

/// Collects what `/sys` says of the health of disks.
#[derive(Debug)]
pub(crate) struct DiskHealth {
    block: PathBuf,
    nvme: PathBuf,
}

impl DiskHealth {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { block: roots.sys.join("block"), nvme: roots.sys.join("class/nvme") }
    }

    /// The folder of the device behind a disk: of an `NVMe` disk that of its controller.
    fn device(&self, disk: &str) -> PathBuf {
        match controller_of(disk) {
            Some(controller) => self.nvme.join(controller),
            None => self.block.join(disk).join("device"),
        }
    }
}

impl Collector for DiskHealth {
    fn name(&self) -> &'static str {
        "disk_health"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&TEMPERATURE, &HEALTHY, &LIFE_USED, &ONLINE, &ERRORS]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for disk in names_in(&self.block) {
            let device = self.device(&disk);
            // What has no device behind it (a loop, a RAID, a mapping) has no health of its own.
            if is_ignored(&disk) || !device.exists() {
                continue;
            }
            let name = attribute(&device.join("model")).or_else(|| attribute(&device.join("name")));
            push(sink, &device, &disk, &name.unwrap_or_default());
        }
        Ok(())
    }
}

fn push(sink: &mut Sink<'_>, device: &Path, disk: &str, model: &str) {
    let labels = &[disk, model];
    if let Some(celsius) = temperature(device) {
        sink.push(&TEMPERATURE, labels, celsius);
    }
    if let Some(state) = attribute(&device.join("state")) {
        let is_online = matches!(&*state, "running" | "live");
        sink.push(&ONLINE, labels, f64::from(u8::from(is_online)));
    }
    for (file, kind) in COUNTS {
        if let Some(count) = number_attribute(&device.join(file)) {
            sink.push(&ERRORS, &[disk, model, kind], count);
        }
    }
    if let Some(blocks) = number_attribute(&device.join("pre_eol_info")).filter(|it| *it > 0.0) {
        sink.push(&HEALTHY, labels, f64::from(u8::from(blocks == SPARE_BLOCKS_NORMAL)));
    }
    if let Some(used) = attribute(&device.join("life_time")).and_then(|text| life_used(&text)) {
        sink.push(&LIFE_USED, labels, used);
    }
}

/// What a disk's first sensor says: the driver's folder lies in the device's, or one below.
fn temperature(device: &Path) -> Option<f64> {
    let places = [device.to_owned(), device.join("hwmon"), device.join("device/hwmon")];
    let sensors = places.into_iter().flat_map(|folder| {
        let names = names_in(&folder).into_iter();
        names.filter(|name| name.starts_with("hwmon")).map(move |name| folder.join(name))
    });
    let millidegrees = sensors.map(|sensor| number_attribute(&sensor.join("temp1_input")));
    millidegrees.flatten().next().map(|millidegrees| millidegrees / 1e3)
}

/// `nvme0` of `nvme0n1`.
fn controller_of(disk: &str) -> Option<&str> {
    let (number, _) = disk.strip_prefix("nvme")?.split_once('n')?;
    is_digits(number).then(|| &disk[.."nvme".len() + number.len()])
}

/// The worse of the two estimates `0x02 0x01`; 0 is none.
fn life_used(text: &str) -> Option<f64> {
    let steps = text
        .split_ascii_whitespace()
        .filter_map(|word| u8::from_str_radix(word.strip_prefix("0x").unwrap_or(word), 16).ok());
    let worst = steps.max().filter(|step| *step > 0)?;
    Some(f64::from(worst) / LIFE_STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_controller(disk: &str, expected: Option<&str>) {
        assert_eq!(controller_of(disk), expected, "{disk}");
    }

    #[test]
    fn controllers() {
        check_controller("nvme0n1", Some("nvme0"));
        check_controller("nvme12n3", Some("nvme12"));
        check_controller("nvmen1", None);
        check_controller("sda", None);
    }

    #[test]
    fn lives() {
        let used = |text: &str| life_used(text).map(|used| (used * 10.0).round());
        assert_eq!(used("0x02 0x01"), Some(2.0));
        assert_eq!(used("0x00 0x0b"), Some(11.0));
        assert_eq!(used("0x00 0x00"), None);
        assert_eq!(used("x"), None);
    }
}
