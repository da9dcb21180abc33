//! Where samples come from: the host's collectors, or a simulated host.

use std::sync::Arc;

use muster_collectors::{CollectorSettings, Watcher};
use muster_series::Labels;
use muster_wire::ProcessTable;

/// Which collectors are to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// The fast ones.
    Fast,
    /// The fast ones and the slow ones.
    Full,
}

/// What one collection brought.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    /// Series that this source has not named yet: its own number, and labels.
    pub new_series: Vec<(u32, Labels)>,
    /// Values by the source's series number; a stale marker ends a series.
    pub samples: Vec<(u32, f64)>,
    /// Values that are only recorded: the server gets them if it asks for what was kept, or after a crash.
    pub recorded: Vec<(u32, f64)>,
}

/// Gives samples when asked. It runs on a thread of its own and may block there.
pub trait Source: Send {
    /// Collects now. `now_ms` is the time that the samples will bear, in milliseconds since 1970-01-01 UTC.
    fn collect(&mut self, tick: Tick, now_ms: i64) -> Collection;

    /// What tells changes between the ticks; asked for once, before the first.
    fn watchers(&self) -> Vec<Box<dyn Watcher>> {
        Vec::new()
    }

    /// Takes over settings; they hold from the next collection on.
    fn configure(&mut self, _settings: &CollectorSettings) {}

    /// What makes a reader of this host's processes, if it has any to show.
    fn processes(&self) -> Option<MakeProcessSource> {
        None
    }
}

/// Makes a reader of processes each time somebody begins to look; it is dropped when nobody does any more.
pub type MakeProcessSource = Arc<dyn Fn() -> Box<dyn ProcessSource> + Send + Sync>;

/// Reads the processes of a host. It runs on a thread of its own and may block there.
pub trait ProcessSource: Send {
    /// All processes now, the most important first. Rates are those since the last table.
    fn read(&mut self, now_ms: i64, monotonic_ms: i64) -> ProcessTable;
}
