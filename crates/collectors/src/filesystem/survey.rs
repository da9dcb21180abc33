//! Which mounts are asked, and what their answers mean: decided here, without threads or a clock.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::roots::Space;

/// How long a mount may take to answer before it counts as broken, in milliseconds. Until then its
/// last known space stands.
pub(crate) const TIME_LIMIT_MS: i64 = 5_000;
/// Most questions under way at once. Each holds a thread, and a mount that hangs holds it until its
/// server returns.
pub(crate) const MAX_UNDER_WAY: usize = 64;

/// What is known of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its space, now or when it last answered in time.
    Space(Space),
    /// It answered with an error, or not in time.
    Failed,
    /// It was asked for the first time and may still answer.
    NotYet,
}

#[derive(Debug, Default)]
struct State {
    /// When the question was asked that is not answered yet.
    asked_ms: Option<i64>,
    /// Whether it is to be asked in this round, and is not yet.
    waits: bool,
    last: Option<Answer>,
}

/// The state of all mounts. At most one question per mount is under way.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    mounts: HashMap<PathBuf, State>,
    /// The mounts that wait to be asked, the first one last.
    to_ask: Vec<PathBuf>,
    under_way: usize,
}

impl Survey {
    /// Begins a round over these mounts; what is known of others is forgotten once no question to
    /// them is under way.
    pub(crate) fn begin(&mut self, paths: &[PathBuf]) {
        let wanted: HashSet<&PathBuf> = paths.iter().collect();
        self.mounts.retain(|path, state| {
            state.waits = false;
            state.asked_ms.is_some() || wanted.contains(path)
        });
        self.to_ask.clear();
        for path in paths.iter().rev() {
            let state = self.mounts.entry(path.clone()).or_default();
            if state.asked_ms.is_none() && !state.waits {
                state.waits = true;
                self.to_ask.push(path.clone());
            }
        }
    }

    /// The next mount to ask, which counts as asked from now on.
    pub(crate) fn poll_question(&mut self, now_ms: i64) -> Option<PathBuf> {
        if self.under_way >= MAX_UNDER_WAY {
            return None;
        }
        let path = self.to_ask.pop()?;
        let state = self.mounts.entry(path.clone()).or_default();
        state.waits = false;
        state.asked_ms = Some(now_ms);
        self.under_way += 1;
        Some(path)
    }

    /// Notes what a mount said that was asked; `None` for an error.
    pub(crate) fn handle_answer(&mut self, path: &Path, space: Option<Space>) {
        if let Some(state) = self.mounts.get_mut(path)
            && state.asked_ms.take().is_some()
        {
            self.under_way -= 1;
            state.last = Some(space.map_or(Answer::Failed, Answer::Space));
        }
    }

    /// Whether an answer may still come in this round: a question younger than the time limit.
    pub(crate) fn awaits(&self, now_ms: i64) -> bool {
        let is_young = |asked_ms: i64| now_ms - asked_ms < TIME_LIMIT_MS;
        self.mounts.values().any(|state| state.asked_ms.is_some_and(is_young))
    }

    /// What is known of a mount.
    pub(crate) fn answer(&self, path: &Path, now_ms: i64) -> Answer {
        let Some(state) = self.mounts.get(path) else {
            return Answer::NotYet;
        };
        let failed = match state.asked_ms {
            Some(asked_ms) => now_ms - asked_ms >= TIME_LIMIT_MS,
            // Not asked, because too many others hang: nothing is known of it, and that must show.
            None => state.waits,
        };
        if failed { Answer::Failed } else { state.last.unwrap_or(Answer::NotYet) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space { size: 3, free: 2, available: 1, files: 5, files_free: 4 };

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    fn ask_all(survey: &mut Survey, now_ms: i64) -> Vec<PathBuf> {
        std::iter::from_fn(|| survey.poll_question(now_ms)).collect()
    }

    #[test]
    fn a_mount_that_hangs_marks_itself_and_is_not_asked_again() {
        let both = paths(&["/", "/nfs"]);
        let mut survey = Survey::default();
        survey.begin(&both);
        assert_eq!(ask_all(&mut survey, 0), both);
        survey.handle_answer(&both[0], Some(SPACE));
        assert_eq!(survey.answer(&both[0], 0), Answer::Space(SPACE));
        assert_eq!(survey.answer(&both[1], 0), Answer::NotYet);
        assert!(survey.awaits(0));

        survey.begin(&both);
        assert_eq!(ask_all(&mut survey, TIME_LIMIT_MS), paths(&["/"]));
        assert_eq!(survey.answer(&both[1], TIME_LIMIT_MS), Answer::Failed);

        survey.handle_answer(&both[1], Some(SPACE));
        assert_eq!(survey.answer(&both[1], TIME_LIMIT_MS), Answer::Space(SPACE));
        survey.begin(&both);
        assert_eq!(ask_all(&mut survey, 2 * TIME_LIMIT_MS), paths(&["/nfs"]));
    }

    #[test]
    fn a_slow_mount_keeps_its_last_answer_until_the_limit() {
        let one = paths(&["/"]);
        let mut survey = Survey::default();
        survey.begin(&one);
        ask_all(&mut survey, 0);
        survey.handle_answer(&one[0], Some(SPACE));
        survey.begin(&one);
        ask_all(&mut survey, 100);
        assert_eq!(survey.answer(&one[0], 100), Answer::Space(SPACE));
        assert_eq!(survey.answer(&one[0], 100 + TIME_LIMIT_MS), Answer::Failed);
        assert!(!survey.awaits(100 + TIME_LIMIT_MS));
    }

    #[test]
    fn an_error_is_a_failure() {
        let one = paths(&["/"]);
        let mut survey = Survey::default();
        survey.begin(&one);
        ask_all(&mut survey, 0);
        survey.handle_answer(&one[0], None);
        assert_eq!(survey.answer(&one[0], 0), Answer::Failed);
    }

    #[test]
    fn hanging_mounts_are_bounded_and_the_rest_says_so() {
        let many: Vec<PathBuf> =
            (0..=MAX_UNDER_WAY).map(|at| PathBuf::from(format!("/{at}"))).collect();
        let mut survey = Survey::default();
        survey.begin(&many);
        assert_eq!(ask_all(&mut survey, 0).len(), MAX_UNDER_WAY);
        assert_eq!(survey.answer(&many[MAX_UNDER_WAY], 0), Answer::Failed);
        survey.handle_answer(&many[0], Some(SPACE));
        assert_eq!(ask_all(&mut survey, 0), [many[MAX_UNDER_WAY].clone()]);
    }

    #[test]
    fn a_mount_that_is_gone_is_forgotten_when_it_answers() {
        let one = paths(&["/"]);
        let mut survey = Survey::default();
        survey.begin(&one);
        ask_all(&mut survey, 0);
        survey.begin(&[]);
        assert_eq!(survey.mounts.len(), 1);
        survey.handle_answer(&one[0], None);
        survey.begin(&[]);
        assert!(survey.mounts.is_empty());
    }
}
