//! From matchers to series: the registry of the series known now, and how matchers become bitmaps.

pub(crate) mod registry;
pub(crate) mod resolve;
