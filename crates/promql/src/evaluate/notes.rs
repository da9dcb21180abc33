//! Warnings and remarks that an evaluation collects, worded as Prometheus words them.

use crate::positions::line_and_column;
use crate::value::{Evaluated, Value};

/// The notes of one evaluation, each once, in order of appearance.
pub(crate) struct Notes<'a> {
    text: &'a str,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, warnings: Vec::new(), infos: Vec::new() }
    }

    /// A likely mistake at `offset` of the query's text.
    pub(crate) fn warn(&mut self, message: &str, offset: Option<usize>) {
        let note = self.place(format!("PromQL warning: {message}"), offset);
        if !self.warnings.contains(&note) {
            self.warnings.push(note);
        }
    }

    /// A possible mistake at `offset` of the query's text.
    pub(crate) fn info(&mut self, message: &str, offset: Option<usize>) {
        let note = self.place(format!("PromQL info: {message}"), offset);
        if !self.infos.contains(&note) {
            self.infos.push(note);
        }
    }

    /// Warns of a quantile that is none.
    pub(crate) fn check_quantile(&mut self, q: f64, offset: Option<usize>) {
        if !(0.0..=1.0).contains(&q) {
            let q = format_general(q, None);
            self.warn(&format!("quantile value should be between 0 and 1, got {q}"), offset);
        }
    }

    /// The value with all notes.
    pub(crate) fn finish(self, value: Value) -> Evaluated {
        Evaluated { value, warnings: self.warnings, infos: self.infos, samples: None }
    }

    fn place(&self, message: String, offset: Option<usize>) -> String {
        match offset {
            Some(offset) => format!("{message} ({})", line_and_column(self.text, offset)),
            None => message,
        }
    }
}

/// A number as Prometheus writes it into messages and labels.
pub(crate) fn format_value(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".into()
    } else if value == f64::NEG_INFINITY {
        "-Inf".into()
    } else {
        value.to_string()
    }
}

/// A number as Go's `%g` writes it: with an exponent if it is very small, or has more digits before the
/// point than count; `digits` are those that count, 6 if all are written.
pub(crate) fn format_general(value: f64, digits: Option<usize>) -> String {
    if !value.is_finite() {
        return format_value(value);
    }
    let scientific = match digits {
        Some(digits) => format!("{value:.*e}", digits.saturating_sub(1)),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..digits.map_or(6, |digits| digits as i32)).contains(&exponent) {
        return format_value(scientific.parse().unwrap_or(value));
    }
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let cases = [
            (1.0, None, "1"),
            (-0.25, None, "-0.25"),
            (123_456.0, None, "123456"),
            (1_000_000.0, None, "1e+06"),
            (1_234_567.5, None, "1.2345675e+06"),
            (0.0001, None, "0.0001"),
            (0.000_01, None, "1e-05"),
            (f64::INFINITY, None, "+Inf"),
            (12.0, Some(2), "12"),
            (123.0, Some(2), "1.2e+02"),
            (100.0, Some(2), "1e+02"),
            (1.25, Some(2), "1.2"),
            (5.0, Some(2), "5"),
            (0.0, Some(2), "0"),
        ];
        for (value, digits, expected) in cases {
            assert_eq!(format_general(value, digits), expected);
        }
    }
}
