//! Durations as Prometheus writes them: `5m`, `1h30m`, `400d`, `250ms`.

use std::fmt::Write as _;

/// Why a duration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form `1h30m`.
    #[error("{0:?} is no duration; write it like 30s, 5m, 1h30m or 400d")]
    Malformed(String),
    /// More than 292 million years.
    #[error("the duration {0:?} is too large")]
    TooLarge(String),
}

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds of a duration such as `1h30m`: units from large to small, each at most once; `0` alone is allowed.
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    if text == "0" {
        return Ok(0);
    }
    let malformed = || DurationError::Malformed(text.into());
    let mut rest = text;
    let mut total: i64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(malformed)?;
        if digits == 0 || at < next_unit {
            return Err(malformed());
        }
        next_unit = at + 1;
        total = number
            .parse::<i64>()
            .ok()
            .and_then(|n| n.checked_mul(UNITS[at].1))
            .and_then(|ms| total.checked_add(ms))
            .ok_or_else(|| DurationError::TooLarge(text.into()))?;
        rest = after;
    }
    if next_unit == 0 { Err(malformed()) } else { Ok(total) }
}

/// The duration as Prometheus writes it; `0s` for none.
pub fn format_duration_ms(ms: i64) -> String {
    if ms == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    let mut rest = ms;
    if ms < 0 {
        text.push('-');
        rest = rest.saturating_neg();
    }
    for (name, size) in UNITS {
        // Years and weeks are only used where nothing is left over, so that 400d stays 400d.
        if matches!(name, "y" | "w") && rest % size != 0 {
            continue;
        }
        if rest >= size {
            write!(text, "{}{name}", rest / size).expect("writing to a string cannot fail");
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, ms: i64) {
        assert_eq!(parse_duration_ms(text), Ok(ms));
        assert_eq!(format_duration_ms(ms), text);
    }

    #[test]
    fn both_ways() {
        check("0s", 0);
        check("250ms", 250);
        check("1h30m", 5_400_000);
        check("400d", 400 * 86_400_000);
        check("1y", 365 * 86_400_000);
    }

    #[test]
    fn refusals() {
        for text in ["", "5", "m5", "5x", "1m1h", "1m1m", "-5m", "1.5h"] {
            assert_eq!(parse_duration_ms(text), Err(DurationError::Malformed(text.into())));
        }
        let huge = "99999999999y";
        assert_eq!(parse_duration_ms(huge), Err(DurationError::TooLarge(huge.into())));
    }
}
