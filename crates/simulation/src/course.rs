//! How a unit, a program or a mount fares: mostly well, in trouble from time to time.
//!
//! Like every value of a host, its state is a function of time alone. Troubles come in episodes of one length at one
//! distance; an episode is made of beats, and at the begin of each beat there is a blow, after which all is well until
//! the next. One blow as long as its episode is a service that fails and waits for somebody; many short ones are a loop
//! of restarts.

use crate::shape::Boots;

/// Troubles of one kind. All is well for ever where an episode has no length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the unit stands in the name of every time")]
pub(crate) struct Course {
    /// The begin of one of the episodes, in milliseconds since 1970.
    pub(crate) one_ms: i64,
    /// From one episode to the next.
    pub(crate) every_ms: i64,
    /// How long an episode is; at most `every_ms`.
    pub(crate) for_ms: i64,
    /// From one blow of an episode to the next; more than nothing.
    pub(crate) beat_ms: i64,
    /// How long it takes to recover from a blow; less than a beat, or as long as the whole episode.
    pub(crate) down_ms: i64,
}

impl Course {
    /// Nothing ever happens.
    pub(crate) const CALM: Self =
        Self { one_ms: 0, every_ms: 86_400_000, for_ms: 0, beat_ms: 86_400_000, down_ms: 0 };

    /// One blow an episode, which lasts as long.
    pub(crate) const fn outages(one_ms: i64, every_ms: i64, for_ms: i64) -> Self {
        Self { one_ms, every_ms, for_ms, beat_ms: for_ms, down_ms: for_ms }
    }

    /// Whether a blow has not been recovered from.
    pub(crate) fn is_down(self, at_ms: i64) -> bool {
        let into_ms = self.into(at_ms);
        into_ms < self.for_ms && into_ms % self.beat_ms < self.down_ms
    }

    /// How many blows there were since the host was started.
    pub(crate) fn blows(self, boots: Boots, at_ms: i64) -> f64 {
        (self.blows_ever(at_ms) - self.blows_ever(boots.before(at_ms))) as f64
    }

    /// When the last recovery was, or the host's start if there was none since, in milliseconds.
    pub(crate) fn well_since(self, boots: Boots, at_ms: i64) -> i64 {
        let boot_ms = boots.before(at_ms);
        if self.for_ms == 0 {
            return boot_ms;
        }
        let into_ms = self.into(at_ms);
        let episode_ms = at_ms - into_ms;
        let blow_ms = into_ms.min(self.for_ms - 1) / self.beat_ms * self.beat_ms;
        let mut recovery_ms = episode_ms + blow_ms + self.down_ms;
        if recovery_ms > at_ms {
            let last_ms = (self.for_ms - 1) / self.beat_ms * self.beat_ms;
            recovery_ms = if blow_ms > 0 {
                episode_ms + blow_ms - self.beat_ms + self.down_ms
            } else {
                episode_ms - self.every_ms + last_ms + self.down_ms
            };
        }
        recovery_ms.max(boot_ms)
    }

    fn into(self, at_ms: i64) -> i64 {
        (at_ms - self.one_ms).rem_euclid(self.every_ms)
    }

    /// Blows since 1970, but for a constant.
    fn blows_ever(self, at_ms: i64) -> i64 {
        if self.for_ms == 0 {
            return 0;
        }
        let an_episode = (self.for_ms - 1) / self.beat_ms + 1;
        let begun = self.into(at_ms).min(self.for_ms - 1) / self.beat_ms + 1;
        (at_ms - self.one_ms).div_euclid(self.every_ms) * an_episode + begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOTS: Boots = Boots { one_ms: 0, every_ms: 1_000_000 };
    /// Blows at 100, 110 and 120, each of 4 ms, and again at 200.
    const LOOP: Course = Course { one_ms: 100, every_ms: 100, for_ms: 30, beat_ms: 10, down_ms: 4 };

    #[test]
    fn a_loop_is_down_after_each_blow() {
        let down: Vec<i64> = (100..200).filter(|&at_ms| LOOP.is_down(at_ms)).collect();
        assert_eq!(down, [100, 101, 102, 103, 110, 111, 112, 113, 120, 121, 122, 123]);
    }

    #[test]
    fn blows_are_counted_as_they_come() {
        for course in [LOOP, Course::outages(100, 100, 30), Course::CALM] {
            let mut counted = course.blows(BOOTS, 50);
            for at_ms in 51..1_000 {
                let fell = course.is_down(at_ms) && !course.is_down(at_ms - 1);
                counted += f64::from(u8::from(fell));
                assert_eq!(course.blows(BOOTS, at_ms), counted, "{course:?} at {at_ms}");
            }
        }
    }

    #[test]
    fn it_is_well_since_the_last_recovery() {
        for course in [LOOP, Course::outages(100, 100, 30)] {
            let mut since = None;
            for at_ms in 250..1_000 {
                if !course.is_down(at_ms) && course.is_down(at_ms - 1) {
                    since = Some(at_ms);
                }
                if let Some(since) = since {
                    assert_eq!(course.well_since(BOOTS, at_ms), since, "{course:?} at {at_ms}");
                }
            }
            assert!(since.is_some(), "{course:?}");
        }
        assert_eq!(Course::CALM.well_since(BOOTS, 1_234_567), 1_000_000);
    }
}
