//! Debian packages: what the tests and the page's build need, and how a root on Debian or Ubuntu gets it.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::process;

/// A package of Debian's that tests use when it is there.
pub(crate) struct Package {
    /// Its name for apt.
    pub(crate) name: &'static str,
    /// A file that is there once it is installed.
    pub(crate) proof: &'static str,
    /// The test that needs it.
    pub(crate) needed_for: &'static str,
    /// The service it would start by itself; only its program is wanted.
    pub(crate) service: Option<&'static str>,
}

/// Everything `cargo xtask test` installs.
const FOR_TESTS: [Package; 6] = [
    Package {
        name: "chromium",
        proof: CHROMIUM,
        needed_for: "the page's end-to-end tests",
        service: None,
    },
    Package {
        name: "prometheus-node-exporter",
        proof: "/usr/bin/prometheus-node-exporter",
        needed_for: "the comparison of our collectors with node_exporter",
        service: Some("prometheus-node-exporter"),
    },
    PROMETHEUS,
    Package {
        name: "prometheus-alertmanager",
        proof: "/usr/bin/amtool",
        needed_for: "the comparison of routes and groups with Alertmanager, and amtool",
        service: Some("prometheus-alertmanager"),
    },
    Package {
        name: "mariadb-server",
        proof: "/usr/sbin/mariadbd",
        needed_for: "the tests of people, tokens and agents on MariaDB",
        service: Some("mariadb"),
    },
    Package {
        name: "postgresql",
        proof: "/usr/bin/pg_createcluster",
        needed_for: "the tests of people, tokens and agents on PostgreSQL",
        service: Some("postgresql"),
    },
];

/// Whom `cargo xtask bench` compares with.
pub(crate) const PEERS: [Package; 2] = [
    PROMETHEUS,
    Package {
        name: "victoria-metrics",
        proof: "/usr/bin/victoria-metrics",
        needed_for: "the comparison with VictoriaMetrics",
        service: Some("victoria-metrics"),
    },
];

const PROMETHEUS: Package = Package {
    name: "prometheus",
    proof: "/usr/bin/prometheus",
    needed_for: "the comparison with Prometheus, as sender and as store",
    service: Some("prometheus"),
};

/// The browser the page's tests drive.
pub(crate) const CHROMIUM: &str = "/usr/bin/chromium";
/// The oldest Node.js that builds the page: Vite 8 asks for it.
const NODE_WANTED: (u32, u32) = (20, 19);
const FROM_NODE: &str = "install it from https://nodejs.org";

/// Installs what the tests use; gives back, aloud to be said, what could not be had.
pub(crate) fn install_for_tests() -> Vec<String> {
    install(&FOR_TESTS)
}

/// Installs what is missing of `packages`; gives back, in words, what could not be had.
pub(crate) fn install(packages: &[Package]) -> Vec<String> {
    let missing: Vec<&Package> =
        packages.iter().filter(|package| !Path::new(package.proof).exists()).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let trouble = apt_install(&names).err().map(|error| format!("{error:#}"));
    for service in missing.iter().filter_map(|package| package.service) {
        stop_service(service);
    }
    missing
        .iter()
        .filter(|package| !Path::new(package.proof).exists())
        .map(|package| {
            let why = trouble.as_deref().unwrap_or("apt did not bring it");
            format!("{}: no {} ({why})", package.needed_for, package.name)
        })
        .collect()
}

/// Makes sure of a Node.js and npm that build the page, or says what to install.
pub(crate) fn require_node() -> anyhow::Result<()> {
    let needs =
        format!("the page needs Node.js {}.{} or newer, with npm", NODE_WANTED.0, NODE_WANTED.1);
    if !has_program("node") || !has_program("npm") {
        install_node().with_context(|| format!("{needs}, and it is not here"))?;
    }
    let said = process::text_of(Command::new("node").arg("--version"))?;
    anyhow::ensure!(is_new_enough(&said), "{needs}, and node is {}; {FROM_NODE}", said.trim());
    Ok(())
}

fn install_node() -> anyhow::Result<()> {
    let root = is_root();
    if root && has_program("apt-get") {
        apt_update()?;
    }
    let policy = process::text_of(Command::new("apt-cache").args(["policy", "nodejs"]));
    let policy = policy.unwrap_or_default();
    let candidate = candidate(&policy).context(FROM_NODE)?;
    anyhow::ensure!(
        is_new_enough(candidate),
        "this system's own package is {candidate}; {FROM_NODE}"
    );
    anyhow::ensure!(root, "not root; run: sudo apt-get install nodejs npm");
    apt_install(&["nodejs"])?;
    // Debian has npm apart; in packages of Node's makers it comes with nodejs, and the two exclude each other.
    if has_program("npm") { Ok(()) } else { apt_install(&["npm"]) }
}

fn is_new_enough(version: &str) -> bool {
    parse_version(version).is_some_and(|version| version >= NODE_WANTED)
}

fn has_program(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn is_root() -> bool {
    process::text_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn apt_update() -> anyhow::Result<()> {
    apt("updating apt's lists", &["update"])
}

fn apt_install(names: &[&str]) -> anyhow::Result<()> {
    let all = names.join(" ");
    anyhow::ensure!(has_program("apt-get"), "this system has no apt-get; install it: {all}");
    anyhow::ensure!(is_root(), "not root; run: sudo apt-get install {all}");
    eprintln!("installing {all} (apt-get) …");
    apt_update()?;
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(names);
    apt(&format!("installing {all}"), &words)
}

fn apt(label: &str, words: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    let outcome = process::watch(label, &mut command)?;
    let last = outcome.lines.iter().rev().find(|line| !line.is_empty());
    anyhow::ensure!(
        outcome.success,
        "apt-get {}: {}",
        words[0],
        last.map_or("no output", String::as_str)
    );
    Ok(())
}

/// A service that came with a package is not ours to leave running; there is none to stop where services do not start.
fn stop_service(name: &str) {
    let mut command = if Path::new("/run/systemd/system").exists() {
        let mut command = Command::new("systemctl");
        command.args(["disable", "--now", name]);
        command
    } else {
        let mut command = Command::new("service");
        command.args([name, "stop"]);
        command
    };
    // A failure means that it did not run, which is what is wanted.
    let _ = command.output();
}

/// `v20.19.2`, `20.19.2+dfsg-1` or `1:20.19` as (20, 19).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let text = text.trim();
    let text = text.split_once(':').map_or(text, |(_, after)| after);
    let mut parts = text.trim_start_matches('v').split(|sign: char| !sign.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The version apt would install, from what `apt-cache policy` prints.
fn candidate(policy: &str) -> Option<&str> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?.trim();
    (version != "(none)").then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(parse_version("v20.20.2\n"), Some((20, 20)));
        assert_eq!(parse_version("18.20.4+dfsg-1~deb12u1"), Some((18, 20)));
        assert_eq!(parse_version("1:22.3-1"), Some((22, 3)));
        assert_eq!(parse_version("none"), None);
        for (version, expected) in [
            ("v18.20.0", false),
            ("v20.18.9", false),
            ("v20.19.0", true),
            ("v22.0.0", true),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }

    #[test]
    fn the_candidate_is_read_from_apts_policy() {
        let policy =
            "nodejs:\n  Installed: (none)\n  Candidate: 18.20.4+dfsg-1\n  Version table:\n";
        assert_eq!(candidate(policy), Some("18.20.4+dfsg-1"));
        assert_eq!(candidate("nodejs:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }
}
