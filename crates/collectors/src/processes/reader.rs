//! Reads the table of processes, as a person looks at it: every two seconds or so, while somebody does.

use std::collections::{HashMap, HashSet};

use super::meter::IoMeter;
use super::program::program_name;
use super::scan::ProcFolder;
use super::scrub;
use super::stat::{Io, ProcessStat, TICKS_PER_SECOND};
use super::table::{ProcessRow, ProcessTable};
use super::users::Users;
use crate::file::read;
use crate::roots::Roots;

/// Most rows of a table.
pub(crate) const MAX_ROWS: usize = 500;
/// In how many readings the user and the command line of a process are looked up once.
const IDENTITY_ROUNDS: u64 = 15;
/// The start of the host is computed from two clocks; it is another one only if it moved further than
/// this, in milliseconds.
const BOOT_TOLERANCE_MS: i64 = 1_000;

/// Reads tables of processes; each is compared with the one before it.
///
/// ```
/// use muster_collectors::{ProcessReader, Roots};
///
/// let mut reader = ProcessReader::new(&Roots::default());
/// let table = reader.read(1_795_335_136_731, 0);
/// assert!(table.rows.iter().any(|row| row.pid == std::process::id()));
/// ```
#[derive(Debug)]
pub struct ProcessReader {
    roots: Roots,
    folder: ProcFolder,
    users: Users,
    known: HashMap<u32, Known>,
    shows_arguments: bool,
    round: u64,
    last_ms: Option<i64>,
    boot_ms: Option<i64>,
    page_bytes: u64,
}

#[derive(Debug)]
struct Known {
    start_ticks: u64,
    cpu_ticks: u64,
    io: IoMeter,
    round: u64,
    comm: Vec<u8>,
    identity: Option<Identity>,
}

/// What is dear to ask and seldom changes.
#[derive(Debug, Clone)]
struct Identity {
    user: u32,
    program: String,
    command: String,
}

/// A process of this reading; `row` lacks its identity.
#[derive(Debug)]
struct Seen {
    row: ProcessRow,
    is_kernel_thread: bool,
}

impl ProcessReader {
    /// A reader that has seen nothing yet.
    pub fn new(roots: &Roots) -> Self {
        Self {
            roots: roots.clone(),
            folder: ProcFolder::new(roots.proc.clone()),
            users: Users::new(roots.rootfs.join("etc/passwd")),
            known: HashMap::new(),
            shows_arguments: true,
            round: 0,
            last_ms: None,
            boot_ms: None,
            page_bytes: rustix::param::page_size() as u64,
        }
    }

    /// Whether the rows hold the arguments of the commands, which they do at first.
    pub fn show_arguments(&mut self, shown: bool) {
        self.shows_arguments = shown;
        for known in self.known.values_mut() {
            known.identity = None;
        }
    }

    /// Reads all processes; `now_ms` is the wall clock, `monotonic_ms` the monotonic one. Where there is
    /// no `/proc`, the table is empty.
    pub fn read(&mut self, now_ms: i64, monotonic_ms: i64) -> ProcessTable {
        self.round += 1;
        let uptime_s = self.uptime_s().unwrap_or_default();
        self.set_boot(now_ms - (uptime_s * 1e3) as i64);
        let since_last_s = self.last_ms.map(|last| (monotonic_ms - last) as f64 / 1e3);
        self.last_ms = Some(monotonic_ms);
        let mut seen = self.scan(uptime_s, since_last_s);
        self.known.retain(|_, known| known.round == self.round);
        let chosen = choose(&seen, MAX_ROWS);
        let truncated = seen.len() - chosen.len();
        self.users.refresh();
        let mut at = 0;
        seen.retain(|_| {
            at += 1;
            chosen.contains(&(at - 1))
        });
        let mut rows: Vec<ProcessRow> =
            seen.into_iter().map(|seen| self.identified(seen)).collect();
        rows.sort_by(|a, b| {
            let by_cpu = b.cpu_ratio.total_cmp(&a.cpu_ratio);
            by_cpu.then(b.memory_bytes.cmp(&a.memory_bytes)).then(a.pid.cmp(&b.pid))
        });
        ProcessTable { timestamp_ms: now_ms, rows, truncated }
    }

