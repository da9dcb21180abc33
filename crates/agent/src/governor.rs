//! How slow the agent has to go so that it costs its host no more than it may: pure.
//!
//! Every ten seconds it judges what the agent has used and how the host is. Above the limit it raises the level (see
//! [`Schedule::slow_down`](crate::schedule::Schedule::slow_down)); a host that cannot even run the agent in time, or whose
//! memory thrashes, raises it too, but only so far that what happens there is still seen. It lowers the level once
//! the next lower one would fit, and waits longer each time that this was wrong.

use crate::schedule::SLOWEST;

/// From one judgement to the next.
const WINDOW_MS: i64 = 10_000;
/// A tick later than this is a sign that the host does not let the agent run.
const LATE_MS: i64 = 500;
/// So many late ticks of a window are proof of it; while tasks wait for a processor all the time one is.
const LATE_TICKS: u32 = 3;
/// Share of time in which some task waits for a processor, in percent, that counts as all the time.
const CPU_WAITING: f64 = 80.0;
/// Share of time in which no task goes on for want of memory, in percent, that counts as thrashing.
const MEMORY_STALLED: f64 = 40.0;
/// A starved host is looked at half as often as configured, not less: just now it is worth looking at.
const STARVED_LEVEL: u32 = 2;
/// The next lower level must fit into this part of the limit.
const HEADROOM: f64 = 0.8;
/// How long all must be well before the level is lowered: at first, and at most.
const FIRST_PATIENCE_MS: i64 = 60_000;
const LONGEST_PATIENCE_MS: i64 = 3_600_000;

/// How much the tasks of the host wait, in percent of the last ten seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Pressure {
    /// Some task waited for a processor.
    pub(crate) cpu_some: f64,
    /// All tasks waited for memory.
    pub(crate) memory_full: f64,
}

impl Pressure {
    /// Reads the texts of `/proc/pressure/cpu` and `/proc/pressure/memory`; what they do not tell is 0.
    pub(crate) fn parse(cpu: &str, memory: &str) -> Self {
        Self { cpu_some: avg10(cpu, "some"), memory_full: avg10(memory, "full") }
    }
}

fn avg10(text: &str, kind: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(kind));
    let word = line.and_then(|line| line.split_whitespace().find_map(|w| w.strip_prefix("avg10=")));
    word.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Why the level has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Why {
    /// The agent takes this share of a core, which is too much.
    TooMuchCpu(f64),
    /// The host is starved of processors or memory.
    Starved,
    /// All is well again.
    Eased,
}

/// Judges window by window.
#[derive(Debug)]
pub(crate) struct Governor {
    limit_ratio: f64,
    level: u32,
    window_ms: i64,
    /// CPU time used up to the start of the window.
    window_cpu_us: i64,
    late: u32,
    /// Since when nothing has spoken against a lower level.
    calm_ms: i64,
    patience_ms: i64,
    eased_ms: Option<i64>,
}

impl Governor {
    /// Allows `limit_ratio` of a core. `cpu_us` is the CPU time that the agent has used so far, in microseconds.
    pub(crate) fn new(limit_ratio: f64, now_ms: i64, cpu_us: i64) -> Self {
        Self {
            limit_ratio,
            level: 0,
            window_ms: now_ms,
            window_cpu_us: cpu_us,
            late: 0,
            calm_ms: now_ms,
            patience_ms: FIRST_PATIENCE_MS,
            eased_ms: None,
        }
    }

    /// Allows another share of a core from now on.
    pub(crate) fn set_limit(&mut self, limit_ratio: f64) {
        self.limit_ratio = limit_ratio;
    }

    /// The present level.
    pub(crate) fn level(&self) -> u32 {
        self.level
    }

    /// A tick came so late; one that could not be served counts as one that came far too late.
    pub(crate) fn ticked(&mut self, late_ms: i64) {
        self.late += u32::from(late_ms > LATE_MS);
    }

