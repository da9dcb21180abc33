//! A range query gives at each step what an instant query gives there, for every function and for random queries.
//!
//! A range query slides over its samples, matches series for all steps at once and folds in threads; an
//! instant query does nothing of that. So each is the oracle of the other. What both have in common is
//! compared with sums and rates computed here, from the definition.

mod queries;

use muster_promql::{
    Options, SelectHints, Selected, SeriesPart, SeriesSource, SourceError, Value, evaluate_instant,
    evaluate_range, parse,
};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange, is_stale_marker, stale_marker};
use proptest::prelude::*;
use queries::{RANGE_FUNCTIONS, Random};

/// Random series, given in so many parts.
struct Memory {
    series: Vec<SeriesColumns>,
    parts: usize,
}

impl Memory {
    fn new(random: &mut Random, parts: usize) -> Self {
        let mut series = Vec::new();
        for name in ["m", "n_total", "h_bucket"] {
            for at in 0..random.below(5) {
                let mut labels = Labels::empty()
                    .with("__name__", name)
                    .with("a", &(at % 2).to_string())
                    .with("b", &at.to_string());
                if name == "h_bucket" {
                    labels = labels.with("le", ["1", "2", "+Inf", "2.0", "x"][at]);
                }
                series.push(random_series(random, labels, name != "m"));
            }
        }
        Self { series, parts }
    }
}

/// Samples at irregular times with gaps, stale markers, resets and numbers that are none.
fn random_series(random: &mut Random, labels: Labels, rises: bool) -> SeriesColumns {
    let mut columns = SeriesColumns::new(labels);
    let mut time_ms = random.below(30_000) as i64 - 60_000;
    let mut value = random.below(50) as f64;
    let special = random.below(4) == 0;
    for _ in 0..random.below(120) {
        time_ms += match random.below(12) {
            0 => 200_000,
            1 => 1 + random.below(9_000) as i64,
            _ => 10_000,
        };
        value = match random.below(12) {
            0 => random.below(10) as f64,
            1 if !rises => -value,
            2 | 3 => value,
            _ => value + random.below(40) as f64 / 4.0,
        };
        columns.timestamps.push(time_ms);
        columns.values.push(match random.below(25) {
            0 => stale_marker(),
            1 if special => f64::NAN,
            2 if special => f64::INFINITY,
            3 if special => f64::NEG_INFINITY,
            _ => value,
        });
    }
    columns
}

impl SeriesSource for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        Ok(queries::select(&self.series, matchers, range))
    }

    fn select_parts(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: &SelectHints<'_>,
    ) -> Result<Selected<'_>, SourceError> {
        let mut series = self.select(matchers, range)?;
        if hints.newest_only {
            for one in &mut series {
                let older = one.len().saturating_sub(1);
                one.timestamps.drain(..older);
                one.values.drain(..older);
            }
        }
        // Only over several steps, so that an answer that looks at what was left out differs from those at one step.
        if let (Some(names), true) = (hints.labels, hints.step_ms > 0) {
            for one in &mut series {
                one.labels = one.labels.filtered(|own| names.iter().any(|name| name == own));
            }
        }
        let size = series.len().div_ceil(self.parts).max(1);
        let mut parts: Vec<SeriesPart<'_>> = Vec::new();
        while !series.is_empty() {
            let rest = series.split_off(size.min(series.len()));
            parts.push(Box::new(series.into_iter().map(Ok)));
            series = rest;
        }
        Ok(Selected { parts, held_samples: 0 })
    }
}

const START_MS: i64 = 0;
const END_MS: i64 = 600_000;

/// The value of each label set at each step, by a range query.
fn by_range(source: &Memory, text: &str, step_ms: i64) -> Result<Vec<(Labels, i64, f64)>, String> {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let evaluated = evaluate_range(source, &query, START_MS, END_MS, step_ms, &Options::default())
        .map_err(|error| error.to_string())?;
    let Value::Matrix(series) = evaluated.value else { panic!("{text}: no matrix") };
    let mut samples = Vec::new();
    for one in &series {
        samples.extend(one.samples().map(|s| (one.labels.clone(), s.timestamp_ms, s.value)));
    }
    samples.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    Ok(samples)
}

