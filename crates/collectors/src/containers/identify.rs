//! Containers by the names of their cgroups.
//!
//! | runtime | folder |
//! |---|---|
//! | Docker | `docker/ID`, `docker-ID.scope` |
//! | Podman | `libpod-ID.scope`, `libpod-ID` |
//! | containerd | `cri-containerd-ID.scope`, `nerdctl-ID.scope`, `k8s.io/ID`, `default/ID` |
//! | CRI-O | `crio-ID.scope`, `crio-ID` |
//! | Kubernetes with plain folders | `kubepods/…/podUID/ID` |
//! | LXC | `lxc.payload.NAME`, `lxc/NAME` |
//! | systemd-nspawn | `machine.slice/systemd-nspawn@NAME.service`, `machine-NAME.scope` |
//!
//! An ID has 64 hexadecimal digits. What only watches a container (`…-conmon-ID.scope`,
//! `lxc.monitor.NAME`) is none.

/// A container, as the path of its cgroup tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    /// What the series say: the first 12 digits of the ID, or the name.
    pub(super) container: String,
    /// The whole ID, or the name.
    pub(super) id: String,
    /// Who runs it.
    pub(super) runtime: &'static str,
}

/// Digits of an ID, and of its short form.
const ID_DIGITS: usize = 64;
const SHORT_DIGITS: usize = 12;
/// Longest name of a container that has no ID, in bytes.
const MAX_NAME: usize = 64;

/// How the names of scopes begin, and whose they are.
const SCOPES: [(&str, &str); 6] = [
    ("docker-", "docker"),
    ("libpod-", "podman"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("containerd-", "containerd"),
];
/// Folders that hold one folder for each container, by its ID.
const PARENTS: [(&str, &str); 5] = [
    ("docker", "docker"),
    ("libpod_parent", "podman"),
    ("k8s.io", "containerd"),
    ("default", "containerd"),
    ("crio", "cri-o"),
];

/// The container whose cgroup is the folder `name` in the folder `parent`.
pub(super) fn identify(parent: &str, name: &str) -> Option<Identity> {
    let bare = name.strip_suffix(".scope").unwrap_or(name);
    for (prefix, runtime) in SCOPES {
        if let Some(id) = bare.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Some(by_id(id, runtime));
        }
    }
    if is_id(name) {
        let known = PARENTS.iter().find(|(folder, _)| *folder == parent);
        let is_pod = parent.starts_with("pod") || parent.starts_with("kubepods");
        return known
            .map(|(_, runtime)| *runtime)
            .or(is_pod.then_some("kubernetes"))
            .map(|runtime| by_id(name, runtime));
    }
    by_name(parent, name)
}

fn by_name(parent: &str, name: &str) -> Option<Identity> {
    let nspawn = name.strip_prefix("systemd-nspawn@").and_then(|n| n.strip_suffix(".service"));
    let machine = name.strip_prefix("machine-").and_then(|name| name.strip_suffix(".scope"));
    let lxc = name.strip_prefix("lxc.payload.").or((parent == "lxc").then_some(name));
    // The units of virtual machines are named in the same way.
    let machine = machine.filter(|name| !name.starts_with("qemu"));
    let (name, runtime) = match (lxc, nspawn.or(machine)) {
        (Some(name), _) => (name, "lxc"),
        (None, Some(name)) => match name.strip_prefix("lxc\\x2d") {
            Some(name) => (name, "lxc"),
            None => (name, "nspawn"),
        },
        (None, None) => return None,
    };
    let name = name.replace("\\x2d", "-");
    let is_fit = (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control);
    is_fit.then(|| Identity { container: name.clone(), id: name, runtime })
}

fn by_id(id: &str, runtime: &'static str) -> Identity {
    Identity { container: id[..SHORT_DIGITS].to_owned(), id: id.to_owned(), runtime }
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, &str)>) {
        let path = path.replace("ID", ID);
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = parent.rsplit('/').next().unwrap();
        let found = identify(parent, name);
        let found = found.as_ref().map(|it| (&*it.container, it.runtime));
        assert_eq!(found, expected, "{path}");
    }

    const SHORT: &str = "0123456789ab";

    #[test]
    fn containers_by_their_ids() {
        check("/docker/ID", Some((SHORT, "docker")));
        check("/system.slice/docker-ID.scope", Some((SHORT, "docker")));
        check("/machine.slice/libpod-ID.scope", Some((SHORT, "podman")));
        check("/user.slice/user@1.service/user.slice/libpod-ID.scope", Some((SHORT, "podman")));
        check(
            "/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID.scope",
            Some((SHORT, "containerd")),
        );
        check("/kubepods.slice/kubepods-pod1.slice/crio-ID.scope", Some((SHORT, "cri-o")));
        check("/kubepods/besteffort/pod1-2/ID", Some((SHORT, "kubernetes")));
        check("/default/ID", Some((SHORT, "containerd")));
    }

    #[test]
    fn containers_by_their_names() {
        check("/lxc.payload.web-1", Some(("web-1", "lxc")));
        check("/lxc/101", Some(("101", "lxc")));
        check("/machine.slice/systemd-nspawn@db.service", Some(("db", "nspawn")));
        check("/machine.slice/machine-my\\x2ddb.scope", Some(("my-db", "nspawn")));
        check("/machine.slice/machine-lxc\\x2dweb.scope", Some(("web", "lxc")));
    }

    #[test]
    fn what_is_no_container() {
        check("/machine.slice/libpod-conmon-ID.scope", None);
        check("/kubepods.slice/crio-conmon-ID.scope", None);
        check("/lxc.monitor.web-1", None);
        check("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", None);
        check("/system.slice/docker.service", None);
        check("/other/ID", None);
        check("/system.slice/docker-0123.scope", None);
        check("/system.slice/docker-../../etc.scope", None);
    }
}
