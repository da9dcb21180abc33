//! How many samples a query reads, counted as Prometheus counts them.

use muster_promql::{
    Options, SampleStats, SeriesSource, SourceError, evaluate_instant, evaluate_range, parse,
};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};

/// Three series with a sample every ten seconds; the last ends after a minute with a stale marker.
struct Tens;

impl SeriesSource for Tens {
    fn select(&self, _: &[Matcher], range: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
        let series = |n: i64| {
            let labels = Labels::empty().with("__name__", "m").with("n", &n.to_string());
            let end = if n == 2 { 7 } else { 60 };
            let timestamps: Vec<i64> =
                (0..end).map(|at| at * 10_000).filter(|&time| range.contains(time)).collect();
            let value = |time: i64| {
                if n == 2 && time == 60_000 { muster_series::stale_marker() } else { time as f64 }
            };
            SeriesColumns {
                labels,
                values: timestamps.iter().map(|&t| value(t)).collect(),
                timestamps,
            }
        };
        Ok((0..3).map(series).collect())
    }
}

fn counting() -> Options {
    Options { counts_samples: true, ..Options::default() }
}

/// At 50 s, and from 50 s to 70 s in steps of ten.
#[track_caller]
fn check(text: &str, instant: u64, range: [u64; 3]) {
    let query = parse(text).expect("a query");
    let at = evaluate_instant(&Tens, &query, 50_000, &counting()).expect("a value");
    let SampleStats { total, per_step, peak } = at.samples.expect("it was asked for");
    assert_eq!((total, per_step), (instant, vec![(50_000, instant)]), "{text}");
    assert!(peak as u64 >= instant.min(1), "{text}");
    let over = evaluate_range(&Tens, &query, 50_000, 70_000, 10_000, &counting());
    let stats = over.expect("values").samples.expect("it was asked for");
    let counts: Vec<u64> = stats.per_step.iter().map(|(_, count)| *count).collect();
    assert_eq!((counts.as_slice(), stats.total), (&range[..], range.iter().sum()), "{text}");
}

#[test]
fn samples_are_counted_at_each_step() {
    check("m", 3, [3, 2, 2]);
    check("sum(m) + 1", 3, [3, 2, 2]);
    check("m + m", 6, [6, 4, 4]);
    check("rate(m[30s])", 9, [9, 8, 7]);
    check("sum(max_over_time(m[5m]))", 18, [18, 20, 22]);
    check("m @ 50", 3, [3, 3, 3]);
    check("1 + 1", 0, [0, 0, 0]);
    // What a subquery reads is not counted, but what is read of it.
    check("max_over_time((m > -1)[20s:5s])", 12, [12, 11, 9]);
    check("max_over_time(sum(m)[20s:10s])", 2, [2, 2, 2]);
}

#[test]
fn a_range_vector_counts_its_samples() {
    let query = parse("m[30s]").expect("a query");
    let at = evaluate_instant(&Tens, &query, 60_000, &counting()).expect("samples");
    assert_eq!(at.samples.expect("it was asked for").total, 8);
}

#[test]
fn nothing_is_counted_unasked() {
    let query = parse("m").expect("a query");
    let at = evaluate_instant(&Tens, &query, 50_000, &Options::default()).expect("a value");
    assert_eq!(at.samples, None);
}
