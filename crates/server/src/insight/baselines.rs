//! What is usual for each host at this hour, of the figures in [`HOST_FIGURES`]: bands, scores, and the share of unusual ones.
//!
//! 1. Every five minutes one query for each figure gives the values of all hosts; each is judged, then learned.
//! 2. A host that is new here is read from the store first, over two weeks: so a restart forgets nothing. That is done
//!    host by host, with as much rest as work.
//! 3. What was told last is written every minute. Nothing is told of a figure that is not known for half a day.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use muster_detect::{Baseline, HOST_FIGURES, Outlook};
use muster_series::{Labels, SeriesColumns, TimeRange};
use parking_lot::Mutex;

use super::written::{Writer, Written};
use super::{EVERY, SOON};
use crate::app::App;
use crate::ask::{matrix, vector};
use crate::store::MetricStore;

/// From one value to the next, in milliseconds.
const STEP_MS: i64 = 300_000;
const DAY_MS: i64 = 86_400_000;
/// So much of the past is read of a host that is new here.
const READ_MS: i64 = 14 * DAY_MS;
/// Who told nothing for so long is forgotten.
const FORGET_MS: i64 = 14 * DAY_MS;
/// Of what is younger nothing is told: half a day.
const LEAST_MS: i64 = DAY_MS / 2;
/// What was told is written for this long after the value that it judges.
const STANDS_MS: i64 = 2 * STEP_MS;
/// Of fewer figures no share is told.
const LEAST_FIGURES: usize = 5;

const LOWER: &str = "muster_baseline_lower";
const UPPER: &str = "muster_baseline_upper";
const SCORE: &str = "muster_anomaly_score";
const RATIO: &str = "muster_host_anomaly_ratio";

/// One figure of one host.
#[derive(Debug)]
struct Figure {
    baseline: Baseline,
    first_ms: i64,
    /// What was said of the newest value, and when that was.
    told: Option<(i64, Outlook)>,
    labels: Labels,
}

#[derive(Debug)]
struct Host {
    labels: Labels,
    /// By place in [`HOST_FIGURES`].
    figures: Vec<Option<Box<Figure>>>,
    newest_ms: i64,
}

/// What is usual for all hosts.
#[derive(Debug, Default)]
pub(super) struct Baselines {
    hosts: HashMap<String, Host>,
    /// Hosts whose past is to be read.
    unread: BTreeSet<String>,
    step: i64,
}

impl Baselines {
    /// Judges and learns the values of all hosts, if a step has begun.
    fn learn(&mut self, store: &dyn MetricStore, now_ms: i64) {
        let step = now_ms.div_euclid(STEP_MS);
        if step == self.step {
            return;
        }
        self.step = step;
        let at_ms = step * STEP_MS;
        for (place, figure) in HOST_FIGURES.iter().enumerate() {
            for (labels, value) in vector(store, &figure.of_all(), at_ms) {
                let Some(instance) = labels.get("instance") else { continue };
                match self.hosts.get_mut(instance) {
                    Some(host) => host.learn(place, at_ms, value),
                    None => drop(self.unread.insert(instance.to_owned())),
                }
            }
        }
        self.hosts.retain(|_, host| at_ms - host.newest_ms < FORGET_MS);
        if self.is_empty() {
            // The first samples are not kept waiting for the next step.
            self.step = 0;
        }
    }

    fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.unread.is_empty()
    }

    /// Takes over the past of a host, of each figure in time order.
    fn take(&mut self, instance: String, past: Vec<Vec<SeriesColumns>>) {
        let mut host = Host::new(&instance);
        for (place, series) in past.into_iter().enumerate() {
            for series in series {
                for (at_ms, value) in series.timestamps.iter().zip(&series.values) {
                    host.learn(place, *at_ms, *value);
                }
            }
        }
        self.unread.remove(&instance);
        self.hosts.insert(instance, host);
    }

    /// The series that tell of all that stands at a moment.
    fn series(&self, now_ms: i64) -> Vec<Written> {
        let mut written = Vec::with_capacity(self.hosts.len() * (3 * HOST_FIGURES.len() + 1));
        for host in self.hosts.values() {
            let (mut known, mut unusual) = (0, 0);
            for figure in host.figures.iter().flatten() {
                let Some((at_ms, told)) = figure.told else { continue };
                if at_ms - figure.first_ms < LEAST_MS || now_ms - at_ms >= STANDS_MS {
                    continue;
                }
                known += 1;
                unusual += usize::from(told.unusual);
                // No figure is ever less than nothing.
                written.push((LOWER, figure.labels.clone(), told.lower.max(0.0)));
                written.push((UPPER, figure.labels.clone(), told.upper));
                written.push((SCORE, figure.labels.clone(), told.lasting));
            }
            if known >= LEAST_FIGURES {
                written.push((RATIO, host.labels.clone(), unusual as f64 / known as f64));
            }
        }
        written
    }
}

