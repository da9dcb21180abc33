//! Sizes as people write them: `50GB`, `1.5TiB`.

use anyhow::{Context as _, bail};

const UNITS: [(&str, u64); 9] = [
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
    ("B", 1),
];

/// Bytes of a size such as `50GB` or `1.5TiB`, whatever the case of its letters.
pub(crate) fn parse_size(text: &str) -> anyhow::Result<u64> {
    let malformed = || format!("{text:?} is no size; write it like 500MB, 50GB or 2TiB");
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let number: f64 = number.parse().with_context(malformed)?;
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        bail!(malformed());
    };
    let bytes = number * *factor as f64;
    if bytes >= 9e18 {
        bail!("{text:?} is more than there is");
    }
    Ok(bytes as u64)
}

/// The size in the largest decimal unit of which there is one at least.
pub(crate) fn format_size(bytes: u64) -> String {
    let unit = UNITS[..4].iter().rev().find(|(_, factor)| bytes >= *factor);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(name, factor)| format!("{:.1} {name}", bytes as f64 / *factor as f64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse_size(text).ok(), expected, "{text}");
    }

    #[test]
    fn sizes_are_read_and_written() {
        check("50GB", Some(50_000_000_000));
        check("1.5 TiB", Some(3 << 39));
        check("10kib", Some(10_240));
        check("7B", Some(7));
        for text in ["", "GB", "5", "5XB", "-5GB", "1.2.3GB", "1e3GB", "99999999TB", "∞GB"] {
            check(text, None);
        }
        assert_eq!(format_size(999), "999 B");
        assert_eq!(format_size(1_000), "1.0 KB");
        assert_eq!(format_size(2_345_000_000), "2.3 GB");
    }
}
