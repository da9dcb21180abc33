//! Series unlike those of `servers.rs`: short ones every five minutes as clouds show them, and long ones every hour as
//! services count them.

use crate::chance::Chance;
use crate::series::{Family, Kind, wander};
use std::f64::consts::TAU;

/// Points of a day at five minutes, and at an hour.
const DAY: usize = 288;
const DAY_OF_HOURS: usize = 24;

/// Little to learn by: three days of two weeks.
pub(crate) const CLOUD: Family = Family {
    name: "cloud, 5 minutes, 2 weeks",
    step_ms: 300_000,
    points: 14 * DAY,
    learning: 3 * DAY,
    faults: 3,
    kinds: &CLOUD_KINDS,
};

/// Sixty days, of which the first two weeks are to learn by.
pub(crate) const HOURLY: Family = Family {
    name: "services, 1 hour, 60 days",
    step_ms: 3_600_000,
    points: 60 * DAY_OF_HOURS,
    learning: 14 * DAY_OF_HOURS,
    faults: 5,
    kinds: &HOURLY_KINDS,
};

const CLOUD_KINDS: [(&str, Kind); 8] = [
    ("idle with bursts", |_, state, chance| {
        // A burst of a few values every few hours, at no fixed time.
        if state.kept < 1.0 && chance.between(0.0, 1.0) < 0.02 {
            state.kept = chance.between(2.0, 5.0);
        }
        state.kept = (state.kept - 1.0).max(0.0);
        let burst = if state.kept > 0.0 { chance.between(0.5, 1.0) * state.size } else { 0.0 };
        (2.0 + burst + 0.1 * chance.normal().abs(), 0.4 * state.size)
    }),
    ("bytes with heavy tails", |at, state, chance| {
        let level = 1e8 * state.size * (1.0 + 0.3 * turn(at, DAY, state.phase));
        (level * (0.25 * heavy(chance)).exp(), 0.35 * level)
    }),
    ("counted requests", |at, state, chance| {
        let mean = 3.0 + state.size * (1.0 + turn(at, DAY, state.phase));
        ((mean + mean.sqrt() * chance.normal()).round().max(0.0), mean.sqrt())
    }),
    ("temperature", |at, state, chance| {
        let drift = 0.002 * (state.phase - 0.5) * at as f64;
        let value = 85.0 + drift + wander(state, chance, 400.0, 3.0) + 0.4 * chance.normal();
        (value, 2.0)
    }),
    ("cpu in tenths", |_, state, chance| {
        let value = 5.0 * state.size + wander(state, chance, 6.0, 0.6) + 0.5 * heavy(chance);
        ((value * 10.0).round() / 10.0, 1.0)
    }),
    ("flat with steps", |_, state, chance| {
        if chance.between(0.0, 1.0) < 0.002 {
            state.kept += chance.normal().round();
        }
        (1e3 * (20.0 + state.size).round() + 10.0 * state.kept, 500.0)
    }),
    ("rush hours", |at, state, chance| {
        let day = (at % DAY) as f64 / DAY as f64;
        let rush = (-((day - 0.34) / 0.04).powi(2)).exp() + (-((day - 0.72) / 0.06).powi(2)).exp();
        let weekday = if (at / DAY) % 7 < 5 { 1.0 } else { 0.3 };
        let noise = 2.0 + 2.0 * rush;
        (65.0 - 2.0 * state.size * rush * weekday + noise * chance.normal(), noise)
    }),
    ("grows", |at, state, chance| {
        let value = 1e-9 * (50.0 + 0.01 * state.size * at as f64 + chance.normal());
        (value, 1e-9)
    }),
];

const HOURLY_KINDS: [(&str, Kind); 7] = [
    ("visits", |at, state, chance| {
        let weekday = if (at / DAY_OF_HOURS) % 7 < 5 { 1.0 } else { 0.6 };
        let rhythm = 1.0 + 0.6 * turn(at, DAY_OF_HOURS, state.phase);
        let level = 1e4 * state.size * weekday * rhythm;
        let noise = 0.05 * level;
        (level + wander(state, chance, 12.0, noise) + noise * chance.normal(), noise)
    }),
    ("trend", |at, state, chance| {
        let level = 200.0 + state.size * 0.05 * at as f64;
        (level + 8.0 * chance.normal(), 8.0)
    }),
    ("two rhythms", |at, state, chance| {
        let rhythm =
            turn(at, DAY_OF_HOURS, state.phase) + 0.5 * turn(at, DAY_OF_HOURS / 2, state.phase);
        (1e12 * (10.0 + state.size * 0.3 * rhythm + 0.3 * chance.normal()), 0.3e12)
    }),
    ("heavy tails", |_, state, chance| (50.0 * state.size + 4.0 * heavy(chance), 6.0)),
    ("errors", |_, state, chance| {
        let mean = 3.0 * state.size;
        ((mean + mean.sqrt() * chance.normal()).round().max(0.0), mean.sqrt())
    }),
    ("weekly job", |at, state, chance| {
        let hour = at % (7 * DAY_OF_HOURS);
        let job = (130..134).contains(&hour);
        (10.0 * state.size + 60.0 * f64::from(job) + 2.0 * chance.normal(), 2.0)
    }),
    ("ratio", |at, state, chance| {
        let value = 0.9 + 0.03 * turn(at, DAY_OF_HOURS, state.phase);
        (value + wander(state, chance, 5.0, 0.01) + 0.01 * chance.normal(), 0.015)
    }),
];

/// A wave of so many points, -1 to 1.
fn turn(at: usize, period: usize, phase: f64) -> f64 {
    (((at % period) as f64 / period as f64 + phase) * TAU).sin()
}

/// Noise with heavy tails: one value in a hundred is beyond four.
fn heavy(chance: &mut Chance) -> f64 {
    let wide = (0.6 * chance.normal()).exp();
    wide * chance.normal()
}
