//! The series `up`, which the server itself writes for every host: 1 while its agent is connected, else 0.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use muster_series::Labels;
use muster_tsdb::{SeriesId, WriteBatch};

use crate::app::App;

/// How often `up` is written when nothing changes.
const EVERY: Duration = Duration::from_secs(15);
/// Changes are gathered for so long, so that a thousand agents that come back make few batches.
const GATHER: Duration = Duration::from_millis(200);

/// Writes `up` until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut numbers: HashMap<Arc<str>, SeriesId> = HashMap::new();
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = app.presence_changed.notified() => tokio::time::sleep(GATHER).await,
            () = app.stopped() => return,
        }
        if write(&app, &mut numbers).await.is_err() {
            numbers.clear();
            // With new numbers for all, so there is nothing to forget between.
            let _ = write(&app, &mut numbers).await;
        }
    }
}

/// The store has forgotten some of the numbers.
struct Forgotten;

async fn write(app: &App, numbers: &mut HashMap<Arc<str>, SeriesId>) -> Result<(), Forgotten> {
    let mut samples = Vec::new();
    for entry in app.roster.all() {
        let id = match numbers.get(&entry.instance) {
            Some(id) => *id,
            None => match app.store.series(&up_labels(&entry.instance)) {
                Ok(id) => *numbers.entry(Arc::clone(&entry.instance)).or_insert(id),
                Err(error) => {
                    tracing::warn!(instance = &*entry.instance, %error, "cannot write `up`");
                    continue;
                }
            },
        };
        samples.push((id, f64::from(u8::from(entry.presence().connected))));
    }
    if samples.is_empty() {
        return Ok(());
    }
    let (sender, done) = tokio::sync::oneshot::channel();
    app.store.append(
        WriteBatch::scrape(app.clock.now_ms(), samples),
        Box::new(move |result| {
            let _ = sender.send(result);
        }),
    );
    match done.await {
        Ok(Ok(appended)) if appended.refused.unknown_series > 0 => return Err(Forgotten),
        Ok(Err(error)) => tracing::warn!(%error, "`up` was not stored"),
        _ => {}
    }
    Ok(())
}

fn up_labels(instance: &str) -> Labels {
    Labels::from_pairs([("__name__", "up"), ("instance", instance), ("job", "node")])
        .expect("three different names make a label set")
}
