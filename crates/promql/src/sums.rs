//! Sums, means, variances and quantiles exactly as Prometheus computes them.
//!
//! Sums are compensated (Kahan's method with Neumaier's improvement), so that the order of values and
//! their sizes do not matter; means fall back to a running mean where the sum would overflow.

/// A sum that keeps what addition rounds away.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CompensatedSum {
    sum: f64,
    compensation: f64,
}

impl CompensatedSum {
    /// Adds a value.
    pub(crate) fn add(&mut self, value: f64) {
        let (total, lost) = Self::step(self.sum, value);
        self.compensation = if total.is_infinite() { 0.0 } else { self.compensation + lost };
        self.sum = total;
    }

    /// The rounded sum of two numbers, and what rounding took from it; that is no number where the sum is infinite.
    pub(crate) fn step(sum: f64, value: f64) -> (f64, f64) {
        let total = sum + value;
        let (larger, smaller) = if sum.abs() >= value.abs() { (sum, value) } else { (value, sum) };
        (total, (larger - total) + smaller)
    }

    /// The sum of this one and another.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.add(other.sum);
        self.compensation += other.compensation;
        self
    }

    /// The sum of all values, each multiplied by a factor.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, compensation: self.compensation * factor }
    }

    /// The sum of all values added.
    pub(crate) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.compensation }
    }
}

/// An arithmetic mean.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    count: f64,
    sum: CompensatedSum,
    /// Whether `sum` holds the mean so far, because the sum itself would overflow.
    incremental: bool,
}

impl Mean {
    /// Adds a value.
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum.sum = value;
            return;
        }
        if !self.incremental {
            let mut next = self.sum;
            next.add(value);
            if !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            self.sum.sum /= self.count - 1.0;
            self.sum.compensation /= self.count - 1.0;
        }
        let weight = (self.count - 1.0) / self.count;
        self.sum.sum *= weight;
        self.sum.compensation *= weight;
        self.sum.add(value / self.count);
    }

    /// The mean of the values of this one and another, neither of them empty.
    pub(crate) fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        if !self.incremental && !other.incremental {
            let sum = self.sum.join(other.sum);
            if !sum.sum.is_infinite() {
                return Self { count, sum, incremental: false };
            }
        }
        let mut sum = CompensatedSum::default();
        for part in [self, other] {
            sum.add(part.mean() * (part.count / count));
        }
        Self { count, sum, incremental: true }
    }

    /// The mean of all values added; NaN for none.
    pub(crate) fn mean(self) -> f64 {
        if self.incremental {
            self.sum.sum + self.sum.compensation
        } else {
            self.sum.sum / self.count + self.sum.compensation / self.count
        }
    }
}

/// How far values lie from their mean: Welford's running mean and sum of squares.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    /// Adds a value.
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    /// The spread of the values of this one and another, neither of them empty (by the method of Chan and others).
    pub(crate) fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        // Between infinite means no distance is defined.
        let between = if delta.is_finite() {
            delta * delta * (self.count * other.count / count)
        } else {
            f64::NAN
        };
        Self {
            count,
            mean: self.mean + delta * (other.count / count),
            squares: self.squares + other.squares + between,
        }
    }

    /// The variance of the population of all values added.
    pub(crate) fn variance(self) -> f64 {
        self.squares / self.count
    }
}

/// The `q`-quantile by linear interpolation; NaN values count as the smallest. Sorts `values`.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    values.sort_unstable_by(|a, b| {
        b.is_nan()
            .cmp(&a.is_nan())
            .then_with(|| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
    });
    quantile_of_sorted(q, values.len(), |rank| values[rank])
}

/// The `q`-quantile of `count` values of which `at` gives that of each rank, NaN the first. At most two are asked for.
pub(crate) fn quantile_of_sorted(q: f64, count: usize, at: impl Fn(usize) -> f64) -> f64 {
    if count == 0 || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = (count - 1) as f64;
    let rank = q * last;
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(last);
    let weight = rank - rank.floor();
    at(lower as usize) * (1.0 - weight) + at(upper as usize) * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], sum: f64, mean: f64) {
        let mut total = CompensatedSum::default();
        let mut average = Mean::default();
        for &value in values {
            total.add(value);
            average.add(value);
        }
        assert_eq!(total.total().to_bits(), sum.to_bits());
        assert_eq!(average.mean().to_bits(), mean.to_bits());
    }

    #[test]
    fn sums_and_means_lose_nothing() {
        check(&[2.0, 8.0, 1e100, -1e100], 10.0, 2.5);
        check(&[1e308, 1e308], f64::INFINITY, 1e308);
        check(&[f64::INFINITY, 1.0], f64::INFINITY, f64::INFINITY);
    }

    /// Whatever the place where they are parted, two parts joined are as good as the whole.
    #[track_caller]
    fn check_joins(values: &[f64]) {
        fn all<T: Default>(values: &[f64], add: fn(&mut T, f64)) -> T {
            let mut state = T::default();
            for &value in values {
                add(&mut state, value);
            }
            state
        }
        let near = |a: f64, b: f64| {
            let equal = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            assert!(equal || (a - b).abs() <= 1e-12 * a.abs().max(b.abs()), "{a} {b}");
        };
        let (sum, mean) = (all(values, CompensatedSum::add), all(values, Mean::add));
        let spread: Spread = all(values, Spread::add);
        for at in 1..values.len() {
            let (a, b) = values.split_at(at);
            let joined = all(a, CompensatedSum::add).join(all(b, CompensatedSum::add));
            near(joined.total(), sum.total());
            near(all(a, Mean::add).join(all(b, Mean::add)).mean(), mean.mean());
            let joined: Spread = all(a, Spread::add).join(all(b, Spread::add));
            near(joined.variance(), spread.variance());
        }
    }

    #[test]
    fn parts_join_to_the_whole() {
        check_joins(&[1.0, 2.5, -3.0, 8.0, 1e6]);
        check_joins(&[0.1, 1e16, -1e16, 0.2]);
        check_joins(&[1.0, f64::INFINITY, 2.0]);
        check_joins(&[1.0, f64::NAN, 2.0]);
        check_joins(&[5.0, 5.0, 5.0]);
        let mean = |values: &[f64]| {
            let mut mean = Mean::default();
            for &value in values {
                mean.add(value);
            }
            mean
        };
        near_bits(mean(&[1e308]).join(mean(&[1e308, 1e308])).mean(), 1e308);
    }

    #[track_caller]
    fn near_bits(a: f64, b: f64) {
        assert!((a / b - 1.0).abs() < 1e-15, "{a} {b}");
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
        assert!((quantile(0.8, &mut [1.0, f64::NAN, 0.0]) - 0.6).abs() < 1e-12);
        assert_eq!(quantile(2.0, &mut [1.0]), f64::INFINITY);
        assert!(quantile(0.5, &mut []).is_nan());
    }
}
