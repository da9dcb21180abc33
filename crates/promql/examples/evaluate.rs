//! Measures the evaluator alone, over samples that lie in memory: nanoseconds for each sample read.
//!
//! `cargo run --release -p muster-promql --example evaluate` prints one line a query: the median of five
//! runs. The data is that of 500 hosts with 64 CPU counters each, one sample in 15 s. The first line is
//! the memory that a query takes whose source makes its series one by one.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::Instant;

use muster_promql::{
    Options, SelectHints, Selected, SeriesPart, SeriesSource, SourceError, Value, evaluate_instant,
    evaluate_range, parse,
};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};

/// One sample in so many milliseconds.
const INTERVAL_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;

/// Series in memory, with samples at every interval from 0 to the end of its span.
struct Memory {
    series: Vec<SeriesColumns>,
}

impl Memory {
    /// Counters and gauges of `hosts` hosts with `per_host` series each.
    fn filled(hosts: usize, per_host: usize, span_ms: i64) -> Self {
        let series = (0..hosts).flat_map(|host| Self::host(host, per_host, span_ms)).collect();
        Self { series }
    }

    fn host(host: usize, per_host: usize, span_ms: i64) -> Vec<SeriesColumns> {
        let times: Vec<i64> = (0..=span_ms / INTERVAL_MS).map(|at| at * INTERVAL_MS).collect();
        let one = |n: usize| {
            let labels = Labels::from_pairs([
                ("__name__", "x".to_owned()),
                ("instance", format!("host-{host:04}.example.net:9100")),
                ("job", "node".to_owned()),
                ("cpu", (n / 8).to_string()),
                ("mode", format!("mode-{}", n % 8)),
            ])
            .expect("the names differ");
            let slope = (host * per_host + n) as f64 / 1000.0;
            let values = times.iter().map(|&t| t as f64 * slope + (t % 7) as f64).collect();
            SeriesColumns { labels, timestamps: times.clone(), values }
        };
        (0..per_host).map(one).collect()
    }
}

impl SeriesSource for Memory {
    fn select(&self, _: &[Matcher], range: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
        Ok(self.series.iter().map(|one| cut(one, range)).collect())
    }
}

/// Series that are made only when their turn comes, as a store decodes them.
struct Generated {
    hosts: usize,
    span_ms: i64,
}

impl SeriesSource for Generated {
    fn select(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
        Err(SourceError::new("evaluations read in parts"))
    }

    fn select_parts(
        &self,
        _: &[Matcher],
        range: TimeRange,
        hints: &SelectHints<'_>,
    ) -> Result<Selected<'_>, SourceError> {
        let size = self.hosts.div_ceil(hints.parts);
        let part = |from: usize| -> SeriesPart<'_> {
            let hosts = from..(from + size).min(self.hosts);
            Box::new(hosts.flat_map(move |host| {
                let one = Memory::host(host, 64, self.span_ms).into_iter();
                one.map(move |series| Ok(cut(&series, range)))
            }))
        };
        let parts = (0..self.hosts).step_by(size).map(part).collect();
        Ok(Selected { parts, held_samples: 0 })
    }
}

/// The samples of a series in a range.
fn cut(one: &SeriesColumns, range: TimeRange) -> SeriesColumns {
    let from = one.timestamps.partition_point(|&time| time < range.start_ms);
    let to = one.timestamps.partition_point(|&time| time <= range.end_ms);
    SeriesColumns {
        labels: one.labels.clone(),
        timestamps: one.timestamps[from..to].to_vec(),
        values: one.values[from..to].to_vec(),
    }
}

/// The most memory that the process has held so far, in MiB; 0 where the system does not tell.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("");
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0.0);
    kib / 1024.0
}

/// Prints what a query over 32,000 series at 241 steps takes above the idle process.
fn measure_memory() {
    let idle = peak_mib();
    let source = Generated { hosts: 500, span_ms: 2 * HOUR_MS };
    let text = "sum by (instance) (rate(x[5m]))";
    let query = parse(text).expect("a valid query");
    let (start, end) = (HOUR_MS, 2 * HOUR_MS);
    let options = Options::default();
    evaluate_range(&source, &query, start, end, INTERVAL_MS, &options).expect("a value");
    println!("{text:<52} 32000 series x 241 steps take {:.1} MiB", peak_mib() - idle);
}

