//! Compares us with the `node_exporter` that is installed on this machine, if one is: every name that
//! it exposes must be ours too, with the same labels and type, and what moves slowly must agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use muster_collectors::{Cadence, Kind, Registry, Roots, metric_of};
use muster_environment::SystemClock;
use muster_exposition::{Family, parse};
use muster_series::{Labels, METRIC_NAME};

const PROGRAM: &str = "prometheus-node-exporter";
/// The version whose names are compared, Debian's; later ones add labels and metrics.
const VERSION: &str = "1.5.";

/// Its collectors that are on by default, but for `textfile`, which is the agent's, and our own `tcpstat`. All
/// others are switched off.
const COLLECTORS: [&str; 45] = [
    "arp",
    "bcache",
    "bonding",
    "btrfs",
    "conntrack",
    "cpu",
    "cpufreq",
    "diskstats",
    "dmi",
    "edac",
    "entropy",
    "fibrechannel",
    "filefd",
    "filesystem",
    "hwmon",
    "infiniband",
    "ipvs",
    "loadavg",
    "mdadm",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "nfs",
    "nfsd",
    "nvme",
    "os",
    "powersupplyclass",
    "pressure",
    "rapl",
    "schedstat",
    "selinux",
    "sockstat",
    "softnet",
    "stat",
    "tapestats",
    "tcpstat",
    "thermal_zone",
    "time",
    "timex",
    "udp_queues",
    "uname",
    "vmstat",
    "xfs",
    "zfs",
];

/// Collectors of what few machines have, compared over a tree of files as well.
const HARDWARE: [&str; 13] = [
    "bcache",
    "btrfs",
    "fibrechannel",
    "infiniband",
    "ipvs",
    "nfs",
    "nfsd",
    "nvme",
    "powersupplyclass",
    "rapl",
    "tapestats",
    "xfs",
    "zfs",
];

/// Names of those collectors that we do not have, and why.
const LEFT_OUT: [(&str, &str); 2] = [
    (
        "node_time_zone_offset_seconds",
        "needs the time zone database; the page shows times in the reader's zone",
    ),
    (
        "node_network_speed_bytes",
        "where the driver says -1, later versions of node_exporter leave it out, and so do we",
    ),
];

/// A name whose value differs over the tree of files, and why.
const DIFFERENT: [(&str, &str); 1] =
    [("node_btrfs_global_rsv_size_bytes", "version 1.5 never fills it in, and says 0")];

/// Values that must agree, and by how much they may differ: as a part of the value, and absolutely.
const COMPARED: [(&str, f64, f64); 18] = [
    ("node_boot_time_seconds", 0.0, 1.0),
    ("node_cpu_seconds_total", 0.02, 5.0),
    ("node_disk_reads_completed_total", 0.05, 5000.0),
    ("node_disk_info", 0.0, 0.0),
    ("node_entropy_pool_size_bits", 0.0, 0.0),
    ("node_filefd_maximum", 0.0, 0.0),
    ("node_filesystem_files", 0.0, 0.0),
    ("node_filesystem_readonly", 0.0, 0.0),
    ("node_filesystem_size_bytes", 0.0, 0.0),
    ("node_memory_MemTotal_bytes", 0.0, 0.0),
    ("node_memory_HugePages_Total", 0.0, 0.0),
    ("node_network_info", 0.0, 0.0),
    ("node_network_mtu_bytes", 0.0, 0.0),
    ("node_os_version", 0.0, 0.0),
    ("node_time_seconds", 0.0, 60.0),
    ("node_timex_status", 0.0, 0.0),
    ("node_timex_tick_seconds", 0.0, 0.0),
    ("node_uname_info", 0.0, 0.0),
];

/// How often both are asked until they agree: mounts and devices come and go, and a busy machine is slow to measure them.
const ROUNDS: usize = 10;
/// How long anything may take to come true.
const PATIENCE: Duration = Duration::from_mins(2);

