//! `/sys/fs/selinux`: whether `SELinux` is on, and enforces.

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{number_attribute, read};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static ENABLED: Metric = Metric::gauge(
    "node_selinux_enabled",
    Unit::None,
    "SELinux is enabled, 1 is true, 0 is false.",
    &[],
);
static CONFIG_MODE: Metric = Metric::gauge(
    "node_selinux_config_mode",
    Unit::None,
    "Configured SELinux enforcement mode: 1 enforces, 0 tells only, -1 is off.",
    &[],
);
static CURRENT_MODE: Metric = Metric::gauge(
    "node_selinux_current_mode",
    Unit::None,
    "Current SELinux enforcement mode: 1 enforces, 0 tells only.",
    &[],
);

/// Collects `/sys/fs/selinux` and `/etc/selinux/config`.
#[derive(Debug)]
pub(crate) struct Selinux {
    folder: PathBuf,
    config: PathBuf,
}

impl Selinux {
    pub(crate) fn new(roots: &Roots) -> Self {
        let config = roots.rootfs.join("etc/selinux/config");
        Self { folder: roots.sys.join("fs/selinux"), config }
    }
}

impl Collector for Selinux {
    fn name(&self) -> &'static str {
        "selinux"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&ENABLED, &CONFIG_MODE, &CURRENT_MODE]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let current = number_attribute(&self.folder.join("enforce"));
        sink.push(&ENABLED, &[], if current.is_some() { 1.0 } else { 0.0 });
        if let Some(current) = current {
            sink.push(&CURRENT_MODE, &[], current);
            let configured = read(&self.config, |text| Ok(configured_mode(text)))?.flatten();
            sink.push(&CONFIG_MODE, &[], configured.unwrap_or(-1.0));
        }
        Ok(())
    }
}

/// `SELINUX=` of the configuration.
fn configured_mode(text: &str) -> Option<f64> {
    let mode = text.lines().find_map(|line| line.trim().strip_prefix("SELINUX="))?;
    match mode.trim() {
        "enforcing" => Some(1.0),
        "permissive" => Some(0.0),
        _ => Some(-1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_mode() {
        assert_eq!(configured_mode("# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"), Some(1.0));
        assert_eq!(configured_mode("SELINUX=permissive"), Some(0.0));
        assert_eq!(configured_mode("SELINUX=disabled"), Some(-1.0));
        assert_eq!(configured_mode(""), None);
    }
}
