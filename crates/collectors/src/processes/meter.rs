//! When the I/O of a process is worth asking for.
//!
//! The question costs as much as the process's line, and most processes do nothing: so only those are
//! asked that have used CPU time or waited for a page since the last answer, and all of them in turn.
//! Nothing is lost: the kernel counts on.

use super::scan::Details;
use super::stat::{Io, ProcessStat};

/// In how many readings each process is asked once, whatever it does.
const TURN_ROUNDS: u64 = 6;
/// In how many readings a process is asked again of which the kernel did not tell.
const REFUSED_ROUNDS: u64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    NeverAsked,
    Refused,
    Told(Io),
}

/// The I/O of one process.
#[derive(Debug, Default)]
pub(crate) struct IoMeter {
    last: Last,
    cpu_ticks: u64,
    major_faults: u64,
}

impl IoMeter {
    /// What the process has moved since the last reading, or since its start in the first one; `None`
    /// where the kernel does not tell. `round` counts the readings.
    pub(crate) fn read(
        &mut self,
        stat: &ProcessStat<'_>,
        round: u64,
        details: &mut dyn Details,
    ) -> Option<Io> {
        let turn = u64::from(stat.pid).wrapping_add(round);
        let has_moved = self.cpu_ticks != stat.cpu_ticks || self.major_faults != stat.major_faults;
        let (before, is_due) = match self.last {
            Last::NeverAsked => (Io::default(), true),
            // What it did before it could be read is not known to belong to this time.
            Last::Refused => (Io::default(), turn.is_multiple_of(REFUSED_ROUNDS)),
            Last::Told(io) => (io, has_moved || turn.is_multiple_of(TURN_ROUNDS)),
        };
        if !is_due {
            return (self.last != Last::Refused).then(Io::default);
        }
        (self.cpu_ticks, self.major_faults) = (stat.cpu_ticks, stat.major_faults);
        let was_refused = self.last == Last::Refused;
        let Some(now) = details.io(stat.pid) else {
            self.last = Last::Refused;
            return None;
        };
        self.last = Last::Told(now);
        Some(if was_refused { Io::default() } else { now.since(before) })
    }
}
