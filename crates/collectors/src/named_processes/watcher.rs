//! The watcher of named processes: handles of the kernel's tell exits, a look at `/proc` each second tells starts.
//!
//! A look is cheap: the number last given to a process says whether there is a new one at all; and of those that
//! are there only new ones are read. A process soon after its start is read again, since it may execute another program; once
//! a minute all are.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::pidfd_open;

use crate::file::{attribute, names_in};
use crate::named_processes::table::SharedTable;
use crate::watch::{Change, Watcher};

/// From one look to the next, in milliseconds.
const LOOK_MS: i64 = 1_000;
/// From one look at all processes to the next, in milliseconds.
const LOOK_AT_ALL_MS: i64 = 60_000;
/// How long a process is young, in milliseconds.
const YOUNG_MS: i64 = 3_000;
/// Most processes whose exit the kernel tells; that of others is seen at the next look.
const MAX_HANDLES: usize = 200;
/// Most bytes of a command line that are matched.
const COMMAND_BYTES: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub(super) struct ProcessWatcher {
    table: SharedTable,
    proc: PathBuf,
    /// Whether `/proc` shows the processes whose numbers the kernel takes from us.
    is_own_proc: bool,
    revision: Option<u64>,
    look_at_ms: i64,
    look_at_all_ms: i64,
    /// The processes seen at the last look, and when each was first seen.
    first_seen: HashMap<u32, i64>,
    last_pid: String,
    handles: HashMap<u32, OwnedFd>,
}

impl ProcessWatcher {
    pub(super) fn new(table: SharedTable, proc: PathBuf) -> Self {
        Self {
            table,
            is_own_proc: proc == Path::new("/proc"),
            proc,
            revision: None,
            look_at_ms: i64::MIN,
            look_at_all_ms: i64::MIN,
            first_seen: HashMap::new(),
            last_pid: String::new(),
            handles: HashMap::new(),
        }
    }

    /// Begins anew if other patterns hold. Whether there are any.
    fn take_patterns(&mut self) -> bool {
        let revision = self.table.lock().revision();
        if revision != self.revision {
            self.revision = revision;
            self.first_seen.clear();
            self.handles.clear();
            self.look_at_ms = i64::MIN;
            self.look_at_all_ms = i64::MIN;
        }
        revision.is_some()
    }

    /// Takes in which of the processes with a handle have ended.
    fn take_exits(&mut self) {
        let mut ended = Vec::new();
        {
            let pids: Vec<u32> = self.handles.keys().copied().collect();
            let mut handles: Vec<PollFd<'_>> =
                self.handles.values().map(|handle| PollFd::new(handle, PollFlags::IN)).collect();
            if poll(&mut handles, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok() {
                let readable = handles.iter().map(|handle| !handle.revents().is_empty());
                ended.extend(pids.into_iter().zip(readable).filter(|(_, readable)| *readable));
            }
        }
        for (pid, _) in ended {
            self.handles.remove(&pid);
            self.first_seen.remove(&pid);
            self.table.lock().ended(pid);
        }
    }

    fn look(&mut self, monotonic_ms: i64) {
        let all = self.look_at_all_ms <= monotonic_ms;
        let last_pid = attribute(&self.proc.join("loadavg")).unwrap_or_default();
        let last_pid = last_pid.rsplit(' ').next().unwrap_or_default().to_owned();
        let is_young = |first_ms: &i64| monotonic_ms - first_ms < YOUNG_MS;
        let nothing_new = last_pid == self.last_pid && !last_pid.is_empty();
        let handles_tell_all = self.handles.len() < MAX_HANDLES && self.is_own_proc;
        if !all && nothing_new && handles_tell_all && !self.first_seen.values().any(is_young) {
            return;
        }
        self.last_pid = last_pid;
        let boot_seconds = boot_seconds(&self.proc);
        let mut seen = HashMap::with_capacity(self.first_seen.len());
        for name in names_in(&self.proc) {
            let Ok(pid) = name.parse::<u32>() else { continue };
            let first_ms = self.first_seen.get(&pid).copied();
            // Those that were there before the first look are not young.
            let unseen_ms = if all { monotonic_ms - YOUNG_MS } else { monotonic_ms };
            seen.insert(pid, first_ms.unwrap_or(unseen_ms));
            if all || first_ms.is_none_or(|first_ms| is_young(&first_ms)) {
                self.look_at(pid, boot_seconds);
            }
        }
        if all {
            self.look_at_all_ms = monotonic_ms + LOOK_AT_ALL_MS;
        }
        self.table.lock().looked_at_all(|pid| seen.contains_key(&pid));
        self.handles.retain(|pid, _| seen.contains_key(pid));
        self.first_seen = seen;
    }

    fn look_at(&mut self, pid: u32, boot_seconds: f64) {
        // The agent's own command line holds the patterns.
        if self.is_own_proc && pid == std::process::id() {
            return;
        }
        let folder = self.proc.join(pid.to_string());
        let Some((program, start_ticks)) = program_and_start(&folder) else {
            return;
        };
        let mut command = fs::read(folder.join("cmdline")).unwrap_or_default();
        command.truncate(COMMAND_BYTES);
        let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
        let start = (start_ticks, boot_seconds + start_ticks as f64 / ticks_per_second());
        if !self.table.lock().seen(pid, start, &program, &command) {
            self.handles.remove(&pid);
        } else if !self.handles.contains_key(&pid) {
            self.follow(pid, &folder, start_ticks);
        }
    }

    /// Asks the kernel to tell the exit of a process, if it still is the one that was read.
    fn follow(&mut self, pid: u32, folder: &Path, start_ticks: u64) {
        if !self.is_own_proc || self.handles.len() >= MAX_HANDLES {
            return;
        }
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(Ok(handle)) = raw.map(|raw| pidfd_open(raw, PidfdFlags::empty())) else {
            return;
        };
        if program_and_start(folder).is_some_and(|(_, start)| start == start_ticks) {
            self.handles.insert(pid, handle);
        }
    }
}

impl Watcher for ProcessWatcher {
    fn name(&self) -> &'static str {
        "named_process"
    }

