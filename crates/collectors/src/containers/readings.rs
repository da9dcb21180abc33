//! What a container uses, out of the files of its cgroup, of either version of them.

use std::path::{Path, PathBuf};

use crate::file::{attribute, number};

/// What a container uses; what its cgroup does not count is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Reading {
    pub(super) cpu_seconds: Option<f64>,
    /// Without the part of the page cache that is not in use, as `docker stats` has it.
    pub(super) memory_bytes: Option<f64>,
    pub(super) memory_limit_bytes: Option<f64>,
    pub(super) read_bytes: Option<f64>,
    pub(super) written_bytes: Option<f64>,
    pub(super) processes: Option<f64>,
    pub(super) oom_kills: Option<f64>,
}

/// From here on a limit of version 1 is none: the largest number that is a multiple of a page.
const NO_LIMIT: f64 = (1_u64 << 60) as f64;

/// Where the cgroups of a host are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// Version 2: one tree.
    Unified(PathBuf),
    /// Version 1: a tree for each controller, below this folder.
    Controllers(PathBuf),
}

impl Hierarchy {
    /// What is mounted at `/sys/fs/cgroup`; `None` without cgroups.
    pub(super) fn at(root: &Path) -> Option<Self> {
        if root.join("cgroup.controllers").exists() {
            return Some(Self::Unified(root.to_owned()));
        }
        root.join("memory").exists().then(|| Self::Controllers(root.to_owned()))
    }

    /// The tree in which every container has its folder.
    pub(super) fn tree(&self) -> PathBuf {
        match self {
            Self::Unified(root) => root.clone(),
            Self::Controllers(root) => root.join("memory"),
        }
    }

    /// Reads what the cgroup at this path below the tree uses.
    pub(super) fn read(&self, path: &Path) -> Reading {
        match self {
            Self::Unified(root) => read_unified(&root.join(path)),
            Self::Controllers(root) => read_controllers(root, path),
        }
    }
}

fn read_unified(folder: &Path) -> Reading {
    let text = |name: &str| attribute(&folder.join(name)).unwrap_or_default();
    let stat = text("memory.stat");
    let io = text("io.stat");
    Reading {
        cpu_seconds: field(&text("cpu.stat"), "usage_usec").map(|micros| micros / 1e6),
        memory_bytes: without_cache(number(&text("memory.current")), field(&stat, "inactive_file")),
        memory_limit_bytes: number(&text("memory.max")),
        read_bytes: io_of_devices(&io, "rbytes="),
        written_bytes: io_of_devices(&io, "wbytes="),
        processes: number(&text("pids.current")),
        oom_kills: field(&text("memory.events"), "oom_kill"),
    }
}

fn read_controllers(root: &Path, path: &Path) -> Reading {
    let text = |controller: &str, name: &str| {
        attribute(&root.join(controller).join(path).join(name)).unwrap_or_default()
    };
    let memory = |name: &str| text("memory", name);
    let throttle = text("blkio", "blkio.throttle.io_service_bytes_recursive");
    let limit = number(&memory("memory.limit_in_bytes"));
    let cache = field(&memory("memory.stat"), "total_inactive_file");
    Reading {
        cpu_seconds: number(&text("cpuacct", "cpuacct.usage")).map(|nanos| nanos / 1e9),
        memory_bytes: without_cache(number(&memory("memory.usage_in_bytes")), cache),
        memory_limit_bytes: limit.filter(|bytes| *bytes < NO_LIMIT),
        read_bytes: service_bytes(&throttle, "Read"),
        written_bytes: service_bytes(&throttle, "Write"),
        processes: number(&text("pids", "pids.current")),
        oom_kills: field(&memory("memory.oom_control"), "oom_kill"),
    }
}

/// The number of a line `name number`.
fn field(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| number(line.strip_prefix(name)?.strip_prefix(' ')?.trim()))
}

fn without_cache(memory: Option<f64>, cache: Option<f64>) -> Option<f64> {
    memory.map(|bytes| (bytes - cache.unwrap_or_default()).max(0.0))
}

/// The sum over lines `8:0 rbytes=1 wbytes=2 …`; an empty file is a container that did nothing yet.
fn io_of_devices(text: &str, key: &str) -> Option<f64> {
    let words = text.split_ascii_whitespace();
    let values = words.filter_map(|word| number(word.strip_prefix(key)?));
    (!text.is_empty()).then(|| values.sum())
}

/// The sum over lines `8:0 Read 4096`.
fn service_bytes(text: &str, direction: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next()? == direction).then(|| words.next().and_then(number)).flatten()
    });
    (!text.is_empty()).then(|| values.sum())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], path: &str, expected: Reading) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let hierarchy = Hierarchy::at(folder.path()).unwrap();
        assert_eq!(hierarchy.read(Path::new(path)), expected);
    }

    const EVERYTHING: Reading = Reading {
        cpu_seconds: Some(2.5),
        memory_bytes: Some(600.0),
        memory_limit_bytes: Some(4096.0),
        read_bytes: Some(30.0),
        written_bytes: Some(7.0),
        processes: Some(3.0),
        oom_kills: Some(1.0),
    };

    #[test]
    fn version_2() {
        let files = [
            ("cgroup.controllers", "cpu io memory pids\n"),
            ("a/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
            ("a/memory.current", "1000\n"),
            ("a/memory.stat", "anon 1\ninactive_file 400\n"),
            ("a/memory.max", "4096\n"),
            ("a/io.stat", "8:0 rbytes=10 wbytes=7 rios=1\n8:16 rbytes=20 wbytes=0\n"),
            ("a/pids.current", "3\n"),
            ("a/memory.events", "oom 5\noom_kill 1\noom_group_kill 0\n"),
        ];
        check(&files, "a", EVERYTHING);
        let free = Reading { memory_limit_bytes: None, ..EVERYTHING };
        let mut files = files;
        files[4].1 = "max\n";
        check(&files, "a", free);
        check(&files, "gone", Reading::default());
    }

    #[test]
    fn version_1() {
        let files = [
            ("cpuacct/a/cpuacct.usage", "2500000000\n"),
            ("memory/a/memory.usage_in_bytes", "1000\n"),
            ("memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 400\n"),
            ("memory/a/memory.limit_in_bytes", "4096\n"),
            ("memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            (
                "blkio/a/blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 10\n8:0 Write 7\n8:0 Total 17\n8:16 Read 20\nTotal 37\n",
            ),
            ("pids/a/pids.current", "3\n"),
        ];
        check(&files, "a", EVERYTHING);
        let mut files = files;
        files[3].1 = "9223372036854771712\n";
        check(&files, "a", Reading { memory_limit_bytes: None, ..EVERYTHING });
    }
}
