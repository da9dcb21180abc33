//! Numbers with their units, as people write them in both languages.

/// A value with the unit of its rule: `92.5 %`, `3 d 4 h`, `1.5 GiB`; of a unit that is not Muster's the word stands behind.
pub(crate) fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        _ if !value.is_finite() => format!("{value}"),
        "" => number(value),
        "percent" => format!("{} %", number(value)),
        "celsius" => format!("{} °C", number(value)),
        "seconds" => seconds(value),
        "bytes" => bytes(value),
        other => format!("{} {other}", number(value)),
    }
}

/// At most three digits that count, but all before the point.
fn number(value: f64) -> String {
    let places = match value.abs() {
        0.0 => 0,
        size if size < 0.1 => 3,
        size if size < 10.0 => 2,
        size if size < 1_000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.places$}");
    if places == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The two largest parts of a span of time; below a minute it has a fraction.
fn seconds(value: f64) -> String {
    const PARTS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let size = value.abs();
    if size < 1.0 {
        return format!("{} ms", number(value * 1_000.0));
    }
    if size < 60.0 {
        return format!("{} s", number(value));
    }
    let mut left = size.round() as u64;
    let mut parts = Vec::new();
    for (name, length) in PARTS {
        let count = left / length;
        left %= length;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
    }
    parts.truncate(2);
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", parts.join(" "))
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = value;
    let mut place = 0;
    while value.abs() >= 1_024.0 && place + 1 < UNITS.len() {
        value /= 1_024.0;
        place += 1;
    }
    format!("{} {}", number(value), UNITS[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, unit: &str, expected: &str) {
        assert_eq!(with_unit(value, unit), expected);
    }

    #[test]
    fn numbers_are_short_and_have_their_unit() {
        check(92.0, "percent", "92 %");
        check(97.456, "percent", "97.5 %");
        check(100.0, "percent", "100 %");
        check(0.0, "percent", "0 %");
        check(0.004, "percent", "0.004 %");
        check(84.25, "celsius", "84.2 °C");
        check(0.25, "seconds", "250 ms");
        check(9.5, "seconds", "9.5 s");
        check(60.0, "seconds", "1 min");
        check(3_600.0, "seconds", "1 h");
        check(273_601.0, "seconds", "3 d 4 h");
        check(-90.0, "seconds", "-1 min 30 s");
        check(86_405.0, "seconds", "1 d");
        check(0.0, "seconds", "0 ms");
        check(512.0, "bytes", "512 B");
        check(1_610_612_736.0, "bytes", "1.5 GiB");
        check(1e30, "bytes", "888178419700125 PiB");
        check(12_345.0, "", "12345");
        check(2.0, "requests", "2 requests");
        check(f64::NAN, "bytes", "NaN");
        check(f64::INFINITY, "seconds", "inf");
    }
}
