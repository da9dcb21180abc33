//! Series from a seed, with faults put in and labelled, and harmless oddities that are not to be told.

use crate::chance::Chance;

/// A Monday, 00:00 UTC.
pub(crate) const START_MS: i64 = 1_790_553_600_000;
const HOUR_MS: i64 = 3_600_000;

/// Series that are sampled alike.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) step_ms: i64,
    pub(crate) points: usize,
    /// What is told in so many first points does not count.
    pub(crate) learning: usize,
    /// How many faults each series has.
    pub(crate) faults: usize,
    pub(crate) kinds: &'static [(&'static str, Kind)],
}

/// What makes a healthy value of a point, and the scale of its noise.
pub(crate) type Kind = fn(usize, &mut State, &mut Chance) -> (f64, f64);

/// What a series remembers, and was drawn as.
pub(crate) struct State {
    pub(crate) size: f64,
    pub(crate) phase: f64,
    pub(crate) wander: f64,
    /// What a kind keeps as it likes, 0 at first.
    pub(crate) kept: f64,
}

/// What was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Spike,
    Shift,
    Leak,
    Sawtooth,
    Outage,
    /// The end of a long fault: to tell it is neither right nor wrong.
    Return,
}

/// A fault and the points it lies on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) fault: Fault,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// One series; what is missing is no number.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) step_ms: i64,
    pub(crate) values: Vec<f64>,
    pub(crate) events: Vec<Event>,
}

impl Series {
    /// The points of so many hours, at least one.
    pub(crate) fn hours(&self, hours: f64) -> usize {
        ((hours * HOUR_MS as f64 / self.step_ms as f64).round() as usize).max(1)
    }
}

/// Noise that is like its neighbour: reverts within so many points, of so much σ.
pub(crate) fn wander(state: &mut State, chance: &mut Chance, points: f64, sigma: f64) -> f64 {
    let keeps = (-1.0 / points).exp();
    state.wander = keeps * state.wander + (1.0 - keeps * keeps).sqrt() * sigma * chance.normal();
    state.wander
}

/// A series of a kind, with its faults in equal parts of what follows the learning.
pub(crate) fn drawn(family: &Family, (name, kind): (&'static str, Kind), seed: u64) -> Series {
    let mut chance = Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ name.len() as u64);
    let (size, phase) = (chance.between(4.0, 12.0), chance.between(0.0, 1.0));
    let mut state = State { size, phase, wander: 0.0, kept: 0.0 };
    let points: Vec<(f64, f64)> =
        (0..family.points).map(|at| kind(at, &mut state, &mut chance)).collect();
    let (values, noise): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
    let mut series = Series { name, step_ms: family.step_ms, values, events: Vec::new() };
    let room = (family.points - family.learning) / family.faults;
    for part in 0..family.faults {
        let into = (chance.between(0.1, 0.45) * room as f64) as usize;
        let from = family.learning + part * room + into;
        put_in(&mut series, from, room / 2, &noise, &mut chance);
    }
    oddities(&mut series, &mut chance);
    series
}

/// Puts one fault in, of five to fifteen times the noise and no more than so many points.
fn put_in(series: &mut Series, from: usize, most: usize, noise: &[f64], chance: &mut Chance) {
    let faults =
        [Fault::Spike, Fault::Spike, Fault::Shift, Fault::Leak, Fault::Sawtooth, Fault::Outage];
    let fault = faults[chance.between(0.0, faults.len() as f64) as usize];
    let size = chance.between(5.0, 15.0);
    let hours = match fault {
        Fault::Spike => (0.17, 0.75),
        Fault::Shift => (24.0, 58.0),
        Fault::Leak => (17.0, 42.0),
        Fault::Sawtooth => (2.5, 6.7),
        Fault::Outage | Fault::Return => (0.25, 2.0),
    };
    // What is sampled every hour has longer faults, or there would be none of two points.
    let times = if series.step_ms < HOUR_MS { 1.0 } else { 3.0 };
    let times = if matches!(fault, Fault::Shift | Fault::Leak) { 1.0 } else { times };
    let length = series.hours(times * chance.between(hours.0, hours.1)).min(most);
    let period = chance.between(4.0, 10.0);
    for step in 0..length {
        let share = step as f64 / length as f64;
        let noise = noise[from + step];
        let value = &mut series.values[from + step];
        match fault {
            Fault::Spike | Fault::Shift => *value += size * noise,
            Fault::Leak => *value += (size + 5.0) * share * noise,
            Fault::Sawtooth => *value += size * (step as f64 / period).fract() * noise,
            Fault::Outage | Fault::Return => *value *= 0.05,
        }
    }
    // A shift is to be told in its first hours. That a long fault ends may be told or not.
    let (end, six_hours) = (from + length, series.hours(6.0));
    let to = if fault == Fault::Shift { from + six_hours } else { end };
    series.events.push(Event { fault, from, to });
    if matches!(fault, Fault::Shift | Fault::Leak) {
        series.events.push(Event { fault: Fault::Return, from: end, to: end + six_hours });
    }
}

/// What happens to healthy series: values go missing for hours, and a counter that starts anew gives one absurd value.
/// What is sampled every hour has no absurd values: there, one value is all that an event has.
fn oddities(series: &mut Series, chance: &mut Chance) {
    let points = series.values.len();
    let free = |series: &Series, at: usize, length: usize| {
        let (before, after) = (series.hours(4.0), series.hours(2.0));
        series.events.iter().all(|event| at > event.to + before || at + length + after < event.from)
    };
    for _ in 0..6 {
        let at = (chance.between(0.1, 0.98) * points as f64) as usize;
        let length = series.hours(chance.between(0.25, 6.7));
        if free(series, at, length) && at + length < points {
            series.values[at..at + length].fill(f64::NAN);
        }
    }
    for _ in 0..8 {
        let at = (chance.between(0.1, 0.98) * points as f64) as usize;
        let times = if chance.between(0.0, 1.0) < 0.5 { 0.0 } else { 2.5 };
        if series.step_ms < HOUR_MS && free(series, at, 1) {
            series.values[at] *= times;
        }
    }
}
