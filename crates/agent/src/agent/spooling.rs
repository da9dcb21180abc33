//! How an agent moves batches between memory and its spool.

use crate::spool::{Spill, Spool};
use crate::tasks::on_disk;

use super::Agent;

/// After a spool file could not be read.
const READ_AGAIN_MS: i64 = 60_000;

impl Agent {
    /// Moves batches between memory and disk where that is due.
    pub(super) async fn tend_spool(&mut self) {
        for number in self.exchange.take_finished_segments() {
            if let Err(error) = self.with_spool(move |spool| spool.remove(number)).await {
                tracing::error!(%error, "a delivered spool file stays and will be sent again");
            }
        }
        let now_ms = self.clock.monotonic_ms();
        while let Some(spill) = self.exchange.poll_spool(now_ms) {
            if let Err(spill) = self.write(spill).await {
                let lost = self.exchange.spool_failed(spill.into_taken(), now_ms);
                self.lose(lost);
                break;
            }
        }
        if self.exchange.wants_segment(now_ms) {
            self.read_segment(now_ms).await;
        }
    }

    /// Writes what is in memory, at the end.
    pub(super) async fn save_everything(&mut self) {
        while let Some(spill) = self.exchange.take_for_spool() {
            if let Err(spill) = self.write(spill).await {
                self.lose(spill.len());
            }
        }
    }

    /// Reads the oldest spool file that is not in memory and can be read.
    async fn read_segment(&mut self, now_ms: i64) {
        let Some(spool) = &self.spool else { return };
        let waits = |number: &u64| {
            let again_ms = self.unreadable.get(number);
            !self.exchange.has_segment(*number) && again_ms.is_none_or(|at_ms| *at_ms <= now_ms)
        };
        let Some(number) = spool.numbers().find(waits) else {
            return;
        };
        match self.with_spool(move |spool| spool.read(number)).await {
            Ok(segment) => {
                self.unreadable.remove(&number);
                self.exchange.push_segment(number, segment, now_ms);
            }
            Err(error) => {
                tracing::error!(%error, "a spool file cannot be read; it is tried again in a minute");
                self.unreadable.insert(number, now_ms + READ_AGAIN_MS);
            }
        }
    }

    /// Writes batches, which are handed back if that fails.
    async fn write(&mut self, spill: Spill) -> Result<(), Spill> {
        let work = move |spool: &mut Spool| (spool.append(&spill), spill);
        let (written, spill) = self.with_spool(work).await;
        match written {
            Ok(lost) => {
                self.lose(lost);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the spool fails; batches stay in memory");
                Err(spill)
            }
        }
    }

    fn lose(&mut self, batches: u64) {
        self.exchange.count_dropped(batches);
        if batches > 0 {
            tracing::warn!(
                batches,
                "there is no room for batches that wait for the server; the oldest are lost"
            );
        }
    }

    /// Lets the spool work beside the loop's thread.
    async fn with_spool<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool) -> T + Send + 'static,
    ) -> T {
        let mut spool = self.spool.take().expect("it is put back after each use");
        let (spool, result) = on_disk(move || {
            let result = work(&mut spool);
            (spool, result)
        })
        .await;
        self.spool = Some(spool);
        result
    }
}
