//! `/sys/class/power_supply`: batteries, mains, and uninterruptible supplies that the kernel knows.

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{attribute, names_in};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

const INFO_LABELS: [&str; 12] = [
    "power_supply",
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
    "scope",
];
static INFO: Metric = Metric::info(
    "node_power_supply_info",
    "What /sys/class/power_supply says in words; a supply has the labels for which it has a text.",
    &INFO_LABELS,
);
/// Files, what one of theirs is worth, and metrics.
static VALUES: [(&str, f64, Metric); 49] = [
    (
        "authentic",
        1.0,
        Metric::gauge(
            "node_power_supply_authentic",
            Unit::None,
            "authentic value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "calibrate",
        1.0,
        Metric::gauge(
            "node_power_supply_calibrate",
            Unit::None,
            "calibrate value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "capacity",
        1.0,
        Metric::gauge(
            "node_power_supply_capacity",
            Unit::None,
            "capacity value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "capacity_alert_max",
        1.0,
        Metric::gauge(
            "node_power_supply_capacity_alert_max",
            Unit::None,
            "capacity_alert_max value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "capacity_alert_min",
        1.0,
        Metric::gauge(
            "node_power_supply_capacity_alert_min",
            Unit::None,
            "capacity_alert_min value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "cycle_count",
        1.0,
        Metric::gauge(
            "node_power_supply_cyclecount",
            Unit::None,
            "cyclecount value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "online",
        1.0,
        Metric::gauge(
            "node_power_supply_online",
            Unit::None,
            "online value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "present",
        1.0,
        Metric::gauge(
            "node_power_supply_present",
            Unit::None,
            "present value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "time_to_empty_now",
        1.0,
        Metric::gauge(
            "node_power_supply_time_to_empty_seconds",
            Unit::Seconds,
            "time_to_empty_seconds value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "time_to_full_now",
        1.0,
        Metric::gauge(
            "node_power_supply_time_to_full_seconds",
            Unit::Seconds,
            "time_to_full_seconds value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "current_boot",
        1e-6,
        Metric::gauge(
            "node_power_supply_current_boot",
            Unit::None,
            "current_boot value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "current_max",
        1e-6,
        Metric::gauge(
            "node_power_supply_current_max",
            Unit::None,
            "current_max value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "current_now",
        1e-6,
        Metric::gauge(
            "node_power_supply_current_ampere",
            Unit::None,
            "current_ampere value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "energy_empty",
        1e-6,
        Metric::gauge(
            "node_power_supply_energy_empty",
            Unit::None,
            "energy_empty value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "energy_empty_design",
        1e-6,
        Metric::gauge(
            "node_power_supply_energy_empty_design",
            Unit::None,
            "energy_empty_design value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "energy_full",
        1e-6,
        Metric::gauge(
            "node_power_supply_energy_full",
            Unit::None,
            "energy_full value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "energy_full_design",
        1e-6,
        Metric::gauge(
            "node_power_supply_energy_full_design",
            Unit::None,
            "energy_full_design value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "energy_now",
        1e-6,
        Metric::gauge(
            "node_power_supply_energy_watthour",
            Unit::None,
            "energy_watthour value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "voltage_boot",
        1e-6,
        Metric::gauge(
            "node_power_supply_voltage_boot",
            Unit::None,
            "voltage_boot value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "voltage_max",
        1e-6,
        Metric::gauge(
            "node_power_supply_voltage_max",
            Unit::None,
            "voltage_max value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "voltage_max_design",
        1e-6,
        Metric::gauge(
            "node_power_supply_voltage_max_design",
            Unit::None,
            "voltage_max_design value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "voltage_min",
        1e-6,
        Metric::gauge(
            "node_power_supply_voltage_min",
            Unit::None,
            "voltage_min value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "voltage_min_design",
        1e-6,
        Metric::gauge(
            "node_power_supply_voltage_min_design",
            Unit::None,
            "voltage_min_design value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "voltage_now",
        1e-6,
        Metric::gauge(
            "node_power_supply_voltage_volt",
            Unit::Volts,
            "voltage_volt value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "voltage_ocv",
        1e-6,
        Metric::gauge(
            "node_power_supply_voltage_ocv",
            Unit::None,
            "voltage_ocv value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_control_limit",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_control_limit",
            Unit::None,
            "charge_control_limit value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_control_limit_max",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_control_limit_max",
            Unit::None,
            "charge_control_limit_max value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_counter",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_counter",
            Unit::None,
            "charge_counter value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_empty",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_empty",
            Unit::None,
            "charge_empty value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_empty_design",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_empty_design",
            Unit::None,
            "charge_empty_design value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_full",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_full",
            Unit::None,
            "charge_full value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_full_design",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_full_design",
            Unit::None,
            "charge_full_design value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_now",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_ampere",
            Unit::None,
            "charge_ampere value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "charge_term_current",
        1e-6,
        Metric::gauge(
            "node_power_supply_charge_term_current",
            Unit::None,
            "charge_term_current value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "constant_charge_current",
        1e-6,
        Metric::gauge(
            "node_power_supply_constant_charge_current",
            Unit::None,
            "constant_charge_current value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "constant_charge_current_max",
        1e-6,
        Metric::gauge(
            "node_power_supply_constant_charge_current_max",
            Unit::None,
            "constant_charge_current_max value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "constant_charge_voltage",
        1e-6,
        Metric::gauge(
            "node_power_supply_constant_charge_voltage",
            Unit::None,
            "constant_charge_voltage value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "constant_charge_voltage_max",
        1e-6,
        Metric::gauge(
            "node_power_supply_constant_charge_voltage_max",
            Unit::None,
            "constant_charge_voltage_max value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "precharge_current",
        1e-6,
        Metric::gauge(
            "node_power_supply_precharge_current",
            Unit::None,
            "precharge_current value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "input_current_limit",
        1e-6,
        Metric::gauge(
            "node_power_supply_input_current_limit",
            Unit::None,
            "input_current_limit value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "power_now",
        1e-6,
        Metric::gauge(
            "node_power_supply_power_watt",
            Unit::None,
            "power_watt value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "temp",
        0.1,
        Metric::gauge(
            "node_power_supply_temp_celsius",
            Unit::Celsius,
            "temp_celsius value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "temp_alert_max",
        0.1,
        Metric::gauge(
            "node_power_supply_temp_alert_max_celsius",
            Unit::Celsius,
            "temp_alert_max_celsius value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "temp_alert_min",
        0.1,
        Metric::gauge(
            "node_power_supply_temp_alert_min_celsius",
            Unit::Celsius,
            "temp_alert_min_celsius value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "temp_ambient",
        0.1,
        Metric::gauge(
            "node_power_supply_temp_ambient_celsius",
            Unit::Celsius,
            "temp_ambient_celsius value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "temp_ambient_max",
        0.1,
        Metric::gauge(
            "node_power_supply_temp_ambient_max_celsius",
            Unit::Celsius,
            "temp_ambient_max_celsius value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "temp_ambient_min",
        0.1,
        Metric::gauge(
            "node_power_supply_temp_ambient_min_celsius",
            Unit::Celsius,
            "temp_ambient_min_celsius value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "temp_max",
        0.1,
        Metric::gauge(
            "node_power_supply_temp_max_celsius",
            Unit::Celsius,
            "temp_max_celsius value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
    (
        "temp_min",
        0.1,
        Metric::gauge(
            "node_power_supply_temp_min_celsius",
            Unit::Celsius,
            "temp_min_celsius value of /sys/class/power_supply/<power_supply>.",
            &["power_supply"],
        ),
    ),
];

/// Collects `/sys/class/power_supply`.
#[derive(Debug)]
pub(crate) struct PowerSupply {
    folder: PathBuf,
}

impl PowerSupply {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/power_supply") }
    }
}

impl Collector for PowerSupply {
    fn name(&self) -> &'static str {
        "powersupplyclass"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        [&INFO].into_iter().chain(VALUES.iter().map(|(_, _, metric)| metric)).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for supply in names_in(&self.folder) {
            let folder = self.folder.join(&supply);
            let mut texts =
                INFO_LABELS.map(|file| attribute(&folder.join(file)).unwrap_or_default());
            texts[0].clone_from(&supply);
            // An empty label is none, in the store as in PromQL.
            sink.push(&INFO, &texts.each_ref().map(String::as_str), 1.0);
            sink.push_attributes(&VALUES, &folder, &[&supply]);
        }
        Ok(())
    }
}
