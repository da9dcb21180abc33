//! The server's own metrics as series, so that rules and charts see Muster itself: what `/metrics` says, every 15 s, with
//! `job="muster"` and the machine's name.

use std::sync::Arc;
use std::time::Duration;

use muster_tsdb::WriteBatch;

use crate::app::App;
use crate::http::self_metrics::families;

/// How often they are written.
const EVERY: Duration = Duration::from_secs(15);

/// Writes them until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let instance = machine_name();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => write(&app, &instance),
            () = app.stopped() => return,
        }
    }
}

/// The name of the machine that the server runs on.
fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "muster".into() } else { name.into() }
}

fn write(app: &App, instance: &str) {
    let mut samples = Vec::new();
    for point in families(app).into_iter().flat_map(|family| family.points) {
        let labels = point.labels.with("instance", instance).with("job", "muster");
        match app.store.series(&labels) {
            Ok(id) => samples.push((id, point.value)),
            Err(error) => tracing::debug!(%labels, %error, "an own metric cannot be stored"),
        }
    }
    let done = |result: Result<_, muster_tsdb::TsdbError>| {
        if let Err(error) = result {
            tracing::debug!(%error, "the server's own metrics were not stored");
        }
    };
    app.store.append(
        WriteBatch::scrape(app.clock.now_ms(), samples),
        Box::new(move |r| done(r.map(|_| ()))),
    );
}
