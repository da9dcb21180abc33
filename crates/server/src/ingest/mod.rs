//! Samples on their way from agents into the store.

pub(crate) mod admission;
mod admitted;
pub(crate) mod presence_series;
pub(crate) mod session;
