//! Samples on their way into the store, from agents and from programs that push.

pub(crate) mod admission;
mod admitted;
pub(crate) mod presence_series;
pub(crate) mod push;
pub(crate) mod releases;
pub(crate) mod session;
