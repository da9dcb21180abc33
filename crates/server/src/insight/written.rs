//! Series that the server itself writes again and again: their numbers in the store, and the ends of those that end.

use std::collections::HashMap;

use muster_series::{Labels, METRIC_NAME, stale_marker};
use muster_tsdb::{SeriesId, WriteBatch};

use crate::app::App;

/// A value of a series: the metric's name, its other labels, the value.
pub(super) type Written = (&'static str, Labels, f64);

/// The series that were written last.
#[derive(Debug, Default)]
pub(super) struct Writer {
    known: HashMap<&'static str, HashMap<Labels, Known>>,
    round: u64,
}

#[derive(Debug)]
struct Known {
    id: SeriesId,
    /// When it was written last.
    round: u64,
}

impl Writer {
    /// Writes one value of each series, at one time. A series that is no longer among them ends.
    pub(super) async fn write(&mut self, app: &App, at_ms: i64, values: Vec<Written>) {
        // The store may have forgotten numbers; with new ones for all there is nothing to forget between.
        if self.attempt(app, at_ms, &values).await.is_err() {
            self.known.clear();
            let _ = self.attempt(app, at_ms, &values).await;
        }
    }

    async fn attempt(
        &mut self,
        app: &App,
        at_ms: i64,
        values: &[Written],
    ) -> Result<(), Forgotten> {
        let samples = self.samples(app, values);
        if samples.is_empty() {
            return Ok(());
        }
        let (sender, done) = tokio::sync::oneshot::channel();
        app.store.append(
            WriteBatch::scrape(at_ms, samples),
            Box::new(move |result| {
                let _ = sender.send(result);
            }),
        );
        match done.await {
            Ok(Ok(appended)) if appended.refused.unknown_series > 0 => return Err(Forgotten),
            Ok(Err(error)) => tracing::warn!(%error, "what was learned was not stored"),
            _ => {}
        }
        Ok(())
    }

    fn samples(&mut self, app: &App, values: &[Written]) -> Vec<(SeriesId, f64)> {
        self.round += 1;
        let round = self.round;
        let mut samples = Vec::with_capacity(values.len());
        for (name, labels, value) in values {
            let known = self.known.entry(name).or_default();
            if let Some(known) = known.get_mut(labels) {
                known.round = round;
                samples.push((known.id, *value));
                continue;
            }
            match app.store.series(&labels.with(METRIC_NAME, name)) {
                Ok(id) => {
                    known.insert(labels.clone(), Known { id, round });
                    samples.push((id, *value));
                }
                Err(error) => tracing::warn!(name, %error, "a series cannot be written"),
            }
        }
        for known in self.known.values_mut() {
            known.retain(|_, known| {
                if known.round < round {
                    samples.push((known.id, stale_marker()));
                }
                known.round == round
            });
        }
        samples
    }
}

/// The store has forgotten some of the numbers.
struct Forgotten;
