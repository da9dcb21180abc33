//! What came of the weeks, as numbers and as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::fault::{Fault, FaultKind};
use super::pager::{Firing, Paged};

const DAY_MS: i64 = 86_400_000;

/// What came of the healthy hosts: all of it is false.
#[derive(Debug, Clone, Default)]
pub struct FleetReport {
    /// Healthy hosts.
    pub hosts: u64,
    /// Days that they were known before they were judged.
    pub known_days: u32,
    /// Days that they were judged.
    pub days: u32,
    /// Critical alerts that somebody was told of.
    pub criticals: usize,
    /// Warnings that somebody was told of.
    pub warnings: usize,
    /// The same of each day.
    pub warnings_by_day: Vec<usize>,
    /// Messages sent, those included that say that all is well again.
    pub messages: usize,
    /// Alerts by name: of the built-in rules, and of static thresholds.
    pub by_name: BTreeMap<String, [usize; 2]>,
    /// Firings of static thresholds.
    pub fixed: usize,
}

impl FleetReport {
    pub(super) fn take(&mut self, told: &[Firing], fixed: &[Firing], from_ms: i64) {
        for one in told {
            match one.severity.as_str() {
                "critical" => self.criticals += 1,
                "warning" => {
                    self.warnings += 1;
                    let day = usize::try_from((one.at_ms - from_ms) / DAY_MS);
                    if let Some(count) = day.ok().and_then(|at| self.warnings_by_day.get_mut(at)) {
                        *count += 1;
                    }
                }
                _ => continue,
            }
            self.by_name.entry(one.alert.clone()).or_default()[0] += 1;
        }
        for one in fixed {
            self.by_name.entry(one.alert.clone()).or_default()[1] += 1;
        }
        self.fixed = fixed.len();
    }

    /// Warnings that somebody was told of, a day.
    pub fn warnings_a_day(&self) -> f64 {
        self.warnings as f64 / f64::from(self.days)
    }
}

/// What came of one fault. Delays are from its begin, in milliseconds; none if it was not found.
#[derive(Debug, Clone)]
pub struct FaultReport {
    /// What kind of fault.
    pub kind: FaultKind,
    /// Until the first message that tells of it.
    pub delay_ms: Option<i64>,
    /// Until the first static threshold that tells of it fires.
    pub fixed_delay_ms: Option<i64>,
    /// The alert that told of it first.
    pub told_by: Option<String>,
    /// The names of alerts that were told before it began, or of something else.
    pub false_alerts: Vec<String>,
    /// How many such alerts static thresholds fired.
    pub fixed_false: usize,
    /// Messages sent.
    pub messages: usize,
}

impl FaultReport {
    pub(super) fn new(fault: &Fault, told: &Paged, fixed: &[Firing]) -> Self {
        let is_of = |one: &&Firing| {
            one.at_ms >= fault.from_ms && fault.kind.told_by().contains(&&*one.alert)
        };
        let counts = |one: &&Firing| one.severity != "info";
        let urgent: Vec<&Firing> = told.firings.iter().filter(counts).collect();
        let first = urgent.iter().copied().filter(is_of).min_by_key(|one| one.at_ms);
        let first_fixed = fixed.iter().filter(is_of).map(|one| one.at_ms).min();
        let others = urgent.iter().copied().filter(|one| !is_of(one));
        Self {
            kind: fault.kind,
            delay_ms: first.map(|one| one.at_ms - fault.from_ms),
            fixed_delay_ms: first_fixed.map(|at_ms| at_ms - fault.from_ms),
            told_by: first.map(|one| one.alert.clone()),
            false_alerts: others.map(|one| one.alert.clone()).collect(),
            fixed_false: fixed.iter().filter(|one| !is_of(one)).count(),
            messages: told.messages,
        }
    }

    /// By how much it was told later than the static threshold fired, in milliseconds, where both found it.
    pub fn later_ms(&self) -> Option<i64> {
        Some(self.delay_ms? - self.fixed_delay_ms?)
    }
}

/// What came of the weeks; [`fmt::Display`] gives the tables.
#[derive(Debug, Clone)]
pub struct Report {
    /// Of the healthy hosts.
    pub fleet: FleetReport,
    /// Of each fault.
    pub faults: Vec<FaultReport>,
}

impl Report {
    /// How many faults somebody was told of.
    pub fn found(&self) -> usize {
        self.faults.iter().filter(|fault| fault.delay_ms.is_some()).count()
    }

    /// The median of how much later than static thresholds faults were told, in milliseconds. A fault that only one of the
    /// two found counts as infinitely much sooner or later; one that neither found does not count.
    pub fn median_later_ms(&self) -> Option<f64> {
        let later =
            self.faults.iter().filter_map(|fault| match (fault.delay_ms, fault.fixed_delay_ms) {
                (Some(ours), Some(fixed)) => Some((ours - fixed) as f64),
                (Some(_), None) => Some(f64::NEG_INFINITY),
                (None, Some(_)) => Some(f64::INFINITY),
                (None, None) => None,
            });
        median(later.collect())
    }

