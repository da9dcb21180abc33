//! How often something may happen: a bucket of permits that fills at a steady rate.

/// Permits: some at once, then one at a time.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    capacity: i64,
    /// Milliseconds in which one permit is added.
    refill_ms: i64,
    /// The time to which all permits taken so far have pushed the next full bucket.
    full_ms: i64,
}

impl Bucket {
    /// A full bucket of `capacity` permits; one is added every `refill_ms`.
    pub(super) fn new(capacity: i64, refill_ms: i64) -> Self {
        Self { capacity, refill_ms, full_ms: i64::MIN / 2 }
    }

    /// Takes a permit, if there is one at this time of the monotonic clock.
    pub(super) fn take(&mut self, now_ms: i64) -> bool {
        if now_ms < self.next_ms() {
            return false;
        }
        self.full_ms = self.full_ms.max(now_ms) + self.refill_ms;
        true
    }

    /// From when on there is a permit.
    pub(super) fn next_ms(&self) -> i64 {
        self.full_ms - (self.capacity - 1) * self.refill_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_at_once_then_one_at_a_time() {
        let mut bucket = Bucket::new(3, 100);
        let taken: Vec<bool> = (0..5).map(|_| bucket.take(1_000)).collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert_eq!(bucket.next_ms(), 1_100);
        assert!(!bucket.take(1_099) && bucket.take(1_100) && !bucket.take(1_100));
        // After a rest all are there again, and no more.
        let rested = (0..9).filter(|_| bucket.take(9_000)).count();
        assert_eq!(rested, 3);
    }
}
