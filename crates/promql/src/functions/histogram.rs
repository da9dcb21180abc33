//! Quantiles and fractions of classic histograms: series of cumulative counts by their `le` label.
//!
//! Within a bucket, observations are taken to lie evenly (Prometheus's `bucketQuantile`).

use std::collections::HashMap;

use muster_series::{Labels, METRIC_NAME};

use super::{scalar_argument, vector_argument};
use crate::evaluate::{ABSENT, EvaluateError, Evaluator, Operand, StepSeries, Steps, is_absent};
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
    for &q in &quantiles {
        evaluator.notes.check_quantile(q, call.position.map(|p| p.argument));
    }
    let mut forced: Vec<String> = Vec::new();
    let results = per_histogram(evaluator, call, &series, steps, |step, name, buckets| {
        let (value, monotonic) = quantile(quantiles[step], buckets);
        if !monotonic && !forced.iter().any(|known| known == name) {
            forced.push(name.to_owned());
        }
        value
    })?;
    for name in forced {
        let message = format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) \
             for metric name {name:?}"
        );
        evaluator.notes.info(&message, call.position.map(|p| p.argument));
    }
    Ok(results)
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
    per_histogram(evaluator, call, &series, steps, |step, _, buckets| {
        fraction(lowers[step], uppers[step], buckets)
    })
}

/// Computes each histogram at each step from its buckets, given with the name of its metric.
fn per_histogram(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    series: &[StepSeries],
    steps: &Steps,
    mut compute: impl FnMut(usize, &str, &mut Vec<Bucket>) -> f64,
) -> Result<Operand, EvaluateError> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut histograms: Vec<(StepSeries, Vec<(f64, &StepSeries)>)> = Vec::new();
    for one in series {
        let Some(upper) = one.labels.get(BOUND_LABEL).and_then(parse_bound) else {
            let bound = one.labels.get(BOUND_LABEL).unwrap_or("");
            let name = one.labels.metric_name().unwrap_or("");
            let message = format!(
                "bucket label \"le\" is missing or has a malformed value of {bound:?} for metric name {name:?}"
            );
            let position = call.position.map(|p| p.argument);
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
    for (mut result, members) in histograms {
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
    Ok(Operand::Vector(results))
}

fn parse_bound(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Sorts buckets, adds those of the same bound up, and makes their counts rise; false if they had
/// fallen by more than rounding.
fn repair(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    let mut monotonic = true;
    let mut before = f64::NAN;
    for (at, bucket) in buckets.iter_mut().enumerate() {
        if at > 0 && bucket.count != before {
            if almost_equal(before, bucket.count) {
                bucket.count = before;
            } else if bucket.count < before {
                bucket.count = before;
                monotonic = false;
            }
        }
        before = bucket.count;
    }
    monotonic
}

fn almost_equal(a: f64, b: f64) -> bool {
    let sum = a.abs() + b.abs();
    a == b || ((a - b).abs() / sum.min(f64::MAX) < TOLERANCE)
}

/// The quantile of a histogram, and whether its counts rose as they must.
fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, true);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, true);
    }
    if q > 1.0 {
        return (f64::INFINITY, true);
    }
    if !buckets.iter().any(|bucket| bucket.upper == f64::INFINITY) {
        return (f64::NAN, true);
    }
    let monotonic = repair(buckets);
    let [.., highest, all] = buckets.as_slice() else {
        return (f64::NAN, monotonic);
    };
    if all.count == 0.0 || all.count.is_nan() {
        return (f64::NAN, monotonic);
    }
    let rank = q * all.count;
    let finite = &buckets[..buckets.len() - 1];
    let at = finite.iter().position(|bucket| bucket.count >= rank);
    let value = match at {
        None => highest.upper,
        Some(0) if buckets[0].upper <= 0.0 => buckets[0].upper,
        Some(at) => {
            let below = if at > 0 { buckets[at - 1] } else { Bucket { upper: 0.0, count: 0.0 } };
            let Bucket { upper, count } = buckets[at];
            below.upper + (upper - below.upper) * ((rank - below.count) / (count - below.count))
        }
    };
    (value, monotonic)
}

/// The share of observations between two bounds.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !buckets.iter().any(|bucket| bucket.upper == f64::INFINITY) {
        return f64::NAN;
    }
    repair(buckets);
    let all = buckets.last().map_or(0.0, |bucket| bucket.count);
    if all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_below(upper, buckets) - rank_below(lower, buckets)) / all
}

/// How many observations lie below a bound.
fn rank_below(bound: f64, buckets: &[Bucket]) -> f64 {
    let first_is_open = buckets[0].upper <= 0.0;
    let mut below =
        Bucket { upper: if first_is_open { f64::NEG_INFINITY } else { 0.0 }, count: 0.0 };
    for &bucket in buckets {
        if bound < bucket.upper {
            // An unbounded bucket cannot be divided: nothing of it is taken to lie below the bound.
            if bound <= below.upper || below.upper.is_infinite() || bucket.upper.is_infinite() {
                return below.count;
            }
            let share = (bound - below.upper) / (bucket.upper - below.upper);
            return below.count + (bucket.count - below.count) * share;
        }
        below = bucket;
    }
    below.count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(q: f64, pairs: &[(f64, f64)], expected: f64, monotonic: bool) {
        let mut buckets: Vec<Bucket> =
            pairs.iter().map(|&(upper, count)| Bucket { upper, count }).collect();
        let (value, rose) = quantile(q, &mut buckets);
        assert_eq!((value.to_bits(), rose), (expected.to_bits(), monotonic));
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
    }
}
