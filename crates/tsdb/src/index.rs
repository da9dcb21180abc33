//! From matchers to series: the registry of the series known now, and how matchers become bitmaps.

mod dictionary;
pub(crate) mod holders;
pub(crate) mod order;
pub(crate) mod pattern;
pub(crate) mod registry;
pub(crate) mod resolve;
pub(crate) mod scans;
pub(crate) mod series_pages;
mod texts;
