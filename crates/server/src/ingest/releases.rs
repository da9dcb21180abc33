//! Releases of the agent's program: looks now and then what there is to offer.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;

/// How soon a release that an administrator put into the folder is offered.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = app.stopped() => return,
        }
        let looking = Arc::clone(&app);
        if let Err(error) = tokio::task::spawn_blocking(move || looking.downloads.look()).await {
            tracing::error!(%error, "looking for releases failed");
        }
    }
}
