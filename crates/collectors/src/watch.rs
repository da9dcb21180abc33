//! What cannot wait for the next tick is told by watchers.

use std::os::fd::BorrowedFd;

use muster_series::{Labels, METRIC_NAME};

use crate::metric::Metric;

/// Values that changed at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When they changed, in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// Series and their new values; a stale marker ends a series. `job` and `instance` are the server's to add.
    pub samples: Vec<(Labels, f64)>,
}

/// The half of a collector that listens to the kernel or another program, and tells changes at once. The
/// collector itself goes on to push the present values with every tick.
///
/// One thread serves all watchers of a host: it sleeps until one of the [`Watcher::wakers`] can be read or a
/// [`Watcher::deadline_ms`] is reached, and then asks each whose turn it is.
pub trait Watcher: Send {
    /// The name of its collector.
    fn name(&self) -> &'static str;

    /// What can be read when there is news.
    fn wakers(&self) -> Vec<BorrowedFd<'_>>;

    /// When it wants to be asked at the latest, in milliseconds of the monotonic clock.
    fn deadline_ms(&self) -> i64;

    /// Takes the news in and tells what has changed, in the order of time. It does not wait for news.
    fn poll(&mut self, now_ms: i64, monotonic_ms: i64) -> Vec<Change>;
}

/// The labels of a series of `metric`, whose labels have these values.
pub(crate) fn labels(metric: &Metric, values: &[&str]) -> Labels {
    let own = metric.labels.iter().copied().zip(values.iter().copied());
    Labels::from_pairs([(METRIC_NAME, metric.name)].into_iter().chain(own))
        .expect("the labels of a metric have different names")
}
