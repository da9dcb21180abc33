//! What the agent tells the manager of services: that it works, that it lives, and in a line how it is.

use std::sync::Arc;

use muster_environment::ServiceManager;

/// Tells a manager, if there is one. Times are milliseconds of a monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Supervision {
    manager: Option<Arc<ServiceManager>>,
    /// Milliseconds between two signs of life.
    every_ms: i64,
    last_ms: Option<i64>,
}

impl Supervision {
    pub(crate) fn new(manager: Option<Arc<ServiceManager>>) -> Self {
        let watchdog = manager.as_ref().and_then(|manager| manager.watchdog());
        let every_ms = watchdog.map_or(i64::MAX, |watchdog| watchdog.as_millis() as i64 / 4);
        Self { manager, every_ms, last_ms: None }
    }

    /// The agent collects from now on. It does so without a server too, so it does not wait for one.
    pub(crate) fn started(&self) {
        self.tell(|manager| {
            manager.ready();
            manager.status("collecting; not connected yet");
        });
    }

    /// The agent's loop has come round once more.
    pub(crate) fn alive(&mut self, now_ms: i64) {
        if self.last_ms.is_none_or(|last_ms| now_ms - last_ms >= self.every_ms) {
            self.last_ms = Some(now_ms);
            self.tell(ServiceManager::alive);
        }
    }

    /// How it stands with the server.
    pub(crate) fn status(&self, text: &str) {
        self.tell(|manager| manager.status(text));
    }

    /// The agent is on its way out.
    pub(crate) fn stopping(&self) {
        self.tell(ServiceManager::stopping);
    }

    fn tell(&self, what: impl Fn(&ServiceManager)) {
        if let Some(manager) = &self.manager {
            what(manager);
        }
    }
}