/// What is evaluated: at the end of the data, and at these steps before it.
struct Case<'a> {
    source: &'a Memory,
    text: &'a str,
    /// How far the range reaches back, in milliseconds; 0 for an instant query.
    range_ms: i64,
    step_ms: i64,
    end_ms: i64,
    /// The window before each step, in milliseconds.
    window_ms: i64,
}

impl Case<'_> {
    fn run(&self) -> usize {
        let query = parse(self.text).expect("a valid query");
        let options = Options::default();
        let value = if self.range_ms == 0 {
            evaluate_instant(self.source, &query, self.end_ms, &options)
        } else {
            let start = self.end_ms - self.range_ms;
            evaluate_range(self.source, &query, start, self.end_ms, self.step_ms, &options)
        };
        match value.expect("a value").value {
            Value::Matrix(series) => series.len(),
            Value::Vector(samples) => samples.len(),
            Value::Scalar { .. } | Value::String { .. } => 1,
        }
    }

    /// Runs the case five times and prints the median, and what reading the samples takes of it.
    fn measure(&self) {
        let range = TimeRange::new(self.end_ms - self.range_ms - self.window_ms + 1, self.end_ms);
        let read = median(|| self.source.select(&[], range).expect("in memory").len());
        let samples: usize =
            self.source.select(&[], range).expect("in memory").iter().map(SeriesColumns::len).sum();
        let mut results = 0;
        let whole = median(|| {
            results = self.run();
            results
        });
        let ns = (whole - read).max(0.0) * 1e9 / samples as f64;
        println!(
            "{:<52} {:>9} samples {:>6} results {:>8.1} ms, of it reading {:>7.1} ms; {:>6.1} ns a sample",
            self.text,
            samples,
            results,
            whole * 1e3,
            read * 1e3,
            ns
        );
    }
}

/// Median seconds of five runs.
fn median(mut run: impl FnMut() -> usize) -> f64 {
    let mut seconds: Vec<f64> = (0..5)
        .map(|_| {
            let begin = Instant::now();
            std::hint::black_box(run());
            begin.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[2]
}

fn main() {
    measure_memory();
    let wide = Memory::filled(500, 64, 2 * HOUR_MS);
    let long = Memory::filled(50, 4, 25 * HOUR_MS);
    let over_wide = |text, range_ms, window_ms| Case {
        source: &wide,
        text,
        range_ms,
        step_ms: INTERVAL_MS,
        end_ms: 2 * HOUR_MS,
        window_ms,
    };
    let over_long = |text, range_ms, step_ms, window_ms| Case {
        source: &long,
        text,
        range_ms,
        step_ms,
        end_ms: 25 * HOUR_MS,
        window_ms,
    };
    let cases = [
        over_wide("sum by (instance) (rate(x[5m]))", HOUR_MS, 300_000),
        over_wide("sum by (instance) (rate(x[5m]))", 0, 300_000),
        over_wide("max(x)", HOUR_MS, 300_000),
        over_wide("count by (mode) (x)", 0, 300_000),
        over_wide("rate(x[5m]) / on (instance, cpu, mode) x", HOUR_MS, 300_000),
        over_wide("topk(5, rate(x[5m]))", HOUR_MS, 300_000),
        over_long("predict_linear(x[6h], 3600)", 0, 1, 6 * HOUR_MS),
        over_long("predict_linear(x[6h], 3600)", HOUR_MS, 60_000, 6 * HOUR_MS),
        over_long("max_over_time(x[24h])", 0, 1, 24 * HOUR_MS),
        over_long("max_over_time(x[24h])", HOUR_MS, INTERVAL_MS, 24 * HOUR_MS),
        over_long("avg_over_time(x[1h])", 24 * HOUR_MS, 60_000, HOUR_MS),
        over_long("stddev_over_time(x[1h])", 24 * HOUR_MS, 60_000, HOUR_MS),
    ];
    for case in cases {
        case.measure();
    }
}
