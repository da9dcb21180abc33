//! The functions of PromQL: one table that says how each is computed, and the ways of computing them.

mod absent;
mod calendar;
mod histogram;
mod labels;
mod numbers;
mod ordered;
mod over_time;
mod rates;
mod sorting;
mod trends;

#[cfg(test)]
mod sliding_agrees;

use std::f64::consts::PI;

use self::Function as F;
use self::Rollup as R;
use self::Special as S;
use crate::evaluate::{EvaluateError, Evaluator, Operand, Rollup, StepSeries, Steps};
use crate::plan::{Call, Node};

pub(crate) use calendar::Date;
pub(crate) use over_time::quantile_of as quantile_over_time;
pub(crate) use over_time::slide_quantile as slide_quantile_over_time;
pub(crate) use rates::{Change, Timelines, extrapolate};
pub(crate) use trends::{check_smoothing, smooth};

/// How a function is computed.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    /// From the value of each sample.
    Map(fn(f64) -> f64),
    /// From the value of each sample and one scalar a step for each further argument; may be [`ABSENT`](crate::evaluate::ABSENT).
    MapWith(fn(f64, &[f64]) -> f64),
    /// From each sample taken as seconds since 1970, or the step's own time without argument.
    Calendar(fn(Date) -> f64),
    /// From the samples of a window, and one scalar a step for each other argument.
    Window(Rollup),
    /// As [`Self::Window`], and the series keeps its name.
    NamedWindow(Rollup),
    /// As [`Self::Window`], of samples that should be those of a counter.
    CounterWindow(Rollup),
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
    HistogramQuantiles,
    LabelJoin,
    LabelReplace,
    MaxOf,
    MinOf,
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
    ("deg", F::Map(|value| value * 180.0 / PI)),
    ("exp", F::Map(f64::exp)),
    ("floor", F::Map(f64::floor)),
    ("ln", F::Map(f64::ln)),
    ("log10", F::Map(f64::log10)),
    ("log2", F::Map(f64::log2)),
    ("rad", F::Map(|value| value * PI / 180.0)),
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
    ("increase", F::CounterWindow(R::Extrapolated(rates::INCREASE))),
    ("rate", F::CounterWindow(R::Extrapolated(rates::RATE))),
    ("changes", F::Window(R::Column(rates::changes))),
    ("delta", F::Window(R::Extrapolated(rates::DELTA))),
    ("idelta", F::Window(R::Each(rates::idelta))),
    ("irate", F::Window(R::Each(rates::irate))),
    ("resets", F::Window(R::Column(rates::resets))),
    ("deriv", F::Window(R::Sliding(trends::deriv, trends::slide_deriv))),
    ("predict_linear", F::Window(R::SlidingWith(trends::predict_linear, trends::slide_predict_linear))),
    ("double_exponential_smoothing", F::Special(S::DoubleExponentialSmoothing)),
    ("avg_over_time", F::Window(R::Sliding(over_time::avg, over_time::slide_avg))),
    ("count_over_time", F::Window(R::Each(over_time::count))),
    ("first_over_time", F::NamedWindow(R::Each(over_time::first))),
    ("last_over_time", F::NamedWindow(R::Each(over_time::last))),
    ("mad_over_time", F::Window(R::SlidingWith(over_time::mad, over_time::slide_mad))),
    ("max_over_time", F::Window(R::Sliding(over_time::max, over_time::slide_max))),
    ("min_over_time", F::Window(R::Sliding(over_time::min, over_time::slide_min))),
    ("present_over_time", F::Window(R::Each(over_time::present))),
    ("quantile_over_time", F::Special(S::QuantileOverTime)),
    ("stddev_over_time", F::Window(R::Sliding(over_time::stddev, over_time::slide_stddev))),
    ("stdvar_over_time", F::Window(R::Sliding(over_time::stdvar, over_time::slide_stdvar))),
    ("sum_over_time", F::Window(R::Sliding(over_time::sum, over_time::slide_sum))),
    ("ts_of_first_over_time", F::Window(R::Each(over_time::ts_of_first))),
    ("ts_of_last_over_time", F::Window(R::Each(over_time::ts_of_last))),
    ("ts_of_max_over_time", F::Window(R::Sliding(over_time::ts_of_max, over_time::slide_ts_of_max))),
    ("ts_of_min_over_time", F::Window(R::Sliding(over_time::ts_of_min, over_time::slide_ts_of_min))),
    ("absent", F::Special(S::Absent)),
    ("absent_over_time", F::Special(S::AbsentOverTime)),
    ("end", F::Special(S::End)),
    ("histogram_fraction", F::Special(S::HistogramFraction)),
    ("histogram_quantile", F::Special(S::HistogramQuantile)),
    ("histogram_quantiles", F::Special(S::HistogramQuantiles)),
    ("label_join", F::Special(S::LabelJoin)),
    ("label_replace", F::Special(S::LabelReplace)),
    ("max_of", F::Special(S::MaxOf)),
    ("min_of", F::Special(S::MinOf)),
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

