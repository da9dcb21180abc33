//! `/sys/class/hwmon`: what the sensors of the hardware say.
//!
//! File names are `TYPE NUMBER _ ELEMENT`: `temp1_input`, `fan2_min`, `in0_label`. The metric's name
//! is made of type, element and unit, the sensor's label of type and number, as `node_exporter` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::file::{attribute, names_in, number};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

const LABELS: &[&str] = &["chip", "sensor"];

static CHIP_NAME: Metric = Metric::info(
    "node_hwmon_chip_names",
    "Annotation metric for human-readable chip names",
    &["chip", "chip_name"],
);
static SENSOR_LABEL: Metric = Metric::info(
    "node_hwmon_sensor_label",
    "Label for given chip and sensor",
    &["chip", "sensor", "label"],
);
static CELSIUS: Metric =
    Metric::gauge("node_hwmon_*_celsius", Unit::Celsius, "A temperature.", LABELS);
static VOLTS: Metric = Metric::gauge("node_hwmon_*_volts", Unit::Volts, "A voltage.", LABELS);
static AMPERES: Metric = Metric::gauge("node_hwmon_*_amps", Unit::Amperes, "A current.", LABELS);
static WATTS: Metric = Metric::gauge("node_hwmon_*_watt", Unit::Watts, "A power.", LABELS);
static SECONDS: Metric = Metric::gauge(
    "node_hwmon_*_seconds",
    Unit::Seconds,
    "The time a value is averaged over, or between two values.",
    LABELS,
);
static TURNS: Metric =
    Metric::gauge("node_hwmon_*_rpm", Unit::TurnsPerMinute, "The speed of a fan.", LABELS);
static JOULES: Metric =
    Metric::counter("node_hwmon_*_joule_total", Unit::Joules, "An energy.", LABELS);
static OTHER: Metric =
    Metric::gauge("node_hwmon_*", Unit::None, "An alarm, a fault, a setting or a ratio.", LABELS);

const SENSOR_TYPES: [&str; 10] =
    ["in", "cpu", "fan", "pwm", "temp", "curr", "power", "energy", "humidity", "intrusion"];

/// Settings of a whole chip, whose files have no number.
const CHIP_SETTINGS: [&str; 3] = ["update_interval", "beep_enable", "vrm"];

/// Collects `/sys/class/hwmon`.
#[derive(Debug)]
pub(crate) struct Hwmon {
    folder: PathBuf,
}

impl Hwmon {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/hwmon") }
    }
}

impl Collector for Hwmon {
    fn name(&self) -> &'static str {
        "hwmon"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![
            &CHIP_NAME,
            &SENSOR_LABEL,
            &CELSIUS,
            &VOLTS,
            &AMPERES,
            &WATTS,
            &SECONDS,
            &TURNS,
            &JOULES,
            &OTHER,
        ]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for entry in names_in(&self.folder) {
            let folder = self.folder.join(&entry);
            let chip = chip_of(&folder, &entry);
            if let Some(name) = attribute(&folder.join("name")).filter(|name| !name.is_empty()) {
                sink.push(&CHIP_NAME, &[&chip, &clean(&name)], 1.0);
            }
            // Old drivers put the files into the device's folder.
            let mut sensors = sensors_in(&folder);
            for (sensor, elements) in sensors_in(&folder.join("device")) {
                sensors.entry(sensor).or_default().extend(elements);
            }
            for (sensor, elements) in &sensors {
                push_sensor(sink, &chip, sensor, elements);
            }
        }
        Ok(())
    }
}

/// A name that stays the same however the drivers are loaded: bus and device, else what the chip
/// calls itself, else the folder's number.
fn chip_of(folder: &Path, entry: &str) -> String {
    if let Ok(device) = fs::canonicalize(folder.join("device")) {
        let part = |path: Option<&Path>| {
            path.and_then(Path::file_name).map(|name| clean(&name.to_string_lossy()))
        };
        let parts = [part(device.parent()), part(Some(&device))];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|p| !p.is_empty()).collect();
        if !parts.is_empty() {
            return parts.join("_");
        }
    }
    let name = attribute(&folder.join("name")).map(|name| clean(&name)).unwrap_or_default();
    if name.is_empty() { clean(entry) } else { name }
}

/// Lower case, and nothing but what a name of a metric may hold.
fn clean(name: &str) -> String {
    let replaced: String = name
        .to_lowercase()
        .chars()
        .map(|c| if matches!(c, 'a'..='z' | '0'..='9' | ':' | '_') { c } else { '_' })
        .collect();
    replaced.trim_matches('_').to_owned()
}

/// The names of elements of one sensor, and what they say.
type Elements = BTreeMap<String, String>;

