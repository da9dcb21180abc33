//! A day of churn in fast motion: processes, network devices, disks and mounts come and go all the time, and neither the
//! memory of this process nor the numbers of series grow. It is the only test of its binary, so the memory is its own.
#![expect(clippy::unwrap_used, reason = "a failing step fails the test, in its parts too")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_agent::{HostSource, Source, Tick};
use muster_collectors::{Roots, Space};
use muster_environment::ManualClock;
use muster_series::{Labels, is_stale_marker};
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, Group, Limits, OsFacts, ServerEvent, ServerSession,
    Welcome,
};

/// One every 30 seconds.
const ROUNDS: usize = 24 * 120;
/// From here on memory must not grow: by then every list has had its largest size.
const SETTLED: usize = ROUNDS / 4;
/// Heaps have holes: what comes and goes is not the same size each time.
const SLACK_KIB: usize = 2 << 10;
/// Of each kind of thing, how many there are at a time.
const AT_A_TIME: usize = 6;

/// A host of files whose things are others in every round.
struct Host {
    root: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let host = Self { root: root.unwrap() };
        host.write("proc/meminfo", "MemTotal: 4000 kB\nMemFree: 1000 kB\n");
        host.write(
            "proc/stat",
            "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nbtime 1790000000\n",
        );
        host.write("proc/loadavg", "0.1 0.2 0.3 1/100 999\n");
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn roots(&self) -> Roots {
        let mut roots = Roots::new(&self.path("proc"), &self.path("sys"), &self.path("rootfs"));
        roots.measure_space = Arc::new(|_: &Path| Ok(Space { size: 4_096, ..Space::default() }));
        roots
    }

    /// The things of a round: each lives for a few rounds and never comes back.
    fn turn(&self, round: usize) {
        let things = round..round + AT_A_TIME;
        let mut net = String::from("Inter-|   Receive\n face |bytes\n");
        let (mut mounts, mut disks) = (String::new(), String::new());
        for thing in things.clone() {
            writeln!(net, "veth{thing:05}: 9 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").unwrap();
            writeln!(mounts, "/dev/d{thing} /srv/volume{thing} ext4 rw 0 0").unwrap();
            writeln!(disks, "8 {thing} nvme{thing}n1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17")
                .unwrap();
            self.write(&format!("sys/class/net/veth{thing:05}/operstate"), "up\n");
            self.write(&format!("sys/class/net/veth{thing:05}/mtu"), "1500\n");
            self.process(thing);
        }
        self.write("proc/net/dev", &net);
        self.write("proc/1/mounts", &mounts);
        self.write("proc/diskstats", &disks);
        if let Some(gone) = round.checked_sub(1) {
            let _ = fs::remove_dir_all(self.path(&format!("sys/class/net/veth{gone:05}")));
            let _ = fs::remove_dir_all(self.path(&format!("proc/{}", pid(gone))));
        }
    }

    fn process(&self, thing: usize) {
        let pid = pid(thing);
        let rest = "S 1 1 1 0 -1 4194304 100 0 0 0 5 6 0 0 20 0 3 0 12345 1000000 500 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
        self.write(&format!("proc/{pid}/stat"), &format!("{pid} (job-{thing}) {rest}\n"));
        self.write(&format!("proc/{pid}/cmdline"), &format!("/usr/bin/job-{thing}\0--run\0"));
        self.write(&format!("proc/{pid}/comm"), &format!("job-{thing}\n"));
        self.write(&format!("proc/{pid}/status"), "Uid:\t0\t0\t0\t0\nThreads:\t3\n");
        self.write(&format!("proc/{pid}/io"), "read_bytes: 1\nwrite_bytes: 2\n");
    }
}

fn pid(thing: usize) -> usize {
    1_000 + thing
}

/// Both sides of a session, joined by nothing but their frames.
struct Wire {
    agent: AgentSession,
    server: ServerSession,
    /// One more than the largest number that any series has had.
    numbers: u32,
}

impl Wire {
    fn joined() -> Self {
        let hello = AgentHello {
            instance: "web-1".into(),
            public_key: [7; 32],
            enroll_token: None,
            agent_version: "0".into(),
            boot_id: String::new(),
            nonce: [1; 32],
            os: OsFacts::default(),
        };
        let agent = AgentSession::new(hello, 0);
        let server = ServerSession::new(Limits::default(), [2; 32], 0);
        let mut wire = Self { agent, server, numbers: 0 };
        wire.exchange();
        wire.exchange();
        let instance = "web-1".into();
        wire.server.accept(Welcome { session: 1, server_time_ms: 0, instance, interval_ms: 0 });
        wire.exchange();
        assert!(wire.agent.is_active());
        wire
    }

    fn exchange(&mut self) {
        while let Some(frame) = self.agent.poll_transmit() {
            match self.server.handle_frame(&frame, 0).unwrap() {
                Some(ServerEvent::Series(all)) => {
                    let largest = all.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
                    self.numbers = self.numbers.max(largest);
                }
                Some(ServerEvent::Batch(batch)) => self.server.acknowledge(batch.sequence),
                _ => {}
            }
        }
        while let Some(frame) = self.server.poll_transmit() {
            if let Some(AgentEvent::Challenged { .. }) = self.agent.handle_frame(&frame, 0).unwrap()
            {
                self.agent.prove([5; 64]).unwrap();
            }
        }
    }
}

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_day_of_churn_leaves_memory_and_series_as_they_were() {
    let host = Host::new();
    let clock = Arc::new(ManualClock::at(1_790_000_000_000));
    let mut source = HostSource::new(&host.roots(), Arc::clone(&clock) as _);
    let mut wire = Wire::joined();
    let mut named: HashMap<u32, Labels> = HashMap::new();
    let (mut settled_kib, mut settled_numbers, mut most, mut all) = (0, 0, 0, 0);
    for round in 0..ROUNDS {
        host.turn(round);
        clock.advance(30_000);
        let collection = source.collect(Tick::Full, 0);
        all += collection.new_series.len();
        named.extend(collection.new_series);
        let group = Group {
            timestamp_ms: 1_790_000_000_000 + round as i64 * 30_000,
            samples: collection.samples.clone(),
        };
        wire.agent.send_batch(false, &[group], |number| named.get(&number).cloned()).unwrap();
        wire.exchange();
        for (number, value) in collection.samples {
            if is_stale_marker(value) {
                named.remove(&number);
            }
        }
        most = most.max(named.len());
        if round == SETTLED {
            (settled_kib, settled_numbers) = (resident_kib(), wire.numbers);
        }
    }
    let kib = resident_kib();
    println!("{all} series in a day, {most} at most at a time, {settled_kib} KiB, then {kib} KiB");
    assert!(all > 20 * most, "things came and went: {all} series, {most} at a time");
    assert!(most < 1_000, "{most} series at a time");
    // A round may see a mount for one round longer than the one before did.
    assert!(wire.numbers <= settled_numbers + 50, "{settled_numbers}, then {}", wire.numbers);
    assert!(kib <= settled_kib + SLACK_KIB, "{settled_kib} KiB, then {kib} KiB");
}