impl Function {
    /// Whether it yields one number a step and no vector.
    pub(crate) fn yields_scalar(self) -> bool {
        let Self::Special(special) = self else {
            return false;
        };
        matches!(
            special,
            S::End
                | S::MaxOf
                | S::MinOf
                | S::Pi
                | S::Range
                | S::Scalar
                | S::Start
                | S::Step
                | S::Time
        )
    }
}

/// The function of that name, if it is implemented.
pub(crate) fn find(name: &str) -> Option<Function> {
    TABLE.iter().find(|(known, _)| *known == name).map(|&(_, function)| function)
}

/// Evaluates a call, of a function whose series do not pass it each on its own, at all steps.
pub(crate) fn call(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    match call.function {
        Function::Calendar(part) => Ok(calendar_of_steps(steps, part)),
        Function::Special(special) => special_call(evaluator, call, special, steps),
        _ => Err(EvaluateError::Execution(format!("{} lacks its vector", call.name))),
    }
}

fn special_call(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    special: Special,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let (query, end_ms) = (evaluator.query_steps, evaluator.query_end_ms);
    let same = |value: f64| Ok(Operand::Scalar(vec![value; steps.count]));
    match special {
        Special::Absent => absent::absent(evaluator, call, steps),
        Special::AbsentOverTime => absent::absent_over_time(evaluator, call, steps),
        Special::End => same(end_ms as f64 / 1000.0),
        Special::HistogramFraction => histogram::fractions(evaluator, call, steps),
        Special::HistogramQuantile => histogram::quantiles(evaluator, call, steps),
        Special::HistogramQuantiles => histogram::many_quantiles(evaluator, call, steps),
        Special::LabelJoin => labels::join(evaluator, call, steps),
        Special::LabelReplace => labels::replace(evaluator, call, steps),
        Special::MaxOf => numbers::of_two(evaluator, call, steps, numbers::greater),
        Special::MinOf => numbers::of_two(evaluator, call, steps, numbers::lesser),
        Special::Pi => same(PI),
        Special::Range => same((end_ms - query.first_ms) as f64 / 1000.0),
        Special::Scalar => numbers::scalar(evaluator, call, steps),
        Special::Sort(by) => sorting::sort(evaluator, call, by, steps),
        Special::Start => same(query.first_ms as f64 / 1000.0),
        Special::Step if query.count > 1 => same(query.step_ms as f64 / 1000.0),
        Special::Step => same(0.0),
        Special::Time => Ok(Operand::Scalar(seconds(steps))),
        Special::Vector => numbers::vector(evaluator, call, steps),
        Special::DoubleExponentialSmoothing | Special::QuantileOverTime | Special::Timestamp => {
            Err(EvaluateError::Execution(format!("{} lacks its vector", call.name)))
        }
    }
}

/// The time of each step, in seconds.
pub(crate) fn seconds(steps: &Steps) -> Vec<f64> {
    steps.times().map(|time| time as f64 / 1000.0).collect()
}

/// The argument at `at`; the parser has checked that it is there.
pub(crate) fn argument(call: &Call, at: usize) -> Result<&Node, EvaluateError> {
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

/// One number a step: the argument at `at`.
pub(crate) fn scalar_argument(
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

fn calendar_of_steps(steps: &Steps, part: fn(Date) -> f64) -> Operand {
    let read = |seconds: f64| Date::at(seconds).map_or(f64::NAN, part);
    let values = seconds(steps).into_iter().map(read).collect();
    let labels = muster_series::Labels::empty();
    Operand::Vector(vec![StepSeries { labels, drops_name: false, values }])
}
