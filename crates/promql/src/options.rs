//! The limits and settings of an evaluation.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// How a query is evaluated, and how much it may cost.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a sample stands for its series, in milliseconds.
    pub lookback_ms: i64,
    /// Step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
    /// Most samples held in memory at once, loaded and computed ones together.
    pub max_samples: usize,
    /// Most points of each series of a range query, after its first.
    pub max_points: usize,
    /// Most threads that work for one query, where the source gives its series in parts; at least 1.
    pub threads: usize,
    /// Whether the samples that are read are counted, which costs a little.
    pub counts_samples: bool,
    /// Set from outside, by a deadline or a closed connection, to stop the evaluation.
    pub cancelled: Option<Arc<AtomicBool>>,
}

impl Default for Options {
    /// Prometheus's defaults, and as many threads as the machine has processors, up to 4.
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            subquery_step_ms: 60_000,
            max_samples: 50_000_000,
            max_points: 11_000,
            threads: processors().min(4),
            counts_samples: false,
            cancelled: None,
        }
    }
}

/// How many processors this process may use; asked once, because the answer is read from files.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}
