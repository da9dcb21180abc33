//! The live feed of a chart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One series at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiveSeries {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value; `null` for NaN and infinities, which JSON cannot hold.
    pub value: Option<f64>,
}

/// The result of one expression at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiveResult {
    /// Which of the requested expressions, from 0.
    pub query: usize,
    /// Its series.
    pub series: Vec<LiveSeries>,
}

/// The results of all requested expressions at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LivePoints {
    /// The moment: the timestamp of the samples that caused this event.
    pub timestamp_ms: i64,
    /// In the order of the expressions.
    pub results: Vec<LiveResult>,
}

/// Why an expression gave no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveFailure {
    /// Which of the requested expressions, from 0.
    pub query: usize,
    /// What is wrong with it.
    pub error: String,
}
