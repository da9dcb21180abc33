//! Instants that the series scraped together share, so that none of them stores a timestamp of its own.

/// Instants in the order of their coming; a *tick* is the place of one.
#[derive(Debug, Default)]
pub(super) struct Lane {
    instants: Vec<i64>,
}

impl Lane {
    /// The instants by tick.
    pub(super) fn instants(&self) -> &[i64] {
        &self.instants
    }

    /// The instant of a tick that this lane gave.
    pub(super) fn instant(&self, tick: u32) -> i64 {
        self.instants[tick as usize]
    }

    /// A tick of the timestamp that is after `tick`, most likely by `step`; else it is looked for among the `newest`.
    pub(super) fn tick_after(
        &mut self,
        tick: u32,
        step: u32,
        timestamp: i64,
        newest: usize,
    ) -> u32 {
        let expected = tick.wrapping_add(step);
        if self.instants.get(expected as usize) == Some(&timestamp) && expected > tick {
            return expected;
        }
        let found = self.recent(timestamp, newest).filter(|&found| found > tick);
        found.unwrap_or_else(|| self.append(timestamp))
    }

    /// The latest tick of a timestamp among the `newest`.
    pub(super) fn recent(&self, timestamp: i64, newest: usize) -> Option<u32> {
        if self.instants.last().is_none_or(|&last| last < timestamp) {
            // Nearly always the start of a scrape: what is newer than the newest is not there.
            return None;
        }
        let start = self.instants.len().saturating_sub(newest);
        let place = self.instants[start..].iter().rposition(|&instant| instant == timestamp)?;
        Some((start + place) as u32)
    }

    /// The latest tick of a timestamp, which is made where there is none.
    pub(super) fn tick_of(&mut self, timestamp: i64) -> u32 {
        self.recent(timestamp, usize::MAX).unwrap_or_else(|| self.append(timestamp))
    }

    /// A new tick.
    pub(super) fn append(&mut self, timestamp: i64) -> u32 {
        self.instants.push(timestamp);
        (self.instants.len() - 1) as u32
    }
}
