//! systemd's units: every change of state at once, by signals over D-Bus, and what each service uses.
//!
//! A watcher keeps a table of units true and tells changes as they come; the collector pushes the table with every slow tick.
//! Where there is no systemd or no bus there is nothing to tell, which is no error.

mod bucket;
mod cgroups;
mod metrics;
mod session;
mod transitions;
mod unit;
mod units;
mod watcher;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::CollectError;
use crate::metric::Metric;
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::settings::CollectorSettings;
use crate::sink::Sink;
use crate::systemd::cgroups::Cgroups;
use crate::systemd::units::Units;
use crate::watch::Watcher;

/// Collects what systemd says about its units.
#[derive(Debug)]
pub(crate) struct Systemd {
    units: SharedUnits,
    cgroups: Cgroups,
    socket: PathBuf,
}

/// The table that the watcher fills and the collector reads.
#[derive(Debug, Clone, Default)]
struct SharedUnits {
    units: Arc<Mutex<Units>>,
    /// Whether nobody wants them.
    off: Arc<AtomicBool>,
}

impl SharedUnits {
    fn lock(&self) -> MutexGuard<'_, Units> {
        // A panic while it was held may have cut a change short; the next list mends that.
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Systemd {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            units: SharedUnits::default(),
            cgroups: Cgroups::new(roots),
            socket: roots.rootfs.join("run/dbus/system_bus_socket"),
        }
    }
}

impl Collector for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        metrics::ALL.to_vec()
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        self.units.off.store(settings.off.contains(self.name()), Ordering::Relaxed);
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.units.lock().push(&mut |metric, labels, value| sink.push(metric, labels, value));
        for usage in self.cgroups.read() {
            let values = [
                (&metrics::CPU, usage.cpu_seconds),
                (&metrics::MEMORY, usage.memory_bytes),
                (&metrics::TASKS, usage.tasks),
            ];
            for (metric, value) in values {
                if let Some(value) = value {
                    sink.push(metric, &[&usage.unit], value);
                }
            }
        }
        Ok(())
    }

    fn watcher(&self) -> Option<Box<dyn Watcher>> {
        Some(Box::new(watcher::UnitWatcher::new(self.units.clone(), self.socket.clone())))
    }
}
