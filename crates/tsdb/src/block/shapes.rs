//! Series as the agent of a server reports them, from a seed: what sizes and times are measured on.
//!
//! A host has 200 series. Rates follow a load that wanders and bursts, counters are sums of noisy rates in the steps in which
//! Linux counts, gauges of memory move in pages of 4 KiB, and two fifths of the series do not change at all.

/// What a series is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Constant,
    /// Hundredths of a second of a mode of a CPU.
    CpuBusy,
    CpuQuiet,
    /// Bytes, operations or milliseconds that pass in bursts.
    IoBytes,
    IoCount,
    Packets,
    /// Bytes in steps of 4 KiB.
    Memory,
    FileSystem,
    Load,
    Temperature,
    /// A ratio with all digits of a float.
    Ratio,
}

/// How many series of each shape a host has: 200 in all.
pub(super) const HOST: [(Shape, usize); 11] = [
    (Shape::Constant, 84),
    (Shape::CpuBusy, 24),
    (Shape::CpuQuiet, 16),
    (Shape::IoBytes, 12),
    (Shape::IoCount, 14),
    (Shape::Packets, 12),
    (Shape::Memory, 20),
    (Shape::FileSystem, 6),
    (Shape::Load, 3),
    (Shape::Temperature, 6),
    (Shape::Ratio, 3),
];

/// A generator of numbers that look random (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// From 0 up to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// About normal, with mean 0 and deviation 1.
    fn normal(&mut self) -> f64 {
        (0..6).map(|_| self.unit()).sum::<f64>() * 2.0f64.sqrt() - 3.0 * 2.0f64.sqrt()
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

/// The load of a host: wanders around its level, and now and then bursts.
struct Activity {
    level: f64,
    wander: f64,
    burst: f64,
}

impl Activity {
    fn step(&mut self, random: &mut Random) -> f64 {
        self.wander = self.wander * 0.98 + random.normal() * 0.04;
        if random.unit() < 0.004 {
            self.burst = random.exponential() * 2.0;
        }
        self.burst = if random.unit() < 0.08 { 0.0 } else { self.burst };
        (self.level * (1.0 + self.wander + self.burst)).clamp(0.001, 0.98)
    }
}

/// So many values of a series, `step_s` seconds apart.
pub(super) fn values(shape: Shape, seed: u64, len: usize, step_s: f64) -> Vec<f64> {
    let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let level = 0.02 + random.unit() * 0.3;
    let mut activity = Activity { level, wander: 0.0, burst: 0.0 };
    let scale = random.unit();
    let mut state = (random.unit() * 1e6).floor();
    let mut fraction = 0.0;
    if shape == Shape::Constant {
        let value = if scale < 0.5 { 0.0 } else { state * 1024.0 };
        return vec![value; len];
    }
    let mut next = || {
        let load = activity.step(&mut random);
        match shape {
            Shape::Constant => {}
            Shape::CpuBusy => {
                let mean = load * 100.0 * step_s * (0.3 + scale);
                let busy = (mean + random.normal() * mean.sqrt() * 4.0 + fraction).max(0.0);
                fraction = busy.fract();
                state += busy.floor();
                return state / 100.0;
            }
            Shape::CpuQuiet => {
                let mean = load * step_s * (0.2 + scale * 3.0);
                state += (mean * random.exponential()).round();
                return state / 100.0;
            }
            Shape::IoBytes => {
                let rate = load * (1e4 + scale * 3e6) * (0.3 + random.exponential());
                state += (rate * step_s / 512.0).floor() * 512.0;
            }
            Shape::IoCount => {
                let rate = load * (1.0 + scale * 200.0) * (0.5 + random.exponential());
                state += (rate * step_s).floor();
            }
            Shape::Packets => {
                let rate = load * (100.0 + scale * 2e4);
                state += (rate * step_s * (1.0 + random.normal() * 0.1)).max(0.0).floor();
            }
            Shape::Memory => {
                if random.unit() < 0.8 {
                    state += (random.normal() * 1500.0 * scale * load).round();
                }
                state = state.max(1e4);
                return state * 4096.0;
            }
            Shape::FileSystem => {
                if random.unit() < 0.3 {
                    state += (random.exponential() * 12.0 * (0.2 + scale)).round();
                }
                if random.unit() < 0.002 {
                    state -= 4000.0;
                }
                return (9e7 - state) * 4096.0;
            }
            Shape::Load => {
                fraction = fraction * 0.78 + load * 8.0 * random.exponential() * 0.22;
                return (fraction * 100.0).round() / 100.0;
            }
            Shape::Temperature => {
                if random.unit() < 0.4 {
                    fraction = (fraction + random.normal()).clamp(-6.0, 20.0);
                }
                return 45.0 + fraction.round();
            }
            Shape::Ratio => return load / 1.37,
        }
        state
    };
    (0..len).map(|_| next()).collect()
}