impl Host {
    fn new(instance: &str) -> Self {
        let labels =
            Labels::from_pairs([("instance", instance)]).unwrap_or_else(|_| Labels::empty());
        Self { labels, figures: HOST_FIGURES.iter().map(|_| None).collect(), newest_ms: i64::MIN }
    }

    fn learn(&mut self, place: usize, at_ms: i64, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.newest_ms = self.newest_ms.max(at_ms);
        let about = &HOST_FIGURES[place];
        if let Some(figure) = &mut self.figures[place] {
            if let Some(told) = figure.baseline.update(at_ms, value, &about.sensitivity()) {
                figure.told = Some((at_ms, told));
            }
            return;
        }
        let labels = self.labels.with("metric", about.metric);
        let baseline = Baseline::new(at_ms, value);
        let figure = Figure { baseline, first_ms: at_ms, told: None, labels };
        self.figures[place] = Some(Box::new(figure));
    }
}

/// The past of a host up to a step, of each figure.
fn read(store: &dyn MetricStore, instance: &str, at_ms: i64) -> Vec<Vec<SeriesColumns>> {
    let range = TimeRange::new(at_ms - READ_MS, at_ms);
    HOST_FIGURES.iter().map(|figure| matrix(store, &figure.of(instance), range, STEP_MS)).collect()
}

/// Reads the past of the next host that is new here, if there is one, and tells how many are left.
fn read_next(baselines: &Mutex<Baselines>, store: &dyn MetricStore) -> Option<usize> {
    let next = {
        let baselines = baselines.lock();
        baselines.unread.first().cloned().map(|instance| (instance, baselines.step))
    };
    let (instance, step) = next?;
    let past = read(store, &instance, step * STEP_MS);
    let mut baselines = baselines.lock();
    baselines.take(instance, past);
    Some(baselines.unread.len())
}

/// Learns and writes until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let baselines: Arc<Mutex<Baselines>> = Arc::default();
    let mut writer = Writer::default();
    loop {
        let begun_ms = app.clock.monotonic_ms();
        let learning = Arc::clone(&baselines);
        let told = in_background(&app, move |app| {
            let mut baselines = learning.lock();
            let now_ms = app.clock.now_ms();
            baselines.learn(&*app.store, now_ms);
            baselines.series(now_ms)
        });
        if let Some(series) = told.await {
            writer.write(&app, app.clock.now_ms(), series).await;
        }
        let every = if baselines.lock().is_empty() { SOON } else { EVERY };
        let until_ms = begun_ms + every.as_millis() as i64;
        tokio::select! {
            () = read_until(&app, &baselines, until_ms) => {}
            () = app.stopped() => return,
        }
    }
}

/// Reads hosts that are new here until a time of the clock that never goes back, at rest as long as at work; ends early
/// when it has read the last one, so that it is told of.
async fn read_until(app: &Arc<App>, baselines: &Arc<Mutex<Baselines>>, until_ms: i64) {
    loop {
        let begun_ms = app.clock.monotonic_ms();
        let reading = Arc::clone(baselines);
        let left = in_background(app, move |app| read_next(&reading, &*app.store)).await.flatten();
        let now_ms = app.clock.monotonic_ms();
        let left_ms = (until_ms - now_ms).max(0);
        let rest_ms = if left.is_some() { now_ms - begun_ms } else { left_ms };
        tokio::time::sleep(Duration::from_millis(rest_ms.min(left_ms).unsigned_abs())).await;
        if rest_ms >= left_ms || left == Some(0) {
            return;
        }
    }
}

