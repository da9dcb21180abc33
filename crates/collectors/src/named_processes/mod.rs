//! Processes that somebody looks for by name: how many run, since when, how often one ended.
//!
//! For machines without systemd, and for what no unit stands for. A watcher tells an exit at once and a start within a second;
//! the collector pushes the counts with every slow tick. Without patterns nothing is read.

mod table;
mod watcher;

use std::path::PathBuf;

use crate::error::CollectError;
use crate::metric::{Metric, Unit};
use crate::named_processes::table::SharedTable;
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::settings::{CollectorSettings, NamedPattern};
use crate::sink::Sink;
use crate::watch::Watcher;

static RUNNING: Metric = Metric::gauge(
    "muster_named_processes",
    Unit::None,
    "Processes that run and match the pattern of this name.",
    &["name"],
);
static START_TIME: Metric = Metric::gauge(
    "muster_named_process_start_time_seconds",
    Unit::Seconds,
    "When the youngest of them started, since 1970; absent while none runs.",
    &["name"],
);
static EXITS: Metric = Metric::counter(
    "muster_named_process_exits_total",
    Unit::None,
    "How many of them have ended since the agent started.",
    &["name"],
);

/// Collects what is known of the processes looked for.
#[derive(Debug)]
pub(crate) struct NamedProcesses {
    table: SharedTable,
    /// Those of this host's own configuration.
    own: Vec<NamedPattern>,
    proc: PathBuf,
}

impl NamedProcesses {
    pub(crate) fn new(roots: &Roots) -> Self {
        let table = SharedTable::default();
        table.lock().set_patterns(&roots.named_processes);
        Self { table, own: roots.named_processes.clone(), proc: roots.proc.clone() }
    }
}

impl Collector for NamedProcesses {
    fn name(&self) -> &'static str {
        "named_process"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&RUNNING, &START_TIME, &EXITS]
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        let off = settings.off.contains(self.name());
        let patterns = if off {
            Vec::new()
        } else {
            self.own.iter().chain(&settings.named_processes).cloned().collect()
        };
        self.table.lock().set_patterns(&patterns);
    }

    fn watcher(&self) -> Option<Box<dyn Watcher>> {
        Some(Box::new(watcher::ProcessWatcher::new(self.table.clone(), self.proc.clone())))
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.table.lock().push(&mut |metric, labels, value| sink.push(metric, labels, value));
        Ok(())
    }
}
