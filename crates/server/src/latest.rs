//! A value that many ask for and that is computed once for all of them, anew when it has grown old.
//!
//! The computation does not belong to who asked first: if they go away it goes on, and who asks next waits for the
//! same one.

use std::sync::Arc;

use muster_environment::Clock;
use parking_lot::Mutex;
use tokio::sync::watch;

/// See the module's documentation.
pub(crate) struct Latest<T>(Mutex<State<T>>);

struct State<T> {
    /// The value, and when it was made, by the clock that never goes back.
    made: Option<(i64, T)>,
    computing: Option<watch::Receiver<Option<T>>>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Mutex::new(State { made: None, computing: None }))
    }
}

impl<T: Clone + Send + Sync + 'static> Latest<T> {
    /// The value, not older than `fresh_ms`; none if its computation failed.
    pub(crate) async fn get(
        self: &Arc<Self>,
        clock: &Arc<dyn Clock>,
        fresh_ms: i64,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let mut computing = {
            let mut state = self.0.lock();
            if let Some((at, value)) = &state.made
                && clock.monotonic_ms() - at < fresh_ms
            {
                return Some(value.clone());
            }
            if let Some(computing) = &state.computing {
                computing.clone()
            } else {
                let computing = self.begin(Arc::clone(clock), compute);
                state.computing = Some(computing.clone());
                computing
            }
        };
        let made = computing.wait_for(Option::is_some).await.ok()?;
        made.clone()
    }

    /// The value as it was made last, of any age; where that is older than `fresh_ms`, a new one is begun.
    pub(crate) fn last_made(
        self: &Arc<Self>,
        clock: &Arc<dyn Clock>,
        fresh_ms: i64,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let mut state = self.0.lock();
        let now_ms = clock.monotonic_ms();
        let is_fresh = state.made.as_ref().is_some_and(|(at, _)| now_ms - at < fresh_ms);
        if !is_fresh && state.computing.is_none() {
            state.computing = Some(self.begin(Arc::clone(clock), compute));
        }
        state.made.as_ref().map(|(_, value)| value.clone())
    }

    fn begin(
        self: &Arc<Self>,
        clock: Arc<dyn Clock>,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> watch::Receiver<Option<T>> {
        let (sender, receiver) = watch::channel(None);
        let latest = Arc::clone(self);
        tokio::spawn(async move {
            let made = tokio::task::spawn_blocking(compute).await;
            let mut state = latest.0.lock();
            state.computing = None;
            match made {
                Ok(value) => {
                    state.made = Some((clock.monotonic_ms(), value.clone()));
                    sender.send_replace(Some(value));
                }
                // The dropped sender tells those who wait.
                Err(error) => tracing::error!(%error, "a shared computation failed"),
            }
        });
        receiver
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use muster_environment::ManualClock;

    use super::*;

    #[tokio::test]
    async fn who_gave_up_leaves_the_computation_to_the_next() {
        let latest: Arc<Latest<u32>> = Arc::default();
        let manual = Arc::new(ManualClock::at(0));
        let clock: Arc<dyn Clock> = manual.clone();
        let runs = Arc::new(AtomicU32::new(0));
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let compute = || {
            let (runs, wait) = (Arc::clone(&runs), Arc::clone(&wait));
            move || {
                let _ = wait.lock().recv_timeout(Duration::from_mins(2));
                runs.fetch_add(1, Ordering::SeqCst) + 1
            }
        };
        for _ in 0..10 {
            let asked = latest.get(&clock, 1_000, compute());
            assert!(asked.now_or_never().is_none());
        }
        go.send(()).unwrap();
        assert_eq!(latest.get(&clock, 1_000, compute()).await, Some(1));
        assert_eq!(latest.get(&clock, 1_000, compute()).await, Some(1));
        manual.advance(1_000);
        go.send(()).unwrap();
        assert_eq!(latest.get(&clock, 1_000, compute()).await, Some(2));
    }

    #[tokio::test]
    async fn who_takes_what_was_made_last_waits_for_nothing() {
        let latest: Arc<Latest<u32>> = Arc::default();
        let manual = Arc::new(ManualClock::at(0));
        let clock: Arc<dyn Clock> = manual.clone();
        assert_eq!(latest.last_made(&clock, 1_000, || 1), None);
        assert_eq!(latest.get(&clock, 1_000, || 9).await, Some(1));
        manual.advance(1_000);
        assert_eq!(latest.last_made(&clock, 1_000, || 2), Some(1));
        assert_eq!(latest.get(&clock, 1_000, || 9).await, Some(2));
    }

    #[tokio::test]
    async fn a_failed_computation_is_tried_again() {
        let latest: Arc<Latest<u32>> = Arc::default();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(0));
        let failed = latest.get(&clock, 1_000, || panic!("as a defect would")).await;
        assert_eq!(failed, None);
        assert_eq!(latest.get(&clock, 1_000, || 7).await, Some(7));
    }
}
