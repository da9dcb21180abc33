//! Answers to an OTLP exporter, as protobuf.

use crate::varint;

/// An `ExportMetricsServiceResponse`: empty if everything was taken, else how many data points were not, and why.
pub fn encode_response(rejected_points: u64, message: &str) -> Vec<u8> {
    if rejected_points == 0 && message.is_empty() {
        return Vec::new();
    }
    let mut partial = Vec::new();
    if rejected_points > 0 {
        partial.push(0x08);
        varint::put(&mut partial, rejected_points);
    }
    put_text(&mut partial, 0x12, message.as_bytes());
    let mut response = Vec::new();
    put_text(&mut response, 0x0a, &partial);
    response
}

/// A `google.rpc.Status`, the body of an answer that is no success: a code of gRPC and a message.
pub fn encode_failure(code: u8, message: &str) -> Vec<u8> {
    let mut status = vec![0x08, code & 0x7f];
    put_text(&mut status, 0x12, message.as_bytes());
    status
}

fn put_text(out: &mut Vec<u8>, tag: u8, text: &[u8]) {
    out.push(tag);
    varint::put(out, text.len() as u64);
    out.extend_from_slice(text);
}
