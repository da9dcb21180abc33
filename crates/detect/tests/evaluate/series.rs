//! Series as healthy servers make them, from a seed, with faults put in and labelled, and harmless oddities that are
//! not to be told.

use crate::chance::Chance;
use std::f64::consts::TAU;

pub(crate) const STEP_MS: i64 = 300_000;
/// Points of a day at five minutes.
pub(crate) const DAY: usize = 288;
pub(crate) const WEEKS: usize = 5;
pub(crate) const POINTS: usize = WEEKS * 7 * DAY;
/// The first two weeks are to learn by; what is told in them does not count.
pub(crate) const LEARNING: usize = 14 * DAY;
/// A Monday, 00:00 UTC.
pub(crate) const START_MS: i64 = 1_790_553_600_000;

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

/// Five weeks of one series; what is missing is no number.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<f64>,
    pub(crate) events: Vec<Event>,
}

/// What makes a healthy value of a point, and the scale of its noise.
pub(crate) type Kind = fn(usize, &mut State, &mut Chance) -> (f64, f64);

/// What a series remembers, and was drawn as.
pub(crate) struct State {
    size: f64,
    phase: f64,
    wander: f64,
}

/// The kinds of series.
pub(crate) const KINDS: [(&str, Kind); 9] = [
    ("processor", |at, state, chance| {
        let noise = 1.5 + 2.0 * busy(at, 0);
        (
            12.0 + state.size * 4.0 * busy(at, 0)
                + wander(state, chance, 24.0, noise)
                + noise * chance.normal(),
            noise,
        )
    }),
    ("requests", |at, state, chance| {
        let level = 100.0 + 60.0 * state.size * busy(at, 0);
        let noise = 0.04 * level;
        (level + wander(state, chance, 36.0, noise) + noise * chance.normal(), noise)
    }),
    ("clock changes", |at, state, chance| {
        // People's clocks go back by an hour on the fourth Sunday.
        let moved = if at >= 27 * DAY + 12 { 0 } else { DAY / 24 };
        let noise = 1.0;
        (
            20.0 + 5.0 * state.size * busy(at + moved, moved)
                + wander(state, chance, 24.0, noise)
                + noise * chance.normal(),
            noise,
        )
    }),
    ("nightly jobs", |at, state, chance| {
        let today = (at % DAY) as f64 + (chance.between(0.0, 1.0) * 1.5).floor();
        let job = today >= 24.0 + state.phase * 10.0 && today < 32.0 + state.phase * 10.0;
        (20.0 + 50.0 * f64::from(job) + 1.0 * chance.normal(), 1.0)
    }),
    ("quiet", |_, state, chance| {
        let busy = chance.between(0.0, 1.0) < 0.01;
        let value =
            state.size * 0.2 + 0.15 * chance.normal() + f64::from(busy) * chance.between(0.0, 2.0);
        ((value.max(0.0) * 10.0).round() / 10.0, 0.2)
    }),
    ("memory in teeth", |at, state, chance| {
        let period = 30.0 + 5.0 * state.size;
        let tooth = ((at as f64 + state.phase * period) / period).fract();
        (40.0 + 20.0 * tooth + 0.8 * chance.normal(), 4.0)
    }),
    ("wanders", |_, state, chance| {
        let value = 50.0 + wander(state, chance, 200.0, 5.0) + 0.5 * chance.normal();
        (value, 2.5)
    }),
    ("wild latency", |at, state, chance| {
        let level = 20.0 * (1.0 + 0.05 * state.size * busy(at, 0));
        let wild = if chance.between(0.0, 1.0) < 0.008 { chance.between(1.5, 6.0) } else { 1.0 };
        (level * wild * (0.08 * chance.normal()).exp(), 0.1 * level)
    }),
    ("level", |_, state, chance| {
        let noise = 0.4;
        (60.0 + wander(state, chance, 12.0, noise) + noise * chance.normal(), noise)
    }),
];

/// How busy people are, 0 to 1: by day more than by night, on weekdays more than at weekends.
fn busy(at: usize, ahead: usize) -> f64 {
    let hour = (at % DAY) as f64 / DAY as f64 * 24.0;
    let weekday = ((at + DAY * 7 - ahead) / DAY) % 7 < 5;
    let day = (0.5 - 0.5 * ((hour - 2.0) / 24.0 * TAU).cos()).powf(1.5);
    day * if weekday { 1.0 } else { 0.4 }
}

/// Noise that is like its neighbour: reverts within so many points, of so much σ.
fn wander(state: &mut State, chance: &mut Chance, points: f64, sigma: f64) -> f64 {
    let keeps = (-1.0 / points).exp();
    state.wander = keeps * state.wander + (1.0 - keeps * keeps).sqrt() * sigma * chance.normal();
    state.wander
}

/// A series of a kind, with three or four faults in its last three weeks.
pub(crate) fn drawn((name, kind): (&'static str, Kind), seed: u64) -> Series {
    let mut chance = Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ name.len() as u64);
    let mut state =
        State { size: chance.between(4.0, 12.0), phase: chance.between(0.0, 1.0), wander: 0.0 };
    let points: Vec<(f64, f64)> = (0..POINTS).map(|at| kind(at, &mut state, &mut chance)).collect();
    let (values, noise): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
    let mut series = Series { name, values, events: Vec::new() };
    let room = (POINTS - LEARNING) / 4;
    for quarter in 0..4 {
        let from = LEARNING + quarter * room + (chance.between(0.1, 0.45) * room as f64) as usize;
        put_in(&mut series, from, &noise, &mut chance);
    }
    oddities(&mut series, &mut chance);
    series
}

/// Puts one fault in, of four to fifteen times the noise.
fn put_in(series: &mut Series, from: usize, noise: &[f64], chance: &mut Chance) {
    let faults =
        [Fault::Spike, Fault::Spike, Fault::Shift, Fault::Leak, Fault::Sawtooth, Fault::Outage];
    let fault = faults[chance.between(0.0, faults.len() as f64) as usize];
    let size = chance.between(5.0, 15.0);
    let (length, told) = match fault {
        Fault::Spike => (chance.between(2.0, 9.0) as usize, 0),
        Fault::Shift => (chance.between(288.0, 700.0) as usize, 72),
        Fault::Leak => (chance.between(200.0, 500.0) as usize, 0),
        Fault::Sawtooth => (chance.between(30.0, 80.0) as usize, 0),
        Fault::Outage | Fault::Return => (chance.between(3.0, 24.0) as usize, 0),
    };
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
    let end = from + length;
    let to = if told > 0 { from + told } else { end };
    series.events.push(Event { fault, from, to });
    if matches!(fault, Fault::Shift | Fault::Leak) {
        series.events.push(Event { fault: Fault::Return, from: end, to: end + 72 });
    }
}

/// What happens to healthy series: values go missing for hours, and a counter that starts anew gives one absurd value.
fn oddities(series: &mut Series, chance: &mut Chance) {
    let free = |series: &Series, at: usize, length: usize| {
        series.events.iter().all(|event| at > event.to + 48 || at + length + 24 < event.from)
    };
    for _ in 0..6 {
        let at = (chance.between(0.1, 0.98) * POINTS as f64) as usize;
        let length = chance.between(3.0, 80.0) as usize;
        if free(series, at, length) && at + length < POINTS {
            series.values[at..at + length].fill(f64::NAN);
        }
    }
    for _ in 0..8 {
        let at = (chance.between(0.1, 0.98) * POINTS as f64) as usize;
        if free(series, at, 1) {
            series.values[at] *= if chance.between(0.0, 1.0) < 0.5 { 0.0 } else { 2.5 };
        }
    }
}
