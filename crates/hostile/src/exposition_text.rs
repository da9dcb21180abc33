//! Text in Prometheus's format: it is refused with a line and a reason, or means the same when it is written again.

use muster_exposition::{parse, write};

/// A whole exposition.
pub(crate) fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(families) = parse(text) else { return };
    let written = write(&families);
    let again = parse(&written).expect("what is written can be read");
    let points = |families: &[muster_exposition::Family]| -> usize {
        families.iter().map(|family| family.points.len()).sum()
    };
    assert_eq!(points(&again), points(&families), "{written}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "# HELP up Whether it is there.\n# TYPE up gauge\nup{instance=\"a\",job=\"b\"} 1 1790000000000\n",
        "# TYPE h histogram\nh_bucket{le=\"0.5\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 2.5\nh_count 4\n",
        "{\"disk.free\",von=\"b\\\\\\\"\\n\"} NaN\nplain -1e-9\n\n# a comment\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
