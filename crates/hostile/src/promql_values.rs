//! Values of a query over series made from a seed: within its limits it has the same value at each step of a range as at
//! that instant, or there is an error.

use std::collections::BTreeMap;

use muster_promql::{
    EvaluateError, Evaluated, Options, Query, SeriesSource, SourceError, Value, evaluate_instant,
    evaluate_range, parse,
};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange, stale_marker};

/// Enough for what is small, and soon too little for what is not.
const MAX_SAMPLES: usize = 20_000;
const FIRST_MS: i64 = 100_000;
const STEP_MS: i64 = 7_000;
const STEPS: i64 = 6;
/// What depends on the range of the query, or whose last digits depend on how many windows there are, or which of equal
/// values is chosen.
const OF_THE_RANGE: [&str; 11] =
    ["start", "end", "step", "range", "std", "deriv", "predict", "avg", "limit", "topk", "bottomk"];

/// Series with gaps, stale markers and special numbers. Values are eighths, so that their sums are exact.
struct Generated(Vec<SeriesColumns>);

impl Generated {
    fn new(mut seed: u64) -> Self {
        let mut below = move |count: u64| {
            // The generator "splitmix64".
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % count
        };
        let series = (0..8).map(|n| {
            let name = ["a", "b", "c_total", "d_bucket"][n % 4];
            let mut labels = Labels::empty().with("__name__", name).with("x", &(n / 4).to_string());
            if name == "d_bucket" {
                labels = labels.with("le", ["1", "+Inf"][n / 4]);
            }
            let mut series = SeriesColumns::new(labels);
            let mut time_ms = below(20_000) as i64;
            while time_ms < FIRST_MS + STEPS * STEP_MS {
                series.timestamps.push(time_ms);
                series.values.push(match below(40) {
                    0 => stale_marker(),
                    1 => f64::NAN,
                    2 => f64::INFINITY,
                    3 => -0.0,
                    _ => below(200) as f64 / 8.0 - 5.0,
                });
                time_ms += 1 + below(9_000) as i64;
            }
            series
        });
        Self(series.collect())
    }
}

impl SeriesSource for Generated {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        let fits = |one: &&SeriesColumns| {
            matchers.iter().all(|m| m.matches(one.labels.get(m.name()).unwrap_or_default()))
        };
        let cut = |one: &SeriesColumns| {
            let mut columns = SeriesColumns::new(one.labels.clone());
            for sample in one.samples().filter(|sample| range.contains(sample.timestamp_ms)) {
                columns.timestamps.push(sample.timestamp_ms);
                columns.values.push(sample.value);
            }
            columns
        };
        Ok(self.0.iter().filter(fits).map(cut).collect())
    }
}

/// A byte that chooses the series, then a query.
pub(crate) fn values(bytes: &[u8]) {
    let Some((&seed, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(query) = parse(text) else { return };
    let source = Generated::new(u64::from(seed));
    let options = Options {
        max_samples: MAX_SAMPLES,
        threads: 1,
        counts_samples: true,
        ..Options::default()
    };
    let last_ms = FIRST_MS + (STEPS - 1) * STEP_MS;
    let over = evaluate_range(&source, &query, FIRST_MS, last_ms, STEP_MS, &options);
    let at: Vec<_> = (0..STEPS)
        .map(|step| evaluate_instant(&source, &query, FIRST_MS + step * STEP_MS, &options))
        .collect();
    for evaluated in at.iter().chain([&over]).flatten() {
        check_limits(evaluated, text);
    }
    if let Ok(over) = over
        && !OF_THE_RANGE.iter().any(|word| text.to_lowercase().contains(word))
    {
        check_steps(&query, &over, at);
    }
}

fn check_limits(evaluated: &Evaluated, text: &str) {
    let stats = evaluated.samples.as_ref().expect("samples were to be counted");
    assert!(stats.peak <= MAX_SAMPLES, "{text:?} held {} samples", stats.peak);
    let samples = match &evaluated.value {
        Value::Scalar { .. } | Value::String { .. } => 1,
        Value::Vector(samples) => samples.len(),
        Value::Matrix(series) => series.iter().map(SeriesColumns::len).sum(),
    };
    assert!(samples <= MAX_SAMPLES, "{text:?} yields {samples} samples");
}

/// The samples of the range are those of the instants.
fn check_steps(query: &Query, over: &Evaluated, at: Vec<Result<Evaluated, EvaluateError>>) {
    let Value::Matrix(series) = &over.value else { panic!("{query} yields no matrix") };
    let mut left: BTreeMap<(i64, Labels), f64> = BTreeMap::new();
    for one in series {
        left.extend(one.samples().map(|s| ((s.timestamp_ms, one.labels.clone()), s.value)));
    }
    for (step, evaluated) in at.into_iter().enumerate() {
        let time_ms = FIRST_MS + step as i64 * STEP_MS;
        let evaluated = evaluated.unwrap_or_else(|error| {
            panic!("{query} fails at {time_ms} only, not over all: {error}")
        });
        let samples = match evaluated.value {
            Value::Scalar { value, .. } => vec![(Labels::empty(), value)],
            Value::Vector(samples) => samples.into_iter().map(|s| (s.labels, s.value)).collect(),
            other => panic!("{query} yields {other:?}"),
        };
        for (labels, value) in samples {
            let same = left.remove(&(time_ms, labels.clone()));
            let near = same.is_some_and(|other| is_near(value, other));
            assert!(near, "{query} at {time_ms}: {labels} {value}, over all steps {same:?}");
        }
    }
    assert!(left.is_empty(), "{query} has at no instant {:?}", left.first_key_value());
}

fn is_near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "sum by (x) (rate(c_total[30s])) / on (x) group_left count by (x) (a) > 0",
        "histogram_quantile(0.9, sum by (le) (increase(d_bucket[1m] offset 5s)))",
        "max_over_time(quantile_over_time(0.4, a[40s])[30s:5s]) unless on (x) b or c_total ^ 2",
        "label_replace(topk(1, {__name__=~\"a|b\"}), \"y\", \"$1-\", \"x\", \"(.*)\")",
        "mad_over_time(a[1m]) + ignoring (le) changes(b[20s]) - timestamp(a @ 120)",
        "count_values(\"v\", round(clamp(a, -1, 5))) and absent(nothing) or vector(time() % 3)",
        "sort_desc(bottomk by (x) (2, -a)) < bool scalar(min(b)) or sum_over_time(a[10s:1s])",
    ]
    .iter()
    .enumerate()
    .map(|(at, text)| [&[at as u8], text.as_bytes()].concat())
    .collect()
}
