//! The totals of programs as series.

use crate::error::CollectError;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

use super::accounts::Accounts;
use super::scan::ProcFolder;
use super::stat::TICKS_PER_SECOND;

const LABELS: &[&str] = &["program"];

static CPU: Metric = Metric::counter(
    "muster_program_cpu_seconds_total",
    Unit::Seconds,
    "CPU time of the processes of a program, since it was first among the busiest.",
    LABELS,
);
static MEMORY: Metric = Metric::gauge(
    "muster_program_memory_bytes",
    Unit::Bytes,
    "Memory of the processes of a program that is in RAM; what they share counts for each.",
    LABELS,
);
static READ: Metric = Metric::counter(
    "muster_program_read_bytes_total",
    Unit::Bytes,
    "Bytes that the processes of a program read from disks; absent where the kernel does not tell it of each.",
    LABELS,
);
static WRITTEN: Metric = Metric::counter(
    "muster_program_written_bytes_total",
    Unit::Bytes,
    "Bytes that the processes of a program wrote to disks; absent where the kernel does not tell it of each.",
    LABELS,
);
static PROCESSES: Metric = Metric::gauge(
    "muster_program_processes",
    Unit::None,
    "How many processes of a program run.",
    LABELS,
);
static THREADS: Metric = Metric::gauge(
    "muster_program_threads",
    Unit::None,
    "How many threads the processes of a program have.",
    LABELS,
);

/// So many processes by CPU time, and as many by memory, are recorded.
const BUSIEST: usize = 10;
const PROCESS_LABELS: &[&str] = &["pid", "program"];

static TOP_CPU: Metric = Metric::gauge(
    "muster_top_process_cpu_ratio",
    Unit::None,
    "CPU time of one of the busiest processes, as a share of one core. Only recorded: the server gets it for the minutes before a crash, or before somebody looks.",
    PROCESS_LABELS,
);
static TOP_MEMORY: Metric = Metric::gauge(
    "muster_top_process_memory_bytes",
    Unit::Bytes,
    "Memory of one of the busiest processes that is in RAM. Only recorded, as its CPU time.",
    PROCESS_LABELS,
);

/// Collects what each program uses: those that use most by name, the rest as `other`.
#[derive(Debug)]
pub(crate) struct Programs {
    folder: ProcFolder,
    accounts: Accounts,
    page_bytes: f64,
}

impl Programs {
    pub(crate) fn new(roots: &Roots) -> Self {
        let page_bytes = rustix::param::page_size() as u64;
        Self {
            folder: ProcFolder::new(roots.proc.clone()),
            accounts: Accounts::new(page_bytes),
            page_bytes: page_bytes as f64,
        }
    }
}

impl Collector for Programs {
    fn name(&self) -> &'static str {
        "programs"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Medium
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&CPU, &MEMORY, &READ, &WRITTEN, &PROCESSES, &THREADS, &TOP_CPU, &TOP_MEMORY]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let processes = self.folder.begin()?;
        self.accounts.begin();
        for at in 0..processes {
            if !self.accounts.takes_for_idle(self.folder.pid(at)) {
                self.folder.visit(at, |stat, details| self.accounts.observe(stat, details))?;
            }
        }
        self.accounts.finish(sink.monotonic_ms());
        if processes == 0 {
            // A machine without any process has no `/proc`.
            return Ok(());
        }
        for (program, totals) in self.accounts.totals() {
            let labels = &[program];
            sink.push(&CPU, labels, totals.cpu_ticks as f64 / TICKS_PER_SECOND);
            sink.push(&MEMORY, labels, totals.resident_pages as f64 * self.page_bytes);
            if totals.io_is_known {
                sink.push(&READ, labels, totals.io.read as f64);
                sink.push(&WRITTEN, labels, totals.io.written as f64);
            }
            sink.push(&PROCESSES, labels, totals.processes as f64);
            sink.push(&THREADS, labels, totals.threads as f64);
        }
        for busy in self.accounts.busiest(BUSIEST) {
            let pid = busy.pid.to_string();
            let labels = &[&*pid, busy.program];
            sink.push_recorded(&TOP_CPU, labels, busy.cpu_ratio);
            let memory = busy.resident_pages as f64 * self.page_bytes;
            sink.push_recorded(&TOP_MEMORY, labels, memory);
        }
        Ok(())
    }
}