    fn wakers(&self) -> Vec<BorrowedFd<'_>> {
        self.handles.values().map(|handle| handle.as_fd()).collect()
    }

    fn deadline_ms(&self) -> i64 {
        if self.revision.is_some() { self.look_at_ms } else { i64::MAX }
    }

    fn poll(&mut self, now_ms: i64, monotonic_ms: i64) -> Vec<Change> {
        if !self.take_patterns() {
            return Vec::new();
        }
        self.take_exits();
        if self.look_at_ms <= monotonic_ms {
            self.look_at_ms = monotonic_ms + LOOK_MS;
            self.look(monotonic_ms);
        }
        self.table.lock().take_changes(now_ms)
    }
}

/// The program of a process and when it started, in ticks since the host's start; `None` once it has ended.
fn program_and_start(folder: &Path) -> Option<(String, u64)> {
    parse_stat(&attribute(&folder.join("stat"))?)
}

/// `/proc/PID/stat`: the program stands in parentheses and may hold any character; the state is after it, the start the 20th after that.
fn parse_stat(text: &str) -> Option<(String, u64)> {
    let (before, after) = text.rsplit_once(')')?;
    let (_, program) = before.split_once('(')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?;
    // One that has ended and waits for its parent does nothing any more.
    if matches!(state, "Z" | "X") {
        return None;
    }
    let start = fields.nth(18)?.parse().ok()?;
    Some((program.to_owned(), start))
}

/// When the host started, in seconds since 1970; 0 if the kernel does not say.
fn boot_seconds(proc: &Path) -> f64 {
    let text = attribute(&proc.join("stat")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0)
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::settings::{NamedPattern, Pattern};

    #[test]
    fn the_program_may_hold_anything() {
        let zeros = "0 ".repeat(18);
        let stat = |state: &str| format!("42 (tmux: ) (a) {state} {zeros} 777 0 0");
        assert_eq!(parse_stat(&stat("S")), Some(("tmux: ) (a".into(), 777)));
        assert_eq!(parse_stat(&stat("Z")), None);
        assert_eq!(parse_stat("42 (a"), None);
        assert_eq!(parse_stat(""), None);
    }

    /// Ends a child, whatever becomes of the test.
    struct Sleeper(Child);

    impl Sleeper {
        fn start(seconds: &str) -> Self {
            Self(Command::new("sleep").arg(seconds).spawn().unwrap())
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Polls as the agent's thread does, until the series has this value.
    #[track_caller]
    fn wait_for(watcher: &mut ProcessWatcher, metric: &str, expected: f64) -> Instant {
        let started = Instant::now();
        while started.elapsed() < Duration::from_mins(1) {
            let monotonic_ms = started.elapsed().as_millis() as i64;
            for change in watcher.poll(1, monotonic_ms) {
                let is_it = |(labels, value): &(muster_series::Labels, f64)| {
                    labels.metric_name() == Some(metric) && *value == expected
                };
                if change.samples.iter().any(is_it) {
                    return Instant::now();
                }
            }
            let mut wakers: Vec<PollFd<'_>> = watcher
                .wakers()
                .into_iter()
                .map(|waker| PollFd::from_borrowed_fd(waker, PollFlags::IN))
                .collect();
            let due_ms = watcher.deadline_ms().saturating_sub(monotonic_ms).clamp(0, LOOK_MS);
            let due = Timespec { tv_sec: due_ms / 1_000, tv_nsec: due_ms % 1_000 * 1_000_000 };
            let _ = poll(&mut wakers, Some(&due));
        }
        panic!("{metric} never was {expected}");
    }

    #[test]
    fn a_start_is_seen_and_an_exit_told() {
        // A number of seconds that no other process here sleeps.
        let seconds = format!("9{}", std::process::id());
        let table = SharedTable::default();
        let pattern = Pattern::anywhere(&format!("^sleep {seconds}$")).unwrap();
        table.lock().set_patterns(&[NamedPattern { name: "sleeper".into(), pattern }]);
        let mut watcher = ProcessWatcher::new(table.clone(), "/proc".into());
        wait_for(&mut watcher, "muster_named_processes", 0.0);
        let sleeper = Sleeper::start(&seconds);
        wait_for(&mut watcher, "muster_named_processes", 1.0);
        assert_eq!(watcher.handles.len(), 1);
        drop(sleeper);
        wait_for(&mut watcher, "muster_named_process_exits_total", 1.0);
        assert!(watcher.handles.is_empty());
        table.lock().set_patterns(&[]);
        watcher.poll(1, 0);
        assert_eq!(watcher.deadline_ms(), i64::MAX);
    }
}
