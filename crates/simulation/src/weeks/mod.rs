//! Weeks of hosts before the real rules: what would people have been told, and when?
//!
//! 1. Healthy, busy hosts ([`habits`]) live a week in simulated time; a few more have a fault each ([`fault`]).
//! 2. What each tells ([`moment`], [`life`]) is judged by the built-in rules, over PromQL and with the real forecasts
//!    and baselines, and beside them by static thresholds as they are commonly used ([`judged`]).
//! 3. What is posted goes through the noise rules as they are by default ([`pager`]).
//! 4. The [`Report`] says what was found, missed, false, and how late ([`report`]).
//!
//! Everything follows from a seed. A week of one host is made and judged at a time, so that fleets need little memory.

mod dice;
mod fault;
mod habits;
mod history;
mod judged;
mod life;
mod moment;
mod pager;
mod report;
mod unusual;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use dice::Dice;
use fault::Fault;
pub use fault::{FAULT_KINDS, FaultKind};
use habits::MONDAY_MS;
use judged::{Posted, Rules, judge};
use life::Span;
use pager::{Firing, fired, page};
pub use report::{FaultReport, FleetReport, Report};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A fault counts as found until so long after its end.
const GRACE_MS: i64 = 15 * MINUTE_MS;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Weeks {
    /// The same seed gives the same weeks.
    pub seed: u64,
    /// Healthy hosts.
    pub hosts: u64,
    /// For how many days they are known, from a Monday on, before they are judged: what forecasts know of them.
    pub known_days: u32,
    /// For how many days they are judged.
    pub days: u32,
    /// Hosts with a fault, one each.
    pub faults: u64,
    /// Whether faults begin after less than a day, and slow ones are quicker: for tests.
    pub short: bool,
}

impl Weeks {
    /// Lets all hosts live. It takes minutes, of all processors.
    pub fn run(self) -> Report {
        let healthy = on_all_processors(self.hosts, |number| self.live_healthy(number));
        let (built_in, fixed): (Vec<_>, Vec<_>) = healthy.into_iter().unzip();
        let mut fleet = FleetReport {
            hosts: self.hosts,
            days: self.days,
            known_days: self.known_days,
            warnings_by_day: vec![0; self.days as usize],
            ..Default::default()
        };
        let span = self.healthy_span();
        let paged = page(built_in.concat(), span.end_ms);
        fleet.messages = paged.messages;
        fleet.take(&paged.firings, &fixed.concat(), span.judged_from_ms);
        let faults = on_all_processors(self.faults, |number| self.live_with_fault(number));
        Report { fleet, faults }
    }

    fn healthy_span(self) -> Span {
        let judged_from_ms = MONDAY_MS + i64::from(self.known_days) * DAY_MS;
        Span {
            judged_from_ms,
            fast_from_ms: i64::MAX,
            end_ms: judged_from_ms + i64::from(self.days) * DAY_MS,
            forecast_ms: if self.short { 2 * HOUR_MS } else { 15 * MINUTE_MS },
        }
    }

    fn live_healthy(self, number: u64) -> (Vec<Posted>, Vec<Firing>) {
        let span = self.healthy_span();
        let history = life::live(self.seed, number, &format!("host-{number}"), span, None);
        let fixed = fired(&judge(&history, span, Rules::Static, None));
        (judge(&history, span, Rules::BuiltIn, None), fixed)
    }

    fn live_with_fault(self, number: u64) -> FaultReport {
        let mut dice = Dice::new(self.seed ^ 0xbad, number);
        let kind = FAULT_KINDS[number as usize % FAULT_KINDS.len()];
        let (first, last) = if self.short { (10, 14) } else { (48, 72) };
        let from_ms =
            MONDAY_MS + dice.between((first * HOUR_MS) as f64, (last * HOUR_MS) as f64) as i64;
        let fault = Fault::new(kind, from_ms, self.short, &mut dice);
        let judged_from_ms = from_ms - from_ms.rem_euclid(HOUR_MS) - 2 * HOUR_MS;
        let end_ms = fault.to_ms + GRACE_MS;
        let span = Span {
            judged_from_ms,
            fast_from_ms: judged_from_ms,
            end_ms,
            forecast_ms: if self.short { 15 * MINUTE_MS } else { 5 * MINUTE_MS },
        };
        let instance = format!("faulty-{number}");
        let history = life::live(self.seed ^ 0xbad, number, &instance, span, Some(&fault));
        let told = page(judge(&history, span, Rules::BuiltIn, fault.urgent()), end_ms);
        let fixed = fired(&judge(&history, span, Rules::Static, None));
        FaultReport::new(&fault, &told, &fixed)
    }
}

/// What `live` gives for each number below `count`, in order.
fn on_all_processors<T: Send>(count: u64, live: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed) as u64;
                    if number >= count {
                        return;
                    }
                    let one = live(number);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((number, one));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_healthy_hosts_wakes_nobody_and_faults_are_told() {
        let weeks = Weeks { seed: 7, hosts: 20, known_days: 0, days: 1, faults: 12, short: true };
        let report = weeks.run();
        assert_eq!(report.fleet.criticals, 0, "{report}");
        assert!(report.fleet.warnings <= 1, "{report}");
        assert_eq!(report.found(), 12, "{report}");
        let crash = report.faults.iter().find(|one| one.kind == FaultKind::ServiceCrash);
        assert!(crash.and_then(|one| one.delay_ms).is_some_and(|ms| ms < 2_000), "{report}");
        let death = report.faults.iter().find(|one| one.kind == FaultKind::HostDeath);
        assert!(death.and_then(|one| one.delay_ms).is_some_and(|ms| ms < 12_000), "{report}");
        assert!(report.median_later_ms().is_some_and(|ms| ms < 0.0), "{report}");
    }

    #[test]
    fn the_same_seed_gives_the_same_weeks() {
        let weeks = Weeks { seed: 3, hosts: 1, known_days: 0, days: 1, faults: 2, short: true };
        assert_eq!(weeks.run().to_string(), weeks.run().to_string());
    }
}
