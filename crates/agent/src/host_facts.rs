//! What the agent tells about its host when it opens a session.

use std::fs;
use std::path::Path;

use muster_wire::OsFacts;

/// Names and versions of a host; what cannot be read is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    pub(crate) hostname: String,
    pub(crate) boot_id: String,
    pub(crate) os: OsFacts,
}

impl HostFacts {
    /// Reads them below `/proc` and `/`, or where those are mounted.
    pub(crate) fn read(proc_root: &Path, rootfs: &Path) -> Self {
        let line = |name: &str| {
            let text = fs::read_to_string(proc_root.join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        let os_release = ["etc/os-release", "usr/lib/os-release"]
            .iter()
            .find_map(|name| fs::read_to_string(rootfs.join(name)).ok());
        Self {
            hostname: line("sys/kernel/hostname"),
            boot_id: line("sys/kernel/random/boot_id"),
            os: OsFacts {
                pretty_name: pretty_name(&os_release.unwrap_or_default()),
                kernel: line("sys/kernel/osrelease"),
                arch: std::env::consts::ARCH.into(),
            },
        }
    }
}

/// `PRETTY_NAME` of an `os-release` file, without its quotes.
fn pretty_name(os_release: &str) -> String {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_system() {
        assert_eq!(pretty_name("ID=debian\nPRETTY_NAME=\"Debian 13\"\n"), "Debian 13");
        assert_eq!(pretty_name("PRETTY_NAME=Void"), "Void");
        assert_eq!(pretty_name(""), "");
    }

    #[test]
    fn a_missing_tree_gives_empty_facts() {
        let nowhere = Path::new("/nonexistent");
        let facts = HostFacts::read(nowhere, nowhere);
        assert_eq!((facts.hostname, facts.boot_id), (String::new(), String::new()));
    }
}
