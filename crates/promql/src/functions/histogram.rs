//! Quantiles and fractions of classic histograms: series of cumulative counts by their `le` label.
//!
//! Within a bucket, observations are taken to lie evenly (Prometheus's `bucketQuantile`).

use std::collections::HashMap;

use muster_series::{Labels, METRIC_NAME};

use super::{calendar, scalar_argument, text_argument, vector_argument};
use crate::evaluate::{
    ABSENT, EvaluateError, Evaluator, Operand, StepSeries, Steps, format_general, format_value,
    is_absent, merge_same_labels,
};
use crate::plan::Call;

/// The label with the upper bound of a bucket.
const BOUND_LABEL: &str = "le";
/// Counts that differ less than this, relatively, differ by rounding only.
const TOLERANCE: f64 = 1e-12;

/// A bucket and all those below it.
#[derive(Clone, Copy)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// `histogram_quantile`.
pub(super) fn quantiles(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let quantiles = scalar_argument(evaluator, call, 0, steps)?;
    let series = vector_argument(evaluator, call, 1, steps)?;
    let results = quantiles_of(evaluator, call, (&quantiles, 0), (&series, 1), steps)?;
    Ok(Operand::Vector(results))
}

/// `histogram_quantiles`: several quantiles at once, told apart by a label.
pub(super) fn many_quantiles(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let series = vector_argument(evaluator, call, 0, steps)?;
    let label = text_argument(evaluator, call, 1, steps)?;
    let mut results = Vec::new();
    for at in 2..call.args.len() {
        let quantiles = scalar_argument(evaluator, call, at, steps)?;
        let mut distinct = quantiles.clone();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup_by_key(|q| q.to_bits());
        let all = quantiles_of(evaluator, call, (&quantiles, at), (&series, 0), steps)?;
        for q in distinct {
            let text = open_metrics(q);
            for one in &all {
                evaluator.budget.charge(steps.count)?;
                let labels = evaluator.budget.relabel(&one.labels, &label, &text, call.name)?;
                let pairs = one.values.iter().zip(&quantiles);
                let values = pairs
                    .map(|(&value, at)| if at.to_bits() == q.to_bits() { value } else { ABSENT });
                let series = StepSeries { labels, drops_name: true, values: values.collect() };
                results.extend(series.has_values().then_some(series));
            }
        }
    }
    Ok(Operand::Vector(merge_same_labels(results)?))
}

/// A number as `OpenMetrics` writes it: always with a point.
fn open_metrics(value: f64) -> String {
    let text = format_value(value);
    if value.is_finite() && !text.contains('.') { format!("{text}.0") } else { text }
}

/// The quantiles of all histograms; with both operands comes which argument of the call they are.
fn quantiles_of(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    (quantiles, which): (&[f64], usize),
    (series, at): (&[StepSeries], usize),
    steps: &Steps,
) -> Result<Vec<StepSeries>, EvaluateError> {
    for &q in quantiles {
        evaluator.notes.check_quantile(q, call.position.map(|p| p.argument_at(which)));
    }
    let mut forced: Vec<(String, Forced)> = Vec::new();
    let results = per_histogram(evaluator, call, (series, at), steps, |step, name, buckets| {
        let (value, rise) = quantile(quantiles[step], buckets);
        if let Some(rise) = rise {
            let found = Forced { samples: 1, first: step, last: step, rise };
            match forced.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => known.join(found),
                None => forced.push((name.to_owned(), found)),
            }
        }
        value
    })?;
    for (name, found) in forced {
        let message = found.message(&name, steps);
        evaluator.notes.info(&message, call.position.map(|p| p.argument_at(at)));
    }
    Ok(results)
}

/// Histograms of one name whose counts had to be made to rise.
#[derive(Clone, Copy)]
struct Forced {
    samples: usize,
    /// First and last step of them.
    first: usize,
    last: usize,
    rise: Rise,
}

/// Where the counts of a histogram had to be made to rise.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rise {
    /// Least and greatest upper bound of the buckets that were lifted.
    least: f64,
    greatest: f64,
    /// The most that a bucket was lifted by.
    most: f64,
}

impl Forced {
    fn join(&mut self, other: Self) {
        self.samples += other.samples;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.rise.least = self.rise.least.min(other.rise.least);
        self.rise.greatest = self.rise.greatest.max(other.rise.greatest);
        self.rise.most = self.rise.most.max(other.rise.most);
    }