/// Every sensor in a folder: `temp1` with its elements `input`, `max`, `label`.
fn sensors_in(folder: &Path) -> BTreeMap<String, Elements> {
    let mut sensors: BTreeMap<String, Elements> = BTreeMap::new();
    for name in names_in(folder) {
        if let Some((sensor, element)) = parse_file_name(&name)
            && let Some(value) = attribute(&folder.join(&name))
        {
            sensors.entry(sensor.to_owned()).or_default().insert(element.to_owned(), value);
        }
    }
    sensors
}

/// `temp1_crit_alarm` is sensor `temp1`, element `crit_alarm`; the element of `pwm1` is empty, and so
/// is that of a setting of the whole chip.
fn parse_file_name(name: &str) -> Option<(&str, &str)> {
    if CHIP_SETTINGS.contains(&name) {
        return Some((name, ""));
    }
    let (sensor, element) = name.split_once('_').unwrap_or((name, ""));
    let number = sensor.strip_prefix(sensor_type(sensor))?;
    let is_sensor = SENSOR_TYPES.contains(&sensor_type(sensor)) && !number.is_empty();
    is_sensor.then_some((sensor, element))
}

/// `temp` of `temp1`.
fn sensor_type(sensor: &str) -> &str {
    sensor.trim_end_matches(|c: char| c.is_ascii_digit())
}

fn push_sensor(sink: &mut Sink<'_>, chip: &str, sensor: &str, elements: &Elements) {
    let elements_there: BTreeSet<&str> = elements.keys().map(String::as_str).collect();
    for (element, text) in elements {
        if element == "label" {
            sink.push(&SENSOR_LABEL, &[chip, sensor, text], 1.0);
            continue;
        }
        let Some(raw) = number(text) else { continue };
        let kind = sensor_type(sensor);
        let (metric, value) = in_unit(kind, element, raw);
        let part = match element.as_str() {
            "" => match kind {
                "beep_enable" => "beep_enabled".to_owned(),
                "vrm" => "voltage_regulator_version".to_owned(),
                kind => kind.to_owned(),
            },
            // The value itself; its element is named only where a file without element is there too.
            "input" if !elements_there.contains("") => kind.to_owned(),
            "beep" => format!("{kind}_beep_enabled"),
            element => format!("{kind}_{}", clean(element)),
        };
        sink.push_part(metric, &part, &[chip, sensor], value);
    }
}

/// The metric by unit, and the value in that unit: drivers count in thousandths and millionths.
fn in_unit(kind: &str, element: &str, raw: f64) -> (&'static Metric, f64) {
    match (kind, element) {
        (_, "fault" | "alarm" | "beep") | ("temp", "type") => (&OTHER, raw),
        ("update_interval", _) => (&SECONDS, raw / 1e3),
        ("in" | "cpu", _) => (&VOLTS, raw / 1e3),
        ("temp", _) => (&CELSIUS, raw / 1e3),
        ("curr", _) => (&AMPERES, raw / 1e3),
        ("energy", _) => (&JOULES, raw / 1e6),
        ("power", "accuracy") | ("humidity", _) => (&OTHER, raw / 1e6),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            (&SECONDS, raw / 1e3)
        }
        ("power", _) => (&WATTS, raw / 1e6),
        ("fan", "input" | "min" | "max" | "target") => (&TURNS, raw),
        _ => (&OTHER, raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(file: &str, expected: Option<(&str, &str)>) {
        assert_eq!(parse_file_name(file), expected);
    }

    #[test]
    fn file_names() {
        check_name("temp1_input", Some(("temp1", "input")));
        check_name("temp12_crit_alarm", Some(("temp12", "crit_alarm")));
        check_name("pwm1", Some(("pwm1", "")));
        check_name("temp_input", None);
        check_name("name", None);
        check_name("update_interval", Some(("update_interval", "")));
    }

    #[track_caller]
    fn check_unit(kind: &str, element: &str, metric: &'static Metric, value: f64) {
        assert_eq!(in_unit(kind, element, 1000.0), (metric, value));
    }

    #[test]
    fn units() {
        check_unit("temp", "crit", &CELSIUS, 1.0);
        check_unit("temp", "alarm", &OTHER, 1000.0);
        check_unit("in", "input", &VOLTS, 1.0);
        check_unit("power", "average", &WATTS, 0.001);
        check_unit("power", "average_interval", &SECONDS, 1.0);
        check_unit("fan", "input", &TURNS, 1000.0);
        check_unit("fan", "div", &OTHER, 1000.0);
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean("0000:00:18.3"), "0000:00:18_3");
        assert_eq!(clean("ACPI-Fan "), "acpi_fan");
        assert_eq!(clean("--"), "");
    }
}
