//! What this user may read on this machine, and how the agent is installed here.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use muster_environment::{Disk as _, RealDisk};

use super::finding::Finding;
use crate::size::format_size;

/// Below this the spool has little room for an outage.
const LITTLE_ROOM: u64 = 256 << 20;
/// What a hardened unit says, beside its account.
const HARDENING: [&str; 4] =
    ["NoNewPrivileges=", "ProtectSystem=", "CapabilityBoundingSet=", "RestrictAddressFamilies="];
/// Where other programs leave files of metrics.
const TEXTFILE_FOLDERS: [&str; 3] = [
    "var/lib/muster-agent/textfile",
    "var/lib/prometheus/node-exporter",
    "var/lib/node_exporter/textfile_collector",
];

/// As whom all this is looked at: an agent under another account may see more or less.
pub(super) fn whoami() -> Finding {
    let uid = rustix::process::geteuid().as_raw();
    let what = format!(
        "looked at as user {uid}{}; to see with the agent's eyes: sudo -u muster-agent muster doctor",
        if uid == 0 { " (root)" } else { "" }
    );
    Finding::fine("user", what)
}

/// What is there or not, and may be read or not.
pub(super) fn permissions(root: &Path) -> Vec<Finding> {
    let at = |path: &str| root.join(path);
    let open = |path: &str| File::open(at(path)).map(drop);
    let read =
        |path: &str| File::open(at(path)).and_then(|mut file| file.read(&mut [0; 64])).map(drop);
    let connect = |path: &str| UnixStream::connect(at(path)).map(drop);
    let mut findings = vec![
        judge(
            "oom victims",
            "the kernel's log",
            open("dev/kmsg"),
            "give the agent CAP_SYSLOG, as its unit does; without it, OOM kills are counted but their victims not named",
        ),
        judge(
            "process i/o",
            "what other users' processes read and write",
            read("proc/1/io"),
            "give the agent CAP_SYS_PTRACE (AmbientCapabilities= in its unit) if you want it; CPU and memory need nothing",
        ),
        judge(
            "systemd",
            "the system's D-Bus",
            connect("run/dbus/system_bus_socket"),
            "let the agent connect to /run/dbus/system_bus_socket; without it units are not watched (named processes are)",
        ),
        judge(
            "docker",
            "Docker's socket, for the names of containers",
            connect("run/docker.sock"),
            "containers are measured without it, under their numbers; membership of the group docker gives names, and is as good as root",
        ),
        judge(
            "podman",
            "Podman's socket, for the names of containers",
            connect("run/podman/podman.sock"),
            "containers are measured without it, under their numbers",
        ),
        judge(
            "smart",
            "the health of NVMe disks",
            open("dev/nvme0"),
            "let the agent read /dev/nvme0 (group disk, or DeviceAllow= and CAP_SYS_ADMIN in its unit)",
        ),
        judge(
            "nvidia",
            "NVIDIA GPUs",
            open("dev/nvidiactl"),
            "let the agent open /dev/nvidiactl (often: group video)",
        ),
    ];
    let folder = TEXTFILE_FOLDERS.iter().find(|folder| at(folder).exists());
    findings.push(match folder {
        Some(folder) => judge(
            "textfile",
            &format!("/{folder}"),
            fs::read_dir(at(folder)).map(drop),
            "let the agent read it and the files in it (chmod o+rx)",
        ),
        None => Finding::absent(
            "textfile",
            format!("none of the folders /{} is there", TEXTFILE_FOLDERS.join(", /")),
        ),
    });
    findings
}

/// What came of trying: not there is no fault, not allowed is told with what to do.
fn judge(area: &'static str, what: &str, tried: io::Result<()>, advice: &str) -> Finding {
    match tried {
        Ok(()) => Finding::fine(area, format!("{what}: readable")),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                Finding::absent(area, format!("{what}: not on this machine"))
            }
            _ => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                // A device node without its device.
                Some(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => {
                    Finding::absent(area, format!("{what}: not on this machine"))
                }
                _ => Finding::missing(area, format!("{what}: {error}"), advice),
            },
        },
    }
}

