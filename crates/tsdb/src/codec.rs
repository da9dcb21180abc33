//! How numbers become bytes: variable-length integers, decimal values, streams for the head, columns for blocks.

pub(crate) mod column;
pub(crate) mod decimal;
mod frames;
mod packed;
pub(crate) mod stream;
pub(crate) mod varint;
