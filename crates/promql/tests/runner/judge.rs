//! Evaluates one `eval` and compares what came of it with what must.

use muster_promql::{
    Evaluated, Options, Value as Outcome, evaluate_instant, evaluate_range, parse,
};
use muster_series::{Labels, SeriesColumns};

use super::memory::Memory;
use super::script::{Eval, Kind, Note};
use super::series::Value;

/// How far an instant query is also evaluated as part of a range query, on both sides.
const AROUND_MS: i64 = 60_000;

/// Whether an `eval` holds; else why not.
pub(super) fn judge(eval: &Eval, memory: &Memory) -> Result<(), String> {
    let evaluated = match (evaluate(eval, memory), &eval.fails) {
        (Err(error), Some(note)) => return check_note("error", note, &[error]),
        (Ok(_), Some(_)) => return Err("must fail, but does not".into()),
        (Err(error), None) => return Err(format!("fails: {error}")),
        (Ok(evaluated), None) => evaluated,
    };
    if let Some(note) = &eval.warns {
        check_note("warning", note, &evaluated.warnings)?;
    }
    if let Some(note) = &eval.informs {
        check_note("info", note, &evaluated.infos)?;
    }
    if eval.no_warning && !evaluated.warnings.is_empty() {
        return Err(format!("warns: {:?}", evaluated.warnings));
    }
    if eval.no_info && !evaluated.infos.is_empty() {
        return Err(format!("informs: {:?}", evaluated.infos));
    }
    if eval.expected.iter().any(|line| line.values.iter().any(|v| matches!(v, Value::Histogram))) {
        return Err("expects native histograms".into());
    }
    compare(eval, &evaluated.value)?;
    compare_as_range(eval, &evaluated.value, memory)
}

fn evaluate(eval: &Eval, memory: &Memory) -> Result<Evaluated, String> {
    let query = parse(&eval.query).map_err(|error| error.to_string())?;
    let options = Options::default();
    match eval.kind {
        Kind::Instant { at } => evaluate_instant(memory, &query, at, &options),
        Kind::Range { start, end, step } => {
            evaluate_range(memory, &query, start, end, step, &options)
        }
    }
    .map_err(|error| error.to_string())
}

fn check_note(kind: &str, note: &Note, messages: &[String]) -> Result<(), String> {
    let holds = match note {
        Note::Any => !messages.is_empty(),
        Note::Exactly(expected) => messages.iter().any(|message| message == expected),
        Note::Matching(pattern) => {
            let regex = regex::Regex::new(pattern).map_err(|error| error.to_string())?;
            messages.iter().any(|message| regex.is_match(message))
        }
    };
    if holds { Ok(()) } else { Err(format!("has no such {kind}, but {messages:?}")) }
}

fn compare(eval: &Eval, value: &Outcome) -> Result<(), String> {
    match value {
        Outcome::Scalar { value, .. } => {
            let expected = eval.scalar.ok_or("yields a scalar")?;
            if almost_equal(expected, *value) {
                return Ok(());
            }
            Err(format!("yields {value}, not {expected}"))
        }
        Outcome::String { value, .. } => {
            if eval.string.as_ref() == Some(value) {
                return Ok(());
            }
            Err(format!("yields {value:?}, not {:?}", eval.string))
        }
        Outcome::Vector(samples) => {
            let got = samples.iter().map(|s| (s.labels.clone(), s.value)).collect();
            compare_vector(eval, got)
        }
        Outcome::Matrix(columns) => {
            let (from, step) = match (eval.kind, eval.range_vector) {
                (_, Some(range)) => range,
                (Kind::Range { start, step, .. }, None) => (start, step),
                (Kind::Instant { .. }, None) => return Err("yields a range vector".into()),
            };
            compare_matrix(eval, columns, from, step)
        }
    }
}