/// The same, by an instant query at each step.
fn by_instants(
    source: &Memory,
    text: &str,
    step_ms: i64,
) -> Result<Vec<(Labels, i64, f64)>, String> {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut samples = Vec::new();
    for time in (START_MS..=END_MS).step_by(step_ms as usize) {
        let evaluated = evaluate_instant(source, &query, time, &Options::default())
            .map_err(|error| error.to_string())?;
        match evaluated.value {
            Value::Vector(vector) => {
                samples.extend(vector.into_iter().map(|s| (s.labels, s.timestamp_ms, s.value)));
            }
            Value::Scalar { timestamp_ms, value } => {
                samples.push((Labels::empty(), timestamp_ms, value));
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    samples.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    Ok(samples)
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

/// How far answers may be apart, relatively. Where all samples of a window are within milliseconds, the sums of a trend over
/// times that count from the step lose most of their digits, and those that slide do not.
fn tolerance(text: &str) -> f64 {
    if is_trend(text) { 1e-4 } else { 1e-9 }
}

fn is_trend(text: &str) -> bool {
    text.contains("deriv") || text.contains("predict_linear")
}

/// Whether the name of a group depends on which series there are at other steps: where an operator takes the names of some
/// series of a group and not of others, the group has the name or not as its first series of all steps has.
fn names_by_range(text: &str) -> bool {
    text.contains("(__name__)") && text.contains(" or ")
}

/// Whether rounding can be seen in labels: sums that are made in parts are not the same to the last digit.
fn labels_by_rounding(text: &str) -> bool {
    let rounded = ["sum", "avg", "std", "quantile"].iter().any(|name| text.contains(name));
    text.contains("count_values") && rounded
}

#[track_caller]
fn check(seed: u64, text: &str, step_ms: i64) {
    if names_by_range(text) || (is_trend(text) && text.contains("count_values")) {
        return;
    }
    let source = Memory::new(&mut Random::new(seed), 1);
    let in_parts = Memory { series: source.series.clone(), parts: 3 };
    match (by_range(&source, text, step_ms), by_instants(&source, text, step_ms)) {
        (Ok(range), Ok(instants)) => {
            compare(&range, &instants, &format!("seed {seed}, step {step_ms}: {text}"));
            if labels_by_rounding(text) {
                return;
            }
            let parts = by_range(&in_parts, text, step_ms).expect("as in one part");
            compare(&parts, &range, &format!("in parts, seed {seed}, step {step_ms}: {text}"));
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) => panic!("seed {seed}, only an instant fails: {text}: {error}"),
        (Err(error), Ok(_)) => panic!("seed {seed}, only the range fails: {text}: {error}"),
    }
}

#[track_caller]
fn compare(a: &[(Labels, i64, f64)], b: &[(Labels, i64, f64)], what: &str) {
    let tolerance = tolerance(what);
    let differs =
        a.iter().zip(b).find(|(a, b)| a.0 != b.0 || a.1 != b.1 || !near(a.2, b.2, tolerance));
    let same = a.len() == b.len() && differs.is_none();
    assert!(same, "{what}: {} and {} samples, first difference {differs:?}", a.len(), b.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_function_of_a_window_agrees(seed: u64) {
        let mut random = Random::new(seed);
        for (function, before, after) in RANGE_FUNCTIONS {
            let window = random.one_of(&["10s", "45s", "1m", "5m", "20m"]);
            let modifier = random.one_of(&["", "", " offset 35s", " offset -1m", " @ 300"]);
            let step_ms = [7_000, 10_000, 60_000][random.below(3)];
            let text = format!("{function}({before}{{__name__=~\".+\"}}[{window}]{modifier}{after})");
            check(seed, &text, step_ms);
            let subquery = format!("{function}({before}m[{window}:13s]{modifier}{after})");
            check(seed, &subquery, step_ms);
        }
    }

    #[test]
    fn random_queries_agree(seed: u64) {
        let mut random = Random::new(seed);
        for _ in 0..12 {
            let text = random.vector(3);
            check(seed, &text, [10_000, 60_000][random.below(2)]);
        }
    }

    #[test]
    fn sums_and_rates_are_as_defined(seed: u64) {
        let mut source = Memory::new(&mut Random::new(seed), 1);
        for one in &mut source.series {
            // Of numbers that are none, the sums depend on how they are added up.
            one.values.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = stale_marker());
        }
        for window_ms in [30_000, 300_000] {
            for (function, define) in DEFINITIONS {
                let text = format!("{function}(n_total[{}s])", window_ms / 1000);
                let samples = by_range(&source, &text, 10_000).expect("a value");
                compare(&samples, &defined(&source, window_ms, *define), &text);
            }
        }
    }
}

type Define = fn(&[(i64, f64)], i64, i64) -> Option<f64>;

const DEFINITIONS: &[(&str, Define)] = &[
    ("sum_over_time", |window, _, _| Some(window.iter().map(|s| s.1).sum())),
    ("count_over_time", |window, _, _| Some(window.len() as f64)),
    ("max_over_time", |window, _, _| window.iter().map(|s| s.1).reduce(f64::max)),
    ("min_over_time", |window, _, _| window.iter().map(|s| s.1).reduce(f64::min)),
    ("avg_over_time", |window, _, _| {
        Some(window.iter().map(|s| s.1).sum::<f64>() / window.len() as f64)
    }),
    ("resets", |window, _, _| {
        Some(window.windows(2).filter(|two| two[1].1 < two[0].1).count() as f64)
    }),
    ("rate", |window, start_ms, end_ms| {
        let change = increase(window, start_ms, end_ms)?;
        Some(change / ((end_ms - start_ms) as f64 / 1000.0))
    }),
    ("increase", increase),
];

/// From the documentation: the differences of neighbours, whole values after a reset, extrapolated.
fn increase(window: &[(i64, f64)], start_ms: i64, end_ms: i64) -> Option<f64> {
    let (first, last) = (window.first()?, window.last()?);
    if window.len() < 2 {
        return None;
    }
    let step =
        |two: &[(i64, f64)]| if two[1].1 < two[0].1 { two[1].1 } else { two[1].1 - two[0].1 };
    let change: f64 = window.windows(2).map(step).sum();
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let sampled = seconds(first.0, last.0);
    let interval = sampled / (window.len() - 1) as f64;
    let reach = |gap: f64| if gap >= interval * 1.1 { interval / 2.0 } else { gap };
    let mut before = reach(seconds(start_ms, first.0));
    if change > 0.0 && first.1 >= 0.0 {
        before = before.min(sampled * first.1 / change);
    }
    Some(change * (sampled + before + reach(seconds(last.0, end_ms))) / sampled)
}

fn defined(source: &Memory, window_ms: i64, define: Define) -> Vec<(Labels, i64, f64)> {
    let mut samples = Vec::new();
    for one in source.series.iter().filter(|one| one.labels.metric_name() == Some("n_total")) {
        for end in (START_MS..=END_MS).step_by(10_000) {
            let start = end - window_ms;
            let window: Vec<(i64, f64)> = one
                .samples()
                .filter(|s| s.timestamp_ms > start && s.timestamp_ms <= end)
                .filter(|s| !is_stale_marker(s.value))
                .map(|s| (s.timestamp_ms, s.value))
                .collect();
            let value = if window.is_empty() { None } else { define(&window, start, end) };
            samples.extend(value.map(|value| (one.labels.without_metric_name(), end, value)));
        }
    }
    samples.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    samples
}

/// The queries must be worth comparing: most have a value, and few fail.
#[test]
fn random_queries_have_values() {
    let (mut with_values, mut failed) = (0, 0);
    for seed in 0..500 {
        let source = Memory::new(&mut Random::new(seed), 1);
        match by_range(&source, &Random::new(seed).vector(3), 60_000) {
            Ok(samples) => with_values += usize::from(!samples.is_empty()),
            Err(_) => failed += 1,
        }
    }
    assert!(with_values > 200, "{with_values} of 500 have a value");
    assert!((5..150).contains(&failed), "{failed} of 500 fail");
}
