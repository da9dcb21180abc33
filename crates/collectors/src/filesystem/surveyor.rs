//! The threads that ask the mounts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::survey::{Answer, Survey};
use crate::roots::{MeasureSpace, Space};

/// How long a round waits for answers, all mounts together. A mount that takes longer is reported
/// in the next round, so no mount can hold up the collectors.
const PATIENCE: Duration = Duration::from_millis(100);
/// `statvfs` needs next to no stack.
const STACK_BYTES: usize = 64 << 10;

type Reply = (PathBuf, Option<Space>);

/// Asks mounts, each on a thread that lives for one question.
pub(crate) struct Surveyor {
    measure: MeasureSpace,
    survey: Survey,
    sender: Sender<Reply>,
    replies: Receiver<Reply>,
}

impl fmt::Debug for Surveyor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surveyor").field("survey", &self.survey).finish_non_exhaustive()
    }
}

impl Surveyor {
    pub(crate) fn new(measure: MeasureSpace) -> Self {
        let (sender, replies) = channel();
        Self { measure, survey: Survey::default(), sender, replies }
    }

    /// What is known of each of these mounts, after asking them.
    pub(crate) fn survey(&mut self, paths: &[PathBuf], now_ms: i64) -> Vec<Answer> {
        let deadline = Instant::now() + PATIENCE;
        while let Ok((path, space)) = self.replies.try_recv() {
            self.survey.handle_answer(&path, space);
        }
        self.survey.begin(paths);
        loop {
            while let Some(path) = self.survey.poll_question(now_ms) {
                self.ask(&path);
            }
            if !self.survey.awaits(now_ms) {
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.replies.recv_timeout(left) {
                Ok((path, space)) => self.survey.handle_answer(&path, space),
                Err(_) => break,
            }
        }
        paths.iter().map(|path| self.survey.answer(path, now_ms)).collect()
    }

    fn ask(&mut self, path: &Path) {
        let measure = Arc::clone(&self.measure);
        let sender = self.sender.clone();
        let asked = path.to_owned();
        let thread = thread::Builder::new().name("statvfs".into()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || {
            let space = measure(&asked).ok();
            // Nobody listens any more once the registry is gone.
            let _ = sender.send((asked, space));
        });
        if spawned.is_err() {
            self.survey.handle_answer(path, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_mount_that_hangs_does_not_hold_up_the_others() {
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let measure: MeasureSpace = Arc::new(move |path| {
            if path.ends_with("nfs") {
                gate.lock().unwrap().recv().map_err(std::io::Error::other)?;
            }
            Ok(Space { size: 7, ..Space::default() })
        });
        let mut surveyor = Surveyor::new(measure);
        let paths = ["/", "/nfs"].map(PathBuf::from);
        let alive = Answer::Space(Space { size: 7, ..Space::default() });
        let mut until = |now_ms: i64, expected: [Answer; 2]| {
            // A busy machine may need more than one round's patience; a minute is never needed.
            let seen = (0..600).map(|_| surveyor.survey(&paths, now_ms));
            assert!(seen.into_iter().any(|answers| answers == expected), "{expected:?}");
        };
        until(0, [alive, Answer::NotYet]);
        until(30_000, [alive, Answer::Failed]);
        release.send(()).unwrap();
        until(60_000, [alive, alive]);
        drop(release);
        until(90_000, [alive, Answer::Failed]);
    }
}