/// A process that ends with the test.
struct Running {
    process: Child,
    port: u16,
    collectors: Vec<String>,
    tree: Option<PathBuf>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_node_exporter_exposes_we_have_too() {
    let mut running = match start_compared(&COLLECTORS, None) {
        Ok(running) => running,
        Err(skipped) => return println!("{skipped}"),
    };
    let mut ours = Ours::new(&Roots::default());
    let mut complaints = Vec::new();
    for _ in 0..ROUNDS {
        let theirs = scrape(&mut running);
        let ours = ours.collect();
        let covered: Vec<&Family> =
            theirs.iter().filter(|family| is_covered(&family.name)).collect();
        assert!(covered.len() > 100, "only {} names were compared", covered.len());
        complaints = covered.into_iter().flat_map(|family| compare(family, &ours)).collect();
        if complaints.is_empty() {
            return;
        }
    }
    panic!("{}", complaints.join("\n"));
}

#[test]
fn hardware_that_few_machines_have_is_told_as_node_exporter_tells_it() {
    let tree = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let mut running = match start_compared(&HARDWARE, Some(&tree)) {
        Ok(running) => running,
        Err(skipped) => return println!("{skipped}"),
    };
    let theirs = scrape(&mut running);
    let roots = Roots::new(&tree.join("proc"), &tree.join("sys"), &tree.join("rootfs"));
    let ours = Ours::new(&roots).collect();
    let covered: Vec<&Family> = theirs.iter().filter(|family| is_covered(&family.name)).collect();
    assert!(covered.len() > 200, "only {} names were compared", covered.len());
    let shapes = covered.iter().flat_map(|family| compare(family, &ours));
    let agreeing = covered.iter().filter(|f| !DIFFERENT.iter().any(|(name, _)| *name == f.name));
    let values = agreeing.flat_map(|family| compare_values(family, &ours, 0.03, 0.0));
    let complaints: Vec<String> = shapes.chain(values).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Starts it if it is the one that is compared; else says why not.
fn start_compared(collectors: &[&str], tree: Option<&Path>) -> Result<Running, String> {
    let Some(mut running) = start(collectors, tree) else {
        return Err(format!("skipped: {PROGRAM} is not installed"));
    };
    let theirs = scrape(&mut running);
    let build = theirs.iter().find(|family| family.name == "node_exporter_build_info");
    let version = build.and_then(|family| family.points[0].labels.get("version")).unwrap_or("");
    if !version.starts_with(VERSION) {
        return Err(format!("skipped: {PROGRAM} is {version:?}, and {VERSION}x is compared"));
    }
    Ok(running)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has free ports");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn start(collectors: &[&str], tree: Option<&Path>) -> Option<Running> {
    let port = free_port();
    let folders = [("procfs", "proc"), ("sysfs", "sys"), ("rootfs", "rootfs")];
    let paths = tree.into_iter().flat_map(|tree| {
        folders.map(|(flag, folder)| format!("--path.{flag}={}", tree.join(folder).display()))
    });
    let arguments: Vec<String> = collectors
        .iter()
        .map(|name| format!("--collector.{name}"))
        .chain(paths)
        .chain([format!("--web.listen-address=127.0.0.1:{port}")])
        .collect();
    let process = Command::new(PROGRAM)
        .arg("--collector.disable-defaults")
        .args(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    Some(Running {
        process,
        port,
        collectors: collectors.iter().map(ToString::to_string).collect(),
        tree: tree.map(Into::into),
    })
}

/// Asks until it answers, which takes it a moment after its start.
fn scrape(running: &mut Running) -> Vec<Family> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match try_scrape(running.port) {
            Ok(body) => return parse(&body).expect("node_exporter writes the format right"),
            Err(error) => assert!(Instant::now() < deadline, "no answer: {error}"),
        }
        if running.process.try_wait().is_ok_and(|ended| ended.is_some()) {
            // Somebody else was quicker to take the port.
            let collectors: Vec<&str> = running.collectors.iter().map(String::as_str).collect();
            let again = start(&collectors, running.tree.as_deref());
            *running = again.expect("it could be started before");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn try_scrape(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    assert!(head.contains(" 200 "), "{head}");
    Ok(body.to_owned())
}

/// Our collectors, and the series that they have named so far.
struct Ours {
    registry: Registry,
    names: HashMap<u32, Labels>,
}

impl Ours {
    fn new(roots: &Roots) -> Self {
        Self { registry: Registry::new(roots), names: HashMap::new() }
    }

    fn collect(&mut self) -> BTreeMap<Labels, f64> {
        let clock = SystemClock::new();
        let mut series = BTreeMap::new();
        for cadence in [Cadence::Fast, Cadence::Slow] {
            let out = self.registry.collect(cadence, &clock);
            self.names.extend(out.new_series);
            for (number, value) in out.samples {
                series.insert(self.names[&number].clone(), value);
            }
        }
        series
    }
}

fn is_covered(name: &str) -> bool {
    name.starts_with("node_")
        && !name.starts_with("node_exporter_")
        && !name.starts_with("node_scrape_collector_")
        && !LEFT_OUT.iter().any(|(left_out, _)| *left_out == name)
}

/// The names of the labels of each series of a metric.
fn shapes<'a>(series: impl Iterator<Item = &'a Labels>) -> BTreeSet<Vec<String>> {
    series.map(|labels| labels.iter().map(|(name, _)| name.to_owned()).collect()).collect()
}

fn compare(theirs: &Family, ours: &BTreeMap<Labels, f64>) -> Vec<String> {
    let name = &theirs.name;
    let Some(metric) = metric_of(name) else {
        return vec![format!("{name} is in no table")];
    };
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Info => "gauge",
        Kind::Untyped => "untyped",
    };
    let mut complaints = Vec::new();
    if kind != theirs.kind.as_str() {
        complaints.push(format!("{name} is a {}, ours a {kind}", theirs.kind.as_str()));
    }
    let own = || ours.iter().filter(|(labels, _)| labels.get(METRIC_NAME) == Some(name));
    let our_shapes = shapes(own().map(|(labels, _)| labels));
    for shape in shapes(theirs.points.iter().map(|point| &point.labels)) {
        if !our_shapes.contains(&shape) {
            complaints.push(format!("{name} has labels {shape:?}, ours {our_shapes:?}"));
        }
    }
    if let Some((_, part, absolute)) = COMPARED.iter().find(|(compared, ..)| compared == name) {
        complaints.extend(compare_values(theirs, ours, *part, *absolute));
    }
    complaints
}

fn compare_values(
    theirs: &Family,
    ours: &BTreeMap<Labels, f64>,
    part: f64,
    absolute: f64,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for point in &theirs.points {
        match ours.get(&point.labels) {
            None => complaints.push(format!("{} is missing", point.labels)),
            Some(value) => {
                let tolerance = absolute + part * point.value.abs();
                if (value - point.value).abs() > tolerance {
                    complaints.push(format!("{} is {}, ours {value}", point.labels, point.value));
                }
            }
        }
    }
    complaints
}
