//! Arithmetic and comparisons: of scalars, of a series and scalars, and (in `matching`) of two vectors.

use super::matching;
use super::{ABSENT, Budget, EvaluateError, Operand, Steps};
use crate::plan::{Arithmetic, Binary, BinaryOp, Comparison};

/// Combines two scalars, or two vectors, by an operator that is no set operator.
pub(super) fn combine(
    binary: &Binary,
    left: &Operand,
    right: &Operand,
    steps: &Steps,
    budget: &Budget<'_>,
) -> Result<Operand, EvaluateError> {
    Ok(match (left, right) {
        (Operand::Scalar(left), Operand::Scalar(right)) => Operand::Scalar(
            left.iter().zip(right).map(|(&l, &r)| scalar(binary.op, l, r)).collect(),
        ),
        (Operand::Vector(left), Operand::Vector(right)) => {
            Operand::Vector(matching::combine(binary, left, right, steps, budget)?)
        }
        _ => return Err(EvaluateError::Execution("a string is no operand".into())),
    })
}

/// Between scalars, a comparison always yields 0 or 1.
fn scalar(op: BinaryOp, left: f64, right: f64) -> f64 {
    match apply(op, left, right) {
        Applied::Value(value) => value,
        Applied::Holds(holds) => f64::from(u8::from(holds)),
    }
}

/// Combines each value of a series with the scalar of its step.
pub(super) fn with_scalars(
    op: BinaryOp,
    returns_bool: bool,
    values: &mut [f64],
    scalars: &[f64],
    scalar_first: bool,
) {
    for (value, &scalar) in values.iter_mut().zip(scalars) {
        if !super::is_absent(*value) {
            let (left, right) = if scalar_first { (scalar, *value) } else { (*value, scalar) };
            *value = outcome(apply(op, left, right), returns_bool, *value);
        }
    }
}

/// What an operator says about two numbers.
#[derive(Clone, Copy)]
pub(super) enum Applied {
    Value(f64),
    Holds(bool),
}

/// The value of an element: computed, 0 or 1, or `kept` if the comparison holds.
pub(super) fn outcome(applied: Applied, returns_bool: bool, kept: f64) -> f64 {
    match applied {
        Applied::Value(value) => value,
        Applied::Holds(holds) if returns_bool => f64::from(u8::from(holds)),
        Applied::Holds(true) => kept,
        Applied::Holds(false) => ABSENT,
    }
}

/// Applies an operator to two numbers.
pub(super) fn apply(op: BinaryOp, left: f64, right: f64) -> Applied {
    match op {
        BinaryOp::Arithmetic(op) => Applied::Value(match op {
            Arithmetic::Add => left + right,
            Arithmetic::Sub => left - right,
            Arithmetic::Mul => left * right,
            Arithmetic::Div => left / right,
            Arithmetic::Mod => left % right,
            Arithmetic::Pow => left.powf(right),
            Arithmetic::Atan2 => left.atan2(right),
        }),
        BinaryOp::Comparison(op) => Applied::Holds(match op {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Greater => left > right,
            Comparison::Less => left < right,
            Comparison::GreaterEqual => left >= right,
            Comparison::LessEqual => left <= right,
        }),
        // Set operators never come here; they look at presence, not at values.
        BinaryOp::Set(_) => Applied::Holds(false),
    }
}
