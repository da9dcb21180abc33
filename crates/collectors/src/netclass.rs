//! `/sys/class/net`: what the network devices are, and whether their links are up.
//!
//! Two collectors: the state of the links with every tick, so that a broken link is told at once,
//! and everything that hardly ever changes with the slow ones.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::fs::Dir;

use crate::error::CollectError;
use crate::file::{HotAttribute, attribute, names_in, number, number_attribute};
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

/// Handles that are kept for so many devices, two for each; a host of containers may have thousands of devices, and a
/// process some thousand handles.
const KEPT_DEVICES: usize = 64;

/// Collects the state of the links.
#[derive(Debug)]
pub(crate) struct Links {
    folder: PathBuf,
    chosen: Choice,
    listing: Option<Dir>,
    /// Sorted by name.
    devices: Vec<Link>,
}

/// What is read of one device. A plain file among them, such as `bonding_masters`, has no attributes.
#[derive(Debug)]
struct Link {
    name: String,
    chosen: bool,
    listed: bool,
    state: HotAttribute,
    carrier: HotAttribute,
}

impl Links {
    pub(crate) fn new(roots: &Roots) -> Self {
        let folder = roots.sys.join("class/net");
        Self { folder, chosen: Choice::default(), listing: None, devices: Vec::new() }
    }

    /// Brings the devices up to date with the folder.
    fn list(&mut self) {
        for device in &mut self.devices {
            device.listed = false;
        }
        match &mut self.listing {
            Some(listing) => listing.rewind(),
            None => self.listing = fs::File::open(&self.folder).and_then(open_listing).ok(),
        }
        let listing = self.listing.as_mut().into_iter().flatten();
        // What cannot be read to its end, or was removed, is opened anew the next time.
        let mut whole = false;
        for entry in listing {
            whole = entry.is_ok();
            let Ok(entry) = entry else { break };
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            match self.devices.binary_search_by(|device| device.name.as_str().cmp(name)) {
                Ok(at) => self.devices[at].listed = true,
                Err(at) => {
                    let chosen = self.chosen.takes(name, true);
                    self.devices.insert(at, Link::new(&self.folder, name, chosen));
                }
            }
        }
        if !whole {
            self.listing = None;
        }
        self.devices.retain(|device| device.listed);
    }
}

fn open_listing(folder: fs::File) -> io::Result<Dir> {
    Ok(Dir::new(folder)?)
}

impl Link {
    fn new(folder: &Path, name: &str, chosen: bool) -> Self {
        let attribute = |file| HotAttribute::new(folder.join(name).join(file));
        let (state, carrier) = (attribute("operstate"), attribute("carrier"));
        Self { name: name.into(), chosen, listed: true, state, carrier }
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
        self.devices.clear();
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.list();
        let chosen = self.devices.iter_mut().filter(|device| device.chosen);
        for (at, Link { name, state, carrier, .. }) in chosen.enumerate() {
            let keep = at < KEPT_DEVICES;
            let Some(up) = state.read(keep, |state| state == "up") else {
                continue;
            };
            sink.push(&UP, &[name.as_str()], if up { 1.0 } else { 0.0 });
            // A device that is switched off refuses to say whether it has a carrier.
            if let Some(carrier) = carrier.read(keep, number).flatten() {
                sink.push(&CARRIER, &[name.as_str()], carrier);
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

#[cfg(test)]
mod tests {
    use muster_environment::ManualClock;

    use super::*;
    use crate::registry::Registry;

    /// The state and carrier of each device, as the folder has them.
    fn write(folder: &Path, devices: &[(&str, &str, &str)]) {
        let net = folder.join("class/net");
        for old in fs::read_dir(&net).into_iter().flatten() {
            let old = old.unwrap();
            if devices.iter().all(|device| old.file_name() != device.0) {
                fs::remove_dir_all(old.path()).unwrap();
            }
        }
        for (name, state, carrier) in devices {
            fs::create_dir_all(net.join(name)).unwrap();
            fs::write(net.join(name).join("operstate"), state).unwrap();
            if !carrier.is_empty() {
                fs::write(net.join(name).join("carrier"), carrier).unwrap();
            }
        }
    }

    #[test]
    fn links_come_change_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::new(folder.path(), folder.path(), folder.path());
        let mut registry = Registry::with(vec![Box::new(Links::new(&roots))]);
        let mut names = std::collections::HashMap::new();
        let mut check = |devices: &[(&str, &str, &str)], expected: &[(&str, f64)]| {
            write(folder.path(), devices);
            let out = registry.collect(Cadence::Fast, &ManualClock::at(0));
            let new = out.new_series.iter().map(|(number, l)| (*number, l.to_string()));
            names.extend(new);
            let live = out.samples.iter().filter(|(_, v)| !muster_series::is_stale_marker(*v));
            let of_links =
                live.map(|(n, v)| (names[n].as_str(), *v)).filter(|(n, _)| n.contains("network"));
            assert_eq!(of_links.collect::<Vec<_>>(), expected);
        };
        let up = r#"node_network_up{device="a"}"#;
        let carrier = r#"node_network_carrier{device="a"}"#;
        let other = r#"node_network_up{device="b"}"#;
        check(&[], &[]);
        check(&[("a", "up\n", "1\n")], &[(up, 1.0), (carrier, 1.0)]);
        let both = [("b", "unknown\n", ""), ("a", "down\n", "0\n")];
        check(&both, &[(up, 0.0), (carrier, 0.0), (other, 0.0)]);
        check(&[("b", "up\n", "")], &[(other, 1.0)]);
        check(&[], &[]);
    }
}
