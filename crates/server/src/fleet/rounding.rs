//! Numbers as the page can show them: what cannot be seen need not be sent.

/// A percentage, to a tenth.
pub(super) fn percent(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// To a hundredth.
pub(super) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// To three significant figures.
pub(super) fn three_figures(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10_f64.powf(value.abs().log10().floor() - 2.0);
    // Divided by a whole number where it is one, so that no digits of rounding are left over.
    if unit >= 1.0 {
        (value / unit).round() * unit
    } else {
        (value / unit).round() / (1.0 / unit).round()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_figures_are_kept_of_any_size() {
        let check = |value: f64, expected: f64| {
            let found = three_figures(value);
            assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{value}: {found}");
        };
        check(123_456.0, 123_000.0);
        check(99_951.0, 100_000.0);
        check(0.001_234_5, 0.001_23);
        check(-9.876_5, -9.88);
        check(0.0, 0.0);
        assert_eq!(three_figures(9.876_5).to_string(), "9.88");
        assert_eq!((percent(12.345), hundredths(1.005_1)), (12.3, 1.01));
    }
}
