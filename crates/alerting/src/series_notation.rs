//! Promtool's notation for the values of a series: `1 2 _ 3+1x4 stale`.
//!
//! `a+bxn` is `a` and `n` more values, each greater by `b`; `axn` is `a` and `n` times `a` again; `_` is a value that
//! is missing, `_xn` are `n` of them; `stale` ends the series.
//! Source: <https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>.

use muster_series::stale_marker;

/// The most values of one series.
const MAX_VALUES: usize = 1_000_000;

/// Why a text is no list of values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotationError {
    /// A word of it is none.
    #[error("{0:?} is no value; write 1, 1.5e3, NaN, 0+10x5, _, _x5 or stale")]
    Value(String),
    /// It holds a native histogram.
    #[error("native histograms ({0:?}) are not supported")]
    Histogram(String),
    /// There are too many values.
    #[error("a series may have {MAX_VALUES} values")]
    TooMany,
}

/// The values, one a step; none where one is missing.
pub fn parse_values(text: &str) -> Result<Vec<Option<f64>>, NotationError> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        if word.contains("{{") {
            return Err(NotationError::Histogram(word.to_owned()));
        }
        let (first, step, repeats) =
            parse_word(word).ok_or_else(|| NotationError::Value(word.to_owned()))?;
        if values.len().saturating_add(repeats) > MAX_VALUES {
            return Err(NotationError::TooMany);
        }
        let mut value = first;
        for _ in 0..repeats {
            values.push(value);
            // Adding step by step rounds as promtool does.
            value = value.map(|value| value + step);
        }
    }
    Ok(values)
}

/// First value, difference and number of values of one word.
fn parse_word(word: &str) -> Option<(Option<f64>, f64, usize)> {
    match word {
        "_" => return Some((None, 0.0, 1)),
        "stale" => return Some((Some(stale_marker()), 0.0, 1)),
        _ => {}
    }
    if let Some(count) = word.strip_prefix("_x") {
        return Some((None, 0.0, count.parse().ok()?));
    }
    if let Some(number) = parse_number(word) {
        return Some((Some(number), 0.0, 1));
    }
    let (progression, count) = word.rsplit_once('x')?;
    let count: usize = count.parse().ok()?;
    let repeats = count.checked_add(1)?;
    if let Some(number) = parse_number(progression) {
        return Some((Some(number), 0.0, repeats));
    }
    // The sign between the two numbers is none at the beginning and none of an exponent.
    progression.char_indices().skip(1).filter(|(_, c)| matches!(c, '+' | '-')).find_map(
        |(at, _)| {
            let (first, step) = progression.split_at(at);
            Some((Some(parse_number(first)?), parse_number(step)?, repeats))
        },
    )
}

/// A number as PromQL writes it, but for hexadecimal ones: `0x5` is six times 0 here.
fn parse_number(text: &str) -> Option<f64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        digits.parse().ok()?
    } else {
        match digits.to_ascii_lowercase().as_str() {
            "inf" => f64::INFINITY,
            "nan" => f64::NAN,
            _ => return None,
        }
    };
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let values = parse_values(text).unwrap();
        let words: Vec<String> = values
            .into_iter()
            .map(|value| match value {
                None => "_".into(),
                Some(value) if muster_series::is_stale_marker(value) => "stale".into(),
                Some(value) => value.to_string(),
            })
            .collect();
        assert_eq!(words.join(" "), expected, "{text}");
    }

    #[test]
    fn words_expand() {
        check("1 2.5 -3", "1 2.5 -3");
        check("0+10x3", "0 10 20 30");
        check("5-1x2", "5 4 3");
        check("-2-2x1", "-2 -4");
        check("1x2 0x1", "1 1 1 0 0");
        check("_ _x2 1 stale", "_ _ _ 1 stale");
        check("1e3+1e-1x1", "1000 1000.1");
        check("Inf -inf NaN", "inf -inf NaN");
        check("NaN+1x1", "NaN NaN");
        check("", "");
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in ["a", "1+", "1+1", "1x", "x3", "_x", "1+1x-1", "stale1", "1x2x3y"] {
            assert!(matches!(parse_values(text), Err(NotationError::Value(_))), "{text}");
        }
        assert!(matches!(parse_values("{{count:1}}"), Err(NotationError::Histogram(_))));
        assert_eq!(parse_values("1x9999999999"), Err(NotationError::TooMany));
        assert_eq!(parse_values("_x1000000 1"), Err(NotationError::TooMany));
    }
}
