//! Names of metrics and labels as Prometheus makes them of OpenTelemetry's ("underscore escaping with suffixes").
//!
//! Source: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>, and what Prometheus does by default.

use super::walk::Kind;

/// Units of UCUM and the words that Prometheus uses for them.
const UNITS: [(&str, &str); 28] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("kg", "kilograms"),
    ("K", "kelvins"),
];

/// Units after a slash.
const PER_UNITS: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The name of a metric.
pub(super) fn metric_name(name: &str, unit: &str, kind: Kind) -> String {
    let mut words: Vec<&str> = name
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'))
        .filter(|w| !w.is_empty())
        .collect();
    let (main, per) = unit_words(unit);
    if !main.is_empty() && !words.contains(&&*main) {
        words.push(&main);
    }
    if !per.is_empty() && !words.contains(&&*per) {
        words.extend(["per", &per]);
    }
    let last = match kind {
        Kind::Sum { monotonic: true, .. } => Some("total"),
        Kind::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(last) = last {
        words.retain(|word| *word != last);
        words.push(last);
    }
    let name = words.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The words for a unit like `By/s`: what it is, and per what. Annotations in braces say nothing about it.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |unit: &str, table: &[(&str, &str)]| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return String::new();
        }
        let known = table.iter().find(|(short, _)| *short == unit);
        known.map_or_else(|| escape_unit(unit), |(_, word)| (*word).to_owned())
    };
    (word(main, &UNITS), word(per, &PER_UNITS))
}

/// A unit that is not in the table: its letters and digits, underscores between them.
fn escape_unit(unit: &str) -> String {
    let words = unit.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

/// The name of a label; none has an empty one.
pub(super) fn label_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    if key.starts_with(|c: char| c.is_ascii_digit()) {
        name.push_str("key_");
    }
    name.extend(key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    if name.starts_with('_') && !name.starts_with("__") {
        name.insert_str(0, "key");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Kind = Kind::Sum { cumulative: true, monotonic: true };
    const UP_DOWN: Kind = Kind::Sum { cumulative: true, monotonic: false };

    #[track_caller]
    fn check_metric(name: &str, unit: &str, kind: Kind, expected: &str) {
        assert_eq!(metric_name(name, unit, kind), expected);
    }

    #[test]
    fn metrics_have_their_unit_and_kind_in_their_names() {
        check_metric(
            "http.server.request.duration",
            "s",
            Kind::Histogram { cumulative: true },
            "http_server_request_duration_seconds",
        );
        check_metric("system.network.io", "By", COUNTER, "system_network_io_bytes_total");
        check_metric("requests.total", "{request}", COUNTER, "requests_total");
        check_metric("system.cpu.utilization", "1", Kind::Gauge, "system_cpu_utilization_ratio");
        check_metric("system.filesystem.usage", "By", UP_DOWN, "system_filesystem_usage_bytes");
        check_metric("disk.speed", "MiBy/s", Kind::Gauge, "disk_speed_mebibytes_per_second");
        check_metric("foo_bytes", "By", Kind::Gauge, "foo_bytes");
        check_metric("jobs", "1", COUNTER, "jobs_total");
        check_metric("2xx", "", Kind::Gauge, "_2xx");
        check_metric("weird", "foo bar/{x}", Kind::Gauge, "weird_foo_bar");
        check_metric("a:b", "", Kind::Gauge, "a:b");
        check_metric("...", "", Kind::Gauge, "");
    }

    #[track_caller]
    fn check_label(key: &str, expected: &str) {
        assert_eq!(label_name(key), expected);
    }

    #[test]
    fn labels_keep_letters_digits_and_underscores() {
        check_label("http.request.method", "http_request_method");
        check_label("5xx", "key_5xx");
        check_label("_private", "key_private");
        check_label("__reserved", "__reserved");
        check_label("größe", "gr__e");
    }
}