fn compare_vector(eval: &Eval, got: Vec<(Labels, f64)>) -> Result<(), String> {
    if eval.scalar.is_some() || eval.string.is_some() {
        return Err(format!("yields a vector: {got:?}"));
    }
    let mut expected = Vec::new();
    for line in &eval.expected {
        let [Value::Float(value)] = line.values[..] else {
            return Err(format!("expects no single value for {}", line.labels));
        };
        expected.push((line.labels.clone(), value));
    }
    let sorted = |mut samples: Vec<(Labels, f64)>| {
        if !eval.ordered {
            samples.sort_by(|a, b| a.0.cmp(&b.0));
        }
        samples
    };
    let (expected, got) = (sorted(expected), sorted(got));
    let equal = expected.len() == got.len()
        && expected.iter().zip(&got).all(|(e, g)| e.0 == g.0 && almost_equal(e.1, g.1));
    if equal { Ok(()) } else { Err(format!("yields {got:?}, not {expected:?}")) }
}

fn compare_matrix(eval: &Eval, got: &[SeriesColumns], from: i64, step: i64) -> Result<(), String> {
    let mut expected: Vec<SeriesColumns> = Vec::new();
    for line in &eval.expected {
        let mut columns = SeriesColumns::new(line.labels.clone());
        for (at, value) in line.values.iter().enumerate() {
            if let Value::Float(value) = *value {
                columns.timestamps.push(from + step * at as i64);
                columns.values.push(value);
            }
        }
        expected.push(columns);
    }
    if let Some(scalar) = eval.scalar {
        return Err(format!("expects the scalar {scalar} of a range query"));
    }
    expected.retain(|columns| !columns.is_empty());
    expected.sort_by(|a, b| a.labels.cmp(&b.labels));
    let equal_series = |e: &SeriesColumns, g: &SeriesColumns| {
        e.labels == g.labels
            && e.timestamps == g.timestamps
            && e.values.iter().zip(&g.values).all(|(&e, &g)| almost_equal(e, g))
    };
    let equal =
        expected.len() == got.len() && expected.iter().zip(got).all(|(e, g)| equal_series(e, g));
    if equal { Ok(()) } else { Err(format!("yields {got:?}, not {expected:?}")) }
}

/// An instant query must yield the same as one step of a range query.
fn compare_as_range(eval: &Eval, value: &Outcome, memory: &Memory) -> Result<(), String> {
    let Kind::Instant { at } = eval.kind else {
        return Ok(());
    };
    let Outcome::Vector(samples) = value else {
        return Ok(());
    };
    if ["start()", "end()", "step()", "range()"].iter().any(|word| eval.query.contains(word)) {
        return Ok(());
    }
    let query = parse(&eval.query).map_err(|error| error.to_string())?;
    let (start, end) = (at - AROUND_MS, at + AROUND_MS);
    let evaluated = evaluate_range(memory, &query, start, end, AROUND_MS, &Options::default())
        .map_err(|error| format!("fails as a range query: {error}"))?;
    let Outcome::Matrix(columns) = evaluated.value else {
        return Err("yields no matrix as a range query".into());
    };
    let mut got: Vec<(Labels, f64)> = Vec::new();
    for series in &columns {
        let sample = series.samples().find(|sample| sample.timestamp_ms == at);
        got.extend(sample.map(|sample| (series.labels.clone(), sample.value)));
    }
    let mut expected: Vec<(Labels, f64)> =
        samples.iter().map(|sample| (sample.labels.clone(), sample.value)).collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let equal = expected.len() == got.len()
        && expected.iter().zip(&got).all(|(e, g)| e.0 == g.0 && almost_equal(e.1, g.1));
    if equal { Ok(()) } else { Err(format!("as a range query yields {got:?}, not {expected:?}")) }
}

/// Equal up to a millionth, as in Prometheus's own runner.
fn almost_equal(a: f64, b: f64) -> bool {
    const EPSILON: f64 = 1e-6;
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}
