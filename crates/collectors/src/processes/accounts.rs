//! What each program has used: from readings of single processes to counters that only rise.
//!
//! Every process is compared with its last reading, and the difference goes to its program if that has
//! a name of its own, else to the others. So what a process used stays counted when it ends, and a
//! program that gets a name starts from 0. What a process did that began and ended between two readings
//! is not seen.
//!
//! A process that has done nothing for a minute is looked at in every third reading only, in which what it
//! did meanwhile is found: on most hosts nearly all are such, and a line costs more than all the rest.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::meter::IoMeter;
use super::naming::{Naming, OTHER, Usage};
use super::program::{needs_command_line, program_name};
use super::scan::Details;
use super::stat::{Io, ProcessStat, TICKS_PER_SECOND};

/// How much of the last reading counts in a smoothed use; the rest is what came before.
const SMOOTHING: f64 = 0.3;

/// A process that has used no CPU time in this many readings is taken for idle.
const IDLE_ROUNDS: u32 = 6;
/// In how many readings an idle process is looked at once.
const IDLE_TURN: u64 = 3;

/// What a program has and had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Totals {
    /// CPU time since the program was named, in hundredths of a second.
    pub(crate) cpu_ticks: u64,
    /// Bytes since the program was named; to be told only where `io_is_known`.
    pub(crate) io: Io,
    /// Whether the kernel tells the I/O of each of its processes.
    pub(crate) io_is_known: bool,
    /// Pages in RAM now; what processes share counts for each.
    pub(crate) resident_pages: u64,
    /// Processes now.
    pub(crate) processes: u64,
    /// Threads now.
    pub(crate) threads: u64,
}

/// What is known of no process.
const NOTHING: Totals = Totals {
    cpu_ticks: 0,
    io: Io { read: 0, written: 0 },
    io_is_known: true,
    resident_pages: 0,
    processes: 0,
    threads: 0,
};

impl Totals {
    /// Forgets what is, not what was.
    fn begin(&mut self) {
        *self = Self { cpu_ticks: self.cpu_ticks, io: self.io, ..NOTHING };
    }

    fn add(&mut self, more: &Self) {
        self.cpu_ticks = self.cpu_ticks.saturating_add(more.cpu_ticks);
        self.io.add(more.io);
        self.io_is_known &= more.io_is_known;
        self.resident_pages += more.resident_pages;
        self.processes += more.processes;
        self.threads += more.threads;
    }
}

#[derive(Debug)]
struct Program {
    name: Arc<str>,
    /// How many known processes run it.
    live: usize,
    /// Of this reading only.
    round: Totals,
    usage: Usage,
    /// Since it was named; `None` without a name.
    named: Option<Totals>,
}

#[derive(Debug)]
struct Known {
    comm: Box<[u8]>,
    start_ticks: u64,
    cpu_ticks: u64,
    io: IoMeter,
    /// Its place among the programs.
    program: usize,
    round: u64,
    /// In how many readings in a row it has used no CPU time.
    idle_rounds: u32,
    /// What it had when it was last looked at, and nothing that it did.
    had: Totals,
    /// CPU time that it has used in this reading.
    used_ticks: u64,
}

/// A process that uses much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Busy<'a> {
    pub(crate) pid: u32,
    pub(crate) program: &'a str,
    /// CPU time since the last reading, as a share of one core.
    pub(crate) cpu_ratio: f64,
    pub(crate) resident_pages: u64,
}

const HAS_PLACE: &str = "the program of a known process has its place";

/// The books of all programs of a host.
#[derive(Debug)]
pub(crate) struct Accounts {
    known: HashMap<u32, Known>,
    programs: Vec<Option<Program>>,
    by_name: HashMap<Arc<str>, usize>,
    others: Totals,
    naming: Naming,
    round: u64,
    last_ms: Option<i64>,
    /// How long after the one before it the last reading was, in seconds.
    seconds: Option<f64>,
    /// The start of the youngest process in this reading and in the last one.
    youngest: u64,
    last_youngest: u64,
    page_bytes: f64,
}

impl Accounts {
    /// Empty books; `page_bytes` is the size of a page of memory.
    pub(crate) fn new(page_bytes: u64) -> Self {
        Self {
            known: HashMap::new(),
            programs: Vec::new(),
            by_name: HashMap::new(),
            others: NOTHING,
            naming: Naming::default(),
            round: 0,
            last_ms: None,
            seconds: None,
            youngest: 0,
            last_youngest: 0,
            page_bytes: page_bytes as f64,
        }
    }

