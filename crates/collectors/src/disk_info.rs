//! What the block devices are: model, serial number, file system, as udev has found out.

use std::collections::HashMap;

use crate::diskstats::{is_ignored, parse_line};
use crate::error::CollectError;
use crate::file;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static INFO: Metric = Metric::info(
    "node_disk_info",
    "Info of /sys/block/<block_device>.",
    &["device", "major", "minor", "path", "wwn", "model", "serial", "revision"],
);
static FILESYSTEM: Metric = Metric::info(
    "node_disk_filesystem_info",
    "Info about disk filesystem.",
    &["device", "type", "usage", "uuid", "version"],
);
static MAPPER: Metric = Metric::info(
    "node_disk_device_mapper_info",
    "Info about disk device mapper.",
    &["device", "name", "uuid", "vg_name", "lv_name", "lv_layer"],
);

/// What udev knows of ATA disks, by property.
static ATA: [(&str, Metric); 3] = [
    (
        "ID_ATA_WRITE_CACHE",
        ata("node_disk_ata_write_cache", Unit::None, "ATA disk has a write cache."),
    ),
    (
        "ID_ATA_WRITE_CACHE_ENABLED",
        ata(
            "node_disk_ata_write_cache_enabled",
            Unit::None,
            "ATA disk has its write cache enabled.",
        ),
    ),
    (
        "ID_ATA_ROTATION_RATE_RPM",
        ata(
            "node_disk_ata_rotation_rate_rpm",
            Unit::TurnsPerMinute,
            "ATA disk rotation rate in RPMs (0 for SSDs).",
        ),
    ),
];

const fn ata(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::gauge(name, unit, help, &["device"])
}

/// Collects udev's database of block devices.
#[derive(Debug)]
pub(crate) struct DiskInfo {
    roots: Roots,
}

impl DiskInfo {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }
}

impl Collector for DiskInfo {
    fn name(&self) -> &'static str {
        "disk_info"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        [&INFO, &FILESYSTEM, &MAPPER]
            .into_iter()
            .chain(ATA.iter().map(|(_, metric)| metric))
            .collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let udev = self.roots.rootfs.join("run/udev/data");
        file::read(&self.roots.proc.join("diskstats"), |text| {
            for line in text.lines() {
                let disk = parse_line(line)?;
                if is_ignored(disk.name) {
                    continue;
                }
                let record = udev.join(format!("b{}:{}", disk.major, disk.minor));
                let record = file::attribute(&record).unwrap_or_default();
                push(sink, [disk.name, disk.major, disk.minor], &parse_udev(&record));
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn push(sink: &mut Sink<'_>, [device, major, minor]: [&str; 3], udev: &HashMap<&str, &str>) {
    let get = |key: &str| udev.get(key).copied().unwrap_or("");
    let serial = match get("SCSI_IDENT_SERIAL") {
        "" => get("ID_SERIAL_SHORT"),
        serial => serial,
    };
    let model = get("ID_MODEL");
    let (path, wwn, revision) = (get("ID_PATH"), get("ID_WWN"), get("ID_REVISION"));
    sink.push(&INFO, &[device, major, minor, path, wwn, model, serial, revision], 1.0);
    for (key, metric) in &ATA {
        if let Some(value) = file::number(get(key)) {
            sink.push(metric, &[device], value);
        }
    }
    if udev.contains_key("ID_FS_TYPE") {
        let labels = ["ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION"].map(get);
        sink.push(&FILESYSTEM, &[device, labels[0], labels[1], labels[2], labels[3]], 1.0);
    }
    if udev.contains_key("DM_NAME") {
        let labels = ["DM_NAME", "DM_UUID", "DM_VG_NAME", "DM_LV_NAME", "DM_LV_LAYER"].map(get);
        let [name, uuid, group, volume, layer] = labels;
        sink.push(&MAPPER, &[device, name, uuid, group, volume, layer], 1.0);
    }
}

/// The properties of a device: lines of the form `E:KEY=value`.
fn parse_udev(text: &str) -> HashMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_udev() {
        let udev = parse_udev("S:disk/by-id/x\nE:ID_MODEL=A=B\nE:EMPTY=\nG:systemd\n");
        assert_eq!(udev, HashMap::from([("ID_MODEL", "A=B")]));
    }
}
