//! The notation of series in scripts: `name{label="value"} 1 2+3x4 _ stale NaN`.

use muster_series::{Labels, METRIC_NAME, stale_marker};

/// A value in a script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    /// `_`
    None,
    /// A number, or `stale`.
    Float(f64),
    /// A native histogram, which this engine does not know.
    Histogram,
}

/// A series and its values.
pub(crate) struct Line {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<Value>,
}

/// Parses a line of `load` or of an expectation.
pub(crate) fn parse_line(line: &str) -> Result<Line, String> {
    let (labels, rest) = parse_labels(line)?;
    Ok(Line { labels, values: parse_values(rest)? })
}

fn parse_labels(line: &str) -> Result<(Labels, &str), String> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push((METRIC_NAME.into(), name.into()));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = if rest.starts_with(['"', '\'', '`']) {
                parse_string(rest)?
            } else {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0);
                (rest[..end].to_owned(), &rest[end..])
            };
            let Some(after) = after.trim_start().strip_prefix('=') else {
                // A quoted name without a value is the metric name.
                pairs.push((METRIC_NAME.into(), label));
                rest = after;
                continue;
            };
            let (value, after) = parse_string(after.trim_start())?;
            pairs.push((label, value));
            rest = after;
        }
    }
    let labels = Labels::from_pairs(pairs).map_err(|error| format!("{line}: {error}"))?;
    Ok((labels, rest))
}

/// A string in any of Go's quotes, and what comes after it.
pub(crate) fn parse_string(text: &str) -> Result<(String, &str), String> {
    let bad = || format!("expected a string: {text}");
    let mut chars = text.char_indices();
    let (_, quote) = chars.next().filter(|(_, c)| "\"'`".contains(*c)).ok_or_else(bad)?;
    let mut string = String::new();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((string, &text[at + 1..]));
        }
        if c != '\\' || quote == '`' {
            string.push(c);
            continue;
        }
        match chars.next().ok_or_else(bad)?.1 {
            'n' => string.push('\n'),
            't' => string.push('\t'),
            other => string.push(other),
        }
    }
    Err(bad())
}

fn parse_values(text: &str) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        // Histograms hold spaces; a token ends at a space outside of their braces.
        let mut depth = 0;
        let end = rest.find(|c: char| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0 && c.is_whitespace()
        });
        let (token, after) = rest.split_at(end.unwrap_or(rest.len()));
        parse_token(token, &mut values)?;
        rest = after.trim_start();
    }
    Ok(values)
}

fn parse_token(token: &str, values: &mut Vec<Value>) -> Result<(), String> {
    let bad = || format!("{token:?} is no value");
    if token.starts_with("{{") {
        let repeats =
            token.rsplit_once("}}x").map_or(Ok(0), |(_, n)| n.parse()).map_err(|_| bad())?;
        values.extend(std::iter::repeat_n(Value::Histogram, repeats + 1));
        return Ok(());
    }
    let (series, repeats) = match token.rsplit_once('x') {
        Some((series, n)) => (series, Some(n.parse::<usize>().map_err(|_| bad())?)),
        None => (token, None),
    };
    if series == "_" {
        values.extend(std::iter::repeat_n(Value::None, repeats.unwrap_or(1)));
        return Ok(());
    }
    if series == "stale" {
        values.push(Value::Float(stale_marker()));
        return Ok(());
    }
    // A sign that is neither first nor part of an exponent separates start and step.
    let bytes = series.as_bytes();
    let sign = (1..bytes.len())
        .find(|&at| matches!(bytes[at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E'));
    let (start, step) = match sign {
        Some(at) if repeats.is_some() => (&series[..at], number(&series[at..]).ok_or_else(bad)?),
        _ => (series, 0.0),
    };
    let mut value = number(start).ok_or_else(bad)?;
    for _ in 0..=repeats.unwrap_or(0) {
        values.push(Value::Float(value));
        value += step;
    }
    Ok(())
}

/// A number as Go parses it, hexadecimal integers included.
pub(crate) fn number(text: &str) -> Option<f64> {
    let hexadecimal = text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    hexadecimal.map(|n| n as f64).or_else(|| text.parse().ok())
}
