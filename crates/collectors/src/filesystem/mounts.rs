//! The table of mounts, and which of them are file systems that can fill up.

use crate::error::Malformed;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// What is mounted.
    pub(crate) device: String,
    /// Where.
    pub(crate) point: String,
    /// The type of the file system.
    pub(crate) kind: String,
    /// Whether it was mounted read-only.
    pub(crate) read_only: bool,
}

/// Reads `/proc/PID/mounts`; a line has device, mount point, type and options.
pub(crate) fn parse(text: &str) -> Result<Vec<Mount>, Malformed> {
    let mut mounts: Vec<Mount> = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let mut next = || words.next().ok_or_else(|| Malformed::at(line));
        let (device, point) = (unescape(next()?), unescape(next()?));
        let kind = next()?.to_owned();
        let read_only = next()?.split(',').any(|option| option == "ro");
        mounts.push(Mount { device, point, kind, read_only });
    }
    Ok(mounts)
}

/// The kernel writes blanks, tabs, line breaks and backslashes as `\` and three octal digits.
fn unescape(word: &str) -> String {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.first_chunk::<3>().filter(|_| first == b'\\');
        let value = octal.and_then(|digits| {
            digits.iter().try_fold(0_u32, |value, digit| {
                matches!(digit, b'0'..=b'7').then(|| value * 8 + u32::from(digit - b'0'))
            })
        });
        if let Some(byte) = value.and_then(|value| u8::try_from(value).ok()) {
            plain.push(byte);
            rest = &after[3..];
        } else {
            plain.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Types that hold no data of anybody: `node_exporter`'s default.
const IGNORED_KINDS: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "erofs",
];

/// Folders whose mounts are ignored, themselves and everything below.
const IGNORED_TREES: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Folders below which everything is ignored: the mounts of containers and of credentials.
const IGNORED_BELOW: [&str; 3] =
    ["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"];

/// Whether `node_exporter` leaves file systems of this type out by default (`erofs` since its later versions).
pub(crate) fn is_ignored_kind(kind: &str) -> bool {
    IGNORED_KINDS.contains(&kind)
}

/// Whether `node_exporter` leaves what is mounted there out by default.
pub(crate) fn is_ignored_point(point: &str) -> bool {
    let within = |tree: &str| {
        point.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    IGNORED_TREES.iter().any(|tree| within(tree))
        || IGNORED_BELOW.iter().any(|tree| point.len() > tree.len() && point.starts_with(tree))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let text = "/dev/sda1 / ext4 rw,relatime 0 0\nnas:/a\\040b /mnt/a\\134b nfs4 ro 0 0\n";
        let mounts = parse(text).unwrap();
        assert_eq!((&*mounts[0].point, mounts[0].read_only), ("/", false));
        let expected = Mount {
            device: "nas:/a b".into(),
            point: "/mnt/a\\b".into(),
            kind: "nfs4".into(),
            read_only: true,
        };
        assert_eq!(mounts[1], expected);
        assert_eq!(parse("/dev/sda1 /\n"), Err(Malformed::at("/dev/sda1 /")));
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescape("a\\04"), "a\\04");
        assert_eq!(unescape("a\\999"), "a\\999");
        assert_eq!(unescape("\\303\\274"), "ü");
    }

    #[track_caller]
    fn check_ignored(point: &str, kind: &str, expected: bool) {
        let ignored = is_ignored_kind(kind) || is_ignored_point(point);
        assert_eq!(ignored, expected, "{point} {kind}");
    }

    #[test]
    fn what_is_ignored() {
        check_ignored("/", "ext4", false);
        check_ignored("/run", "tmpfs", false);
        check_ignored("/devices", "xfs", false);
        check_ignored("/var/lib/docker", "xfs", false);
        check_ignored("/dev/shm", "tmpfs", true);
        check_ignored("/sys", "tmpfs", true);
        check_ignored("/var/lib/docker/overlay2/x", "xfs", true);
        check_ignored("/run/credentials/x.service", "ramfs", true);
        check_ignored("/snap/core/1", "squashfs", true);
        check_ignored("/merged", "overlay", true);
    }
}