    /// Begins a reading.
    pub(crate) fn begin(&mut self) {
        self.round += 1;
        self.last_youngest = self.youngest;
        for program in self.programs.iter_mut().flatten() {
            program.round = NOTHING;
        }
    }

    /// Whether a process need not be looked at in this reading, as it is idle: then it is noted as it was.
    pub(crate) fn takes_for_idle(&mut self, pid: u32) -> bool {
        let is_turn = u64::from(pid).wrapping_add(self.round).is_multiple_of(IDLE_TURN);
        match self.known.get_mut(&pid) {
            Some(known) if known.idle_rounds >= IDLE_ROUNDS && !is_turn => {
                known.round = self.round;
                known.used_ticks = 0;
                let program = self.programs[known.program].as_mut();
                program.expect(HAS_PLACE).round.add(&known.had);
                true
            }
            _ => false,
        }
    }

    /// Notes a process; what else is needed of it is asked of `details`.
    pub(crate) fn observe(&mut self, stat: &ProcessStat<'_>, details: &mut dyn Details) {
        if stat.is_kernel_thread() {
            return;
        }
        self.youngest = self.youngest.max(stat.start_ticks);
        let round = self.round;
        let is_same = self.known.get(&stat.pid).is_some_and(|k| k.start_ticks == stat.start_ticks);
        if !is_same {
            self.forget(stat.pid);
            let program = self.program_of(stat, details);
            let known = Known {
                comm: stat.comm.into(),
                start_ticks: stat.start_ticks,
                cpu_ticks: 0,
                io: IoMeter::default(),
                program,
                round,
                idle_rounds: 0,
                had: NOTHING,
                used_ticks: 0,
            };
            self.known.insert(stat.pid, known);
        } else if self.known.get(&stat.pid).is_some_and(|known| *known.comm != *stat.comm) {
            // It runs another program now, or has renamed itself.
            let program = self.program_of(stat, details);
            let known = self.known.get_mut(&stat.pid).expect("the process is known");
            known.comm = stat.comm.into();
            let before = std::mem::replace(&mut known.program, program);
            self.release(before);
        }
        let known = self.known.get_mut(&stat.pid).expect("the process is known");
        known.round = round;
        let moved = known.io.read(stat, round, details);
        // What a process used before the agent looked for the first time is not this agent's to count.
        let began_unseen = !is_same && (round == 1 || stat.start_ticks < self.last_youngest);
        let cpu_ticks = stat.cpu_ticks.saturating_sub(known.cpu_ticks);
        known.cpu_ticks = stat.cpu_ticks;
        let more = Totals {
            cpu_ticks: if began_unseen { 0 } else { cpu_ticks },
            io: if began_unseen { Io::default() } else { moved.unwrap_or_default() },
            io_is_known: moved.is_some(),
            resident_pages: stat.resident_pages,
            processes: 1,
            threads: u64::from(stat.threads),
        };
        let program = self.programs[known.program].as_mut();
        program.expect(HAS_PLACE).round.add(&more);
        known.idle_rounds = if cpu_ticks == 0 { known.idle_rounds + 1 } else { 0 };
        known.used_ticks = more.cpu_ticks;
        known.had = Totals { cpu_ticks: 0, io: Io::default(), ..more };
    }

    /// Ends a reading at `now_ms`, which is monotonic: books what was used.
    pub(crate) fn finish(&mut self, now_ms: i64) {
        let round = self.round;
        let ended: Vec<u32> = self
            .known
            .iter()
            .filter(|(_, known)| known.round != round)
            .map(|(pid, _)| *pid)
            .collect();
        for pid in ended {
            self.forget(pid);
        }
        let seconds = self.last_ms.map(|last| (now_ms - last) as f64 / 1e3);
        self.last_ms = Some(now_ms);
        self.seconds = seconds.filter(|seconds| *seconds > 0.0);
        for program in self.programs.iter_mut().flatten() {
            program.smooth(seconds, self.page_bytes);
        }
        let usages: Vec<(Arc<str>, Usage)> =
            self.programs.iter().flatten().map(|p| (Arc::clone(&p.name), p.usage)).collect();
        self.naming.decide(&usages, now_ms);
        self.others.begin();
        for place in 0..self.programs.len() {
            self.book(place);
        }
    }

