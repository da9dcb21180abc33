//! Adds what the server learns of a host's figures: scores of how unusual they are for the hour, for the rules that ask.

use std::sync::LazyLock;

use muster_alerting::catalogue;
use muster_detect::{Baseline, HOST_FIGURES, HostFigure, Outlook};
use muster_promql::{Options, Value, evaluate_range, parse};

use super::habits::MONDAY_MS;
use super::history::History;
use super::life::Span;

/// From one value that is learned to the next, and how old a baseline must be to be told, in milliseconds: as the server
/// has it.
const STEP_MS: i64 = 300_000;
const LEAST_MS: i64 = 43_200_000;
const SCORE: &str = "muster_anomaly_score";

/// The labels of each figure's score.
static LABELS: LazyLock<Vec<String>> = LazyLock::new(|| {
    HOST_FIGURES.iter().map(|figure| format!("metric=\"{}\"", figure.metric)).collect()
});

/// Learns each figure that a rule asks for from the first day on, and tells its scores while the host is judged.
pub(super) fn tell(history: &mut History, span: Span) {
    let asked = |(figure, _): &(&HostFigure, &String)| {
        let mut asked = catalogue().iter().filter_map(|rule| rule.unusual);
        asked.any(|unusual| unusual.metric == figure.metric)
    };
    for (figure, labels) in HOST_FIGURES.iter().zip(&*LABELS).filter(asked) {
        let told = learned(history, figure, span);
        let mut told = told.iter().peekable();
        let mut newest: Option<&(i64, Outlook)> = None;
        for at_ms in span.instants(MONDAY_MS).filter(|&at_ms| at_ms >= span.judged_from_ms) {
            while let Some(next) = told.next_if(|(told_ms, _)| *told_ms <= at_ms) {
                newest = Some(next);
            }
            let stands = |(told_ms, _): &&(i64, Outlook)| at_ms - told_ms < 2 * STEP_MS;
            if let Some((_, outlook)) = newest.filter(stands) {
                history.push(SCORE, labels, at_ms, outlook.lasting);
            }
        }
    }
}

/// What is said of each value of a figure.
fn learned(history: &History, figure: &HostFigure, span: Span) -> Vec<(i64, Outlook)> {
    let query = parse(&figure.of_all()).expect("a test of the server reads every figure");
    let options = Options { max_points: 200_000, threads: 1, ..Options::default() };
    let values = evaluate_range(history, &query, MONDAY_MS, span.end_ms, STEP_MS, &options);
    let Ok(Value::Matrix(mut series)) = values.map(|evaluated| evaluated.value) else {
        return Vec::new();
    };
    let Some(series) = series.pop() else { return Vec::new() };
    let mut samples = series.samples();
    let Some(first) = samples.next() else { return Vec::new() };
    let first_ms = first.timestamp_ms;
    let mut baseline = Baseline::new(first_ms, first.value);
    let sensitivity = figure.sensitivity();
    let told = samples.filter_map(|sample| {
        let outlook = baseline.update(sample.timestamp_ms, sample.value, &sensitivity)?;
        (sample.timestamp_ms - first_ms >= LEAST_MS).then_some((sample.timestamp_ms, outlook))
    });
    told.collect()
}
