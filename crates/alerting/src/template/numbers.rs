//! How Go prints floats: `%g`, and what Prometheus makes of it for people.

/// `%g` with so many significant digits, or with as many as are needed.
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return special(value);
    }
    let precision = precision.map(|digits| digits.max(1));
    let scientific = match precision {
        Some(digits) => format!("{value:.*e}", digits - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let mantissa = match mantissa.split_once('.') {
        Some((whole, fraction)) => match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        },
        None => mantissa.to_owned(),
    };
    // Go takes 6 digits for the decision where it prints as many as are needed.
    let widest = precision.map_or(6, |digits| i32::try_from(digits).unwrap_or(i32::MAX));
    if exponent < -4 || exponent >= widest {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    // The digits are exact by now, so that reading them back and printing all of them changes nothing.
    format!("{mantissa}e{exponent}").parse::<f64>().map_or(mantissa, |value| value.to_string())
}

fn special(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value > 0.0 {
        "+Inf".into()
    } else {
        "-Inf".into()
    }
}

/// With a prefix for thousands or thousandths, as `1.5k`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, Some(4));
    }
    let (value, prefix) =
        if value.abs() >= 1.0 { large(value, 1_000.0, &LARGE) } else { small(value) };
    format!("{}{prefix}", general(value, Some(4)))
}

/// With a prefix for powers of 1024, as `2Mi`.
pub(super) fn humanize_1024(value: f64) -> String {
    const PREFIXES: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, Some(4));
    }
    let (value, prefix) = large(value, 1_024.0, &PREFIXES);
    format!("{}{prefix}", general(value, Some(4)))
}

/// Seconds in days, hours, minutes and seconds, or in parts of a second.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return general(value, Some(4));
    }
    if value == 0.0 {
        return "0s".into();
    }
    if value.abs() < 1.0 {
        let (value, prefix) = small(value);
        return format!("{}{prefix}s", general(value, Some(4)));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as i64;
    let (seconds, minutes) = (whole % 60, whole / 60 % 60);
    let (hours, days) = (whole / 3_600 % 24, whole / 86_400);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", general(value.abs(), Some(4)))
    }
}

/// Seconds as Go prints a duration: `1h30m0s`, `1.5s`, `250ms`.
pub(super) fn duration(seconds: f64) -> String {
    let nanos = (seconds * 1e9) as i64;
    let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    if nanos == 0 {
        return "0s".into();
    }
    for (unit, below, name) in
        [(1, 1_000, "ns"), (1_000, 1_000_000, "µs"), (1_000_000, 1_000_000_000, "ms")]
    {
        if nanos < below {
            return format!("{sign}{}{name}", nanos as f64 / f64::from(unit));
        }
    }
    let minutes = nanos / 60_000_000_000;
    let rest = (nanos % 60_000_000_000) as f64 / 1e9;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, minutes) => format!("{sign}{minutes}m{rest}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{rest}s"),
    }
}

/// Seconds since 1970 as Go prints a time.
pub(super) fn humanize_timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(general(value, Some(4)));
    }
    let out_of_range = || format!("{value} is no time");
    let ms = (value * 1e3).round();
    if ms.abs() > 1e17 {
        return Err(out_of_range());
    }
    let time = jiff::Timestamp::from_millisecond(ms as i64).map_err(|_| out_of_range())?;
    Ok(time.to_string().replace('T', " ").replace('Z', " +0000 UTC"))
}

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];

fn large(mut value: f64, base: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    (value, prefix)
}

fn small(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1_000.0;
    }
    (value, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_printed_as_go_prints_them() {
        for (value, shortest, four) in [
            (0.0, "0", "0"),
            (1.0, "1", "1"),
            (100.0, "100", "100"),
            (123_456.0, "123456", "1.235e+05"),
            (1_234_567.0, "1.234567e+06", "1.235e+06"),
            (0.000_1, "0.0001", "0.0001"),
            (0.000_012_5, "1.25e-05", "1.25e-05"),
            (-2.5, "-2.5", "-2.5"),
            (1e300, "1e+300", "1e+300"),
            (0.1 + 0.2, "0.30000000000000004", "0.3"),
            (99_999.0, "99999", "1e+05"),
            (f64::NAN, "NaN", "NaN"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!(
                (general(value, None), general(value, Some(4))),
                (shortest.into(), four.into())
            );
        }
    }

    #[test]
    fn numbers_for_people() {
        for (value, thousands, binary, duration) in [
            (0.0, "0", "0", "0s"),
            (1_500.0, "1.5k", "1.465ki", "25m 0s"),
            (-0.002, "-2m", "-0.002", "-2ms"),
            (1e27, "1000Y", "827.2Yi", "106751991167300d 15h 30m 7s"),
            (59.99, "59.99", "59.99", "59.99s"),
            (86_461.0, "86.46k", "84.43ki", "1d 0h 1m 1s"),
        ] {
            let got = (humanize(value), humanize_1024(value), humanize_duration(value));
            assert_eq!(got, (thousands.into(), binary.into(), duration.into()), "{value}");
        }
        for (seconds, expected) in [
            (5_400.0, "1h30m0s"),
            (61.5, "1m1.5s"),
            (-0.25, "-250ms"),
            (1.5e-6, "1.5µs"),
            (0.0, "0s"),
            (86_400.0, "24h0m0s"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!(humanize_timestamp(0.0).as_deref(), Ok("1970-01-01 00:00:00 +0000 UTC"));
        assert!(humanize_timestamp(1e300).is_err());
    }
}
