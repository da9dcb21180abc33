//! The sort functions, which order the result of an instant query.

use std::cmp::Ordering;

use super::{text_argument, vector_argument};
use crate::evaluate::{EvaluateError, Evaluator, Operand, StepSeries, Steps};
use crate::plan::Call;

/// What to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Value,
    ValueDescending,
    Label,
    LabelDescending,
}

pub(super) fn sort(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    by: By,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let mut series = vector_argument(evaluator, call, 0, steps)?;
    if steps.count > 1 {
        let message =
            "sort is ineffective for range queries since results are always ordered by labels";
        evaluator.notes.warn(message, call.position.map(|p| p.name));
        return Ok(Operand::Vector(series));
    }
    let names = (1..call.args.len())
        .map(|at| text_argument(evaluator, call, at, steps))
        .collect::<Result<Vec<_>, _>>()?;
    match by {
        By::Value => series.sort_by(|a, b| by_value(a, b, false)),
        By::ValueDescending => series.sort_by(|a, b| by_value(a, b, true)),
        By::Label => series.sort_by(|a, b| by_labels(a, b, &names)),
        By::LabelDescending => series.sort_by(|a, b| by_labels(b, a, &names)),
    }
    Ok(Operand::Vector(series))
}

/// NaN comes last in either direction.
fn by_value(a: &StepSeries, b: &StepSeries, descending: bool) -> Ordering {
    let value = |series: &StepSeries| series.values.first().copied().unwrap_or(f64::NAN);
    let (a, b) = (value(a), value(b));
    let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    a.is_nan().cmp(&b.is_nan()).then(if descending { order.reverse() } else { order })
}

/// By the values of the named labels one after another, then by all labels.
fn by_labels(a: &StepSeries, b: &StepSeries, names: &[String]) -> Ordering {
    for name in names {
        let (left, right) = (a.labels.get(name).unwrap_or(""), b.labels.get(name).unwrap_or(""));
        let order = natural(left, right);
        if order != Ordering::Equal {
            return order;
        }
    }
    a.labels.cmp(&b.labels)
}

/// Texts as people order them: runs of digits by their number, so that `a9` comes before `a10`.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() && !b.is_empty() {
        let (left, right) = (chunk(a), chunk(b));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let order = if digits(left) && digits(right) {
            let (l, r) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            l.len().cmp(&r.len()).then_with(|| l.cmp(r)).then(left.len().cmp(&right.len()))
        } else {
            left.cmp(right)
        };
        if order != Ordering::Equal {
            return order;
        }
        a = &a[left.len()..];
        b = &b[right.len()..];
    }
    a.len().cmp(&b.len())
}

/// The run of digits, or of other characters, at the beginning of a text.
fn chunk(text: &str) -> &str {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: Ordering) {
        assert_eq!(natural(a, b), expected);
        assert_eq!(natural(b, a), expected.reverse());
    }

    #[test]
    fn numbers_in_names_are_numbers() {
        check("cpu9", "cpu10", Ordering::Less);
        check("a", "b", Ordering::Less);
        check("1.10", "1.9", Ordering::Greater);
        check("", "a", Ordering::Less);
        check("99999999999999999999999", "100000000000000000000000", Ordering::Less);
        check("x1", "x1", Ordering::Equal);
    }
}
