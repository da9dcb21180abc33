//! Figures of servers, a value every five minutes for five weeks.

use crate::series::{Family, Kind, wander};
use std::f64::consts::TAU;

/// Points of a day.
const DAY: usize = 288;

/// The first two weeks are to learn by.
pub(crate) const SERVERS: Family = Family {
    name: "servers, 5 minutes, 5 weeks",
    step_ms: 300_000,
    points: 35 * DAY,
    learning: 14 * DAY,
    faults: 4,
    kinds: &KINDS,
};

/// The kinds of series.
const KINDS: [(&str, Kind); 9] = [
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