    fn message(&self, name: &str, steps: &Steps) -> String {
        let of = if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") };
        format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){of}, \
             from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            format_general(self.rise.least, None),
            format_general(self.rise.greatest, None),
            format_general(self.rise.most, Some(2)),
            self.samples,
            calendar::rfc3339(steps.time(self.first)),
            calendar::rfc3339(steps.time(self.last)),
        )
    }
}

/// `histogram_fraction`.
pub(super) fn fractions(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let lowers = scalar_argument(evaluator, call, 0, steps)?;
    let uppers = scalar_argument(evaluator, call, 1, steps)?;
    let series = vector_argument(evaluator, call, 2, steps)?;
    let results = per_histogram(evaluator, call, (&series, 2), steps, |step, _, buckets| {
        fraction(lowers[step], uppers[step], buckets)
    })?;
    Ok(Operand::Vector(results))
}

/// Computes each histogram at each step from its buckets, given with the name of its metric.
fn per_histogram(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    (series, at): (&[StepSeries], usize),
    steps: &Steps,
    mut compute: impl FnMut(usize, &str, &mut Vec<Bucket>) -> f64,
) -> Result<Vec<StepSeries>, EvaluateError> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut histograms: Vec<(StepSeries, Vec<(f64, &StepSeries)>)> = Vec::new();
    for one in series {
        let Some(upper) = one.labels.get(BOUND_LABEL).and_then(parse_bound) else {
            let bound = one.labels.get(BOUND_LABEL).unwrap_or("");
            let name = one.labels.metric_name().unwrap_or("");
            let of =
                if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") };
            let message =
                format!("bucket label \"le\" is missing or has a malformed value of {bound:?}{of}");
            let position = call.position.map(|p| p.argument_at(at));
            evaluator.notes.warn(&message, position);
            continue;
        };
        let labels = one.labels.filtered(|name| name != BOUND_LABEL);
        let key = labels.filtered(|name| name != METRIC_NAME || !one.drops_name);
        let place = *places.entry(key).or_insert(histograms.len());
        if place == histograms.len() {
            evaluator.budget.charge(steps.count)?;
            histograms.push((StepSeries::absent(labels, true, steps.count), Vec::new()));
        }
        histograms[place].1.push((upper, one));
    }
    let mut buckets = Vec::new();
    let mut results = Vec::with_capacity(histograms.len());
    for (mut result, mut members) in histograms {
        members.sort_by(|a, b| a.0.total_cmp(&b.0));
        let name = result.labels.metric_name().unwrap_or("").to_owned();
        for step in 0..steps.count {
            buckets.clear();
            buckets.extend(members.iter().filter_map(|(upper, member)| {
                let count = member.values[step];
                (!is_absent(count)).then_some(Bucket { upper: *upper, count })
            }));
            result.values[step] =
                if buckets.is_empty() { ABSENT } else { compute(step, &name, &mut buckets) };
        }
        results.push(result);
    }
    results.retain(StepSeries::has_values);
    Ok(results)
}

fn parse_bound(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Sorts buckets and adds those of the same bound up.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Makes the counts of sorted buckets rise; says where they had fallen by more than rounding.
fn repair(buckets: &mut [Bucket]) -> Option<Rise> {
    let mut rise: Option<Rise> = None;
    let mut before = f64::NAN;
    for (at, bucket) in buckets.iter_mut().enumerate() {
        if at > 0 && bucket.count != before {
            if almost_equal(before, bucket.count) {
                bucket.count = before;
            } else if bucket.count < before {
                let (upper, lifted) = (bucket.upper, before - bucket.count);
                let known =
                    rise.get_or_insert(Rise { least: upper, greatest: upper, most: lifted });
                known.greatest = upper;
                known.most = known.most.max(lifted);
                bucket.count = before;
            }
        }
        before = bucket.count;
    }
    rise
}

fn almost_equal(a: f64, b: f64) -> bool {
    let sum = a.abs() + b.abs();
    a == b || ((a - b).abs() / sum.min(f64::MAX) < TOLERANCE)
}

/// The quantile of a histogram, and where its counts did not rise as they must.
fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Rise>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    coalesce(buckets);
    if buckets.last().is_none_or(|bucket| bucket.upper != f64::INFINITY) {
        return (f64::NAN, None);
    }
    let rise = repair(buckets);
    let [.., highest, all] = buckets.as_slice() else {
        return (f64::NAN, rise);
    };
    if all.count == 0.0 {
        return (f64::NAN, rise);
    }
    let rank = q * all.count;
    let finite = &buckets[..buckets.len() - 1];
    let value = match finite.iter().position(|bucket| bucket.count >= rank) {
        None => highest.upper,
        Some(0) if buckets[0].upper <= 0.0 => buckets[0].upper,
        Some(at) => {
            let below = if at > 0 { buckets[at - 1] } else { Bucket { upper: 0.0, count: 0.0 } };
            let Bucket { upper, count } = buckets[at];
            below.upper + (upper - below.upper) * ((rank - below.count) / (count - below.count))
        }
    };
    (value, rise)
}

