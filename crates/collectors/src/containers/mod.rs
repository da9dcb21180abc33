//! What each container uses, as its cgroup counts it, whichever runtime has made it.
//!
//! Containers are found by the names of cgroups (`identify`); their own names and images are asked of
//! Docker or Podman where the agent may (`engine`), and are else their IDs.

mod engine;
mod identify;
mod readings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::file::names_in;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

use engine::Engine;
use identify::{Identity, identify};
use readings::{Hierarchy, Reading};

const LABELS: &[&str] = &["container", "name"];

static INFO: Metric = Metric::info(
    "muster_container_info",
    "A container, and what Docker or Podman say of it where the agent may ask them.",
    &["container", "name", "image", "runtime"],
);
static CPU: Metric = Metric::counter(
    "muster_container_cpu_seconds_total",
    Unit::Seconds,
    "CPU time of a container.",
    LABELS,
);
static MEMORY: Metric = Metric::gauge(
    "muster_container_memory_bytes",
    Unit::Bytes,
    "Memory of a container, without the part of the page cache that is not in use.",
    LABELS,
);
static LIMIT: Metric = Metric::gauge(
    "muster_container_memory_limit_bytes",
    Unit::Bytes,
    "Most memory that a container may use; absent without a limit.",
    LABELS,
);
static READ: Metric = Metric::counter(
    "muster_container_read_bytes_total",
    Unit::Bytes,
    "Bytes that a container read from disks.",
    LABELS,
);
static WRITTEN: Metric = Metric::counter(
    "muster_container_written_bytes_total",
    Unit::Bytes,
    "Bytes that a container wrote to disks.",
    LABELS,
);
static PROCESSES: Metric = Metric::gauge(
    "muster_container_processes",
    Unit::None,
    "Processes and threads in a container.",
    LABELS,
);
static OOM_KILLS: Metric = Metric::counter(
    "muster_container_oom_kills_total",
    Unit::None,
    "Processes of a container that the kernel killed for want of memory.",
    LABELS,
);

type Of = fn(&Reading) -> Option<f64>;
/// The metrics of a reading.
static VALUES: [(&Metric, Of); 7] = [
    (&CPU, |reading| reading.cpu_seconds),
    (&MEMORY, |reading| reading.memory_bytes),
    (&LIMIT, |reading| reading.memory_limit_bytes),
    (&READ, |reading| reading.read_bytes),
    (&WRITTEN, |reading| reading.written_bytes),
    (&PROCESSES, |reading| reading.processes),
    (&OOM_KILLS, |reading| reading.oom_kills),
];

/// Most containers that are told; what comes behind them in the order of their paths is left out.
const MAX_CONTAINERS: usize = 500;
/// How often containers are looked for, in monotonic milliseconds.
const SEARCH_MS: i64 = 30_000;
/// How deep containers lie in the tree at most, and how many folders are looked into for them.
const MAX_DEPTH: usize = 8;
const MAX_FOLDERS: usize = 10_000;

/// Collects the cgroups of containers.
#[derive(Debug)]
pub(crate) struct Containers {
    root: PathBuf,
    engine: Engine,
    hierarchy: Option<Hierarchy>,
    /// The containers by the path of their cgroup below the tree.
    found: BTreeMap<PathBuf, Identity>,
    searched_ms: Option<i64>,
    is_told_of_too_many: bool,
}

impl Containers {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            root: roots.sys.join("fs/cgroup"),
            engine: Engine::new(&roots.rootfs),
            hierarchy: None,
            found: BTreeMap::new(),
            searched_ms: None,
            is_told_of_too_many: false,
        }
    }

    /// Looks for containers, if that has not been done for some time.
    fn search(&mut self, now_ms: i64) {
        if self.searched_ms.is_some_and(|last_ms| now_ms - last_ms < SEARCH_MS) {
            return;
        }
        self.searched_ms = Some(now_ms);
        self.hierarchy = Hierarchy::at(&self.root);
        self.found.clear();
        if let Some(hierarchy) = &self.hierarchy {
            let mut left = MAX_FOLDERS;
            search_in(&hierarchy.tree(), Path::new(""), 0, &mut left, &mut self.found);
        }
        if self.found.len() > MAX_CONTAINERS && !self.is_told_of_too_many {
            self.is_told_of_too_many = true;
            tracing::warn!(
                containers = self.found.len(),
                most = MAX_CONTAINERS,
                "there are more containers than are told of; the last ones are left out"
            );
        }
        while self.found.len() > MAX_CONTAINERS {
            self.found.pop_last();
        }
        self.engine.ask(self.found.values().map(|identity| identity.id.as_str()), now_ms);
    }
}

/// Puts the containers below a folder of the tree into `found`. A container's own cgroups are not
/// looked into.
fn search_in(
    tree: &Path,
    path: &Path,
    depth: usize,
    left: &mut usize,
    found: &mut BTreeMap<PathBuf, Identity>,
) {
    let folder = tree.join(path);
    let parent = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    for name in names_in(&folder) {
        // The kernel's own files have no such names, and asking for their kind would cost more.
        if is_kernel_file(&name) || *left == 0 {
            continue;
        }
        let inner = path.join(&name);
        if let Some(identity) = identify(parent, &name) {
            found.insert(inner, identity);
        } else if depth < MAX_DEPTH && tree.join(&inner).is_dir() {
            *left -= 1;
            search_in(tree, &inner, depth + 1, left, found);
        }
    }
}

/// Whether a name in a cgroup's folder is a file of a controller: `memory.current`, `tasks`.
fn is_kernel_file(name: &str) -> bool {
    const CONTROLLERS: [&str; 14] = [
        "cgroup", "cpu", "cpuacct", "cpuset", "memory", "io", "blkio", "pids", "rdma", "misc",
        "hugetlb", "freezer", "devices", "dmem",
    ];
    const FILES: [&str; 3] = ["tasks", "notify_on_release", "release_agent"];
    FILES.contains(&name)
        || name.split_once('.').is_some_and(|(before, _)| CONTROLLERS.contains(&before))
}

impl Collector for Containers {
    fn name(&self) -> &'static str {
        "containers"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Medium
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        VALUES.iter().map(|(metric, _)| *metric).chain([&INFO]).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.search(sink.monotonic_ms());
        self.engine.take_answer();
        let Some(hierarchy) = &self.hierarchy else { return Ok(()) };
        for (path, identity) in &self.found {
            let reading = hierarchy.read(path);
            if reading == Reading::default() {
                // It has ended since the last search.
                continue;
            }
            let known = self.engine.known(&identity.id);
            let container = identity.container.as_str();
            let name = known.map_or(container, |known| &known.name);
            let image = known.map_or("", |known| &known.image);
            sink.push(&INFO, &[container, name, image, identity.runtime], 1.0);
            for (metric, of) in VALUES {
                if let Some(value) = of(&reading) {
                    sink.push(metric, &[container, name], value);
                }
            }
        }
        Ok(())
    }
}