/// Runs work that blocks; none if it failed.
async fn in_background<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> T + Send + 'static,
) -> Option<T> {
    let working = Arc::clone(app);
    match tokio::task::spawn_blocking(move || work(&working)).await {
        Ok(done) => Some(done),
        Err(error) => {
            app.counters.panics.add(1);
            tracing::error!(%error, "what is usual could not be learned");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_a_valid_expression() {
        for figure in &HOST_FIGURES {
            for text in [figure.of_all(), figure.of("web-1"), figure.of("a\"b\\c\n")] {
                assert!(muster_promql::parse(&text).is_ok(), "{text}");
            }
            assert!(figure.of("web-1").contains("web-1"), "{}", figure.metric);
        }
        let names: BTreeSet<&str> = HOST_FIGURES.iter().map(|figure| figure.metric).collect();
        assert_eq!(names.len(), HOST_FIGURES.len());
    }

    const NOW_MS: i64 = 1_790_000_000_000 - 1_790_000_000_000 % DAY_MS;

    /// Two weeks of a figure with the rhythm of a day, up to now.
    fn past(of: impl Fn(f64) -> f64) -> Vec<SeriesColumns> {
        let mut series = SeriesColumns::new(Labels::empty());
        for step in (0..READ_MS / STEP_MS).rev() {
            let at_ms = NOW_MS - step * STEP_MS;
            // A little noise that is the same at each run.
            let noise = (step.wrapping_mul(7_919) % 101) as f64 / 50.0 - 1.0;
            series.timestamps.push(at_ms);
            series.values.push(of(at_ms as f64 / DAY_MS as f64) + noise);
        }
        vec![series]
    }

    fn host() -> Baselines {
        let mut baselines = Baselines::default();
        let daily = |day: f64| 30.0 + 20.0 * (day * std::f64::consts::TAU).sin();
        let pasts = (0..HOST_FIGURES.len()).map(|_| past(daily)).collect();
        baselines.unread.insert("web-1".into());
        baselines.take("web-1".into(), pasts);
        baselines
    }

    fn value(baselines: &Baselines, now_ms: i64, name: &str, metric: &str) -> f64 {
        let series = baselines.series(now_ms);
        let wanted = |labels: &Labels| labels.get("metric").unwrap_or_default() == metric;
        let found: Vec<f64> = series
            .iter()
            .filter(|(of, labels, _)| *of == name && wanted(labels))
            .map(|(_, _, value)| *value)
            .collect();
        assert_eq!(found.len(), 1, "{name} {metric}");
        found[0]
    }

    #[test]
    fn a_rhythm_is_usual_and_what_breaks_it_is_told() {
        let mut baselines = host();
        assert!(baselines.unread.is_empty());
        let (lower, upper) = (
            value(&baselines, NOW_MS, LOWER, "cpu_percent"),
            value(&baselines, NOW_MS, UPPER, "cpu_percent"),
        );
        assert!(lower < 30.0 && 30.0 < upper && upper - lower < 30.0, "{lower} to {upper}");
        assert_eq!(value(&baselines, NOW_MS, RATIO, ""), 0.0);
        // At the hour at which it is 30, two of all the figures are 90 for half an hour.
        let mut now_ms = NOW_MS;
        for _ in 0..6 {
            now_ms += STEP_MS;
            let host = baselines.hosts.get_mut("web-1").unwrap();
            for place in 0..HOST_FIGURES.len() {
                host.learn(place, now_ms, if place < 2 { 90.0 } else { 31.0 });
            }
        }
        assert!(value(&baselines, now_ms, SCORE, "cpu_percent") > 5.0);
        assert_eq!(value(&baselines, now_ms, RATIO, ""), 2.0 / HOST_FIGURES.len() as f64);
    }

    #[test]
    fn what_is_young_or_silent_is_not_told() {
        let baselines = host();
        assert!(baselines.series(NOW_MS + STANDS_MS).is_empty());
        let mut young = Baselines::default();
        let pasts = HOST_FIGURES.iter().map(|_| {
            let mut series = past(|_| 1.0);
            let young = series[0].timestamps.len() - 12;
            series[0].timestamps.drain(..young);
            series[0].values.drain(..young);
            series
        });
        young.take("web-2".into(), pasts.collect());
        assert!(young.series(NOW_MS).is_empty());
    }
}
