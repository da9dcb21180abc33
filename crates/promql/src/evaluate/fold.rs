//! Aggregations that fold values one by one: the state of a group at a step.

use crate::plan::Fold;
use crate::sums::{CompensatedSum, Mean};

/// What is known of the values seen so far.
#[derive(Clone, Copy)]
pub(super) enum State {
    Sum(CompensatedSum),
    Mean(Mean),
    Least(f64),
    Greatest(f64),
    Count(f64),
    Group,
    /// Welford's running mean and sum of squares.
    Spread {
        count: f64,
        mean: f64,
        squares: f64,
        root: bool,
    },
}

impl State {
    /// The state after the first value.
    pub(super) fn first(fold: Fold, value: f64) -> Self {
        let mut state = match fold {
            Fold::Sum => Self::Sum(CompensatedSum::default()),
            Fold::Avg => Self::Mean(Mean::default()),
            Fold::Min => return Self::Least(value),
            Fold::Max => return Self::Greatest(value),
            Fold::Count => Self::Count(0.0),
            Fold::Group => Self::Group,
            Fold::Stddev | Fold::Stdvar => {
                Self::Spread { count: 0.0, mean: 0.0, squares: 0.0, root: fold == Fold::Stddev }
            }
        };
        state.add(value);
        state
    }

    /// Takes one more value.
    pub(super) fn add(&mut self, value: f64) {
        match self {
            Self::Sum(sum) => sum.add(value),
            Self::Mean(mean) => mean.add(value),
            Self::Least(least) => {
                if *least > value || least.is_nan() {
                    *least = value;
                }
            }
            Self::Greatest(greatest) => {
                if *greatest < value || greatest.is_nan() {
                    *greatest = value;
                }
            }
            Self::Count(count) => *count += 1.0,
            Self::Group => {}
            Self::Spread { count, mean, squares, .. } => {
                *count += 1.0;
                let delta = value - *mean;
                *mean += delta / *count;
                *squares += delta * (value - *mean);
            }
        }
    }

    /// The value of the group.
    pub(super) fn value(self) -> f64 {
        match self {
            Self::Sum(sum) => sum.total(),
            Self::Mean(mean) => mean.mean(),
            Self::Least(value) | Self::Greatest(value) | Self::Count(value) => value,
            Self::Group => 1.0,
            Self::Spread { count, squares, root, .. } => {
                let variance = squares / count;
                if root { variance.sqrt() } else { variance }
            }
        }
    }
}