    /// Adds what a program did in this reading to its own totals or to the others'.
    fn book(&mut self, place: usize) {
        let Some(program) = &mut self.programs[place] else { return };
        if self.naming.is_named(&program.name) {
            let totals = program.named.get_or_insert(NOTHING);
            let io_was_known = totals.io_is_known;
            totals.begin();
            totals.add(&program.round);
            // When all its processes have ended, what was known of them stays known.
            totals.io_is_known &= program.round.processes > 0 || io_was_known;
            return;
        }
        program.named = None;
        self.others.add(&program.round);
        if program.live == 0 {
            self.by_name.remove(&program.name);
            self.programs[place] = None;
        }
    }

    /// The programs with names of their own, and at the end the others.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (&str, &Totals)> {
        let named = self.programs.iter().flatten();
        named
            .filter_map(|program| Some((&*program.name, program.named.as_ref()?)))
            .chain((self.round > 0).then_some((OTHER, &self.others)))
    }

    /// The `most` processes that use most CPU time, and the `most` that have most memory, each once. None after the first
    /// reading, which cannot tell what is used now.
    pub(crate) fn busiest(&self, most: usize) -> Vec<Busy<'_>> {
        let Some(seconds) = self.seconds else { return Vec::new() };
        let mut by_memory: Vec<(&u32, &Known)> = self.known.iter().collect();
        let mut chosen: Vec<(&u32, &Known)> =
            by_memory.iter().copied().filter(|(_, known)| known.used_ticks > 0).collect();
        chosen.sort_unstable_by_key(|(pid, known)| (Reverse(known.used_ticks), **pid));
        chosen.truncate(most);
        by_memory.sort_unstable_by_key(|(pid, known)| (Reverse(known.had.resident_pages), **pid));
        by_memory.truncate(most);
        by_memory.retain(|(pid, _)| !chosen.iter().any(|(other, _)| other == pid));
        chosen.append(&mut by_memory);
        let busy = |(pid, known): (&u32, &Known)| Busy {
            pid: *pid,
            program: self.programs[known.program].as_ref().map_or(OTHER, |program| &program.name),
            cpu_ratio: known.used_ticks as f64 / TICKS_PER_SECOND / seconds,
            resident_pages: known.had.resident_pages,
        };
        chosen.iter().map(|(pid, known)| busy((pid, known))).collect()
    }

    /// The place of the program that a process runs, which has one process more from now on.
    fn program_of(&mut self, stat: &ProcessStat<'_>, details: &mut dyn Details) -> usize {
        let command_line =
            if needs_command_line(stat.comm) { details.command_line(stat.pid) } else { &[] };
        let name = program_name(stat.comm, command_line);
        let place = match self.by_name.get(name.as_str()) {
            Some(place) => *place,
            None => self.add_program(name.into()),
        };
        let program = self.programs[place].as_mut().expect("a name leads to a program");
        program.live += 1;
        place
    }

    fn add_program(&mut self, name: Arc<str>) -> usize {
        let program = Program {
            name: Arc::clone(&name),
            live: 0,
            round: NOTHING,
            usage: Usage::default(),
            named: None,
        };
        let free = self.programs.iter().position(Option::is_none);
        let place = free.unwrap_or(self.programs.len());
        if free.is_none() {
            self.programs.push(None);
        }
        self.programs[place] = Some(program);
        self.by_name.insert(name, place);
        place
    }

    fn forget(&mut self, pid: u32) {
        if let Some(known) = self.known.remove(&pid) {
            self.release(known.program);
        }
    }

    fn release(&mut self, place: usize) {
        if let Some(program) = &mut self.programs[place] {
            program.live -= 1;
        }
    }
}

impl Program {
    fn smooth(&mut self, seconds: Option<f64>, page_bytes: f64) {
        self.usage.memory = self.round.resident_pages as f64 * page_bytes;
        if let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) {
            let cpu = self.round.cpu_ticks as f64 / TICKS_PER_SECOND / seconds;
            let io = self.round.io.total() as f64 / seconds;
            self.usage.cpu += SMOOTHING * (cpu - self.usage.cpu);
            self.usage.io += SMOOTHING * (io - self.usage.io);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::super::naming::MAX_NAMES_A_DAY;
    use super::*;

    const ROUND_MS: i64 = 10_000;

    /// Tells the I/O that each process is said to have done; of a process with none it tells nothing.
    struct Told(HashMap<u32, Io>);

    impl Details for Told {
        fn command_line(&mut self, _: u32) -> &[u8] {
            &[]
        }

        fn io(&mut self, pid: u32) -> Option<Io> {
            self.0.get(&pid).copied()
        }
    }

    fn process(pid: u32, comm: &str, start_ticks: u64, cpu_ticks: u64) -> ProcessStat<'_> {
        ProcessStat {
            pid,
            comm: comm.as_bytes(),
            state: b'S',
            parent: 1,
            flags: 0,
            major_faults: 0,
            cpu_ticks,
            threads: 2,
            start_ticks,
            resident_pages: 2000,
        }
    }

