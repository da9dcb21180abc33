//! `/sys/class/net/*/bonding`: bonded network devices, and how many of each bond work.

use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::file::attribute;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static SLAVES: Metric = Metric::gauge(
    "node_bonding_slaves",
    Unit::None,
    "Number of configured slaves per bonding interface.",
    &["master"],
);
static ACTIVE: Metric = Metric::gauge(
    "node_bonding_active",
    Unit::None,
    "Number of active slaves per bonding interface.",
    &["master"],
);

/// Collects `/sys/class/net/*/bonding`.
#[derive(Debug)]
pub(crate) struct Bonding {
    folder: PathBuf,
}

impl Bonding {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/net") }
    }
}

impl Collector for Bonding {
    fn name(&self) -> &'static str {
        "bonding"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&SLAVES, &ACTIVE]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let masters = attribute(&self.folder.join("bonding_masters")).unwrap_or_default();
        for master in masters.split_ascii_whitespace() {
            let folder = self.folder.join(master);
            let Some(slaves) = attribute(&folder.join("bonding/slaves")) else {
                continue;
            };
            let slaves: Vec<&str> = slaves.split_ascii_whitespace().collect();
            let active = slaves.iter().filter(|slave| is_up(&folder, slave)).count();
            sink.push(&SLAVES, &[master], slaves.len() as f64);
            sink.push(&ACTIVE, &[master], active as f64);
        }
        Ok(())
    }
}

/// Whether a bonded device's link is up; its link below the master was called otherwise once.
fn is_up(master: &Path, slave: &str) -> bool {
    ["lower_", "slave_"]
        .iter()
        .find_map(|prefix| {
            attribute(&master.join(format!("{prefix}{slave}/bonding_slave/mii_status")))
        })
        .is_some_and(|status| status == "up")
}