    fn scan(&mut self, uptime_s: f64, since_last_s: Option<f64>) -> Vec<Seen> {
        let mut seen = Vec::with_capacity(self.known.len());
        let Self { known, round, boot_ms, page_bytes, .. } = self;
        let boot_ms = boot_ms.unwrap_or_default();
        let result = self.folder.scan(|stat, details| {
            let known = known.entry(stat.pid).or_insert_with(|| Known::new(stat));
            if known.start_ticks != stat.start_ticks {
                *known = Known::new(stat);
            }
            let is_new = known.round == 0;
            known.round = *round;
            if known.comm != stat.comm {
                stat.comm.clone_into(&mut known.comm);
                known.identity = None;
            }
            let life_s = uptime_s - stat.start_ticks as f64 / TICKS_PER_SECOND;
            let seconds = match since_last_s {
                Some(seconds) if !is_new => seconds,
                _ => life_s,
            };
            // Less than a tick cannot be told from nothing.
            let seconds = seconds.max(1.0 / TICKS_PER_SECOND);
            let ticks = stat.cpu_ticks.saturating_sub(known.cpu_ticks);
            known.cpu_ticks = stat.cpu_ticks;
            let moved = known.io.read(stat, *round, details);
            let rate = |of: fn(Io) -> u64| moved.map(|io| of(io) as f64 / seconds);
            let row = ProcessRow {
                pid: stat.pid,
                parent: stat.parent,
                user: String::new(),
                program: String::new(),
                command: String::new(),
                state: char::from(stat.state),
                threads: stat.threads,
                started_ms: boot_ms + (stat.start_ticks as f64 / TICKS_PER_SECOND * 1e3) as i64,
                cpu_ratio: ticks as f64 / TICKS_PER_SECOND / seconds,
                memory_bytes: stat.resident_pages.saturating_mul(*page_bytes),
                read_bytes_per_second: rate(|io| io.read),
                written_bytes_per_second: rate(|io| io.written),
            };
            seen.push(Seen { row, is_kernel_thread: stat.is_kernel_thread() });
        });
        if let Err(error) = result {
            tracing::warn!(%error, "the processes could not be read");
        }
        seen
    }

    /// The row with its user, program and command.
    fn identified(&mut self, seen: Seen) -> ProcessRow {
        let Seen { row, is_kernel_thread } = seen;
        let is_turn = u64::from(row.pid).wrapping_add(self.round).is_multiple_of(IDENTITY_ROUNDS);
        let known = self.known.get_mut(&row.pid).expect("what was seen is known");
        if known.identity.is_none() || is_turn {
            let user = user_of(&String::from_utf8_lossy(self.folder.bytes(row.pid, "status")));
            let arguments = self.folder.bytes(row.pid, "cmdline");
            let program = if is_kernel_thread {
                String::from_utf8_lossy(&known.comm).into_owned()
            } else {
                program_name(&known.comm, arguments)
            };
            let command =
                if self.shows_arguments { scrub::command_line(arguments) } else { program.clone() };
            let command = if arguments.is_empty() { format!("[{program}]") } else { command };
            // A process that has just ended keeps the user that it had.
            let before = known.identity.as_ref().map(|identity| identity.user);
            let user = user.or(before).unwrap_or_default();
            known.identity = Some(Identity { user, program, command });
        }
        let identity = known.identity.clone().expect("it was just looked up");
        let Identity { user, program, command } = identity;
        ProcessRow { user: self.users.name(user), program, command, ..row }
    }

    fn uptime_s(&self) -> Option<f64> {
        let path = self.roots.proc.join("uptime");
        let uptime = read(&path, |text| {
            Ok(text.split_ascii_whitespace().next().and_then(|word| word.parse::<f64>().ok()))
        });
        uptime.ok().flatten().flatten().filter(|seconds| seconds.is_finite())
    }

    fn set_boot(&mut self, boot_ms: i64) {
        if self.boot_ms.is_none_or(|known| (known - boot_ms).abs() > BOOT_TOLERANCE_MS) {
            self.boot_ms = Some(boot_ms);
        }
    }
}

impl Known {
    fn new(stat: &ProcessStat<'_>) -> Self {
        Self {
            start_ticks: stat.start_ticks,
            cpu_ticks: 0,
            io: IoMeter::default(),
            round: 0,
            comm: stat.comm.to_owned(),
            identity: None,
        }
    }
}

