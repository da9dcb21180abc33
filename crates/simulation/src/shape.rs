//! The course of one series: which value it has at which moment.

use crate::course::Course;
use crate::wave::Wave;

/// When a host was started, at each moment: it reboots from time to time, and its counters begin again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Boots {
    /// One of the moments at which it starts, in milliseconds since 1970.
    pub(crate) one_ms: i64,
    /// How long it runs, in milliseconds. Both are multiples of [`crate::wave::ORIGIN_STEP_MS`].
    pub(crate) every_ms: i64,
}

impl Boots {
    /// The last start at or before a moment.
    pub(crate) fn before(self, at_ms: i64) -> i64 {
        at_ms - (at_ms - self.one_ms).rem_euclid(self.every_ms)
    }
}

/// How a file system fills: steadily, until somebody clears it away, and again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Filling {
    /// One of the moments at which it is cleared away, in milliseconds since 1970.
    pub(crate) one_ms: i64,
    /// From one clearing to the next, in milliseconds.
    pub(crate) every_ms: i64,
    /// What is in use after a clearing, as a share of the size.
    pub(crate) least: f64,
    /// What is in use before the next one, as a share of the size; 1 is full.
    pub(crate) most: f64,
}

impl Filling {
    /// The share in use at a moment.
    fn used(&self, at_ms: i64) -> f64 {
        let into = (at_ms - self.one_ms).rem_euclid(self.every_ms) as f64 / self.every_ms as f64;
        self.least + (self.most - self.least) * into
    }

    /// When it would be full at the pace it has, in milliseconds since 1970.
    pub(crate) fn full_at_ms(&self, at_ms: i64) -> i64 {
        let begun_ms = at_ms - (at_ms - self.one_ms).rem_euclid(self.every_ms);
        let pace = (self.most - self.least) / self.every_ms as f64;
        begun_ms + ((1.0 - self.least) / pace) as i64
    }
}

/// A function from time to value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// Always the same.
    Constant(f64),
    /// The clock, in seconds.
    Now,
    /// When the host was started, in seconds.
    BootTime(Boots),
    /// A rate, in multiples of `step`.
    Gauge { wave: Wave, step: f64 },
    /// What a rate has added up to since the host was started, in multiples of `1 / per_unit`.
    Counter { wave: Wave, boots: Boots, per_unit: f64 },
    /// The seconds that a CPU was not busy since the host was started, in hundredths.
    Idle { busy: Vec<Wave>, boots: Boots },
    /// What is left of `whole` beside these gauges, in multiples of `step`.
    Rest { whole: f64, parts: Vec<Wave>, step: f64 },
    /// What is free on a file system of this size, in multiples of `step`.
    Free { filling: Filling, size: f64, step: f64 },
    /// 1 while a course is down, or while it is not; 0 otherwise.
    Is { down: bool, course: Course },
    /// How many blows there were since the host was started.
    Blows { course: Course, boots: Boots },
    /// When the last recovery or start was, in seconds.
    WellSince { course: Course, boots: Boots },
}

impl Shape {
    /// The value at a moment, in milliseconds since 1970.
    pub(crate) fn value(&self, at_ms: i64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Now => at_ms as f64 / 1000.0,
            Self::BootTime(boots) => (boots.before(at_ms) / 1000) as f64,
            Self::Gauge { wave, step } => floor_to(wave.rate(at_ms), *step),
            Self::Counter { wave, boots, per_unit } => {
                (wave.total(boots.before(at_ms), at_ms) * per_unit).floor().max(0.0) / per_unit
            }
            Self::Idle { busy, boots } => {
                let boot_ms = boots.before(at_ms);
                let elapsed_s = (at_ms - boot_ms) as f64 / 1000.0;
                let busy_s: f64 = busy.iter().map(|wave| wave.total(boot_ms, at_ms)).sum();
                ((elapsed_s - busy_s) * 100.0).floor().max(0.0) / 100.0
            }
            Self::Rest { whole, parts, step } => {
                let taken: f64 = parts.iter().map(|wave| wave.rate(at_ms)).sum();
                floor_to((whole - taken).max(0.0), *step)
            }
            Self::Free { filling, size, step } => {
                floor_to((size * (1.0 - filling.used(at_ms))).max(0.0), *step)
            }
            Self::Is { down, course } => f64::from(u8::from(course.is_down(at_ms) == *down)),
            Self::Blows { course, boots } => course.blows(*boots, at_ms),
            Self::WellSince { course, boots } => course.well_since(*boots, at_ms) as f64 / 1000.0,
        }
    }
}