    struct Host {
        accounts: Accounts,
        now_ms: i64,
    }

    impl Host {
        fn new() -> Self {
            Self { accounts: Accounts::new(4096), now_ms: 0 }
        }

        fn reading(
            &mut self,
            processes: &[(ProcessStat<'_>, Option<Io>)],
        ) -> HashMap<String, Totals> {
            self.accounts.begin();
            for (stat, io) in processes {
                if self.accounts.takes_for_idle(stat.pid) {
                    continue;
                }
                let mut details = Told(io.map(|io| (stat.pid, io)).into_iter().collect());
                self.accounts.observe(stat, &mut details);
            }
            self.accounts.finish(self.now_ms);
            self.now_ms += ROUND_MS;
            self.accounts.totals().map(|(name, totals)| (name.to_owned(), *totals)).collect()
        }
    }

    const IO: Option<Io> = Some(Io { read: 100, written: 10 });

    #[test]
    fn the_busiest_are_those_of_now_and_each_is_told_once() {
        let mut host = Host::new();
        let with_memory = |pid, ticks, resident_pages| {
            (ProcessStat { resident_pages, ..process(pid, "worker", 5, ticks) }, None)
        };
        host.reading(&[with_memory(1, 50_000, 10), with_memory(2, 0, 900)]);
        assert!(host.accounts.busiest(2).is_empty(), "one reading tells nothing of now");
        let now = [
            with_memory(1, 50_000, 10),
            with_memory(2, 100, 900),
            with_memory(3, 500, 20),
            with_memory(4, 10, 700),
        ];
        host.reading(&now);
        let told: Vec<(u32, f64, u64)> = host
            .accounts
            .busiest(2)
            .iter()
            .map(|busy| (busy.pid, busy.cpu_ratio, busy.resident_pages))
            .collect();
        assert_eq!(told, [(3, 0.5, 20), (2, 0.1, 900), (4, 0.01, 700)]);
        assert_eq!(host.accounts.busiest(1)[0].program, "worker");
    }

    #[test]
    fn what_processes_did_stays_counted_when_they_end() {
        let mut host = Host::new();
        let totals = host.reading(&[(process(1, "a", 10, 500), IO), (process(2, "a", 11, 50), IO)]);
        assert_eq!(totals["a"].cpu_ticks, 0, "what was before the agent is not counted");
        assert_eq!((totals["a"].processes, totals["a"].threads), (2, 4));
        // One has gone on, one has ended, one is new.
        let more = Some(Io { read: 1000, written: 20 });
        let totals =
            host.reading(&[(process(1, "a", 10, 600), more), (process(3, "a", 20, 7), IO)]);
        assert_eq!(totals["a"].cpu_ticks, 107);
        assert_eq!(totals["a"].io, Io { read: 1000, written: 20 });
        let totals = host.reading(&[]);
        assert_eq!((totals["a"].cpu_ticks, totals["a"].processes), (107, 0));
        assert!(totals["a"].io_is_known);
    }

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let mut host = Host::new();
        host.reading(&[(process(1, "a", 10, 500), IO)]);
        let totals = host.reading(&[(process(1, "b", 20, 400), IO)]);
        assert_eq!((totals["a"].cpu_ticks, totals["a"].processes), (0, 0));
        assert_eq!((totals["other"].cpu_ticks, totals["other"].processes), (400, 1));
    }

    #[test]
    fn a_process_that_becomes_another_program_goes_on_there() {
        let mut host = Host::new();
        host.reading(&[(process(1, "a", 10, 500), IO)]);
        let totals = host.reading(&[(process(1, "b", 10, 530), IO)]);
        assert_eq!(totals["other"].cpu_ticks, 30);
        assert_eq!(totals["a"].processes, 0);
    }

