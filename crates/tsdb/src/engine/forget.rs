//! Forgetting series that have had no sample for long, so that short-lived series do not fill the memory.
//!
//! What is forgotten are names and numbers in memory; samples stay in their blocks. Maintenance takes one page of series at a
//! time, so that nobody waits for long. No number is forgotten that a batch under way names: the writer's thread holds
//! [`Forgetting::keep_all`] from looking at a batch until its samples are in the head, and a series in a head is kept, also in
//! one that became a block meanwhile and is still read by a query, which asks for the names last.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::Shared;
use crate::TsdbError;
use crate::head::Head;
use crate::plan::plan_forgetting;

/// All pages are looked at so many times in the time that a series has to be idle.
const LOOKS: i64 = 64;
/// How long maintenance waits for a commit; it has better to do than to wait for a slow disk, and a commit may wait for it.
const WAIT_FOR_COMMIT: Duration = Duration::from_millis(100);
/// Texts that are moved without letting others at the registry.
const GATHER_AT_ONCE: usize = 10_000;

#[derive(Default)]
pub(super) struct Forgetting {
    commits: Mutex<()>,
    looked_ms: AtomicI64,
    /// Heads that are blocks by now; a query that began before may still read one.
    left_heads: Mutex<Vec<Weak<Head>>>,
}

impl Forgetting {
    /// While this is held no series is forgotten.
    pub(super) fn keep_all(&self) -> MutexGuard<'_, ()> {
        self.commits.lock()
    }

    /// Notes that a head leaves the view; called before it does.
    pub(super) fn leave(&self, head: &Arc<Head>) {
        let mut heads = self.left_heads.lock();
        heads.retain(|left| left.strong_count() > 0);
        heads.push(Arc::downgrade(head));
    }

    fn left_heads(&self) -> Vec<Arc<Head>> {
        self.left_heads.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Shared {
    /// The time by the clock that never jumps, in seconds.
    pub(super) fn now_s(&self) -> u32 {
        u32::try_from(self.clock.monotonic_ms() / 1000).unwrap_or(u32::MAX)
    }

    /// Forgets the series that are idle; looks for them now and then.
    pub(super) fn forget_idle(&self) -> Result<(), TsdbError> {
        let forget_after_ms = self.options.forget_after_ms.max(0);
        let now_ms = self.clock.monotonic_ms();
        let looked_ms = self.forgetting.looked_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(looked_ms) < forget_after_ms / LOOKS {
            return Ok(());
        }
        self.forgetting.looked_ms.store(now_ms, Ordering::Relaxed);
        let forget_after_s = u32::try_from(forget_after_ms.div_euclid(1000)).unwrap_or(u32::MAX);
        let pages = self.registry.read().pages();
        let mut forgotten = 0;
        for page in 0..pages {
            self.check_stopping()?;
            let Some(of_page) = self.forget_of_page(page, forget_after_s) else {
                // The rest comes in the next round.
                self.forgetting.looked_ms.store(looked_ms, Ordering::Relaxed);
                break;
            };
            forgotten += of_page;
        }
        if forgotten > 0 {
            self.gather_texts()?;
            tracing::debug!(series = forgotten, "series that have ended are forgotten");
        }
        Ok(())
    }

    /// Forgets what is idle on one page of series, and says how many; nothing, if a commit lasts too long.
    fn forget_of_page(&self, page: usize, forget_after_s: u32) -> Option<u64> {
        let now_s = self.now_s();
        let looks_idle = {
            let registry = self.registry.read();
            let seen = registry.seen_of_page(page);
            !plan_forgetting(seen, |_| false, now_s, forget_after_s).is_empty()
        };
        if !looks_idle {
            return Some(0);
        }
        let _commits = self.forgetting.commits.try_lock_for(WAIT_FOR_COMMIT)?;
        let mut registry = self.registry.write();
        // Whoever took a view before this lock has heads of this view or such that left it before.
        let view = self.view.load();
        let left = self.forgetting.left_heads();
        let heads = || view.heads().chain(left.iter().map(|head| &**head));
        let in_head = |id: u32| heads().any(|head| head.series_range(id).is_some());
        let forgotten =
            plan_forgetting(registry.seen_of_page(page), in_head, now_s, forget_after_s);
        if forgotten.is_empty() {
            return Some(0);
        }
        registry.forget(&forgotten);
        let count = forgotten.len() as u64;
        self.counters.series_forgotten.add(count);
        Some(count)
    }

    /// Gives the memory of texts back that nobody names any more.
    fn gather_texts(&self) -> Result<(), TsdbError> {
        if !self.registry.write().begin_gathering() {
            return Ok(());
        }
        let mut from = Some(0);
        while let Some(at) = from {
            self.check_stopping()?;
            from = self.registry.write().gather(at, GATHER_AT_ONCE);
        }
        Ok(())
    }
}
