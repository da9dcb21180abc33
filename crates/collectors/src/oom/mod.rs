//! Processes that the kernel killed for want of memory, with their names.
//!
//! Only the kernel's log says who was killed, and it may be read by root or with `CAP_SYSLOG`, or by
//! everybody where `kernel.dmesg_restrict` is 0. Where it may not, this collector is silent, and
//! `node_vmstat_oom_kill`, `muster_container_oom_kills_total` and the results of units still say that it
//! happened. What was logged before the agent's start is not counted: counters begin with the agent.

mod kmsg;
mod victims;

use std::collections::BTreeMap;

use crate::error::CollectError;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

use kmsg::KernelLog;
use victims::{Victim, Victims};

static KILLS: Metric = Metric::counter(
    "muster_oom_kills_total",
    Unit::None,
    "Processes that the kernel killed for want of memory; unit is the systemd unit of the process, or empty.",
    &["program", "unit"],
);

/// Most different victims that are told apart; further ones count as `other`.
const MAX_VICTIMS: usize = 200;

#[derive(Debug, Default)]
struct Count {
    kills: u64,
    /// Whether the counter has been told before. It begins with 0, one reading before its first kill, so
    /// that the kill is an increase that a query can see.
    is_told: bool,
}

/// Collects the victims that the kernel's log names.
#[derive(Debug)]
pub(crate) struct Oom {
    log: KernelLog,
    victims: Victims,
    counts: BTreeMap<Victim, Count>,
}

impl Oom {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            log: KernelLog::new(roots.rootfs.join("dev/kmsg")),
            victims: Victims::default(),
            counts: BTreeMap::new(),
        }
    }

    fn count(counts: &mut BTreeMap<Victim, Count>, victim: Victim) {
        let is_full = counts.len() >= MAX_VICTIMS && !counts.contains_key(&victim);
        let victim = if is_full { Victim::other() } else { victim };
        counts.entry(victim).or_default().kills += 1;
    }
}

impl Collector for Oom {
    fn name(&self) -> &'static str {
        "oom"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&KILLS]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let Self { log, victims, counts } = self;
        log.read(sink.monotonic_ms(), |record| {
            if let Some(victim) = victims.handle_record(record) {
                Self::count(counts, victim);
            }
        });
        for (Victim { program, unit }, count) in counts {
            let kills = if count.is_told { count.kills } else { 0 };
            count.is_told = true;
            sink.push(&KILLS, &[program, unit], kills as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sink::{Collection, SeriesCache};

    #[test]
    fn victims_are_bounded() {
        let mut counts = BTreeMap::new();
        for at in 0..MAX_VICTIMS + 50 {
            let victim = Victim { program: format!("p{at}"), unit: String::new() };
            Oom::count(&mut counts, victim);
        }
        assert_eq!(counts.len(), MAX_VICTIMS + 1);
        assert_eq!(counts[&Victim::other()].kills, 50);
    }

    #[test]
    fn a_counter_begins_with_zero_before_its_first_kill() {
        let nowhere = Path::new("/nonexistent");
        let mut oom = Oom::new(&Roots::new(nowhere, nowhere, nowhere));
        let mut cache = SeriesCache::default();
        let mut next_series = 0;
        let mut value = |oom: &mut Oom| {
            let mut out = Collection::default();
            oom.collect(&mut cache.begin(&mut out, &mut next_series, 0, 0)).unwrap();
            cache.end(&mut out);
            out.samples.first().map(|(_, value)| *value)
        };
        assert_eq!(value(&mut oom), None);
        let victim = Victim { program: "a".into(), unit: "b.service".into() };
        Oom::count(&mut oom.counts, victim);
        assert_eq!([value(&mut oom), value(&mut oom)], [Some(0.0), Some(1.0)]);
    }
}
