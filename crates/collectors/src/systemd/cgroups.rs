//! What each service uses, from the files of its control group.
//!
//! systemd puts each unit into a group of its own name, below those of its slices; so the tree tells which are there, and systemd
//! need not be asked. Version 2 of control groups has one tree, version 1 one for each resource.

use std::path::{Path, PathBuf};

use crate::file::{attribute, names_in, number, number_attribute};
use crate::roots::Roots;
use crate::systemd::unit::kind_of;

/// Slices within slices.
const DEEPEST: usize = 6;
/// Most groups that are read.
const MAX_GROUPS: usize = 2_000;

/// What a unit uses; what cannot be read is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) unit: String,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) memory_bytes: Option<f64>,
    pub(super) tasks: Option<f64>,
}

/// The tree of control groups.
#[derive(Debug)]
pub(super) struct Cgroups {
    root: PathBuf,
}

impl Cgroups {
    pub(super) fn new(roots: &Roots) -> Self {
        Self { root: roots.sys.join("fs/cgroup") }
    }

    /// What each service uses now.
    pub(super) fn read(&self) -> Vec<Usage> {
        let unified = self.root.join("cgroup.controllers").exists();
        let tree = if unified { self.root.clone() } else { self.root.join("systemd") };
        let mut groups = Vec::new();
        find(&tree, Path::new(""), DEEPEST, &mut groups);
        let read = if unified { Self::read_unified } else { Self::read_separate };
        groups
            .iter()
            .map(|(unit, group)| Usage { unit: unit.clone(), ..read(self, group) })
            .collect()
    }

    fn read_unified(&self, group: &Path) -> Usage {
        let folder = self.root.join(group);
        let cpu = attribute(&folder.join("cpu.stat"));
        Usage {
            unit: String::new(),
            cpu_seconds: cpu.as_deref().and_then(used_seconds),
            memory_bytes: number_attribute(&folder.join("memory.current")),
            tasks: number_attribute(&folder.join("pids.current")),
        }
    }

    fn read_separate(&self, group: &Path) -> Usage {
        let file = |resource: &str, name| {
            number_attribute(&self.root.join(resource).join(group).join(name))
        };
        Usage {
            unit: String::new(),
            cpu_seconds: file("cpuacct", "cpuacct.usage").map(|nanoseconds| nanoseconds / 1e9),
            memory_bytes: file("memory", "memory.usage_in_bytes"),
            tasks: file("pids", "pids.current"),
        }
    }
}

/// Finds the groups of services below the slices of `group`.
fn find(tree: &Path, group: &Path, deepest: usize, found: &mut Vec<(String, PathBuf)>) {
    for name in names_in(&tree.join(group)) {
        if found.len() >= MAX_GROUPS {
            return;
        }
        let path = group.join(&name);
        if kind_of(&name) == "service" {
            found.push((name, path));
        } else if kind_of(&name) == "slice" && deepest > 0 {
            find(tree, &path, deepest - 1, found);
        }
    }
}

/// The processor time in a `cpu.stat`, whose lines are a name and a number.
fn used_seconds(text: &str) -> Option<f64> {
    let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(number(microseconds)? / 1e6)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroups) {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::new(Path::new("/none"), folder.path(), Path::new("/none"));
        for (path, text) in files {
            let path = folder.path().join("fs/cgroup").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (folder, Cgroups::new(&roots))
    }

    fn usage(unit: &str, [cpu, memory, tasks]: [Option<f64>; 3]) -> Usage {
        Usage { unit: unit.into(), cpu_seconds: cpu, memory_bytes: memory, tasks }
    }

    #[test]
    fn one_tree_for_all() {
        let (_folder, cgroups) = tree(&[
            ("cgroup.controllers", "cpu memory pids"),
            ("system.slice/ssh.service/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
            ("system.slice/ssh.service/memory.current", "4096\n"),
            ("system.slice/ssh.service/pids.current", "3\n"),
            ("system.slice/system-getty.slice/getty@tty1.service/cpu.stat", "nr_periods 0\n"),
            ("user.slice/user-0.slice/user@0.service/app.slice/dbus.service/cpu.stat", ""),
            ("system.slice/ssh.service/inner.service/cpu.stat", ""),
        ]);
        let expected = [
            usage("ssh.service", [Some(2.5), Some(4096.0), Some(3.0)]),
            usage("getty@tty1.service", [None; 3]),
            usage("user@0.service", [None; 3]),
        ];
        assert_eq!(cgroups.read(), expected);
    }

    #[test]
    fn a_tree_for_each_resource() {
        let (_folder, cgroups) = tree(&[
            ("systemd/system.slice/ssh.service/tasks", ""),
            ("cpuacct/system.slice/ssh.service/cpuacct.usage", "1500000000\n"),
            ("memory/system.slice/ssh.service/memory.usage_in_bytes", "8192\n"),
        ]);
        let expected = [usage("ssh.service", [Some(1.5), Some(8192.0), None])];
        assert_eq!(cgroups.read(), expected);
    }

    #[test]
    fn no_control_groups_is_no_error() {
        let (_folder, cgroups) = tree(&[]);
        assert_eq!(cgroups.read(), []);
    }
}