fn floor_to(value: f64, step: f64) -> f64 {
    (value / step).floor() * step
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;
    const BOOTS: Boots = Boots { one_ms: 900_000, every_ms: 10 * DAY_MS };

    fn wave(level: f64, stream: u64) -> Wave {
        Wave { level, daily: 1.0, peak_s: 0.0, noise: 1.0, stream }
    }

    #[test]
    fn a_host_is_up_since_its_last_start() {
        assert_eq!(BOOTS.before(900_000), 900_000);
        assert_eq!(BOOTS.before(900_000 + 25 * DAY_MS), 900_000 + 20 * DAY_MS);
        assert_eq!(BOOTS.before(899_999), 900_000 - 10 * DAY_MS);
        assert_eq!(Shape::BootTime(BOOTS).value(2_000_000), 900.0);
    }

    #[test]
    fn a_counter_begins_again_after_a_start() {
        let counter = Shape::Counter { wave: wave(3.0, 1), boots: BOOTS, per_unit: 100.0 };
        let reboot_ms = 900_000 + 10 * DAY_MS;
        assert!(counter.value(reboot_ms - 1_000) > 2_000_000.0);
        assert_eq!(counter.value(reboot_ms), 0.0);
        let value = counter.value(reboot_ms + 61_000);
        assert!(value > 30.0 && (value * 100.0 - (value * 100.0).round()).abs() < 1e-6, "{value}");
    }

    #[test]
    fn idle_and_busy_time_make_up_all_time() {
        let busy = vec![wave(0.3, 1), wave(0.1, 2)];
        let idle = Shape::Idle { busy: busy.clone(), boots: BOOTS };
        let mut before = 0.0;
        for second in 1..2_000 {
            let at_ms = 900_000 + second * 1_000;
            let value = idle.value(at_ms);
            assert!(value >= before, "{value} after {before}");
            before = value;
            let busy_s: f64 = busy
                .iter()
                .map(|&wave| Shape::Counter { wave, boots: BOOTS, per_unit: 100.0 }.value(at_ms))
                .sum();
            assert!((value + busy_s - second as f64).abs() < 0.05, "{value} + {busy_s}");
        }
    }

    #[test]
    fn a_file_system_fills_until_it_is_cleared_away() {
        let filling = Filling { one_ms: 0, every_ms: 10 * DAY_MS, least: 0.5, most: 1.0 };
        let free = Shape::Free { filling, size: 4096.0 * 1000.0, step: 4096.0 };
        assert_eq!(free.value(0), 4096.0 * 500.0);
        assert_eq!(free.value(5 * DAY_MS), 4096.0 * 250.0);
        assert!(free.value(10 * DAY_MS - 1) < 4096.0);
        assert_eq!(free.value(10 * DAY_MS), 4096.0 * 500.0);
        assert_eq!(filling.full_at_ms(3 * DAY_MS), 10 * DAY_MS);
        let never_quite = Filling { most: 0.75, ..filling };
        assert_eq!(never_quite.full_at_ms(3 * DAY_MS), 20 * DAY_MS);
    }

    #[test]
    fn a_gauge_and_the_rest_keep_to_their_steps() {
        let used = wave(1e9, 1);
        let gauge = Shape::Gauge { wave: used, step: 1024.0 }.value(7_777);
        let rest = Shape::Rest { whole: 4e9, parts: vec![used], step: 1024.0 }.value(7_777);
        assert_eq!((gauge % 1024.0, rest % 1024.0), (0.0, 0.0));
        assert!((gauge + rest - 4e9).abs() <= 2048.0);
    }
}
