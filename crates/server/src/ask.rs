//! What the server's own screens ask of the store, in PromQL.

use muster_promql::Value;
use muster_series::{Labels, SeriesColumns, TimeRange};

use crate::store::{MetricStore, QueryRun};

/// File systems that hold no data of their own.
const PSEUDO_FILE_SYSTEMS: &str =
    "tmpfs|ramfs|devtmpfs|squashfs|overlay|iso9660|efivarfs|fuse\\\\..*|nsfs";

/// A metric of the file systems that hold data, such as `size_bytes`.
pub(crate) fn file_system_metric(what: &str) -> String {
    format!("node_filesystem_{what}{{fstype!~\"{PSEUDO_FILE_SYSTEMS}\"}}")
}

/// The finite values of an expression; an expression that fails is logged and gives none.
pub(crate) fn vector(store: &dyn MetricStore, expression: &str, at_ms: i64) -> Vec<(Labels, f64)> {
    match store.query_instant(expression, at_ms, &QueryRun::default()).map(|done| done.value) {
        Ok(Value::Vector(samples)) => samples
            .into_iter()
            .filter(|sample| sample.value.is_finite())
            .map(|sample| (sample.labels, sample.value))
            .collect(),
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::error!(expression, %error, "a figure could not be computed");
            Vec::new()
        }
    }
}

/// The samples that an expression such as `up[1d]` selects before a moment; one that fails is logged and gives none.
pub(crate) fn window(store: &dyn MetricStore, expression: &str, at_ms: i64) -> Vec<SeriesColumns> {
    match store.query_instant(expression, at_ms, &QueryRun::default()).map(|done| done.value) {
        Ok(Value::Matrix(series)) => series,
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::error!(expression, %error, "a window of samples could not be read");
            Vec::new()
        }
    }
}

/// The series of an expression over a range; an expression that fails is logged and gives none.
pub(crate) fn matrix(
    store: &dyn MetricStore,
    expression: &str,
    range: TimeRange,
    step_ms: i64,
) -> Vec<SeriesColumns> {
    match store.query_range(expression, range, step_ms, &QueryRun::default()).map(|done| done.value)
    {
        Ok(Value::Matrix(series)) => series,
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::error!(expression, %error, "the course of a figure could not be computed");
            Vec::new()
        }
    }
}
