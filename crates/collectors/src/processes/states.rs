//! How many processes and threads there are, by state: `node_exporter`'s collector `processes`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::number_attribute;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

use super::scan::ProcFolder;

static STATE: Metric = Metric::gauge(
    "node_processes_state",
    Unit::None,
    "Number of processes in each state.",
    &["state"],
);
static THREADS: Metric =
    Metric::gauge("node_processes_threads", Unit::None, "Allocated threads in system", &[]);
static THREADS_STATE: Metric = Metric::gauge(
    "node_processes_threads_state",
    Unit::None,
    "Number of threads in each state.",
    &["thread_state"],
);
static PIDS: Metric = Metric::gauge("node_processes_pids", Unit::None, "Number of PIDs", &[]);
static MAX_PROCESSES: Metric =
    Metric::gauge("node_processes_max_processes", Unit::None, "Number of max PIDs limit", &[]);
static MAX_THREADS: Metric =
    Metric::gauge("node_processes_max_threads", Unit::None, "Limit of threads in the system", &[]);

/// Most threads whose states are read one by one; on a host with more, the states of threads are left
/// out, as each costs as much as a process.
const MAX_THREADS_READ: u64 = 1024;

/// How many there are by letter of state.
type States = BTreeMap<u8, u64>;

/// Collects the states of processes and threads.
#[derive(Debug)]
pub(crate) struct Processes {
    proc: PathBuf,
    folder: ProcFolder,
    tasks: ProcFolder,
}

impl Processes {
    pub(crate) fn new(roots: &Roots) -> Self {
        let folder = || ProcFolder::new(roots.proc.clone());
        Self { proc: roots.proc.clone(), folder: folder(), tasks: folder() }
    }

    /// The states of the threads of these processes, added to those of processes with one thread only.
    fn thread_states(&mut self, mut states: States, pids: &[u32]) -> States {
        for pid in pids {
            self.tasks.set_path(self.proc.join(format!("{pid}/task")));
            // A process that ends meanwhile has no threads to tell of.
            let _ = self.tasks.scan(|thread, _| *states.entry(thread.state).or_default() += 1);
        }
        states
    }
}

impl Collector for Processes {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&STATE, &THREADS, &THREADS_STATE, &PIDS, &MAX_PROCESSES, &MAX_THREADS]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let (mut states, mut single) = (States::new(), States::new());
        let (mut threads, mut more_threads) = (0, 0);
        let mut with_more = Vec::new();
        self.folder.scan(|stat, _| {
            *states.entry(stat.state).or_default() += 1;
            threads += u64::from(stat.threads);
            if stat.threads > 1 {
                more_threads += u64::from(stat.threads);
                with_more.push(stat.pid);
            } else {
                // The only thread is in the state of its process.
                *single.entry(stat.state).or_default() += 1;
            }
        })?;
        if states.is_empty() {
            return Ok(());
        }
        push_states(sink, &STATE, &states);
        sink.push(&THREADS, &[], threads as f64);
        sink.push(&PIDS, &[], states.values().sum::<u64>() as f64);
        if more_threads <= MAX_THREADS_READ {
            let states = self.thread_states(single, &with_more);
            push_states(sink, &THREADS_STATE, &states);
        }
        for (metric, file) in [(&MAX_PROCESSES, "pid_max"), (&MAX_THREADS, "threads-max")] {
            if let Some(value) = number_attribute(&self.proc.join("sys/kernel").join(file)) {
                sink.push(metric, &[], value);
            }
        }
        Ok(())
    }
}

fn push_states(sink: &mut Sink<'_>, metric: &'static Metric, states: &States) {
    for (state, count) in states {
        let letter = char::from(*state);
        sink.push(metric, &[letter.encode_utf8(&mut [0; 4])], *count as f64);
    }
}
