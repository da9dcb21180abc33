//! The one place where the server's long-lived tasks are started, by name, and joined when it stops.

use std::time::Duration;

use tokio::task::JoinHandle;

/// How long a task may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tasks in the order in which they were started.
#[derive(Default)]
pub(crate) struct Tasks(Vec<(&'static str, JoinHandle<()>)>);

impl Tasks {
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.0.push((name, tokio::spawn(work)));
    }

    /// Waits for all of them, the last started first.
    pub(crate) async fn join(self) {
        for (name, task) in self.0.into_iter().rev() {
            let abort = task.abort_handle();
            match tokio::time::timeout(PATIENCE, task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(task = name, %error, "a task failed"),
                Err(_) => {
                    abort.abort();
                    tracing::warn!(task = name, "a task did not end in time and was stopped");
                }
            }
        }
    }
}
