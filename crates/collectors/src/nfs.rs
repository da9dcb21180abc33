//! `/proc/net/rpc/nfs` and `/proc/net/rpc/nfsd`: what the kernel's NFS client and server did.
//!
//! A line holds a name and counts; the lines of procedures (`proc3`) say first how many counts follow. Names
//! and places are those of `node_exporter`.

use std::path::PathBuf;

use crate::error::{CollectError, Malformed};
use crate::file::{number, read};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

/// Procedures of NFS 2, in the order of their counts.
const VERSION_2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write",
    "Create", "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];
/// Procedures of NFS 3.
const VERSION_3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];
/// Procedures of the client of NFS 4.
const CLIENT_4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "LayoutGet",
    "GetDeviceInfo",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];
/// Operations of the server of NFS 4; the places without a name have no metric.
const SERVER_4: [&str; 38] = [
    "",
    "",
    "",
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "",
    "",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "Verify",
    "Write",
    "RelLockOwner",
];
static NFS_CONNECTIONS_TOTAL: Metric = Metric::counter(
    "node_nfs_connections_total",
    Unit::None,
    "Total number of NFSd TCP connections.",
    &[],
);
static NFS_PACKETS_TOTAL: Metric = Metric::counter(
    "node_nfs_packets_total",
    Unit::None,
    "Total NFSd network packets (sent+received) by protocol type.",
    &["protocol"],
);
static NFS_RPCS_TOTAL: Metric =
    Metric::counter("node_nfs_rpcs_total", Unit::None, "Total number of RPCs performed.", &[]);
static NFS_RPC_RETRANSMISSIONS_TOTAL: Metric = Metric::counter(
    "node_nfs_rpc_retransmissions_total",
    Unit::None,
    "Number of RPC transmissions performed.",
    &[],
);
static NFS_RPC_AUTHENTICATION_REFRESHES_TOTAL: Metric = Metric::counter(
    "node_nfs_rpc_authentication_refreshes_total",
    Unit::None,
    "Number of RPC authentication refreshes performed.",
    &[],
);
/// The first word of a line, the place of a count in it, its metric and the values of its labels.
static CLIENT: [(&str, usize, &Metric, &[&str]); 6] = [
    ("net", 3, &NFS_CONNECTIONS_TOTAL, &[]),
    ("net", 1, &NFS_PACKETS_TOTAL, &["udp"]),
    ("net", 2, &NFS_PACKETS_TOTAL, &["tcp"]),
    ("rpc", 0, &NFS_RPCS_TOTAL, &[]),
    ("rpc", 1, &NFS_RPC_RETRANSMISSIONS_TOTAL, &[]),
    ("rpc", 2, &NFS_RPC_AUTHENTICATION_REFRESHES_TOTAL, &[]),
];
static NFSD_REPLY_CACHE_HITS_TOTAL: Metric = Metric::counter(
    "node_nfsd_reply_cache_hits_total",
    Unit::None,
    "Total number of NFSd Reply Cache hits (client lost server response).",
    &[],
);
static NFSD_REPLY_CACHE_MISSES_TOTAL: Metric = Metric::counter(
    "node_nfsd_reply_cache_misses_total",
    Unit::None,
    "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
    &[],
);
static NFSD_REPLY_CACHE_NOCACHE_TOTAL: Metric = Metric::counter(
    "node_nfsd_reply_cache_nocache_total",
    Unit::None,
    "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
    &[],
);
static NFSD_FILE_HANDLES_STALE_TOTAL: Metric = Metric::counter(
    "node_nfsd_file_handles_stale_total",
    Unit::None,
    "Total number of NFSd stale file handles.",
    &[],
);
static NFSD_DISK_BYTES_READ_TOTAL: Metric =
    Metric::counter("node_nfsd_disk_bytes_read_total", Unit::Bytes, "Total NFSd bytes read.", &[]);
static NFSD_DISK_BYTES_WRITTEN_TOTAL: Metric = Metric::counter(
    "node_nfsd_disk_bytes_written_total",
    Unit::Bytes,
    "Total NFSd bytes written.",
    &[],
);
static NFSD_SERVER_THREADS: Metric = Metric::gauge(
    "node_nfsd_server_threads",
    Unit::None,
    "Total number of NFSd kernel threads that are running.",
    &[],
);
static NFSD_READ_AHEAD_CACHE_SIZE_BLOCKS: Metric = Metric::gauge(
    "node_nfsd_read_ahead_cache_size_blocks",
    Unit::None,
    "How large the read ahead cache is in blocks.",
    &[],
);
static NFSD_READ_AHEAD_CACHE_NOT_FOUND_TOTAL: Metric = Metric::counter(
    "node_nfsd_read_ahead_cache_not_found_total",
    Unit::None,
    "Total number of NFSd read ahead cache not found.",
    &[],
);
static NFSD_CONNECTIONS_TOTAL: Metric = Metric::counter(
    "node_nfsd_connections_total",
    Unit::None,
    "Total number of NFSd TCP connections.",
    &[],
);
static NFSD_PACKETS_TOTAL: Metric = Metric::counter(
    "node_nfsd_packets_total",
    Unit::None,
    "Total NFSd network packets (sent+received) by protocol type.",
    &["proto"],
);
static NFSD_SERVER_RPCS_TOTAL: Metric =
    Metric::counter("node_nfsd_server_rpcs_total", Unit::None, "Total number of NFSd RPCs.", &[]);
