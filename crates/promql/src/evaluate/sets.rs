//! The set operators `and`, `or` and `unless`: they keep or drop samples by what the other side has.

use super::projection::GroupIndex;
use super::{ABSENT, EvaluateError, StepSeries, Steps, is_absent, merge_same_labels};
use crate::plan::{Projection, SetOp};

/// Combines two vectors by a set operator.
pub(super) fn combine(
    op: SetOp,
    by: &Projection,
    mut left: Vec<StepSeries>,
    mut right: Vec<StepSeries>,
    steps: &Steps,
) -> Result<Vec<StepSeries>, EvaluateError> {
    match op {
        SetOp::And => retain(&mut left, &right, by, steps, true),
        SetOp::Unless => retain(&mut left, &right, by, steps, false),
        SetOp::Or => {
            retain(&mut right, &left, by, steps, false);
            left.append(&mut right);
        }
    }
    left.retain(StepSeries::has_values);
    if op == SetOp::Or { merge_same_labels(left) } else { Ok(left) }
}

/// Keeps the samples of `series` whose group has a sample in `other` at that step, or has none.
fn retain(
    series: &mut [StepSeries],
    other: &[StepSeries],
    by: &Projection,
    steps: &Steps,
    kept_if_present: bool,
) {
    let mut groups = GroupIndex::new(by);
    let mut present: Vec<Vec<bool>> = Vec::new();
    for one in other {
        let group = groups.number(&one.labels);
        if group == present.len() {
            present.push(vec![false; steps.count]);
        }
        for (flag, &value) in present[group].iter_mut().zip(&one.values) {
            *flag |= !is_absent(value);
        }
    }
    let nowhere = vec![false; steps.count];
    for one in series {
        let flags = groups.find(&one.labels).map_or(&nowhere, |group| &present[group]);
        for (value, &flag) in one.values.iter_mut().zip(flags) {
            if flag != kept_if_present {
                *value = ABSENT;
            }
        }
    }
}
