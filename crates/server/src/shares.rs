//! Places that are shared fairly: no principal, be it an account or a token, takes more than half of them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of places of one kind, such as queries that compute at once or bytes of unsent answers.
pub(crate) struct Shares {
    all: Arc<Semaphore>,
    /// The most places of one principal.
    own: u32,
    /// Who holds places or waits for some.
    by_principal: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Places held until this is dropped.
pub(crate) struct Place {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Shares {
    pub(crate) fn new(places: u32) -> Self {
        Self {
            all: Arc::new(Semaphore::new(places as usize)),
            own: places.div_ceil(2),
            by_principal: Mutex::default(),
        }
    }

    /// Waits for a place. Who waits for one of its own principal's places keeps nobody else waiting.
    pub(crate) async fn acquire(&self, principal: &str) -> Place {
        const OPEN: &str = "semaphores of places are never closed";
        let own = self.of(principal).acquire_owned().await.expect(OPEN);
        let of_all = Arc::clone(&self.all).acquire_owned().await.expect(OPEN);
        Place { _own: own, _of_all: of_all }
    }

    /// Takes so many places at once, if that many are free.
    pub(crate) fn try_acquire(&self, principal: &str, places: u32) -> Option<Place> {
        let own = self.of(principal);
        let own = own.try_acquire_many_owned(places).ok()?;
        let of_all = Arc::clone(&self.all);
        let of_all = of_all.try_acquire_many_owned(places).ok()?;
        Some(Place { _own: own, _of_all: of_all })
    }

    fn of(&self, principal: &str) -> Arc<Semaphore> {
        let mut known = self.by_principal.lock();
        if let Some(own) = known.get(principal).and_then(Weak::upgrade) {
            return own;
        }
        known.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.own as usize));
        known.insert(principal.to_owned(), Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_principal_gets_half_and_another_the_rest() {
        let shares = Shares::new(4);
        let first = shares.try_acquire("a", 2);
        assert!(first.is_some());
        assert!(shares.try_acquire("a", 1).is_none());
        assert!(shares.try_acquire("b", 2).is_some());
        drop(first);
        assert!(shares.try_acquire("a", 2).is_some());
    }

    #[tokio::test]
    async fn who_waits_for_its_own_share_keeps_nobody_waiting() {
        let shares = Arc::new(Shares::new(2));
        let _held = shares.acquire("a").await;
        let waiting = Arc::clone(&shares);
        let waiting = tokio::spawn(async move { drop(waiting.acquire("a").await) });
        tokio::task::yield_now().await;
        drop(shares.acquire("b").await);
        assert!(!waiting.is_finished());
        waiting.abort();
    }

    #[test]
    fn principals_without_places_are_forgotten() {
        let shares = Shares::new(2);
        for n in 0..100 {
            drop(shares.try_acquire(&n.to_string(), 1));
        }
        assert_eq!(shares.by_principal.lock().len(), 1);
    }
}
