//! Floats as decimal integers: what servers report has few decimal places, and integers pack far better.

/// Most decimal places tried.
pub(crate) const MAX_EXPONENT: u8 = 9;

/// Up to here every integer is a float, so that a mantissa is exact.
const MAX_MANTISSA: f64 = 9_007_199_254_740_992.0;

const POWERS: [f64; MAX_EXPONENT as usize + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The integer `m` with `m / 10^exponent == value`, bit for bit, if there is one below 2^53.
/// Negative zero, infinities and NaN have none. `exponent` is at most [`MAX_EXPONENT`].
pub(crate) fn mantissa(value: f64, exponent: u8) -> Option<i64> {
    let scaled = value * POWERS[exponent as usize];
    if scaled.is_nan() || scaled.abs() >= MAX_MANTISSA {
        return None;
    }
    let rounded = scaled.round_ties_even();
    let mantissa = rounded as i64;
    (to_f64(mantissa, exponent).to_bits() == value.to_bits()).then_some(mantissa)
}

/// The smallest exponent from `least` on at which `value` has a mantissa, and that mantissa.
pub(crate) fn decimal(value: f64, least: u8) -> Option<(u8, i64)> {
    if !value.is_finite() {
        return None;
    }
    (least..=MAX_EXPONENT).find_map(|e| Some((e, mantissa(value, e)?)))
}

/// `mantissa / 10^exponent`; an exponent out of range counts as the largest.
pub(crate) fn to_f64(mantissa: i64, exponent: u8) -> f64 {
    mantissa as f64 / POWERS[usize::from(exponent.min(MAX_EXPONENT))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: Option<(u8, i64)>) {
        assert_eq!(decimal(value, 0), expected);
        if let Some((exponent, mantissa)) = expected {
            assert_eq!(to_f64(mantissa, exponent).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn exact_or_not_at_all() {
        check(0.0, Some((0, 0)));
        check(-17.0, Some((0, -17)));
        check(0.1, Some((1, 1)));
        check(123_456.78, Some((2, 12_345_678)));
        check(0.1 + 0.2, None);
        check(-0.0, None);
        check(f64::NAN, None);
        check(f64::INFINITY, None);
        check(1e300, None);
        check(9_007_199_254_740_991.0, Some((0, 9_007_199_254_740_991)));
    }
}
