//! Random numbers from a seed, drawn one after the other.

use crate::wave::{fraction, mix};

/// A source of random numbers; the same seed gives the same numbers.
#[derive(Debug, Clone)]
pub(super) struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    /// Dice of their own for each `stream` of a seed.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self { seed: mix(seed, stream), drawn: 0 }
    }

    /// A number from 0 up to 1.
    pub(super) fn share(&mut self) -> f64 {
        self.drawn += 1;
        fraction(mix(self.seed, self.drawn))
    }

    /// A number of the range.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Whether something happens that does with this probability.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }
}
