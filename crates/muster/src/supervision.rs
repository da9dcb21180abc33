//! What the server tells the manager of services that started it, if one did.

use muster_environment::ServiceManager;

/// The server serves: says so, and from then on that the process lives, as often as the manager wants to hear it.
pub(crate) fn begin() {
    let Some(manager) = ServiceManager::from_environment() else { return };
    manager.ready();
    let Some(watchdog) = manager.watchdog() else { return };
    tokio::spawn(async move {
        let mut signs = tokio::time::interval(watchdog / 4);
        loop {
            signs.tick().await;
            manager.alive();
        }
    });
}

/// The server is on its way out.
pub(crate) fn end() {
    if let Some(manager) = ServiceManager::from_environment() {
        manager.stopping();
    }
}
