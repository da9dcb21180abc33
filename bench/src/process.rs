//! What a server costs, as the kernel counts it: CPU time, memory, bytes on disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How often a wait looks.
const TICK: Duration = Duration::from_millis(250);
/// No server may need longer to come to rest; what it still does then is left out, and that is told.
const LONGEST_REST: Duration = Duration::from_mins(4);
/// A server that uses less of a core than this is at rest: its timers still run.
const AT_REST: f64 = 0.04;
/// `du` counts these, whatever the file system's blocks are.
const DISK_UNIT: u64 = 512;

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

/// CPU time that all threads of a process have used, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = read_proc(pid, "stat")?;
    let ticks = ticks(&stat).with_context(|| format!("{stat:?} is no line of /proc/PID/stat"))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The 14th and 15th field, user and system time. The second, the name, may hold anything, so count from its end.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

pub(crate) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = read_proc(pid, "status")?;
    let bytes = |name: &str| {
        kib(&status, name).map(|kib| kib * 1024).with_context(|| format!("no {name} of {pid}"))
    };
    Ok(Memory { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

/// Lets the peak of a process's memory begin anew at what it has now.
pub(crate) fn forget_peak(pid: u32) -> anyhow::Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn read_proc(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}; has the server ended?"))
}

/// Waits until a process has done next to nothing for as long as `quiet`; gives its CPU time then.
pub(crate) fn wait_for_rest(pid: u32, quiet: Duration) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut since = Instant::now();
    let mut then = cpu_seconds(pid)?;
    loop {
        std::thread::sleep(TICK);
        let now = cpu_seconds(pid)?;
        if now - then > AT_REST * quiet.as_secs_f64() {
            since = Instant::now();
            then = now;
        }
        if since.elapsed() >= quiet {
            return Ok(now);
        }
        if started.elapsed() > LONGEST_REST {
            crate::progress(&format!("process {pid} does not come to rest; measured as it is"));
            return Ok(now);
        }
    }
}

/// Bytes that a folder takes on its disk, a file with several names counted once, as `du` does.
pub(crate) fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            // A running server removes what it has merged.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("cannot list {}", folder.display()))?,
        };
        for entry in entries.filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                bytes += metadata.blocks() * DISK_UNIT;
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_whatever_the_process_is_called() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 70 30 5 5 20 0 9 0 1";
        assert_eq!(ticks(stat), Some(100));
        assert_eq!(ticks("42 (x) S 1"), None);
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((kib(status, "VmRSS:"), kib(status, "VmHWM:")), (Some(1024), Some(2048)));
        assert_eq!(kib(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let pid = std::process::id();
        assert!(cpu_seconds(pid).unwrap() >= 0.0);
        let memory = memory(pid).unwrap();
        assert!(memory.now > 100_000 && memory.peak >= memory.now);
    }

    #[test]
    fn a_file_with_two_names_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, vec![1; 100_000]).unwrap();
        let once = disk_bytes(folder.path()).unwrap();
        assert!((98_304..140_000).contains(&once), "{once}");
        fs::create_dir(folder.path().join("snapshots")).unwrap();
        fs::hard_link(&file, folder.path().join("snapshots/a")).unwrap();
        assert_eq!(disk_bytes(folder.path()).unwrap(), once);
    }
}
