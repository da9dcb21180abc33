//! Families to text.

use std::fmt::Write as _;

use muster_series::{Labels, METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};

use crate::Family;
use crate::family::Kind;

/// The HTTP content type of what [`write`] makes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The families as text, in their order. A family without points is left out.
pub fn write(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.points.is_empty()) {
        if !family.help.is_empty() {
            text.push_str("# HELP ");
            write_name(&mut text, &family.name);
            text.push(' ');
            write_escaped(&mut text, &family.help, false);
            text.push('\n');
        }
        if family.kind != Kind::Untyped {
            text.push_str("# TYPE ");
            write_name(&mut text, &family.name);
            text.push(' ');
            text.push_str(family.kind.as_str());
            text.push('\n');
        }
        for point in &family.points {
            write_labels(&mut text, &point.labels);
            text.push(' ');
            write_value(&mut text, point.value);
            if let Some(timestamp_ms) = point.timestamp_ms {
                let _ = write!(text, " {timestamp_ms}");
            }
            text.push('\n');
        }
    }
    text
}

fn write_labels(text: &mut String, labels: &Labels) {
    let name = labels.metric_name().unwrap_or("");
    let bare = is_legacy_metric_name(name);
    let mut separator = "{";
    if bare {
        text.push_str(name);
    } else {
        text.push_str(separator);
        write_quoted(text, name);
        separator = ",";
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        text.push_str(separator);
        if is_legacy_label_name(label) {
            text.push_str(label);
        } else {
            write_quoted(text, label);
        }
        text.push('=');
        write_quoted(text, value);
        separator = ",";
    }
    if separator == "," {
        text.push('}');
    }
}

fn write_name(text: &mut String, name: &str) {
    if is_legacy_metric_name(name) {
        text.push_str(name);
    } else {
        write_quoted(text, name);
    }
}

fn write_quoted(text: &mut String, value: &str) {
    text.push('"');
    write_escaped(text, value, true);
    text.push('"');
}

fn write_escaped(text: &mut String, value: &str, quotes: bool) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}

/// The shortest text that reads back to the same float.
fn write_value(text: &mut String, value: f64) {
    if value.is_nan() {
        text.push_str("NaN");
    } else if value.is_infinite() {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // `Debug` switches to exponents where `Display` would write hundreds of digits.
        let _ = write!(text, "{value:?}");
        if text.ends_with(".0") {
            text.truncate(text.len() - 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_value(value: f64, expected: &str) {
        let mut text = String::new();
        write_value(&mut text, value);
        assert_eq!(text, expected);
    }

    #[test]
    fn values() {
        check_value(3.0, "3");
        check_value(-0.0, "-0");
        check_value(0.25, "0.25");
        check_value(1e300, "1e300");
        check_value(f64::NAN, "NaN");
        check_value(f64::NEG_INFINITY, "-Inf");
    }

    #[test]
    fn help_keeps_its_quotes_and_labels_escape_theirs() {
        let mut family = Family::new("a", Kind::Gauge, "say \"hi\"\\\n");
        family.push([("l", "\"\\\n")], 1.0).unwrap();
        let expected = "# HELP a say \"hi\"\\\\\\n\n# TYPE a gauge\na{l=\"\\\"\\\\\\n\"} 1\n";
        assert_eq!(write(&[family]), expected);
    }

    #[test]
    fn an_empty_family_says_nothing() {
        assert_eq!(write(&[Family::new("a", Kind::Gauge, "help")]), "");
    }
}
