//! Reads the files `*.prom` that other programs leave for the agent, in Prometheus' text format.

use std::sync::Arc;

use muster_collectors::ParseText;
use muster_exposition::{TimestampUnit, parse_series, read_points};

/// The reader that the collectors are given: all series of a text, or the first line that is wrong. A line with
/// a timestamp is wrong: what is left in a file is as old as the file, and would be told as new.
pub(crate) fn parser() -> ParseText {
    Arc::new(|text| {
        let mut points = Vec::new();
        let mut failure: Option<String> = None;
        read_points(text.as_bytes(), TimestampUnit::Milliseconds, |line, point| {
            if failure.is_some() {
                return;
            }
            let read = point.and_then(|point| Ok((parse_series(point.series)?, point)));
            match read {
                Ok((_, point)) if point.timestamp_ms.is_some() => {
                    failure = Some(format!("line {line} has a timestamp; leave it out"));
                }
                Ok((labels, point)) => points.push((labels, point.value)),
                Err(problem) => failure = Some(format!("line {line}: {problem}")),
            }
        });
        failure.map_or(Ok(points), Err)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(&str, f64)], &str>) {
        let read = parser()(text).map(|points| {
            points
                .into_iter()
                .map(|(labels, value)| (labels.to_string(), value))
                .collect::<Vec<_>>()
        });
        let expected = expected
            .map(|points| points.iter().map(|(labels, value)| ((*labels).into(), *value)).collect())
            .map_err(str::to_owned);
        assert_eq!(read, expected);
    }

    #[test]
    fn a_text_is_taken_whole_or_not_at_all() {
        let text = "# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\n\nd 2.5\n";
        check(text, Ok(&[("a{b=\"c\"}", 1.0), ("d", 2.5)]));
        check("", Ok(&[]));
        check("a 1\nb\nc 3\n", Err("line 2: \"\" is no value"));
        check("a 1 1700000000000\n", Err("line 1 has a timestamp; leave it out"));
    }
}
