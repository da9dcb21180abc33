//! Who was in the fleet at a moment of the past, and how: told by the stored series alone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use muster_api::{Host, HostState};
use muster_series::{Labels, Matcher, TimeRange};
use parking_lot::Mutex;

use crate::ask::vector;
use crate::store::{MetricStore, QueryRun};

/// Moments that are close to each other are one.
pub(super) const GRID_MS: i64 = 5_000;
/// How far back it is looked when a silent host sent its last samples.
const LOOK_BACK_MS: i64 = 86_400_000;
/// Who sent samples so shortly before was there, though the server was not and wrote no `up`.
const PRESENT_MS: i64 = 60_000;
/// For how long an answer is kept: agents may tell of the past later.
const KEEP_MS: i64 = 300_000;
/// How much all kept answers together may take, in bytes.
const KEEP_BYTES: usize = 64 << 20;

/// The hosts that were in the fleet, without figures.
pub(super) fn hosts(store: &dyn MetricStore, at_ms: i64) -> BTreeMap<Arc<str>, Host> {
    let mut hosts: BTreeMap<Arc<str>, Host> = BTreeMap::new();
    for (labels, up) in vector(store, "up{job=\"node\"}", at_ms) {
        if let Some(instance) = labels.get("instance") {
            let state = if up > 0.0 { HostState::Up } else { HostState::Silent };
            hosts.insert(instance.into(), super::empty_host(instance, state, at_ms));
        }
    }
    for (instance, last_ms) in last_samples(store, at_ms) {
        if at_ms - last_ms < PRESENT_MS && !hosts.contains_key(instance.as_str()) {
            let host = super::empty_host(&instance, HostState::Up, at_ms);
            hosts.insert(instance.as_str().into(), host);
        }
        if let Some(host) = hosts.get_mut(instance.as_str()) {
            host.last_sample_ms = Some(last_ms);
            if host.state == HostState::Silent {
                host.state_since_ms = last_ms;
            }
        }
    }
    let mut facts = |expression: &str, set: fn(&mut Host, &Labels)| {
        for (labels, _) in vector(store, expression, at_ms) {
            if let Some(host) = labels.get("instance").and_then(|name| hosts.get_mut(name)) {
                set(host, &labels);
            }
        }
    };
    facts("node_os_info", |host, labels| host.os = labels.get("pretty_name").map(str::to_owned));
    facts("node_uname_info", |host, labels| {
        host.kernel = labels.get("release").map(str::to_owned);
        host.architecture = labels.get("machine").map(str::to_owned);
    });
    hosts
}

/// When each host's newest sample before the moment was taken.
fn last_samples(store: &dyn MetricStore, at_ms: i64) -> Vec<(String, i64)> {
    let matchers = [Matcher::equal("__name__", "node_load1")];
    let range = TimeRange::new(at_ms - LOOK_BACK_MS, at_ms);
    match store.select_last(&matchers, range, &QueryRun::default()) {
        Ok(found) => found
            .into_iter()
            .filter_map(|series| {
                let instance = series.labels.get("instance")?.to_owned();
                Some((instance, *series.timestamps.last()?))
            })
            .collect(),
        Err(error) => {
            tracing::error!(%error, "the hosts' last samples could not be read");
            Vec::new()
        }
    }
}

/// Answers about the past, kept for those who step to and fro.
#[derive(Default)]
pub(super) struct Answers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_moment: HashMap<i64, (i64, Bytes)>,
    /// The moments, the oldest answer first.
    order: VecDeque<i64>,
    bytes: usize,
}

impl Answers {
    pub(super) fn get(&self, moment_ms: i64, now_ms: i64) -> Option<Bytes> {
        let kept = self.0.lock();
        let (made_ms, json) = kept.by_moment.get(&moment_ms)?;
        (now_ms - made_ms < KEEP_MS).then(|| json.clone())
    }

    pub(super) fn put(&self, moment_ms: i64, now_ms: i64, json: Bytes) {
        let mut kept = self.0.lock();
        kept.remove(moment_ms);
        kept.bytes += json.len();
        kept.by_moment.insert(moment_ms, (now_ms, json));
        kept.order.push_back(moment_ms);
        while kept.bytes > KEEP_BYTES
            && let Some(&oldest_ms) = kept.order.front()
        {
            kept.remove(oldest_ms);
        }
    }
}

impl Kept {
    fn remove(&mut self, moment_ms: i64) {
        if let Some((_, json)) = self.by_moment.remove(&moment_ms) {
            self.bytes -= json.len();
            self.order.retain(|&kept_ms| kept_ms != moment_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_within_bounds() {
        let answers = Answers::default();
        let json = |bytes: usize| Bytes::from(vec![b' '; bytes]);
        answers.put(1, 0, json(KEEP_BYTES / 2));
        answers.put(2, 1, json(KEEP_BYTES / 2));
        assert!(answers.get(1, 2).is_some() && answers.get(2, 2).is_some());
        answers.put(3, 2, json(1));
        assert!(answers.get(1, 2).is_none() && answers.get(3, 2).is_some());
        assert!(answers.get(2, 1 + KEEP_MS).is_none(), "too old");
        answers.put(2, 9, json(7));
        assert_eq!(answers.0.lock().bytes, 8);
        answers.put(4, 9, json(KEEP_BYTES + 1));
        assert!(answers.0.lock().by_moment.is_empty(), "what is too large is not kept");
    }
}
