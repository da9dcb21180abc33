//! YAML at the rim: the one place that knows the parser, and its limits.

use muster_series::parse_duration_ms;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// The most bytes of a file.
const MAX_FILE: usize = 16 << 20;

/// Reads a file that names every key it knows; a key that is not known is an error.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > MAX_FILE {
        return Err(format!("the file is larger than {} MiB", MAX_FILE >> 20));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 100,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// A duration such as `5m`, in milliseconds; nothing is 0.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    optional_duration(from).map(Option::unwrap_or_default)
}

/// A duration such as `5m`, in milliseconds, where there is one.
pub(crate) fn optional_duration<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<i64>, D::Error> {
    match Option::<String>::deserialize(from)? {
        None => Ok(None),
        Some(text) if text == "0" => Ok(Some(0)),
        Some(text) => parse_duration_ms(&text).map(Some).map_err(D::Error::custom),
    }
}

/// A time, as seconds since 1970 or as RFC 3339, in milliseconds; nothing is 0.
pub(crate) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    const MAX_SECONDS: f64 = 1e11;
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(0) };
    if let Ok(seconds) = text.parse::<f64>() {
        let in_range = seconds.abs() <= MAX_SECONDS;
        return in_range
            .then(|| (seconds * 1e3).round() as i64)
            .ok_or_else(|| D::Error::custom(format!("the time {text} is out of range")));
    }
    let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
    Ok(time.as_millisecond())
}
