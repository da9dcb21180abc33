//! Queries of death end in errors, soon: deep nesting, huge expressions, giant ranges, too many samples.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use muster_promql::{
    EvaluateError, Options, SelectHints, Selected, SeriesPart, SeriesSource, SourceError,
    evaluate_instant, evaluate_range, parse,
};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};
use proptest::prelude::*;

/// A hundred series of an hour at one sample a second, whatever is asked for.
struct Hour;

impl SeriesSource for Hour {
    fn select(&self, _: &[Matcher], range: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
        let times: Vec<i64> =
            (0..3600).map(|second| second * 1000).filter(|&time| range.contains(time)).collect();
        Ok((0..100)
            .map(|n| SeriesColumns {
                labels: Labels::empty().with("__name__", "m").with("n", &n.to_string()),
                timestamps: times.clone(),
                values: times.iter().map(|&time| time as f64 + f64::from(n)).collect(),
            })
            .collect())
    }
}

struct Broken;

impl SeriesSource for Broken {
    fn select(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
        Err(SourceError::new("disk on fire"))
    }
}

#[track_caller]
fn check_refused(text: &str) {
    assert!(parse(text).is_err(), "is accepted: {}", &text[..text.len().min(80)]);
}

#[track_caller]
fn range_error(text: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> EvaluateError {
    let query = parse(text).expect("a valid query");
    evaluate_range(&Hour, &query, start_ms, end_ms, step_ms, &Options::default())
        .expect_err("the range is refused")
}

#[test]
fn texts_that_could_exhaust_the_stack_are_refused() {
    check_refused(&"(".repeat(16_000));
    check_refused(&format!("{}1{}", "(".repeat(8_000), ")".repeat(8_000)));
    check_refused(&format!("{}1", "-".repeat(15_000)));
    check_refused(&vec!["a"; 3_000].join("+"));
    check_refused(&vec!["a"; 2_000].join(" unless "));
    check_refused(&format!("{{a=\"{}\"}}", "x".repeat(17_000)));
}

#[track_caller]
fn check_depth(build: fn(usize) -> String) {
    // The text guard lets 500 levels pass, the parser bears them, and the plan refuses them.
    check_refused(&build(500));
    check_refused(&build(150));
    let query = parse(&build(145)).expect("a tree of bearable depth");
    evaluate_instant(&Hour, &query, 1_000, &Options::default()).expect("a value");
}

#[test]
fn deep_trees_are_refused_before_they_are_evaluated() {
    check_depth(|n| format!("{}m{}", "(".repeat(n), ")".repeat(n)));
    check_depth(|n| format!("{}m", "-".repeat(n)));
    check_depth(|n| vec!["m"; n + 1].join("+"));
    check_depth(|n| vec!["m"; n + 1].join(" or "));
    check_depth(|n| format!("m{}", "^m".repeat(n)));
    check_depth(|n| format!("{}m{}", "abs(".repeat(n), ")".repeat(n)));
    check_depth(|n| format!("{}m{}", "sum(".repeat(n), ")".repeat(n)));
    check_depth(|n| format!("{}m{}", "sum_over_time(".repeat(n / 2), "[1s:1s])".repeat(n / 2)));
}

#[test]
fn huge_regular_expressions_are_refused() {
    check_refused(&format!("m{{a=~\"{}\"}}", "x|".repeat(4_000)));
    check_refused("m{a=~\"((a{1000}){1000}){1000}\"}");
    check_refused("m{a=~\"a)(b\"}");
    let query =
        parse("label_replace(m, \"a\", \"b\", \"c\", \"((a{1000}){1000}){1000}\")").unwrap();
    assert!(evaluate_instant(&Hour, &query, 0, &Options::default()).is_err());
    let query = parse("m{n=~\"(.*.*)*x\"}").unwrap();
    evaluate_instant(&Hour, &query, 1_000, &Options::default()).unwrap();
}

#[test]
fn giant_ranges_are_refused() {
    let bad = |error| matches!(error, EvaluateError::BadQuery(_));
    assert!(bad(range_error("m", 0, 86_400_000, 1)));
    assert!(bad(range_error("m", 0, 11_001, 1)));
    assert!(bad(range_error("m", i64::MIN, i64::MAX, 1)));
    assert!(bad(range_error("m", 0, 1_000, 0)));
    assert!(bad(range_error("m", 1_000, 0, 1)));
    assert!(bad(range_error("m[5m]", 0, 1_000, 1_000)));
    assert!(bad(range_error("\"text\"", 0, 1_000, 1_000)));
    let query = parse("m").unwrap();
    assert!(bad(evaluate_instant(&Hour, &query, i64::MAX, &Options::default()).unwrap_err()));
    let too_many = |error| matches!(error, EvaluateError::TooManySamples { .. });
    assert!(too_many(range_error("max_over_time(m[100y:1ms])", 0, 1_000, 1_000)));
    assert!(too_many(range_error("max_over_time(vector(1)[10d:1ms])", 0, 1_000, 1_000)));
}

#[test]
fn samples_are_counted_as_they_are_held() {
    let evaluate = |text: &str, max_samples: usize| {
        let options = Options { max_samples, ..Options::default() };
        evaluate_range(&Hour, &parse(text).unwrap(), 0, 3_599_000, 60_000, &options)
    };
    // 100 series of 3,541 samples are loaded, and 60 steps made of them: of each if they are kept, of one
    // a thread and of the sum if they are not.
    assert!(evaluate("rate(m[1h])", 360_000).is_err());
    assert!(evaluate("rate(m[1h])", 361_000).is_ok());
    assert!(evaluate("sum(rate(m[1h]))", 354_100).is_err());
    assert!(evaluate("sum(rate(m[1h]))", 354_800).is_ok());
    // What an operand needed while it was computed is free again for the next.
    assert!(evaluate("sum(rate(m[1h])) + sum(rate(m[1h])) + sum(rate(m[1h]))", 380_000).is_ok());
    assert!(evaluate("m + m", 380_000).is_ok());
}

#[test]
fn label_values_cannot_grow_without_end() {
    let mut text = "label_replace(m, \"long\", \"0123456789abcdef\", \"\", \"\")".to_owned();
    for _ in 0..40 {
        text = format!("label_replace({text}, \"long\", \"$1$1\", \"long\", \"(.*)\")");
    }
    let error = evaluate_instant(&Hour, &parse(&text).unwrap(), 0, &Options::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the limit is 2048 bytes"), "{error}");
    let joined = format!("label_join(m, \"a\", \"{}\", \"n\", \"n\")", "-".repeat(2_048));
    let error = evaluate_instant(&Hour, &parse(&joined).unwrap(), 0, &Options::default());
    assert!(matches!(error, Err(EvaluateError::Execution(_))));
}

#[test]
fn labels_that_a_query_makes_are_counted() {
    let evaluate = |text: &str, max_samples: usize| {
        let options = Options { max_samples, ..Options::default() };
        evaluate_range(&Hour, &parse(text).unwrap(), 0, 1_000, 1_000, &options)
    };
    let value = "x".repeat(2_000);
    let replaced = format!("label_replace(m, \"a\", \"{value}\", \"\", \"\")");
    let joined = format!("label_join(m, \"a\", \"{value}\", \"n\", \"n\")");
    // 100 series of 2 samples each, and 100 label sets of 2,200 bytes.
    for text in [replaced.as_str(), &joined] {
        assert!(evaluate("m", 1_000).is_ok());
        assert!(evaluate(text, 20_000).is_err(), "{text}");
        assert!(evaluate(text, 40_000).is_ok(), "{text}");
    }
    assert!(evaluate("count_values(\"v\", m)", 1_500).is_err());
    assert!(evaluate("count_values(\"v\", m)", 20_000).is_ok());
}

#[test]
fn a_cancelled_query_stops() {
    let options =
        Options { cancelled: Some(Arc::new(AtomicBool::new(true))), ..Options::default() };
    let result = evaluate_instant(&Hour, &parse("1 + sum(m)").unwrap(), 0, &options);
    assert!(matches!(result, Err(EvaluateError::Cancelled)));
}

/// A thousand series of an hour, each made only when its turn comes; counts how often it is asked.
struct Lazy(AtomicUsize);

impl SeriesSource for Lazy {
    fn select(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
        Err(SourceError::new("evaluations read in parts"))
    }

    fn select_parts(
        &self,
        _: &[Matcher],
        range: TimeRange,
        _: &SelectHints<'_>,
    ) -> Result<Selected<'_>, SourceError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let part = |from: usize| -> SeriesPart<'static> {
            Box::new((from..from + 500).map(move |n| {
                let timestamps: Vec<i64> =
                    (0..3_600_000).step_by(1000).filter(|&time| range.contains(time)).collect();
                let values = timestamps.iter().map(|&time| time as f64 + n as f64).collect();
                let labels = Labels::empty().with("__name__", "m").with("n", &n.to_string());
                Ok(SeriesColumns { labels, timestamps, values })
            }))
        };
        Ok(Selected { parts: vec![part(0), part(500)], held_samples: 0 })
    }
}

#[test]
fn a_sum_over_many_series_does_not_hold_them() {
    let evaluate = |text: &str, max_samples: usize| {
        let source = Lazy(AtomicUsize::new(0));
        let options = Options { max_samples, ..Options::default() };
        let query = parse(text).unwrap();
        evaluate_range(&source, &query, 0, 3_600_000, 60_000, &options)?;
        Ok::<usize, EvaluateError>(source.0.into_inner())
    };
    // Of the 3.6 million samples, two threads hold one series each.
    assert_eq!(evaluate("sum(rate(m[5m]))", 10_000).unwrap(), 1);
    assert_eq!(evaluate("max(abs(m) * 2 > 1)", 10_000).unwrap(), 1);
    assert_eq!(evaluate("absent(m)", 10_000).unwrap(), 1);
    assert!(evaluate("rate(m[5m])", 10_000).is_err());
    // Equal selectors are read once, and what they read is kept.
    let text = "sum(rate(m[5m])) / sum(increase(m[5m]))";
    assert_eq!(evaluate(text, 4_000_000).unwrap(), 1);
    assert!(evaluate(text, 1_000_000).is_err());
    assert_eq!(evaluate("sum(m) / sum(m offset 1m)", 10_000).unwrap(), 2);
}

/// Cancels the query that reads from it.
struct Cancels(Arc<AtomicBool>);

impl SeriesSource for Cancels {
    fn select(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
        self.0.store(true, Ordering::Relaxed);
        let (timestamps, values) = (vec![0], vec![1.0]);
        Ok(vec![SeriesColumns { labels: Labels::empty(), timestamps, values }])
    }
}

#[test]
fn a_query_is_cancelled_between_its_windows() {
    let flag = Arc::new(AtomicBool::new(false));
    let options = Options { cancelled: Some(Arc::clone(&flag)), ..Options::default() };
    let query = parse("sum_over_time(sum_over_time(vector(scalar(m))[1d:1s])[100d:1s])").unwrap();
    let result = evaluate_instant(&Cancels(flag), &query, 0, &options);
    assert!(matches!(result, Err(EvaluateError::Cancelled)));
}

#[test]
fn a_broken_source_is_told() {
    let result = evaluate_instant(&Broken, &parse("m").unwrap(), 0, &Options::default());
    let Err(EvaluateError::Source(error)) = result else { panic!("no error of the source") };
    assert_eq!(error.to_string(), "reading series failed: disk on fire");
}

#[test]
fn what_is_not_implemented_is_refused_by_name() {
    for name in ["histogram_sum", "histogram_avg", "info"] {
        let error = parse(&format!("1 + {name}(m)")).unwrap_err();
        assert_eq!(error.message, format!("the function {name:?} is not implemented"));
        assert_eq!(error.position, Some(4));
    }
    check_refused("m + fill(0) m");
    check_refused("m{a=\"1\" or b=\"2\"}");
}

proptest! {
    /// Any text is a query or an error, and any query has a value or an error.
    #[test]
    fn no_text_panics(words in prop::collection::vec(prop::sample::select(WORDS), 1..12)) {
        let text = words.join(" ");
        if let Ok(query) = parse(&text) {
            let options = Options { max_samples: 400_000, ..Options::default() };
            let _ = evaluate_instant(&Hour, &query, 60_000, &options);
            let _ = evaluate_range(&Hour, &query, 0, 60_000, 30_000, &options);
        }
    }

    #[test]
    fn no_characters_panic(text in "\\PC{0,40}") {
        let _ = parse(&text);
    }
}

const WORDS: &[&str] = &[
    "m",
    "m{n=\"1\"}",
    "m[1m]",
    "m[1m:10s]",
    "(",
    ")",
    "(",
    ")",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "> bool",
    "and",
    "or",
    "unless",
    "on(n)",
    "ignoring(n)",
    "group_left(x)",
    "sum",
    "topk(1,",
    "quantile by (n) (0.5,",
    "rate(",
    "abs(",
    "avg_over_time(",
    "label_replace(",
    "\"x\"",
    ",",
    "1",
    "0x1f",
    "1e400",
    "NaN",
    "5m",
    "99999999999999y",
    "offset",
    "offset -5m",
    "@ 10",
    "@ -1e30",
    "@ start()",
    "{",
    "}",
    "[",
    "]",
    ":",
    "'\\xff'",
    "absent(",
    "time()",
    "scalar(",
    "vector(",
    "histogram_quantile(0.9,",
    "by (n)",
    "#",
];