/// The share of observations between two bounds.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    coalesce(buckets);
    let Some(all) = buckets.last().filter(|bucket| bucket.upper == f64::INFINITY) else {
        return f64::NAN;
    };
    let count = all.count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |bound: f64| match rank_below(bound, buckets) {
        Some(rank) if rank <= count => rank,
        _ => count,
    };
    (below(upper) - below(lower)) / count
}

/// How many observations lie below a bound; none if it lies above all buckets.
fn rank_below(bound: f64, buckets: &[Bucket]) -> Option<f64> {
    let first_is_open = buckets[0].upper <= 0.0;
    let mut lower = if first_is_open { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    for bucket in buckets {
        if lower >= bound {
            return Some(rank);
        }
        if bucket.upper > bound {
            // A bucket without a lower end cannot be divided: all of it is taken to lie below.
            if lower == f64::NEG_INFINITY {
                return Some(bucket.count);
            }
            let share = (bound - lower) / (bucket.upper - lower);
            return Some(rank + (bucket.count - rank) * share);
        }
        lower = bucket.upper;
        rank = bucket.count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(q: f64, pairs: &[(f64, f64)], expected: f64, monotonic: bool) {
        let mut buckets: Vec<Bucket> =
            pairs.iter().map(|&(upper, count)| Bucket { upper, count }).collect();
        let (value, rise) = quantile(q, &mut buckets);
        assert_eq!((value.to_bits(), rise.is_none()), (expected.to_bits(), monotonic));
    }

    #[test]
    fn quantiles_of_buckets() {
        let inf = f64::INFINITY;
        check(0.5, &[(inf, 10.0), (2.0, 10.0), (1.0, 0.0)], 1.5, true);
        check(0.99, &[(1.0, 1.0), (inf, 10.0)], 1.0, true);
        check(0.5, &[(1.0, 4.0), (2.0, 3.0), (inf, 4.0)], 0.5, false);
        check(0.1, &[(-1.0, 4.0), (inf, 4.0)], -1.0, true);
        check(0.5, &[(1.0, 4.0)], f64::NAN, true);
        check(0.5, &[(1.0, 0.0), (inf, 0.0)], f64::NAN, true);
        check(-1.0, &[(inf, 0.0)], f64::NEG_INFINITY, true);
    }

    #[test]
    fn fractions_of_buckets() {
        let mut buckets: Vec<Bucket> = [(1.0, 2.0), (2.0, 6.0), (f64::INFINITY, 8.0)]
            .map(|(upper, count)| Bucket { upper, count })
            .to_vec();
        assert_eq!(fraction(0.0, 1.5, &mut buckets), 0.5);
        assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &mut buckets), 1.0);
        assert_eq!(fraction(2.0, 1.0, &mut buckets), 0.0);
        assert_eq!(fraction(2.0, 9.0, &mut buckets), 0.0);
        let mut open: Vec<Bucket> = [(-1.0, 2.0), (1.0, 6.0), (f64::INFINITY, 8.0)]
            .map(|(upper, count)| Bucket { upper, count })
            .to_vec();
        assert_eq!(fraction(f64::NEG_INFINITY, -5.0, &mut open), 0.25);
        assert_eq!(fraction(-1.0, 0.0, &mut open), 0.25);
    }

    #[test]
    fn a_histogram_that_falls_is_told() {
        let mut buckets: Vec<Bucket> = [(1.0, 9.0), (2.0, 3.0), (4.0, 8.0), (f64::INFINITY, 9.0)]
            .map(|(upper, count)| Bucket { upper, count })
            .to_vec();
        let (_, rise) = quantile(0.5, &mut buckets);
        assert_eq!(rise, Some(Rise { least: 2.0, greatest: 4.0, most: 6.0 }));
        let found = Forced { samples: 3, first: 0, last: 2, rise: rise.unwrap() };
        let steps = Steps { first_ms: 0, step_ms: 60_000, count: 3 };
        let message = found.message("x", &steps);
        let end = " for metric name \"x\", from buckets 2 to 4, with a max diff of 6, over 3 samples \
                   from 1970-01-01T00:00:00Z to 1970-01-01T00:02:00Z";
        assert!(message.ends_with(end), "{message}");
    }
}
