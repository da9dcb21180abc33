//! Text to points, one line at a time: for who wants every good line of a text, and knows most of its series already.
//!
//! A line is only split: into the text of its series, which names it as well as its labels do, and what it says. A bad
//! line costs itself. Types and help texts are passed over, and so is what `OpenMetrics` adds: exemplars and the end mark.

use muster_series::Labels;

use crate::line::{Cursor, parse_series_labels};
use crate::parse::Problem;

/// A line with a value.
#[derive(Debug, Clone, Copy)]
pub struct RawPoint<'a> {
    /// The series as it was written, such as `up{job="node"}`; [`parse_series`] makes labels of it. Not yet checked.
    pub series: &'a str,
    /// Any float; the format has only one NaN.
    pub value: f64,
    /// Milliseconds since 1970-01-01 UTC, if the line says.
    pub timestamp_ms: Option<i64>,
}

/// What timestamps count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampUnit {
    /// Whole milliseconds, as in Prometheus's text format.
    Milliseconds,
    /// Seconds with decimals, as in `OpenMetrics`.
    Seconds,
}

/// Tells each line that has a value or is wrong, with its number (the first is 1); nothing is copied.
pub fn read_points(
    text: &[u8],
    unit: TimestampUnit,
    mut visit: impl FnMut(usize, Result<RawPoint<'_>, Problem>),
) {
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let point = std::str::from_utf8(line)
            .map_err(|_| Problem::NotUtf8)
            .and_then(|line| raw_point(line.strip_suffix('\r').unwrap_or(line), unit));
        if let Some(point) = point.transpose() {
            visit(at + 1, point);
        }
    }
}

/// The labels of a series as a line writes it.
pub fn parse_series(series: &str) -> Result<Labels, Problem> {
    let mut cursor = Cursor::new(series);
    let labels = parse_series_labels(&mut cursor)?;
    cursor.skip_blanks();
    cursor.expect_end()?;
    Ok(labels)
}

fn raw_point(line: &str, unit: TimestampUnit) -> Result<Option<RawPoint<'_>>, Problem> {
    let mut cursor = Cursor::new(line);
    cursor.skip_blanks();
    let start = cursor.rest();
    if start.is_empty() || start.starts_with('#') {
        return Ok(None);
    }
    if !start.starts_with('{') {
        cursor.name(true).ok_or(Problem::NoName)?;
        cursor.skip_blanks();
    }
    if cursor.rest().starts_with('{') {
        cursor.skip_braces()?;
    }
    let series = start[..start.len() - cursor.rest().len()].trim_end_matches([' ', '\t']);
    cursor.skip_blanks();
    let value = cursor.value()?;
    cursor.skip_blanks();
    let word = if cursor.rest().starts_with('#') { "" } else { cursor.word() };
    let timestamp_ms = match word {
        "" => None,
        word => Some(timestamp_ms(word, unit).ok_or_else(|| Problem::Timestamp(word.into()))?),
    };
    cursor.skip_blanks();
    if !cursor.rest().starts_with('#') {
        cursor.expect_end()?;
    }
    Ok(Some(RawPoint { series, value, timestamp_ms }))
}

fn timestamp_ms(word: &str, unit: TimestampUnit) -> Option<i64> {
    match unit {
        TimestampUnit::Milliseconds => word.parse().ok(),
        TimestampUnit::Seconds => {
            let ms = (word.parse::<f64>().ok()? * 1_000.0).round();
            (ms.abs() < 9e15).then_some(ms as i64)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8], unit: TimestampUnit) -> Vec<String> {
        let mut lines = Vec::new();
        read_points(text, unit, |line, point| {
            lines.push(match point {
                Ok(point) => {
                    let series = parse_series(point.series).map(|labels| labels.to_string());
                    let series = series.unwrap_or_else(|problem| problem.to_string());
                    format!("{line}: {series} {} {:?}", point.value, point.timestamp_ms)
                }
                Err(problem) => format!("{line}: {problem}"),
            });
        });
        lines
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(read(text.as_bytes(), TimestampUnit::Milliseconds), expected);
    }

    #[test]
    fn good_lines_survive_bad_ones() {
        check(
            "# TYPE up gauge\nup 1\n1x 2\n\nup{a=\"}\\\"{\"} 3 -5\r\nup{a=\"b} 3\nx{a=\"b\" 1\nup one\nup 1 1.5\nup 1 1 1\n",
            &[
                "2: up 1 None",
                "3: a metric name is expected",
                r#"5: up{a="}\"{"} 3 Some(-5)"#,
                "6: a text in double quotes is expected",
                "7: a comma or } is expected after a label",
                "8: \"one\" is no value",
                "9: \"1.5\" is no timestamp in milliseconds",
                "10: \"1\" is too much",
            ],
        );
        check("up{a=b} 1", &["1: a text in double quotes is expected 1 None"]);
        check("{\"disk.free\"} 1", &[r#"1: {__name__="disk.free"} 1 None"#]);
        let not_utf8 = read(b"up 1\nup{a=\"\xff\"} 1\nup 2", TimestampUnit::Milliseconds);
        assert_eq!(not_utf8, ["1: up 1 None", "2: the line is not UTF-8", "3: up 2 None"]);
    }

    #[test]
    fn openmetrics_is_read_as_far_as_it_differs() {
        let text = "a_total 1 1700000000.5 # {trace_id=\"x\"} 1 1\nb 2 # {} 1\n# EOF\n";
        let read = read(text.as_bytes(), TimestampUnit::Seconds);
        assert_eq!(read, ["1: a_total 1 Some(1700000000500)", "2: b 2 None"]);
    }

    proptest! {
        #[test]
        fn a_line_that_parses_whole_parses_by_points(
            text in "([#a-z{}=\",\\\\ \t\n0-9.\r-]|\\PC)*",
        ) {
            let whole = crate::parse(&text);
            let mut points = Vec::new();
            read_points(text.as_bytes(), TimestampUnit::Milliseconds, |_, point| {
                points.push(point.and_then(|point| {
                    let labels = parse_series(point.series)?;
                    Ok((labels, point.value.to_bits(), point.timestamp_ms))
                }));
            });
            if let Ok(families) = whole {
                prop_assert!(points.iter().all(Result::is_ok));
                let of_families: usize = families.iter().map(|family| family.points.len()).sum();
                prop_assert_eq!(points.len(), of_families);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes, TimestampUnit::Seconds);
        }
    }
}
