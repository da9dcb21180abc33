//! What a recording rule makes of the vector that its expression yields.

use std::collections::BTreeSet;

use muster_series::{Labels, METRIC_NAME};

use crate::alerts::{EvaluateError, Sample};
use crate::rule_file::RecordingRule;

/// The samples to store: of the rule's name, with its labels.
pub fn record(rule: &RecordingRule, vector: &[Sample]) -> Result<Vec<Sample>, EvaluateError> {
    if rule.limit > 0 && vector.len() > rule.limit {
        return Err(EvaluateError::Limit { limit: rule.limit, found: vector.len() });
    }
    let mut seen: BTreeSet<Labels> = BTreeSet::new();
    let mut recorded = Vec::with_capacity(vector.len());
    for sample in vector {
        let mut labels = sample.labels.with(METRIC_NAME, &rule.record);
        for (name, value) in &rule.labels {
            labels = labels.with(name, value);
        }
        if !seen.insert(labels.clone()) {
            return Err(EvaluateError::SameLabels);
        }
        recorded.push(Sample { labels, value: sample.value });
    }
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(limit: usize) -> RecordingRule {
        let labels = [("kind", "sum"), ("host", "")];
        RecordingRule {
            record: "r".into(),
            expr: String::new(),
            labels: labels.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            limit,
        }
    }

    fn sample(host: &str) -> Sample {
        let labels = Labels::from_pairs([("__name__", "x"), ("host", host)]).unwrap();
        Sample { labels, value: 2.0 }
    }

    #[test]
    fn name_and_labels_are_the_rules() {
        let recorded = record(&rule(1), &[sample("a")]).unwrap();
        assert_eq!(recorded[0].labels.to_string(), "r{kind=\"sum\"}");
    }

    #[test]
    fn series_that_become_one_and_too_many_of_them_are_refused() {
        let two = [sample("a"), sample("b")];
        assert_eq!(record(&rule(0), &two), Err(EvaluateError::SameLabels));
        assert_eq!(record(&rule(1), &two), Err(EvaluateError::Limit { limit: 1, found: 2 }));
    }
}
