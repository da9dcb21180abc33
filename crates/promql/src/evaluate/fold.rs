//! Aggregations that fold values one by one: the states of a group, one for each step.

use super::{ABSENT, is_absent};
use crate::plan::Fold;
use crate::sums::{CompensatedSum, Mean, Spread};

/// The values of a group at all steps, as far as series were added.
///
/// A group of one series keeps just its values: where each series is a group of its own, nothing is held twice.
pub(super) enum Folded {
    One(Vec<f64>),
    Many(States),
}

impl Folded {
    /// A group of one series.
    pub(super) fn first(values: Vec<f64>) -> Self {
        Self::One(values)
    }

    /// Adds the values of a series, one a step.
    pub(super) fn add(&mut self, fold: Fold, values: &[f64]) {
        self.states(fold).add(values);
    }

    /// Adds what another thread has folded of the same group.
    pub(super) fn merge(&mut self, fold: Fold, other: Self) {
        match other {
            Self::One(values) => self.add(fold, &values),
            Self::Many(states) => self.states(fold).merge(&states),
        }
    }

    fn states(&mut self, fold: Fold) -> &mut States {
        if let Self::One(values) = self {
            let mut states = States::new(fold, values.len());
            states.add(values);
            *self = Self::Many(states);
        }
        match self {
            Self::Many(states) => states,
            Self::One(_) => unreachable!("a group of one series was just turned into states"),
        }
    }

    /// The value of the group at each step.
    pub(super) fn finish(self, fold: Fold) -> Vec<f64> {
        match self {
            Self::One(mut values) => {
                for value in values.iter_mut().filter(|value| !is_absent(**value)) {
                    *value = alone(fold, *value);
                }
                values
            }
            Self::Many(states) => states.finish(fold),
        }
    }
}

/// The aggregate of a single value.
fn alone(fold: Fold, value: f64) -> f64 {
    match fold {
        Fold::Sum | Fold::Avg | Fold::Min | Fold::Max => value,
        Fold::Count | Fold::Group => 1.0,
        Fold::Stddev | Fold::Stdvar if value.is_finite() => 0.0,
        Fold::Stddev | Fold::Stdvar => f64::NAN,
    }
}

/// One state a step; `None` inside of it means that no value was added yet.
pub(super) enum States {
    Sum(Sums),
    Mean(Vec<Option<Mean>>),
    Least(Vec<Option<f64>>),
    Greatest(Vec<Option<f64>>),
    /// How many values; for `group`, too.
    Count(Vec<Option<f64>>),
    Spread(Vec<Option<Spread>>),
}

impl States {
    fn new(fold: Fold, steps: usize) -> Self {
        match fold {
            Fold::Sum => Self::Sum(Sums::new(steps)),
            Fold::Avg => Self::Mean(vec![None; steps]),
            Fold::Min => Self::Least(vec![None; steps]),
            Fold::Max => Self::Greatest(vec![None; steps]),
            Fold::Count | Fold::Group => Self::Count(vec![None; steps]),
            Fold::Stddev | Fold::Stdvar => Self::Spread(vec![None; steps]),
        }
    }

    fn add(&mut self, values: &[f64]) {
        match self {
            Self::Sum(sums) => sums.add(values),
            Self::Mean(states) => {
                each(states, values, |state, value| state.get_or_insert_default().add(value));
            }
            Self::Least(states) => each(states, values, |state, value| {
                *state = Some(state.map_or(value, |old| lesser(old, value)));
            }),
            Self::Greatest(states) => each(states, values, |state, value| {
                *state = Some(state.map_or(value, |old| greater(old, value)));
            }),
            Self::Count(states) => {
                each(states, values, |state, _| *state.get_or_insert_default() += 1.0);
            }
            Self::Spread(states) => {
                each(states, values, |state, value| state.get_or_insert_default().add(value));
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Sum(a), Self::Sum(b)) => a.merge(b),
            (Self::Mean(a), Self::Mean(b)) => join(a, b, Mean::join),
            (Self::Least(a), Self::Least(b)) => join(a, b, lesser),
            (Self::Greatest(a), Self::Greatest(b)) => join(a, b, greater),
            (Self::Count(a), Self::Count(b)) => join(a, b, |a, b| a + b),
            (Self::Spread(a), Self::Spread(b)) => join(a, b, Spread::join),
            _ => unreachable!("both threads fold for the same aggregation"),
        }
    }

    fn finish(self, fold: Fold) -> Vec<f64> {
        match self {
            Self::Sum(sums) => sums.finish(),
            Self::Mean(states) => column(states, Mean::mean),
            Self::Least(states) | Self::Greatest(states) => column(states, |value| value),
            Self::Count(states) if fold == Fold::Group => column(states, |_| 1.0),
            Self::Count(states) => column(states, |count| count),
            Self::Spread(states) if fold == Fold::Stddev => {
                column(states, |spread| spread.variance().sqrt())
            }
            Self::Spread(states) => column(states, Spread::variance),
        }
    }
}

/// Compensated sums as two columns, which are added to without a branch: this is done for each value of most queries.
pub(super) struct Sums {
    /// [`ABSENT`] where no value was added yet.
    sums: Vec<f64>,
    compensations: Vec<f64>,
}

impl Sums {
    fn new(steps: usize) -> Self {
        Self { sums: vec![ABSENT; steps], compensations: vec![0.0; steps] }
    }

    fn add(&mut self, values: &[f64]) {
        let states = self.sums.iter_mut().zip(&mut self.compensations);
        for ((sum, compensation), &value) in states.zip(values) {
            let before = if is_absent(*sum) { 0.0 } else { *sum };
            let (total, lost) = CompensatedSum::step(before, value);
            // The sum of an infinity is not compensated.
            let compensated = if total.is_infinite() { 0.0 } else { *compensation + lost };
            let is_value = !is_absent(value);
            *sum = if is_value { total } else { *sum };
            *compensation = if is_value { compensated } else { *compensation };
        }
    }

    fn merge(&mut self, other: &Self) {
        self.add(&other.sums);
        for (own, other) in self.compensations.iter_mut().zip(&other.compensations) {
            *own += other;
        }
    }

    fn finish(self) -> Vec<f64> {
        let Self { mut sums, compensations } = self;
        for (sum, compensation) in sums.iter_mut().zip(compensations) {
            let is_whole = is_absent(*sum) || sum.is_infinite();
            *sum = if is_whole { *sum } else { *sum + compensation };
        }
        sums
    }
}

fn each<S>(states: &mut [Option<S>], values: &[f64], mut add: impl FnMut(&mut Option<S>, f64)) {
    for (state, &value) in states.iter_mut().zip(values) {
        if !is_absent(value) {
            add(state, value);
        }
    }
}

fn join<S: Copy>(states: &mut [Option<S>], others: &[Option<S>], join: impl Fn(S, S) -> S) {
    for (state, other) in states.iter_mut().zip(others) {
        *state = match (*state, *other) {
            (Some(a), Some(b)) => Some(join(a, b)),
            (a, b) => a.or(b),
        };
    }
}

fn column<S>(states: Vec<Option<S>>, value: impl Fn(S) -> f64) -> Vec<f64> {
    states.into_iter().map(|state| state.map_or(ABSENT, &value)).collect()
}

/// NaN only if both are.
fn lesser(old: f64, new: f64) -> f64 {
    if old > new || old.is_nan() { new } else { old }
}

/// NaN only if both are.
fn greater(old: f64, new: f64) -> f64 {
    if old < new || old.is_nan() { new } else { old }
}
