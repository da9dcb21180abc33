//! How numbers become bytes: variable-length integers, decimal values, tokens for head and log, columns for blocks.

pub(crate) mod column;
pub(crate) mod decimal;
mod frames;
mod packed;
pub(crate) mod value;
pub(crate) mod varint;