    /// The same of those faults only that both found.
    pub fn median_later_of_both_ms(&self) -> Option<f64> {
        median(self.faults.iter().filter_map(FaultReport::later_ms).map(|ms| ms as f64).collect())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        return Some(values[middle]);
    }
    let (low, high) = (*values.get(middle.checked_sub(1)?)?, *values.get(middle)?);
    Some(if low == high { low } else { f64::midpoint(low, high) })
}

/// What the tables rest on.
const HEAD: &str = "\
Healthy hosts are sampled and judged once a minute, with a forecast every 15 min; hosts with a fault every 15 s
from two hours before it on, with a forecast every 5 min. Ours: what somebody is told of, by the default
routes, critical or warning. Static: thresholds and times of the collection awesome-prometheus-alerts, judged
at the same instants, whatever fires. A delay is the median from the fault's begin on.
";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fleet = &self.fleet;
        write!(f, "{HEAD}\n{} healthy hosts, {} days, ", fleet.hosts, fleet.days)?;
        writeln!(f, "known for {} days before:", fleet.known_days)?;
        let per_day = fleet.warnings_a_day();
        writeln!(f, "  criticals    {}\n  warnings     {}", fleet.criticals, fleet.warnings)?;
        writeln!(f, "  a day        {per_day:.2}, by day {:?}", fleet.warnings_by_day)?;
        writeln!(f, "  messages     {}", fleet.messages)?;
        writeln!(f, "  static       {} alerts", fleet.fixed)?;
        writeln!(f, "\n{:<32} {:>6} {:>6}", "alerts of healthy hosts", "ours", "static")?;
        for (name, [ours, fixed]) in &fleet.by_name {
            writeln!(f, "{name:<32} {ours:>6} {fixed:>6}")?;
        }
        write!(f, "\n{:<26} {:>4} ", "fault", "of")?;
        writeln!(f, "{ROW} | {ROW}  told by")?;
        let mut kinds: BTreeMap<FaultKind, Vec<&FaultReport>> = BTreeMap::new();
        for fault in &self.faults {
            kinds.entry(fault.kind).or_default().push(fault);
        }
        for (kind, faults) in kinds {
            write_row(f, kind.name(), &faults)?;
        }
        write_row(f, "all", &self.faults.iter().collect::<Vec<_>>())?;
        let messages: usize = self.faults.iter().map(|fault| fault.messages).sum();
        writeln!(f, "\n{messages} messages about faults")?;
        let (all, both) = (self.median_later_ms(), self.median_later_of_both_ms());
        writeln!(f, "ours minus static, median of all: {}", in_words(all))?;
        writeln!(f, "ours minus static, median of those that both found: {}", in_words(both))
    }
}

const ROW: &str = " found missed false     delay";

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, faults: &[&FaultReport]) -> fmt::Result {
    let half = |delays: Vec<i64>, wrong: usize| {
        let (found, missed) = (delays.len(), faults.len() - delays.len());
        let delay = in_words(median(delays.into_iter().map(|ms| ms as f64).collect()));
        format!(" {found:>5} {missed:>6} {wrong:>5} {delay:>9}")
    };
    let delays = faults.iter().filter_map(|one| one.delay_ms).collect();
    let ours = half(delays, faults.iter().map(|one| one.false_alerts.len()).sum());
    let delays = faults.iter().filter_map(|one| one.fixed_delay_ms).collect();
    let fixed = half(delays, faults.iter().map(|one| one.fixed_false).sum());
    write!(f, "{name:<26} {:>4} {ours} | {fixed} ", faults.len())?;
    if name != "all" {
        let names: BTreeSet<&str> =
            faults.iter().filter_map(|one| one.told_by.as_deref()).collect();
        let others: BTreeSet<&String> = faults.iter().flat_map(|one| &one.false_alerts).collect();
        names.iter().try_for_each(|name| write!(f, " {name}"))?;
        others.iter().try_for_each(|name| write!(f, " (false: {name})"))?;
    }
    writeln!(f)
}

fn in_words(ms: Option<f64>) -> String {
    match ms {
        None => "-".into(),
        Some(ms) if ms.is_infinite() => if ms > 0.0 { "missed" } else { "only ours" }.into(),
        Some(ms) if ms.abs() < 120_000.0 => format!("{:.1} s", ms / 1e3),
        Some(ms) if ms.abs() < 7_200_000.0 => format!("{:.1} min", ms / 6e4),
        Some(ms) => format!("{:.1} h", ms / 3.6e6),
    }
}
