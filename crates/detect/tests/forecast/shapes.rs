//! Named histories of a disk of 100 units, made from a seed, with the future that each would have had.

use crate::chance::Chance;
use muster_series::Sample;
use std::f64::consts::TAU;

pub(crate) const SIZE: f64 = 100.0;
pub(crate) const LIMIT: f64 = 95.0;
pub(crate) const STEP_MS: i64 = 300_000;
pub(crate) const NOW_MS: i64 = 1_790_000_000_000 - 1_790_000_000_000 % 86_400_000;
/// Beyond this nobody plans, in hours.
pub(crate) const HORIZON: f64 = 30.0 * 24.0;

/// What is used, at hours from now (the past is negative), drawn from a seed.
type Shape = fn(&mut Chance) -> Box<dyn Fn(f64, &mut Chance) -> f64>;

/// All shapes by name, and whether each fills.
pub(crate) const SHAPES: [(&str, bool, Shape); 25] = [
    ("flat", false, |chance| {
        let level = chance.between(20.0, 90.0);
        Box::new(move |_, _| level)
    }),
    ("flat with noise", false, |chance| {
        let (level, noise) = (chance.between(20.0, 90.0), chance.between(0.05, 0.8));
        Box::new(move |_, chance| level + noise * chance.normal())
    }),
    ("almost full and flat", false, |chance| {
        let noise = chance.between(0.0, 0.05);
        Box::new(move |_, chance| 94.5 + noise * chance.normal())
    }),
    ("receding", false, |chance| {
        let pace = chance.between(0.01, 0.2);
        Box::new(move |hour, _| (60.0 - pace * hour).max(5.0))
    }),
    ("log rotation every night", false, |chance| {
        let (height, phase) = (chance.between(4.0, 25.0), chance.between(0.0, 24.0));
        Box::new(move |hour, _| 60.0 + height * ((hour + phase) / 24.0).rem_euclid(1.0))
    }),
    ("clean-up every few hours", false, |chance| {
        let (period, phase) = (chance.between(2.0, 9.0), chance.between(0.0, 24.0));
        Box::new(move |hour, chance| {
            70.0 + 20.0 * ((hour + phase) / period).rem_euclid(1.0) + 0.3 * chance.normal()
        })
    }),
    ("rhythm of the day", false, |chance| {
        let (height, phase) = (chance.between(5.0, 15.0), chance.between(0.0, 6.3));
        Box::new(move |hour, chance| {
            75.0 + height * (hour / 24.0 * TAU + phase).sin() + 0.2 * chance.normal()
        })
    }),
    ("dump every night, deleted", false, |chance| {
        let phase = chance.between(0.0, 24.0);
        Box::new(move |hour, _| {
            let today = (hour + phase).rem_euclid(24.0);
            60.0 + 25.0 * today.min(2.0) / 2.0 * f64::from(today < 4.0)
        })
    }),
    ("burst, then flat", false, |chance| {
        let (began, took) = (chance.between(1.5, 40.0), chance.between(0.2, 1.0));
        Box::new(move |hour, _| 50.0 + 25.0 * ((hour + began) / took).clamp(0.0, 1.0))
    }),
    ("step", false, |chance| {
        let (began, height) = (chance.between(0.5, 100.0), chance.between(5.0, 30.0));
        Box::new(move |hour, chance| {
            50.0 + height * f64::from(hour > -began) + 0.1 * chance.normal()
        })
    }),
    ("growth that stopped", false, |chance| {
        let ago = chance.between(6.0, 24.0);
        Box::new(move |hour, _| 80.0 + 0.3 * (hour.min(-ago) + ago))
    }),
    ("big delete, then flat", false, |chance| {
        let ago = chance.between(8.0, 100.0);
        Box::new(move |hour, _| if hour < -ago { 85.0 + 0.05 * hour } else { 40.0 })
    }),
    ("linear", true, |chance| {
        let (pace, left) = (chance.between(0.05, 0.25), chance.between(5.0, 30.0));
        Box::new(move |hour, _| LIMIT - left + pace * hour)
    }),
    ("linear with noise", true, |chance| {
        let (pace, left) = (chance.between(0.05, 0.25), chance.between(5.0, 30.0));
        let noise = chance.between(0.1, 0.6);
        Box::new(move |hour, chance| LIMIT - left + pace * hour + noise * chance.normal())
    }),
    ("linear with gaps", true, |chance| {
        let (pace, left) = (chance.between(0.05, 0.25), chance.between(5.0, 30.0));
        let gap = chance.between(10.0, 40.0);
        Box::new(move |hour, chance| {
            let missing = (hour > -gap - 20.0 && hour < -gap) || chance.between(0.0, 1.0) < 0.3;
            if missing && hour < 0.0 { f64::NAN } else { LIMIT - left + pace * hour }
        })
    }),
    ("big delete, then growth", true, |chance| {
        let (ago, pace) = (chance.between(8.0, 60.0), chance.between(0.1, 0.6));
        Box::new(move |hour, chance| {
            let level = if hour < -ago { 90.0 } else { 60.0 };
            level + pace * (hour + ago) + 0.05 * chance.normal()
        })
    }),
    ("saw-tooth that climbs", true, |chance| {
        let (pace, phase) = (chance.between(0.04, 0.12), chance.between(0.0, 24.0));
        Box::new(move |hour, _| 80.0 + pace * hour + 8.0 * ((hour + phase) / 24.0).rem_euclid(1.0))
    }),
    ("a step every night", true, |chance| {
        let (height, phase) = (chance.between(1.0, 3.0), chance.between(0.0, 24.0));
        Box::new(move |hour, _| 80.0 + height * ((hour + phase) / 24.0).floor())
    }),
    ("leak under the rhythm of a day", true, |chance| {
        let (pace, height) = (chance.between(0.1, 0.2), chance.between(1.0, 4.0));
        let phase = chance.between(0.0, TAU);
        Box::new(move |hour, chance| {
            80.0 + pace * hour + height * (hour / 24.0 * TAU + phase).sin() + 0.2 * chance.normal()
        })
    }),
    ("grows in working hours", true, |chance| {
        let (pace, phase) = (chance.between(0.2, 0.5), chance.between(0.0, 24.0));
        Box::new(move |hour, _| {
            let (days, today) = (((hour + phase) / 24.0).floor(), (hour + phase).rem_euclid(24.0));
            75.0 + pace * (9.0 * days + (today - 8.0).clamp(0.0, 9.0))
        })
    }),
    ("waves of many lengths", false, |chance| {
        let waves: Vec<(f64, f64)> =
            (0..5).map(|_| (chance.between(3.0, 60.0), chance.between(0.0, TAU))).collect();
        Box::new(move |hour, chance| {
            let sum: f64 =
                waves.iter().map(|(hours, phase)| (hour / hours * TAU + phase).sin()).sum();
            70.0 + 3.0 * sum + 0.3 * chance.normal()
        })
    }),
    ("exponential", true, |chance| {
        let doubling = chance.between(30.0, 90.0);
        Box::new(move |hour, chance| 30.0 + 40.0 * (hour / doubling).exp2() + 0.1 * chance.normal())
    }),
    ("quantised to 4 KiB", true, |chance| {
        let pace = chance.between(0.01, 0.04);
        Box::new(move |hour, _| ((90.0 + pace * hour) / 0.25).floor() * 0.25)
    }),
    ("began hours ago", true, |chance| {
        let (ago, pace) = (chance.between(4.0, 6.0), chance.between(1.5, 4.0));
        Box::new(move |hour, chance| 65.0 + pace * (hour + ago).max(0.0) + 0.1 * chance.normal())
    }),
    ("runaway log, within the hour", true, |chance| {
        let pace = chance.between(15.0, 25.0);
        Box::new(move |hour, chance| {
            let rise = pace * (hour + 0.9).max(0.0);
            (65.0 + rise * (1.0 + 0.02 * chance.normal())).min(100.0)
        })
    }),
];

/// A week of history at steps of five minutes up to now, and in how many hours it fills, if within the horizon.
pub(crate) fn drawn(shape: Shape, seed: u64) -> (Vec<Sample>, Option<f64>) {
    let mut chance = Chance(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let value = shape(&mut chance);
    let steps = 7 * 288;
    let at = |step: i64| (step * STEP_MS) as f64 / 3.6e6;
    let history = (-steps..=0)
        .map(|step| Sample {
            timestamp_ms: NOW_MS + step * STEP_MS,
            value: value(at(step), &mut chance),
        })
        .collect();
    let full = (1..).map(at).take_while(|hour| *hour <= HORIZON);
    let full = full.into_iter().find(|hour| value(*hour, &mut chance) >= LIMIT);
    (history, full)
}
