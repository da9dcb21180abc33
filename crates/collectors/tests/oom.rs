//! A real kill for want of memory, in a small cgroup: the kernel's log names the victim, and we tell it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use muster_collectors::{Cadence, Registry, Roots};
use muster_environment::SystemClock;

/// How long a busy machine may take for the kill and its line in the log.
const PATIENCE: Duration = Duration::from_mins(1);
const LIMIT_BYTES: &str = "16777216";

/// A cgroup of its own for one process, removed with the test.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> io::Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let is_unified = root.join("cgroup.controllers").exists();
        let tree = if is_unified { root.to_owned() } else { root.join("memory") };
        let folder = tree.join(format!("muster-oom-test-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let cgroup = Self(folder);
        if is_unified {
            fs::write(cgroup.0.join("memory.max"), LIMIT_BYTES)?;
            // A kernel without swap has no such file.
            let _ = fs::write(cgroup.0.join("memory.swap.max"), "0");
        } else {
            fs::write(cgroup.0.join("memory.limit_in_bytes"), LIMIT_BYTES)?;
            let _ = fs::write(cgroup.0.join("memory.memsw.limit_in_bytes"), LIMIT_BYTES);
        }
        Ok(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn the_victim_of_a_real_kill_is_named() {
    if let Err(error) = fs::File::open("/dev/kmsg") {
        println!("skipped: the kernel's log may not be read: {error}");
        return;
    }
    let cgroup = match Cgroup::new() {
        Ok(cgroup) => cgroup,
        Err(error) => {
            println!("skipped: no cgroup with a limit can be made: {error}");
            return;
        }
    };
    let mut registry = Registry::new(&Roots::default());
    let clock = SystemClock::new();
    let mut series = None;
    let mut value = None;
    let mut collect = || {
        let out = registry.collect(Cadence::Fast, &clock);
        for (number, labels) in &out.new_series {
            if labels.metric_name() == Some("muster_oom_kills_total")
                && labels.get("program") == Some("tail")
            {
                series = Some(*number);
            }
        }
        if let Some(sample) = out.samples.iter().find(|sample| Some(sample.0) == series) {
            value = Some(sample.1);
        }
        value
    };
    assert_eq!(collect(), None, "what was killed before is not counted");
    // `tail` keeps the last line, and this one never ends.
    let script = format!("echo $$ > {}/cgroup.procs && exec tail /dev/zero", cgroup.0.display());
    let status = Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(!status.success(), "{status}");
    let deadline = Instant::now() + PATIENCE;
    while collect() != Some(1.0) {
        assert!(Instant::now() < deadline, "the kill is not told");
        std::thread::yield_now();
    }
}