static NFSD_RPC_ERRORS_TOTAL: Metric = Metric::counter(
    "node_nfsd_rpc_errors_total",
    Unit::None,
    "Total number of NFSd RPC errors by error type.",
    &["error"],
);
/// The first word of a line, the place of a count in it, its metric and the values of its labels.
static SERVER: [(&str, usize, &Metric, &[&str]); 16] = [
    ("rc", 0, &NFSD_REPLY_CACHE_HITS_TOTAL, &[]),
    ("rc", 1, &NFSD_REPLY_CACHE_MISSES_TOTAL, &[]),
    ("rc", 2, &NFSD_REPLY_CACHE_NOCACHE_TOTAL, &[]),
    ("fh", 0, &NFSD_FILE_HANDLES_STALE_TOTAL, &[]),
    ("io", 0, &NFSD_DISK_BYTES_READ_TOTAL, &[]),
    ("io", 1, &NFSD_DISK_BYTES_WRITTEN_TOTAL, &[]),
    ("th", 0, &NFSD_SERVER_THREADS, &[]),
    ("ra", 0, &NFSD_READ_AHEAD_CACHE_SIZE_BLOCKS, &[]),
    ("ra", 11, &NFSD_READ_AHEAD_CACHE_NOT_FOUND_TOTAL, &[]),
    ("net", 3, &NFSD_CONNECTIONS_TOTAL, &[]),
    ("net", 1, &NFSD_PACKETS_TOTAL, &["udp"]),
    ("net", 2, &NFSD_PACKETS_TOTAL, &["tcp"]),
    ("rpc", 0, &NFSD_SERVER_RPCS_TOTAL, &[]),
    ("rpc", 2, &NFSD_RPC_ERRORS_TOTAL, &["fmt"]),
    ("rpc", 3, &NFSD_RPC_ERRORS_TOTAL, &["auth"]),
    ("rpc", 4, &NFSD_RPC_ERRORS_TOTAL, &["cInt"]),
];
static NFS_REQUESTS_TOTAL: Metric = Metric::counter(
    "node_nfs_requests_total",
    Unit::None,
    "Number of NFS procedures invoked.",
    &["proto", "method"],
);
static NFSD_REQUESTS_TOTAL: Metric = Metric::counter(
    "node_nfsd_requests_total",
    Unit::None,
    "Total number NFSd Requests by method and protocol.",
    &["proto", "method"],
);

/// Collects `/proc/net/rpc/nfs`, of the client.
#[derive(Debug)]
pub(crate) struct Nfs {
    path: PathBuf,
}

impl Nfs {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { path: roots.proc.join("net/rpc/nfs") }
    }
}

impl Collector for Nfs {
    fn name(&self) -> &'static str {
        "nfs"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        metrics_of(&CLIENT, &NFS_REQUESTS_TOTAL)
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let procedures: [(&str, &str, &[&str]); 3] =
            [("proc2", "2", &VERSION_2), ("proc3", "3", &VERSION_3), ("proc4", "4", &CLIENT_4)];
        read(&self.path, |text| {
            push_lines(sink, text, &CLIENT)?;
            push_procedures(sink, text, &procedures, &NFS_REQUESTS_TOTAL)
        })?;
        Ok(())
    }
}

/// Collects `/proc/net/rpc/nfsd`, of the server.
#[derive(Debug)]
pub(crate) struct Nfsd {
    path: PathBuf,
}

impl Nfsd {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { path: roots.proc.join("net/rpc/nfsd") }
    }
}

impl Collector for Nfsd {
    fn name(&self) -> &'static str {
        "nfsd"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        metrics_of(&SERVER, &NFSD_REQUESTS_TOTAL)
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let procedures: [(&str, &str, &[&str]); 3] =
            [("proc2", "2", &VERSION_2), ("proc3", "3", &VERSION_3), ("proc4ops", "4", &SERVER_4)];
        read(&self.path, |text| {
            push_lines(sink, text, &SERVER)?;
            push_procedures(sink, text, &procedures, &NFSD_REQUESTS_TOTAL)
        })?;
        Ok(())
    }
}

type Line = (&'static str, usize, &'static Metric, &'static [&'static str]);

/// Each metric once: several lines may be of one.
fn metrics_of(lines: &[Line], requests: &'static Metric) -> Vec<&'static Metric> {
    let mut metrics: Vec<&'static Metric> = vec![requests];
    for (_, _, metric, _) in lines {
        if !metrics.contains(metric) {
            metrics.push(metric);
        }
    }
    metrics
}

/// The words of the line that begins with `name`.
fn words<'a>(text: &'a str, name: &str) -> Option<(&'a str, Vec<&'a str>)> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(name)).then(|| (line, words.collect()))
    })
}

fn push_lines(sink: &mut Sink<'_>, text: &str, lines: &[Line]) -> Result<(), Malformed> {
    for (name, place, metric, labels) in lines {
        let Some((line, words)) = words(text, name) else { continue };
        if let Some(word) = words.get(*place) {
            sink.push(metric, labels, number(word).ok_or_else(|| Malformed::at(line))?);
        }
    }
    Ok(())
}

fn push_procedures(
    sink: &mut Sink<'_>,
    text: &str,
    versions: &[(&str, &str, &[&str])],
    metric: &'static Metric,
) -> Result<(), Malformed> {
    for (name, version, methods) in versions {
        let Some((line, words)) = words(text, name) else { continue };
        // The first word is how many there are; a kernel may know fewer or more than this list.
        for (method, word) in methods.iter().zip(words.iter().skip(1)) {
            if !method.is_empty() {
                let count = number(word).ok_or_else(|| Malformed::at(line))?;
                sink.push(metric, &[version, method], count);
            }
        }
    }
    Ok(())
}
