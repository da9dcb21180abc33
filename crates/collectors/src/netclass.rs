//! `/sys/class/net`: what the network devices are, and whether their links are up.
//!
//! Two collectors: the state of the links with every tick, so that a broken link is told at once,
//! and everything that hardly ever changes with the slow ones.

use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::file::{attribute, names_in, number_attribute};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::settings::{Choice, CollectorSettings};
use crate::sink::Sink;

const LABELS: &[&str] = &["device"];

static UP: Metric = Metric::gauge(
    "node_network_up",
    Unit::None,
    "Value is 1 if operstate is 'up', 0 otherwise.",
    LABELS,
);
static CARRIER: Metric = property("node_network_carrier", "Whether the link has a carrier.");
static INFO: Metric = Metric::info(
    "node_network_info",
    "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
    &["device", "address", "broadcast", "duplex", "operstate", "ifalias"],
);
static SPEED: Metric = Metric::gauge(
    "node_network_speed_bytes",
    Unit::Bytes,
    "Speed of the link in bytes a second; absent where the driver does not know it.",
    LABELS,
);
/// The driver's speed is in megabits a second.
const BYTES_PER_MEGABIT: f64 = 1_000_000.0 / 8.0;

/// Files below the device's folder, each one number.
static PROPERTIES: [(&str, Metric); 16] = [
    ("addr_assign_type", property("node_network_address_assign_type", "How it got its address.")),
    ("carrier_changes", changes("node_network_carrier_changes_total", "Changes of the carrier.")),
    (
        "carrier_up_count",
        changes("node_network_carrier_up_changes_total", "How often the carrier came."),
    ),
    (
        "carrier_down_count",
        changes("node_network_carrier_down_changes_total", "How often the carrier was lost."),
    ),
    ("dev_id", property("node_network_device_id", "Tells devices with one address apart.")),
    ("dormant", property("node_network_dormant", "Whether it waits for authentication.")),
    ("flags", property("node_network_flags", "Its flags as the kernel keeps them.")),
    ("ifindex", property("node_network_iface_id", "Its number.")),
    ("iflink", property("node_network_iface_link", "The number of the device below it.")),
    ("link_mode", property("node_network_iface_link_mode", "Whether it may be dormant.")),
    (
        "mtu",
        Metric::gauge("node_network_mtu_bytes", Unit::Bytes, "Largest packet it sends.", LABELS),
    ),
    ("name_assign_type", property("node_network_name_assign_type", "How it got its name.")),
    ("netdev_group", property("node_network_net_dev_group", "Its group.")),
    ("tx_queue_len", property("node_network_transmit_queue_length", "Length of its queue.")),
    ("type", property("node_network_protocol_type", "Its link layer, as in if_arp.h.")),
    (
        "statistics/rx_nohandler",
        changes("node_network_receive_nohandler_total", "Packets received that no protocol took."),
    ),
];

const fn property(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::None, help, LABELS)
}

const fn changes(name: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::None, help, LABELS)
}

/// The devices' folders; a plain file there, such as `bonding_masters`, is no device.
fn devices(folder: &Path, chosen: &Choice) -> impl Iterator<Item = (String, PathBuf)> {
    names_in(folder)
        .into_iter()
        .filter(|name| chosen.takes(name, true))
        .map(move |name| (name.clone(), folder.join(name)))
        .filter(|(_, path)| path.is_dir())
}

/// Collects the state of the links.
#[derive(Debug)]
pub(crate) struct Links {
    folder: PathBuf,
    chosen: Choice,
}

impl Links {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/net"), chosen: Choice::default() }
    }
}

impl Collector for Links {
    fn name(&self) -> &'static str {
        "links"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&UP, &CARRIER]
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        self.chosen = settings.network_devices.clone();
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for (device, path) in devices(&self.folder, &self.chosen) {
            let Some(state) = attribute(&path.join("operstate")) else {
                continue;
            };
            sink.push(&UP, &[&device], if state == "up" { 1.0 } else { 0.0 });
            // A device that is switched off refuses to say whether it has a carrier.
            if let Some(carrier) = number_attribute(&path.join("carrier")) {
                sink.push(&CARRIER, &[&device], carrier);
            }
        }
        Ok(())
    }
}

/// Collects what the devices are.
#[derive(Debug)]
pub(crate) struct Netclass {
    folder: PathBuf,
    chosen: Choice,
}

impl Netclass {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/net"), chosen: Choice::default() }
    }
}

impl Collector for Netclass {
    fn name(&self) -> &'static str {
        "netclass"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        [&INFO, &SPEED].into_iter().chain(PROPERTIES.iter().map(|(_, metric)| metric)).collect()
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        self.chosen = settings.network_devices.clone();
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for (device, path) in devices(&self.folder, &self.chosen) {
            let text = |name: &str| attribute(&path.join(name)).unwrap_or_default();
            let [address, broadcast] = ["address", "broadcast"].map(text);
            let [duplex, state, alias] = ["duplex", "operstate", "ifalias"].map(text);
            sink.push(&INFO, &[&device, &address, &broadcast, &duplex, &state, &alias], 1.0);
            // Drivers say -1 where there is no link, and virtual devices nothing.
            if let Some(speed) = number_attribute(&path.join("speed")).filter(|s| *s >= 0.0) {
                sink.push(&SPEED, &[&device], speed * BYTES_PER_MEGABIT);
            }
            for (name, metric) in &PROPERTIES {
                if let Some(value) = number_attribute(&path.join(name)) {
                    sink.push(metric, &[&device], value);
                }
            }
        }
        Ok(())
    }
}