    /// Whether it is time to judge.
    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        now_ms - self.window_ms >= WINDOW_MS
    }

    /// Judges the window that ends now. `quickening` is how many times as often would be collected one level lower.
    /// Tells why, if the level has changed.
    pub(crate) fn judge(
        &mut self,
        now_ms: i64,
        cpu_us: i64,
        pressure: Pressure,
        quickening: f64,
    ) -> Option<Why> {
        let elapsed_ms = (now_ms - self.window_ms).max(1);
        let share = (cpu_us - self.window_cpu_us) as f64 / 1e3 / elapsed_ms as f64;
        let starved = self.late >= LATE_TICKS
            || (self.late > 0 && pressure.cpu_some >= CPU_WAITING)
            || pressure.memory_full >= MEMORY_STALLED;
        (self.window_ms, self.window_cpu_us, self.late) = (now_ms, cpu_us, 0);
        if share > self.limit_ratio {
            return self.raise(now_ms, SLOWEST).then_some(Why::TooMuchCpu(share));
        }
        if starved {
            return self.raise(now_ms, STARVED_LEVEL).then_some(Why::Starved);
        }
        let calm_for_ms = now_ms - self.calm_ms;
        if self.level == 0 {
            if calm_for_ms >= LONGEST_PATIENCE_MS {
                self.patience_ms = FIRST_PATIENCE_MS;
            }
            return None;
        }
        if share > self.limit_ratio / 2.0 {
            self.calm_ms = now_ms;
            return None;
        }
        let fits = share * quickening <= self.limit_ratio * HEADROOM;
        let long_calm = calm_for_ms >= LONGEST_PATIENCE_MS;
        if !(long_calm || (fits && calm_for_ms >= self.patience_ms)) {
            return None;
        }
        self.level -= 1;
        (self.calm_ms, self.eased_ms) = (now_ms, Some(now_ms));
        Some(Why::Eased)
    }

    /// Goes one level up, if that is not above `highest`. Whether it did.
    fn raise(&mut self, now_ms: i64, highest: u32) -> bool {
        self.calm_ms = now_ms;
        if self.level >= highest {
            return false;
        }
        // Eased too early: the next time takes longer.
        if self.eased_ms.take().is_some_and(|eased_ms| now_ms - eased_ms <= 2 * self.patience_ms) {
            self.patience_ms = (self.patience_ms * 2).min(LONGEST_PATIENCE_MS);
        }
        self.level += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Pressure = Pressure { cpu_some: 5.0, memory_full: 0.0 };

    /// A host on which the agent costs `cost` of a core at level 0, half of it one level higher, and so on.
    struct Host {
        governor: Governor,
        now_ms: i64,
        cpu_us: f64,
    }

    impl Host {
        fn new() -> Self {
            Self { governor: Governor::new(0.02, 0, 0), now_ms: 0, cpu_us: 0.0 }
        }

        /// Lets windows pass. Tells the levels after each.
        fn pass(&mut self, windows: usize, cost: f64, late: u32, pressure: Pressure) -> Vec<u32> {
            let mut levels = Vec::new();
            for _ in 0..windows {
                let share = cost / f64::from(1_u32 << self.governor.level());
                self.now_ms += WINDOW_MS;
                self.cpu_us += share * WINDOW_MS as f64 * 1e3;
                (0..late).for_each(|_| self.governor.ticked(LATE_MS + 1));
                assert!(self.governor.is_due(self.now_ms));
                self.governor.judge(self.now_ms, self.cpu_us as i64, pressure, 2.0);
                levels.push(self.governor.level());
            }
            levels
        }
    }

    #[test]
    fn an_agent_within_its_limit_is_left_alone() {
        assert_eq!(Host::new().pass(5, 0.019, 0, CALM), [0; 5]);
        assert_eq!(Host::new().pass(2, 0.001, 2, CALM), [0; 2], "two late ticks are no proof");
        let waiting = Pressure { cpu_some: 100.0, memory_full: 0.0 };
        assert_eq!(
            Host::new().pass(2, 0.001, 0, waiting),
            [0; 2],
            "a busy host that runs it in time"
        );
    }

    #[test]
    fn it_goes_slower_until_it_fits_and_never_slower_than_the_slowest() {
        assert_eq!(Host::new().pass(4, 0.07, 0, CALM), [1, 2, 2, 2]);
        assert_eq!(Host::new().pass(6, 9.0, 0, CALM), [1, 2, 3, 4, 4, 4]);
    }

    #[test]
    fn a_starved_host_is_spared_but_still_watched() {
        assert_eq!(Host::new().pass(4, 0.001, 3, CALM), [1, 2, 2, 2]);
        let waiting = Pressure { cpu_some: 95.0, memory_full: 0.0 };
        assert_eq!(Host::new().pass(3, 0.001, 1, waiting), [1, 2, 2]);
        let thrashing = Pressure { cpu_some: 0.0, memory_full: 60.0 };
        assert_eq!(Host::new().pass(3, 0.001, 0, thrashing), [1, 2, 2]);
    }

    #[test]
    fn it_comes_back_when_there_is_room_again_and_only_then() {
        let mut host = Host::new();
        assert_eq!(host.pass(3, 0.07, 0, CALM).last(), Some(&2));
        assert_eq!(host.pass(30, 0.06, 0, CALM), [2; 30], "one level lower would not fit");
        let back = host.pass(14, 0.004, 0, CALM);
        assert_eq!(back[..4], [2; 4], "not at once");
        assert_eq!(back.last(), Some(&0));
    }

    #[test]
    fn one_that_comes_back_too_early_again_and_again_waits_longer_and_longer() {
        let mut host = Host::new();
        let mut rises = 0;
        let mut before = 0;
        for _ in 0..360 {
            // Late just when it goes at full speed.
            let late = if host.governor.level() == 0 { 3 } else { 0 };
            let level = host.pass(1, 0.001, late, CALM)[0];
            rises += u32::from(level > before);
            before = level;
        }
        assert!((3..10).contains(&rises), "{rises} in an hour");
    }

    #[test]
    fn pressure_is_read_and_a_kernel_without_it_has_none() {
        let cpu = "some avg10=12.34 avg60=5.00 avg300=1.00 total=123\nfull avg10=9.99 avg60=0 avg300=0 total=0\n";
        let memory = "some avg10=50.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=41.50 avg60=0 avg300=0 total=1\n";
        let expected = Pressure { cpu_some: 12.34, memory_full: 41.5 };
        assert_eq!(Pressure::parse(cpu, memory), expected);
        assert_eq!(Pressure::parse("", "full avg10=odd"), Pressure::default());
    }
}
