//! How the values of a series move: each kind of series a host has, as the kernel counts it.

use super::random::Random;

/// Seconds from sample to sample.
const STEP_S: f64 = 15.0;

/// A series' kind, with its state.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Never moves: sizes, limits, counters of what does not happen.
    Constant(f64),
    /// CPU time of one mode: a counter of hundredths of a second, told in seconds. `share` of a core goes to it,
    /// and grows with the host's activity; an idle mode has what is left over.
    CpuTime { hundredths: u64, share: f64, idle: bool },
    /// A counter of events or bytes that come in units (a packet, a sector): `rate` units a second.
    Counter { total: u64, rate: f64, unit: u64 },
    /// A counter of seconds in milliseconds, as disks tell their busy time.
    BusyTime { ms: u64, share: f64 },
    /// Memory: whole KiB, told in bytes, that walk around `around` and move by up to `swing` KiB.
    Memory { kib: i64, around: i64, swing: u64 },
    /// Free space in blocks of 4 KiB, told in bytes, that shrinks slowly and is sometimes given back.
    FreeSpace { blocks: u64, size: u64 },
    /// A load average: two decimals.
    Load { hundredths: i64, inertia: i64 },
    /// A temperature: half degrees.
    Degrees { halves: i64, around: i64 },
    /// A small number of things: processes that run, open files.
    Things { count: i64, around: i64, swing: u64 },
}

impl Shape {
    /// The value at the next scrape of a host that is `activity` busy, from 0 to 1.
    pub(crate) fn next(&mut self, activity: f64, random: &mut Random) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::CpuTime { hundredths, share, idle } => {
                let used = if *idle { 1.0 - *share * activity } else { *share * activity };
                *hundredths += amount(used * STEP_S * 100.0, 0.08, random);
                *hundredths as f64 / 100.0
            }
            Self::Counter { total, rate, unit } => {
                let added = amount(*rate * activity * STEP_S, 0.4, random) * *unit;
                // Packets are of any length, so their bytes are no whole number of units; those of disks are.
                let short =
                    if *unit == 1 || unit.is_power_of_two() { 0 } else { random.below(*unit) };
                *total += added.saturating_sub(short);
                *total as f64
            }
            Self::BusyTime { ms, share } => {
                *ms += amount(*share * activity * STEP_S * 1e3, 0.4, random);
                *ms as f64 / 1e3
            }
            Self::Memory { kib, around, swing } => {
                *kib += (random.noise() * *swing as f64) as i64 * 4 + (*around - *kib) / 64;
                *kib = (*kib).max(0) & !3;
                (*kib * 1024) as f64
            }
            Self::FreeSpace { blocks, size } => {
                *blocks = blocks.saturating_sub(amount(3.0 * activity, 1.0, random));
                if random.below(400) == 0 {
                    *blocks = (*blocks + *size / 50).min(*size);
                }
                (*blocks * 4096) as f64
            }
            Self::Load { hundredths, inertia } => {
                let wanted = (activity * 800.0 + random.noise() * 100.0) as i64;
                *hundredths = (*hundredths + (wanted - *hundredths) / *inertia).max(0);
                *hundredths as f64 / 100.0
            }
            Self::Degrees { halves, around } => {
                if random.below(4) == 0 {
                    let towards = (*around + (activity * 20.0) as i64 - *halves).signum();
                    *halves += towards + (random.noise() * 1.4) as i64;
                }
                *halves as f64 / 2.0
            }
            Self::Things { count, around, swing } => {
                *count = (*around + (random.noise() * *swing as f64) as i64).max(0);
                *count as f64
            }
        }
    }
}

/// A whole number near `expected`, off by up to about `spread` of it; where little is expected, often 0.
fn amount(expected: f64, spread: f64, random: &mut Random) -> u64 {
    let exact = (expected * (1.0 + random.noise() * spread)).max(0.0);
    exact as u64 + u64::from(random.fraction() < exact.fract())
}
