//! What a query cost, for clients that ask with `stats`: as Prometheus tells it.

use std::time::Instant;

use muster_promql::SampleStats;
use serde_json::{Value, json};

use super::prometheus_params::Params;

/// Runs from when a query is asked until it is evaluated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch {
    asked: Instant,
    /// Whether the samples of each step are to be told.
    per_step: bool,
}

impl Stopwatch {
    pub(super) fn start(params: &Params) -> Self {
        Self { asked: Instant::now(), per_step: params.get("stats") == Some("all") }
    }

    /// The statistics of an evaluation that began then and ends now; none unless its samples were counted.
    ///
    /// Reading, computing and sorting run into each other here, and are all told as the inner evaluation.
    pub(super) fn stats(self, began: Instant, samples: Option<SampleStats>) -> Option<Value> {
        let SampleStats { total, per_step, peak } = samples?;
        let evaluated = began.elapsed().as_secs_f64();
        let queued = began.duration_since(self.asked).as_secs_f64();
        let mut counts = json!({ "totalQueryableSamples": total, "peakSamples": peak });
        if self.per_step {
            let steps = per_step.iter().map(|(ms, count)| json!([*ms as f64 / 1_000.0, count]));
            counts["totalQueryableSamplesPerStep"] = steps.collect();
        }
        Some(json!({
            "timings": {
                "evalTotalTime": evaluated,
                "resultSortTime": 0.0,
                "queryPreparationTime": 0.0,
                "innerEvalTime": evaluated,
                "execQueueTime": queued,
                "execTotalTime": queued + evaluated,
            },
            "samples": counts,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_told_only_of_all_statistics() {
        let samples = SampleStats { total: 5, per_step: vec![(1_500, 2), (2_500, 3)], peak: 4 };
        for per_step in [true, false] {
            let now = Instant::now();
            let stopwatch = Stopwatch { asked: now, per_step };
            assert_eq!(stopwatch.stats(now, None), None);
            let stats = stopwatch.stats(now, Some(samples.clone())).unwrap();
            assert_eq!(stats["samples"]["totalQueryableSamples"], 5);
            assert_eq!(stats["samples"]["peakSamples"], 4);
            let steps = per_step.then(|| json!([[1.5, 2], [2.5, 3]]));
            assert_eq!(stats["samples"].get("totalQueryableSamplesPerStep"), steps.as_ref());
            assert_eq!(stats["timings"]["execQueueTime"], 0.0);
        }
    }
}
