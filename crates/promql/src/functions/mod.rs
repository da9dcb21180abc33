//! The functions of PromQL: one table that says how each is computed, and the ways of computing them.

mod absent;
mod calendar;
mod histogram;
mod labels;
mod numbers;
mod over_time;
mod rates;
mod sorting;
mod trends;

use self::Function as F;
use self::Special as S;
use crate::evaluate::{
    ABSENT, EvaluateError, Evaluator, Operand, StepSeries, Steps, Window, is_absent,
};
use crate::plan::{Call, Node};

/// How a function is computed.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    /// From the value of each sample.
    Map(fn(f64) -> f64),
    /// From the value of each sample and one scalar a step for each further argument; may be [`ABSENT`].
    MapWith(fn(f64, &[f64]) -> f64),
    /// From each sample taken as seconds since 1970, or the step's own time without argument.
    Calendar(fn(calendar::Date) -> f64),
    /// From the samples of a window, at least one.
    Window(fn(&Window<'_>) -> f64),
    /// As [`Self::Window`], and the series keeps its name.
    NamedWindow(fn(&Window<'_>) -> f64),
    /// From the samples of a window, if they are enough.
    Change(fn(&Window<'_>) -> Option<f64>),
    /// From the samples of a window that should be those of a counter.
    CounterWindow(fn(&Window<'_>) -> Option<f64>),
    /// From the samples of a window and one scalar a step for each other argument.
    WindowWith(fn(&Window<'_>, &[f64]) -> Option<f64>),
    /// In its own way.
    Special(Special),
}

/// The functions that are computed in their own way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    Absent,
    AbsentOverTime,
    DoubleExponentialSmoothing,
    End,
    HistogramFraction,
    HistogramQuantile,
    LabelJoin,
    LabelReplace,
    Pi,
    QuantileOverTime,
    Range,
    Scalar,
    Sort(sorting::By),
    Start,
    Step,
    Time,
    Timestamp,
    Vector,
}

/// The table of functions. One that is not in it is refused when the query is parsed: what needs
/// native histograms or metadata (`histogram_sum`, `info`, …), which Muster does not store.
#[rustfmt::skip]
static TABLE: &[(&str, Function)] = &[
    ("abs", F::Map(f64::abs)),
    ("acos", F::Map(f64::acos)),
    ("acosh", F::Map(f64::acosh)),
    ("asin", F::Map(f64::asin)),
    ("asinh", F::Map(f64::asinh)),
    ("atan", F::Map(f64::atan)),
    ("atanh", F::Map(f64::atanh)),
    ("ceil", F::Map(f64::ceil)),
    ("cos", F::Map(f64::cos)),
    ("cosh", F::Map(f64::cosh)),
    ("deg", F::Map(f64::to_degrees)),
    ("exp", F::Map(f64::exp)),
    ("floor", F::Map(f64::floor)),
    ("ln", F::Map(f64::ln)),
    ("log10", F::Map(f64::log10)),
    ("log2", F::Map(f64::log2)),
    ("rad", F::Map(f64::to_radians)),
    ("sgn", F::Map(numbers::sign)),
    ("sin", F::Map(f64::sin)),
    ("sinh", F::Map(f64::sinh)),
    ("sqrt", F::Map(f64::sqrt)),
    ("tan", F::Map(f64::tan)),
    ("tanh", F::Map(f64::tanh)),
    ("clamp", F::MapWith(numbers::clamp)),
    ("clamp_max", F::MapWith(numbers::clamp_max)),
    ("clamp_min", F::MapWith(numbers::clamp_min)),
    ("round", F::MapWith(numbers::round)),
    ("day_of_month", F::Calendar(|date| f64::from(date.day))),
    ("day_of_week", F::Calendar(|date| f64::from(date.weekday))),
    ("day_of_year", F::Calendar(|date| f64::from(date.day_of_year))),
    ("days_in_month", F::Calendar(|date| f64::from(date.days_in_month))),
    ("hour", F::Calendar(|date| f64::from(date.hour))),
    ("minute", F::Calendar(|date| f64::from(date.minute))),
    ("month", F::Calendar(|date| f64::from(date.month))),
    ("year", F::Calendar(|date| date.year as f64)),
    ("increase", F::CounterWindow(rates::increase)),
    ("rate", F::CounterWindow(rates::rate)),
    ("changes", F::Window(rates::changes)),
    ("delta", F::Change(rates::delta)),
    ("idelta", F::Change(rates::idelta)),
    ("irate", F::Change(rates::irate)),
    ("resets", F::Window(rates::resets)),
    ("deriv", F::Change(trends::deriv)),
    ("predict_linear", F::WindowWith(trends::predict_linear)),
    ("double_exponential_smoothing", F::Special(S::DoubleExponentialSmoothing)),
    ("avg_over_time", F::Window(over_time::avg)),
    ("count_over_time", F::Window(over_time::count)),
    ("first_over_time", F::NamedWindow(over_time::first)),
    ("last_over_time", F::NamedWindow(over_time::last)),
    ("mad_over_time", F::Window(over_time::mad)),
    ("max_over_time", F::Window(over_time::max)),
    ("min_over_time", F::Window(over_time::min)),
    ("present_over_time", F::Window(over_time::present)),
    ("quantile_over_time", F::Special(S::QuantileOverTime)),
    ("stddev_over_time", F::Window(over_time::stddev)),
    ("stdvar_over_time", F::Window(over_time::stdvar)),
    ("sum_over_time", F::Window(over_time::sum)),
    ("ts_of_first_over_time", F::Window(over_time::ts_of_first)),
    ("ts_of_last_over_time", F::Window(over_time::ts_of_last)),
    ("ts_of_max_over_time", F::Window(over_time::ts_of_max)),
    ("ts_of_min_over_time", F::Window(over_time::ts_of_min)),
    ("absent", F::Special(S::Absent)),
    ("absent_over_time", F::Special(S::AbsentOverTime)),
    ("end", F::Special(S::End)),
    ("histogram_fraction", F::Special(S::HistogramFraction)),
    ("histogram_quantile", F::Special(S::HistogramQuantile)),
    ("label_join", F::Special(S::LabelJoin)),
    ("label_replace", F::Special(S::LabelReplace)),
    ("pi", F::Special(S::Pi)),
    ("range", F::Special(S::Range)),
    ("scalar", F::Special(S::Scalar)),
    ("sort", F::Special(S::Sort(sorting::By::Value))),
    ("sort_desc", F::Special(S::Sort(sorting::By::ValueDescending))),
    ("sort_by_label", F::Special(S::Sort(sorting::By::Label))),
    ("sort_by_label_desc", F::Special(S::Sort(sorting::By::LabelDescending))),
    ("start", F::Special(S::Start)),
    ("step", F::Special(S::Step)),
    ("time", F::Special(S::Time)),
    ("timestamp", F::Special(S::Timestamp)),
    ("vector", F::Special(S::Vector)),
];

/// The function of that name, if it is implemented.
pub(crate) fn find(name: &str) -> Option<Function> {
    TABLE.iter().find(|(known, _)| *known == name).map(|&(_, function)| function)
}

/// Evaluates a call at all steps.
pub(crate) fn call(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    match call.function {
        Function::Map(compute) => map(evaluator, call, steps, |value, _| compute(value)),
        Function::MapWith(compute) => map(evaluator, call, steps, compute),
        Function::Calendar(part) => calendar_part(evaluator, call, steps, part),
        Function::Window(compute) => {
            window(evaluator, call, steps, false, |window, _| Some(compute(window)))
        }
        Function::NamedWindow(compute) => {
            window(evaluator, call, steps, true, |window, _| Some(compute(window)))
        }
        Function::Change(compute) => {
            window(evaluator, call, steps, false, |window, _| compute(window))
        }
        Function::CounterWindow(compute) => {
            let operand = window(evaluator, call, steps, false, |window, _| compute(window))?;
            rates::note_non_counters(evaluator, call, &operand);
            Ok(operand)
        }
        Function::WindowWith(compute) => window(evaluator, call, steps, false, compute),
        Function::Special(special) => special_call(evaluator, call, special, steps),
    }
}

fn special_call(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    special: Special,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let query = evaluator.query_steps;
    let same = |value: f64| Ok(Operand::Scalar(vec![value; steps.count]));
    match special {
        Special::Absent => absent::absent(evaluator, call, steps),
        Special::AbsentOverTime => absent::absent_over_time(evaluator, call, steps),
        Special::DoubleExponentialSmoothing => trends::smoothing(evaluator, call, steps),
        Special::End => same(query.last_ms() as f64 / 1000.0),
        Special::HistogramFraction => histogram::fractions(evaluator, call, steps),
        Special::HistogramQuantile => histogram::quantiles(evaluator, call, steps),
        Special::LabelJoin => labels::join(evaluator, call, steps),
        Special::LabelReplace => labels::replace(evaluator, call, steps),
        Special::Pi => same(std::f64::consts::PI),
        Special::QuantileOverTime => over_time::quantiles(evaluator, call, steps),
        Special::Range => same((query.last_ms() - query.first_ms) as f64 / 1000.0),
        Special::Scalar => numbers::scalar(evaluator, call, steps),
        Special::Sort(by) => sorting::sort(evaluator, call, by, steps),
        Special::Start => same(query.first_ms as f64 / 1000.0),
        Special::Step if query.count > 1 => same(query.step_ms as f64 / 1000.0),
        Special::Step => same(0.0),
        Special::Time => Ok(Operand::Scalar(seconds(steps))),
        Special::Timestamp => numbers::timestamp(evaluator, call, steps),
        Special::Vector => numbers::vector(evaluator, call, steps),
    }
}

/// The time of each step, in seconds.
fn seconds(steps: &Steps) -> Vec<f64> {
    steps.times().map(|time| time as f64 / 1000.0).collect()
}

/// The argument at `at`; the parser has checked that it is there.
fn argument(call: &Call, at: usize) -> Result<&Node, EvaluateError> {
    call.args.get(at).ok_or_else(|| {
        EvaluateError::Execution(format!("{} lacks its argument {}", call.name, at + 1))
    })
}

fn vector_argument(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    at: usize,
    steps: &Steps,
) -> Result<Vec<StepSeries>, EvaluateError> {
    evaluator.evaluate(argument(call, at)?, steps)?.into_vector()
}

fn scalar_argument(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    at: usize,
    steps: &Steps,
) -> Result<Vec<f64>, EvaluateError> {
    evaluator.evaluate(argument(call, at)?, steps)?.into_scalar()
}

fn text_argument(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    at: usize,
    steps: &Steps,
) -> Result<String, EvaluateError> {
    evaluator.evaluate(argument(call, at)?, steps)?.into_text()
}

/// Computes each sample of the first argument, with the scalars of the others at that step.
fn map(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
    compute: impl Fn(f64, &[f64]) -> f64,
) -> Result<Operand, EvaluateError> {
    let mut series = vector_argument(evaluator, call, 0, steps)?;
    let scalars = (1..call.args.len())
        .map(|at| scalar_argument(evaluator, call, at, steps))
        .collect::<Result<Vec<_>, _>>()?;
    let mut at_step = vec![0.0; scalars.len()];
    for one in &mut series {
        one.drops_name = true;
        for (step, value) in one.values.iter_mut().enumerate() {
            if is_absent(*value) {
                continue;
            }
            gather(&scalars, step, &mut at_step);
            *value = compute(*value, &at_step);
        }
    }
    series.retain(StepSeries::has_values);
    Ok(Operand::Vector(series))
}

fn gather(scalars: &[Vec<f64>], step: usize, at_step: &mut [f64]) {
    for (scalar, values) in at_step.iter_mut().zip(scalars) {
        *scalar = values[step];
    }
}

fn calendar_part(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
    part: fn(calendar::Date) -> f64,
) -> Result<Operand, EvaluateError> {
    let read = |seconds: f64| calendar::Date::at(seconds).map_or(f64::NAN, part);
    if !call.args.is_empty() {
        return map(evaluator, call, steps, |value, _| read(value));
    }
    let values = seconds(steps).into_iter().map(read).collect();
    let labels = muster_series::Labels::empty();
    Ok(Operand::Vector(vec![StepSeries { labels, drops_name: false, values }]))
}

/// Computes each window of the range vector among the arguments, with the scalars of the others.
fn window(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
    keeps_name: bool,
    compute: impl Fn(&Window<'_>, &[f64]) -> Option<f64>,
) -> Result<Operand, EvaluateError> {
    let mut range = None;
    let mut scalars = Vec::new();
    for arg in &call.args {
        match arg {
            Node::Range(node) => range = Some(node),
            other => scalars.push(evaluator.evaluate(other, steps)?.into_scalar()?),
        }
    }
    let range = range
        .ok_or_else(|| EvaluateError::Execution(format!("{} lacks its range vector", call.name)))?;
    let windows = evaluator.windows(range, steps)?;
    let mut at_step = vec![0.0; scalars.len()];
    let mut results = Vec::with_capacity(windows.series.len());
    for series in &windows.series {
        evaluator.budget.charge(steps.count)?;
        let mut values = Vec::with_capacity(steps.count);
        for (step, window) in windows.slide(series).enumerate() {
            // Long windows at many steps take long without holding more: look for a cancellation.
            evaluator.budget.charge(0)?;
            gather(&scalars, step, &mut at_step);
            let value = if window.values.is_empty() { None } else { compute(&window, &at_step) };
            values.push(value.unwrap_or(ABSENT));
        }
        let labels = series.columns.labels.clone();
        let drops_name = series.drops_name || !keeps_name;
        let result = StepSeries { labels, drops_name, values };
        if result.has_values() {
            results.push(result);
        }
    }
    Ok(Operand::Vector(results))
}