/// The agent's folder: whether it can be used, and the room for what a server does not take.
pub(super) fn state_folder(dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return vec![Finding::missing(
                "state folder",
                format!("{shown} is not there: no agent of this user has run here"),
                "start `muster agent` with --server and --token, or name another folder with --state-dir",
            )];
        }
        Err(error) => {
            let advice = "run this as the agent's user, or name another folder with --state-dir";
            return vec![Finding::missing("state folder", format!("{shown}: {error}"), advice)];
        }
        Ok(_) => {}
    }
    let joined = dir.join("enrolled.json").exists();
    let mut findings = vec![if joined {
        Finding::fine("enrolment", format!("a server has let this agent in; its key is in {shown}"))
    } else {
        Finding::wrong(
            "enrolment",
            format!("no server has let the agent of {shown} in"),
            "make a token with `muster enroll-token` on the server and start the agent once with it",
        )
    }];
    findings.push(match RealDisk.space(dir) {
        Ok(space) if space.available < LITTLE_ROOM => Finding::missing(
            "spool",
            format!("{} are free for what a server does not take", format_size(space.available)),
            "make room, or put the state folder on another disk with --state-dir; the oldest samples of a long outage are lost else",
        ),
        Ok(space) => Finding::fine(
            "spool",
            format!("{} are free for what a server does not take", format_size(space.available)),
        ),
        Err(error) => Finding::wrong("spool", format!("{shown}: {error}"), "check that disk"),
    });
    findings
}

/// Whether the agent runs under a unit that holds it back.
pub(super) fn unit(root: &Path) -> Finding {
    let text = ["etc/systemd/system", "lib/systemd/system", "usr/lib/systemd/system"]
        .iter()
        .find_map(|folder| fs::read_to_string(root.join(folder).join("muster-agent.service")).ok());
    let Some(text) = text else {
        return Finding::absent("unit", "there is no muster-agent.service".into());
    };
    let says = |key: &str| text.lines().any(|line| line.trim_start().starts_with(key));
    let mut lacks: Vec<&str> = HARDENING.iter().copied().filter(|key| !says(key)).collect();
    let root_account = !says("User=") && !says("DynamicUser=") || says("User=root");
    if root_account {
        lacks.insert(0, "User= (it runs as root)");
    }
    if lacks.is_empty() {
        return Finding::fine(
            "unit",
            "muster-agent.service has its own account and is hardened".into(),
        );
    }
    let what = format!("muster-agent.service lacks {}", lacks.join(", "));
    Finding::missing(
        "unit",
        what,
        "take the unit that install.sh writes, and put changes into a drop-in beside it",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[track_caller]
    fn check(kind: ErrorKind, state: State) {
        assert_eq!(judge("a", "b", Err(kind.into()), "c").state, state, "{kind}");
    }

    #[test]
    fn what_is_not_there_is_no_fault_and_what_is_not_allowed_is_told() {
        assert_eq!(judge("a", "b", Ok(()), "c").state, State::Fine);
        check(ErrorKind::NotFound, State::Absent);
        check(ErrorKind::ConnectionRefused, State::Absent);
        check(ErrorKind::PermissionDenied, State::Missing);
        let empty = tempfile::tempdir().unwrap();
        for finding in permissions(empty.path()) {
            assert_eq!(finding.state, State::Absent, "{finding:?}");
        }
    }

    #[test]
    fn a_unit_that_lets_everything_is_told() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(unit(root.path()).state, State::Absent);
        let folder = root.path().join("etc/systemd/system");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("muster-agent.service");
        fs::write(&file, "[Service]\nExecStart=/x\nProtectSystem=strict\n").unwrap();
        let found = unit(root.path());
        assert!(found.what.contains("runs as root") && !found.what.contains("ProtectSystem"));
        let lines: Vec<String> = HARDENING.iter().map(|key| format!("{key}x")).collect();
        fs::write(&file, format!("[Service]\nUser=muster-agent\n{}\n", lines.join("\n"))).unwrap();
        assert_eq!(unit(root.path()).state, State::Fine);
    }

    #[test]
    fn a_folder_that_no_agent_has_used_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(state_folder(&dir.path().join("none"))[0].state, State::Missing);
        assert_eq!(state_folder(dir.path())[0].state, State::Wrong);
        fs::write(dir.path().join("enrolled.json"), "{}").unwrap();
        let found = state_folder(dir.path());
        assert_eq!((found[0].state, found[1].area), (State::Fine, "spool"));
    }
}
