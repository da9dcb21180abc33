//! What system this is: the kernel, the distribution, the machine.

use crate::error::CollectError;
use crate::file::{attribute, read};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static UNAME: Metric = Metric::info(
    "node_uname_info",
    "Labeled system information as provided by the uname system call.",
    &["sysname", "release", "version", "machine", "nodename", "domainname"],
);
static OS: Metric = Metric::info(
    "node_os_info",
    "What the distribution calls itself, from os-release.",
    &[
        "build_id",
        "id",
        "id_like",
        "image_id",
        "image_version",
        "name",
        "pretty_name",
        "variant",
        "variant_id",
        "version",
        "version_codename",
        "version_id",
    ],
);
static OS_VERSION: Metric = Metric::gauge(
    "node_os_version",
    Unit::None,
    "Metric containing the major.minor part of the OS version.",
    &["id", "id_like", "name"],
);
static DMI: Metric = Metric::info(
    "node_dmi_info",
    "What the firmware says about the machine, from /sys/class/dmi/id.",
    &[
        "bios_date",
        "bios_release",
        "bios_vendor",
        "bios_version",
        "board_asset_tag",
        "board_name",
        "board_serial",
        "board_vendor",
        "board_version",
        "chassis_asset_tag",
        "chassis_serial",
        "chassis_vendor",
        "chassis_version",
        "product_family",
        "product_name",
        "product_serial",
        "product_sku",
        "product_uuid",
        "product_version",
        "system_vendor",
    ],
);

/// Collects the kernel's name.
#[derive(Debug)]
pub(crate) struct Uname {
    roots: Roots,
}

impl Uname {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }
}

impl Collector for Uname {
    fn name(&self) -> &'static str {
        "uname"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&UNAME]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let folder = self.roots.proc.join("sys/kernel");
        let text = |name: &str| attribute(&folder.join(name));
        let Some(sysname) = text("ostype") else {
            return Ok(());
        };
        let [release, version, nodename, domainname] =
            ["osrelease", "version", "hostname", "domainname"]
                .map(|name| text(name).unwrap_or_default());
        // The kernel tells its architecture in a file only since 6.1.
        let machine = text("arch")
            .unwrap_or_else(|| rustix::system::uname().machine().to_string_lossy().into_owned());
        let labels = [&sysname, &release, &version, &machine, &nodename, &domainname];
        sink.push(&UNAME, &labels.map(String::as_str), 1.0);
        Ok(())
    }
}

/// Collects os-release.
#[derive(Debug)]
pub(crate) struct OsRelease {
    roots: Roots,
}

impl OsRelease {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }
}

impl Collector for OsRelease {
    fn name(&self) -> &'static str {
        "os"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&OS, &OS_VERSION]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for path in ["etc/os-release", "usr/lib/os-release"] {
            let fields = read(&self.roots.rootfs.join(path), |text| Ok(parse_os_release(text)))?;
            if let Some(fields) = fields {
                push_os(sink, &fields);
                break;
            }
        }
        Ok(())
    }
}

fn push_os(sink: &mut Sink<'_>, fields: &[(String, String)]) {
    let get = |label: &str| {
        let found = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(label));
        found.map_or("", |(_, value)| value)
    };
    let labels: Vec<&str> = OS.labels.iter().map(|label| get(label)).collect();
    sink.push(&OS, &labels, 1.0);
    if let Some(version) = parse_version(get("version_id")) {
        sink.push(&OS_VERSION, &[get("id"), get("id_like"), get("name")], version);
    }
}

/// `KEY=value` lines, the value bare or quoted as in a shell.
fn parse_os_release(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.trim().split_once('='))
        .map(|(key, value)| (key.to_owned(), unquote(value)))
        .collect()
}

fn unquote(value: &str) -> String {
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    if let Some(inner) = quoted('\'') {
        return inner.to_owned();
    }
    let Some(inner) = quoted('"') else {
        return value.to_owned();
    };
    let mut plain = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

/// `22.04` of `22.04.1`; a rolling distribution has none.
fn parse_version(version: &str) -> Option<f64> {
    let mut dots = 0;
    let end = version.find(|c: char| {
        dots += usize::from(c == '.');
        !(c.is_ascii_digit() || (c == '.' && dots == 1))
    });
    version[..end.unwrap_or(version.len())].parse().ok()
}

/// Collects the firmware's tables.
#[derive(Debug)]
pub(crate) struct Dmi {
    roots: Roots,
}

impl Dmi {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }
}

impl Collector for Dmi {
    fn name(&self) -> &'static str {
        "dmi"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&DMI]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let folder = self.roots.sys.join("class/dmi/id");
        // Serial numbers can be read by root only; what cannot be read is an absent label.
        let text = |label: &&str| {
            let file = if *label == "system_vendor" { "sys_vendor" } else { *label };
            attribute(&folder.join(file)).unwrap_or_default()
        };
        let values: Vec<String> = DMI.labels.iter().map(text).collect();
        if values.iter().any(|value| !value.is_empty()) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            sink.push(&DMI, &values, 1.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_quoted_like_a_shell() {
        let text = "# comment\nID=debian\nNAME=\"A \\\"B\\\"\"\nVARIANT='x y'\nnothing\n";
        let expected = [("ID", "debian"), ("NAME", "A \"B\""), ("VARIANT", "x y")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(parse_os_release(text), expected);
    }

    #[track_caller]
    fn check_version(text: &str, expected: Option<f64>) {
        assert_eq!(parse_version(text), expected);
    }

    #[test]
    fn versions() {
        check_version("12", Some(12.0));
        check_version("22.04", Some(22.04));
        check_version("3.18.4", Some(3.18));
        check_version("40_beta", Some(40.0));
        check_version("", None);
        check_version("rolling", None);
    }
}
