//! A remote read request: it is refused with a reason, or its matchers and ranges are valid.

use muster_wire::remote_read::decode_request;

/// A request, decoded.
pub(crate) fn request(bytes: &[u8]) {
    let Ok(queries) = decode_request(bytes) else { return };
    for query in queries {
        for matcher in query.matchers {
            let _ = matcher.matches("web-1");
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // One query of the times 1 to 2 with the matcher a=~"b", and the accepted type 0.
    let matcher = [0x08, 0x02, 0x12, 0x01, b'a', 0x1a, 0x01, b'b'];
    let query = [&[0x08, 0x01, 0x10, 0x02, 0x1a, 0x08][..], &matcher].concat();
    vec![[&[0x0a, 0x0e][..], &query, &[0x12, 0x01, 0x00]].concat()]
}