/// As whom a process acts: the second number behind `Uid:` in its status.
fn user_of(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The places of at most `most` processes: in turn the next one by CPU, by memory and by I/O.
fn choose(seen: &[Seen], most: usize) -> HashSet<usize> {
    if seen.len() <= most {
        return (0..seen.len()).collect();
    }
    let by = |value: fn(&ProcessRow) -> f64| {
        let mut order: Vec<usize> = (0..seen.len()).collect();
        order.sort_by(|a, b| value(&seen[*b].row).total_cmp(&value(&seen[*a].row)));
        order
    };
    let orders = [
        by(|row| row.cpu_ratio),
        by(|row| row.memory_bytes as f64),
        by(|row| {
            let [read, written] = [row.read_bytes_per_second, row.written_bytes_per_second];
            read.unwrap_or_default() + written.unwrap_or_default()
        }),
    ];
    let mut chosen = HashSet::new();
    for place in 0..seen.len() {
        for order in &orders {
            if chosen.len() == most {
                return chosen;
            }
            chosen.insert(order[place]);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    struct Host {
        folder: tempfile::TempDir,
        reader: ProcessReader,
    }

    impl Host {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            fs::create_dir(path.join("etc")).unwrap();
            fs::write(path.join("etc/passwd"), "root:x:0:0\nwww:x:33:33\n").unwrap();
            fs::write(path.join("uptime"), "1000.00 5.00\n").unwrap();
            let reader = ProcessReader::new(&Roots::new(path, path, path));
            Self { folder, reader }
        }

        fn process(&self, pid: u32, comm: &str, ticks: u64, start: u64, pages: u64) {
            let folder = self.folder.path().join(pid.to_string());
            fs::create_dir_all(&folder).unwrap();
            let line = format!(
                "{pid} ({comm}) R 1 1 1 0 -1 0 5 6 0 8 {ticks} 0 9 9 20 0 3 0 {start} 1 {pages} 1\n"
            );
            fs::write(folder.join("stat"), line).unwrap();
            fs::write(folder.join("status"), "Name:\tx\nUid:\t0\t33\t33\t33\n").unwrap();
        }

        fn file(&self, pid: u32, name: &str, text: &str) {
            fs::write(self.folder.path().join(pid.to_string()).join(name), text).unwrap();
        }
    }

    #[test]
    fn rows_tell_what_happened_since_the_last_table() {
        let mut host = Host::new();
        host.process(7, "server", 5_000, 50_000, 10);
        host.file(7, "cmdline", "/srv/server\0--token\0abc\0");
        host.file(7, "io", "read_bytes: 500\nwrite_bytes: 0\n");
        host.process(8, "idle", 0, 90_000, 10);
        let first = host.reader.read(2_000_000, 10_000);
        let row = &first.rows[0];
        assert_eq!((row.pid, row.parent, row.threads, row.state), (7, 1, 3, 'R'));
        assert_eq!((&*row.user, &*row.program), ("www", "server"));
        assert_eq!(row.command, "/srv/server --token ***");
        // Over its life of 500 s: 50 s of CPU, 500 bytes.
        assert_eq!((row.cpu_ratio, row.read_bytes_per_second), (0.1, Some(1.0)));
        // The host started 1,000 s before now, the process 500 s later.
        assert_eq!(row.started_ms, 1_500_000);
        assert_eq!(row.memory_bytes, 10 * host.reader.page_bytes);
        assert_eq!(
            (&*first.rows[1].command, first.rows[1].read_bytes_per_second),
            ("[idle]", None)
        );
        host.process(7, "server", 5_100, 50_000, 10);
        host.file(7, "io", "read_bytes: 700\nwrite_bytes: 20\n");
        host.reader.show_arguments(false);
        let second = host.reader.read(2_002_000, 12_000);
        let row = &second.rows[0];
        assert_eq!((row.cpu_ratio, &*row.command), (0.5, "server"));
        assert_eq!(row.read_bytes_per_second, Some(100.0));
        assert_eq!(row.written_bytes_per_second, Some(10.0));
    }

    #[test]
    fn a_number_that_is_used_again_and_an_exec_are_seen() {
        let mut host = Host::new();
        host.process(7, "a", 5_000, 50_000, 10);
        host.reader.read(0, 0);
        host.process(7, "b", 100, 99_000, 10);
        let table = host.reader.read(2_000, 2_000);
        assert_eq!((&*table.rows[0].program, table.rows[0].cpu_ratio), ("b", 0.1));
        host.process(7, "c", 100, 99_000, 10);
        assert_eq!(host.reader.read(4_000, 4_000).rows[0].program, "c");
        fs::remove_dir_all(host.folder.path().join("7")).unwrap();
        assert!(host.reader.read(6_000, 6_000).rows.is_empty());
        assert!(host.reader.known.is_empty());
    }

    #[test]
    fn of_very_many_the_busiest_are_shown() {
        let mut host = Host::new();
        for pid in 1..=600 {
            host.process(pid, "small", 0, 50_000, 1);
        }
        host.process(100, "busy", 50_000, 50_000, 1);
        host.process(200, "large", 0, 50_000, 1_000);
        host.process(300, "writer", 0, 50_000, 1);
        host.file(300, "io", "read_bytes: 0\nwrite_bytes: 9000000\n");
        let table = host.reader.read(0, 0);
        assert_eq!((table.rows.len(), table.truncated), (500, 100));
        assert_eq!(table.rows[0].program, "busy");
        assert_eq!(table.rows[1].program, "large");
        assert!(table.rows.iter().any(|row| row.program == "writer"));
    }

    #[test]
    fn a_machine_without_processes_has_an_empty_table() {
        let nowhere = Path::new("/nonexistent");
        let table = ProcessReader::new(&Roots::new(nowhere, nowhere, nowhere)).read(5, 0);
        assert_eq!(table, ProcessTable { timestamp_ms: 5, ..ProcessTable::default() });
    }
}