    #[test]
    fn io_that_is_not_told_is_absent_and_not_zero() {
        let mut host = Host::new();
        let totals = host.reading(&[(process(1, "a", 10, 5), IO), (process(2, "b", 10, 5), None)]);
        assert!(totals["a"].io_is_known && !totals["b"].io_is_known);
        let totals = host.reading(&[(process(1, "a", 10, 5), IO), (process(3, "a", 11, 5), None)]);
        assert!(!totals["a"].io_is_known, "it is not known of all");
    }

    #[test]
    fn an_idle_process_is_looked_at_in_turn_and_nothing_of_it_is_lost() {
        let mut host = Host::new();
        for _ in 0..12 {
            let totals = host.reading(&[(process(1, "a", 10, 500), IO)]);
            assert_eq!((totals["a"].processes, totals["a"].threads), (1, 2));
        }
        let mut after = || host.reading(&[(process(1, "a", 10, 530), IO)])["a"].cpu_ticks;
        let seen = [after(), after(), after(), after()];
        assert_eq!((seen[0], seen[3]), (0, 30), "{seen:?}");
        assert_eq!(host.reading(&[])["a"].processes, 0);
    }

    #[test]
    fn kernel_threads_are_no_program() {
        let mut host = Host::new();
        let thread = ProcessStat { flags: 0x0020_0000, ..process(2, "kthreadd", 1, 9) };
        let totals = host.reading(&[(thread, None)]);
        assert_eq!(totals.keys().collect::<Vec<_>>(), ["other"]);
        assert_eq!(totals["other"].processes, 0);
    }

    #[test]
    fn a_day_of_churn_is_bounded_in_names_and_memory() {
        let mut host = Host::new();
        let mut ever = HashSet::new();
        for round in 0..8640_u32 {
            let names: Vec<String> = (0..30).map(|at| format!("job-{}-{at}", round / 3)).collect();
            let processes: Vec<_> = names
                .iter()
                .zip(0..)
                .map(|(name, at)| {
                    let start = u64::from(round / 3 * 3) * 1000 + 1;
                    let ticks = u64::from(round % 3 + 1) * 100;
                    (process(round / 3 * 100 + at, name, start, ticks), IO)
                })
                .collect();
            ever.extend(host.reading(&processes).into_keys());
            assert_eq!(host.accounts.known.len(), 30);
            assert!(host.accounts.programs.len() <= 200, "{}", host.accounts.programs.len());
            assert_eq!(
                host.accounts.by_name.len(),
                host.accounts.programs.iter().flatten().count()
            );
        }
        // One more than the names: the others.
        assert!(ever.len() <= MAX_NAMES_A_DAY + 1, "{}", ever.len());
        assert!(host.reading(&[])["other"].cpu_ticks > 0);
    }

    proptest! {
        /// Processes come, work, exec, and end in any order: no counter falls while its program keeps its
        /// name, and all that was used since the first reading is counted exactly once.
        #[test]
        fn nothing_is_lost_and_no_counter_falls(
            rounds in prop::collection::vec(
                prop::collection::vec((0_u32..12, 0_usize..5, 1_u64..50), 0..12), 2..30),
        ) {
            const NAMES: [&str; 5] = ["a", "b", "c", "d", "other"];
            let mut host = Host::new();
            let mut running: HashMap<u32, (u64, u64)> = HashMap::new();
            let mut expected = 0;
            let mut last: HashMap<String, Totals> = HashMap::new();
            let mut clock = 0;
            for (at, events) in rounds.iter().enumerate() {
                clock += 1000;
                let mut processes = Vec::new();
                let mut seen = HashSet::new();
                for (pid, name, worked) in events {
                    if !seen.insert(*pid) {
                        continue;
                    }
                    let (start, ticks) = running.entry(*pid).or_insert((clock, 0));
                    *ticks += worked;
                    if at > 0 {
                        expected += worked;
                    }
                    let io = Some(Io { read: *ticks, written: 2 * *ticks });
                    processes.push((process(*pid, NAMES[*name], *start, *ticks), io));
                }
                running.retain(|pid, _| seen.contains(pid));
                let totals = host.reading(&processes);
                for (name, before) in &last {
                    let now = &totals[name];
                    prop_assert!(now.cpu_ticks >= before.cpu_ticks && now.io.read >= before.io.read);
                }
                let sum = |of: fn(&Totals) -> u64| totals.values().map(of).sum::<u64>();
                prop_assert_eq!(sum(|t| t.cpu_ticks), expected);
                prop_assert_eq!(sum(|t| t.io.written), 2 * expected);
                prop_assert_eq!(sum(|t| t.processes), seen.len() as u64);
                last = totals;
            }
        }
    }
}
