//! The agent's side: takes an offered release, or says why not; sees a release that it is itself through its trial.

use std::path::Path;
use std::sync::Arc;

use muster_wire::{Offer, UpdateOutcome, UpdateReport, Version};
use rustls::ClientConfig;
use tokio::task::JoinHandle;

use super::download::{FetchError, fetch};
use super::plan::{SET_ASIDE_MS, SetAside, Trial, Verdict, judge};
use super::store::Store;
use super::{TRIAL_MS, UpdatePolicy};
use crate::target::Target;
use crate::tasks::on_disk;

/// How long a release has to go on after its welcome before it is trusted, in milliseconds.
///
/// Several slow collections and writes of the recorder lie in it.
const PROBATION_MS: i64 = 180_000;
/// How long a proved release has to run for its start to count as a good one, in milliseconds: whoever lives that long
/// without a welcome waits for a server that is away.
const GOOD_START_MS: i64 = 300_000;
/// How long until a download that failed is tried again, in milliseconds.
const RETRY_MS: i64 = 600_000;

/// How the program that runs came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It was installed.
    Installed,
    /// It is a release that the launcher has become, and nobody knows yet whether it works.
    OnTrial { until_ms: i64 },
    /// It is such a release, and it works; when its start is to be taken for a good one, until it was.
    Proved { good_at_ms: Option<i64> },
}

/// See the module. Times are milliseconds: `wall_ms` since 1970, `now_ms` of a monotonic clock.
pub(crate) struct Updater {
    policy: UpdatePolicy,
    version: String,
    running: Option<Version>,
    store: Store,
    origin: Origin,
    welcomed_ms: Option<i64>,
    /// An offer to be fetched, and when.
    due: Option<(i64, Offer)>,
    fetching: Option<(Offer, JoinHandle<Result<(), FetchError>>)>,
    reports: Vec<UpdateReport>,
    /// As told at the last welcome.
    set_aside: bool,
    restart: bool,
}

impl Updater {
    /// For a program of `version`, which is a release that was `launched`, or not.
    pub(crate) fn new(
        policy: UpdatePolicy,
        state_dir: &Path,
        version: &str,
        launched: bool,
        now_ms: i64,
    ) -> Self {
        let store = Store::new(state_dir);
        let proved =
            || store.trial().is_some_and(|trial| trial.version == version && trial.welcomed);
        let origin = match launched {
            false => Origin::Installed,
            true if proved() => Origin::Proved { good_at_ms: Some(now_ms + GOOD_START_MS) },
            true => Origin::OnTrial { until_ms: now_ms + TRIAL_MS },
        };
        Self {
            policy,
            version: version.into(),
            running: version.parse().ok(),
            store,
            origin,
            welcomed_ms: None,
            due: None,
            fetching: None,
            reports: Vec::new(),
            set_aside: false,
            restart: false,
        }
    }

    /// The server offers a release. `random` spreads the downloads of a fleet.
    pub(crate) fn offered(&mut self, offer: Offer, wall_ms: i64, now_ms: i64, random: u64) {
        let aside = self.store.set_aside();
        let signed = &offer.signed;
        match judge(self.running, &self.policy, signed, aside.as_ref(), wall_ms) {
            Verdict::Ignore => {}
            Verdict::Take => {
                let pending = self.due.as_ref().map(|(_, offer)| offer);
                let pending = pending.or(self.fetching.as_ref().map(|(offer, _)| offer));
                if pending == Some(&offer) {
                    return;
                }
                let spread = u64::try_from(self.policy.spread_ms).unwrap_or(0);
                let wait_ms = (random % (spread + 1)) as i64;
                let version = signed.release.version;
                tracing::info!(%version, wait_s = wait_ms / 1_000, "a release will be fetched");
                self.due = Some((now_ms + wait_ms, offer));
            }
            Verdict::Decline(outcome, why) => {
                tracing::info!(version = %signed.release.version, ?outcome, why, "a release is not taken");
                let version = signed.release.version.to_string();
                self.reports.push(UpdateReport { version, outcome, message: why.into() });
            }
        }
    }

    /// A session was opened: what there is to tell is told anew, as the server may be another.
    pub(crate) fn welcomed(&mut self, wall_ms: i64, now_ms: i64) {
        self.welcomed_ms = Some(now_ms);
        self.set_aside = false;
        if let Some(aside) = self.store.set_aside()
            && (0..SET_ASIDE_MS).contains(&(wall_ms - aside.at_ms))
            && aside.version.parse().ok() > self.running
        {
            self.set_aside = true;
            let SetAside { version, reason, .. } = aside;
            let outcome = UpdateOutcome::RolledBack;
            self.reports.push(UpdateReport { version, outcome, message: reason });
        } else if matches!(self.origin, Origin::Proved { .. }) {
            self.tell_installed();
        }
    }

    /// A session has ended.
    pub(crate) fn disconnected(&mut self) {
        self.welcomed_ms = None;
    }

    /// Does what is due. While updates are paused nothing is fetched; what is on trial is judged.
    pub(crate) async fn tend(
        &mut self,
        target: &Arc<Target>,
        tls: Option<&Arc<ClientConfig>>,
        paused: bool,
        wall_ms: i64,
        now_ms: i64,
    ) {
        match self.origin {
            Origin::OnTrial { until_ms } => self.judge_trial(until_ms, wall_ms, now_ms).await,
            Origin::Proved { good_at_ms: Some(at_ms) } if now_ms >= at_ms || self.lasts(now_ms) => {
                self.record_good_start().await;
            }
            Origin::Proved { .. } | Origin::Installed => {}
        }
        if let Some((_, task)) = &self.fetching
            && task.is_finished()
        {
            self.fetched(now_ms).await;
        }
        if self.fetching.is_none()
            && !paused
            && let Some((_, offer)) = self.due.take_if(|(at_ms, _)| *at_ms <= now_ms)
        {
            let fetching =
                fetch(Arc::clone(target), tls.cloned(), offer.clone(), self.store.clone());
            self.fetching = Some((offer, tokio::spawn(fetching)));
        }
    }

    /// Whether the session that is open has lasted for long enough.
    fn lasts(&self, now_ms: i64) -> bool {
        self.welcomed_ms.is_some_and(|since_ms| now_ms - since_ms >= PROBATION_MS)
    }

    /// Puts on record that this release works: what it was started before is not counted any more.
    async fn record_good_start(&mut self) {
        self.origin = Origin::Proved { good_at_ms: None };
        let store = self.store.clone();
        let good = move || match store.trial() {
            Some(trial) => store.set_trial(&Trial { welcomed: true, starts: 0, ..trial }),
            None => Ok(()),
        };
        if let Err(error) = on_disk(good).await {
            tracing::warn!(%error, "that this release works cannot be put on record");
        }
    }

    async fn judge_trial(&mut self, until_ms: i64, wall_ms: i64, now_ms: i64) {
        if self.lasts(now_ms) {
            tracing::info!(version = self.version, "this release works and stays");
            self.tell_installed();
            self.record_good_start().await;
        } else if now_ms >= until_ms && self.welcomed_ms.is_none() {
            let minutes = TRIAL_MS / 60_000;
            let reason = format!("the server did not welcome it within {minutes} minutes");
            tracing::error!(version = self.version, reason, "this release is set aside");
            let (version, store) = (self.version.clone(), self.store.clone());
            let aside = SetAside { version, reason, at_ms: wall_ms };
            if let Err(error) = on_disk(move || store.give_up(&aside)).await {
                tracing::warn!(%error, "that cannot be put on record");
            }
            self.restart = true;
        }
    }

    async fn fetched(&mut self, now_ms: i64) {
        let Some((offer, task)) = self.fetching.take() else { return };
        let version = offer.signed.release.version;
        let failure = match task.await {
            Ok(Ok(())) => {
                tracing::info!(%version, "a release was fetched and verified; the agent becomes it");
                self.restart = true;
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let store = self.store.clone();
        if let Err(error) = on_disk(move || store.discard_incoming()).await {
            tracing::warn!(%error, "what came of it stays in the state folder");
        }
        tracing::warn!(%version, failure, "a release was not fetched; it is tried again in {} minutes", RETRY_MS / 60_000);
        let (version, outcome) = (version.to_string(), UpdateOutcome::Failed);
        self.reports.push(UpdateReport { version, outcome, message: failure });
        // An offer that was heard meanwhile is newer.
        self.due.get_or_insert((now_ms + RETRY_MS, offer));
    }

    fn tell_installed(&mut self) {
        let (version, outcome) = (self.version.clone(), UpdateOutcome::Installed);
        self.reports.push(UpdateReport { version, outcome, message: String::new() });
    }

    /// Whether a release that is newer than what runs did not come up; none where updates are not allowed.
    pub(crate) fn set_aside(&self) -> Option<bool> {
        self.policy.allowed.then_some(self.set_aside)
    }

    /// What the server is to be told now.
    pub(crate) fn take_reports(&mut self) -> Vec<UpdateReport> {
        std::mem::take(&mut self.reports)
    }

    /// Whether the launcher is to be started anew, as another program is to run from now on.
    pub(crate) fn wants_restart(&self) -> bool {
        self.restart
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use muster_wire::SignedRelease;

    use super::*;
    use crate::update::plan::tests::Signer;

    const MINUTE: i64 = 60_000;

    fn offer(signed: SignedRelease) -> Offer {
        Offer { path: "/download/muster".into(), signed }
    }

    /// A release that the launcher has just become, with nothing to talk to.
    struct OnTrial {
        store: Store,
        updater: Updater,
        target: Arc<Target>,
        dir: tempfile::TempDir,
    }

    impl OnTrial {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (store, signer) = (Store::new(dir.path()), Signer::new());
            store.incoming().unwrap().write_all(b"new").unwrap();
            store.accept(&signer.release("0.2.0", b"new")).unwrap();
            store
                .set_trial(&Trial { version: "0.2.0".into(), starts: 1, welcomed: false })
                .unwrap();
            let updater = Updater::new(signer.policy(), dir.path(), "0.2.0", true, 0);
            let target = Arc::new(Target::parse("http://127.0.0.1:1").unwrap());
            Self { store, updater, target, dir }
        }

        async fn at(&mut self, now_ms: i64) -> Vec<UpdateOutcome> {
            self.updater.tend(&self.target, None, false, 1_000, now_ms).await;
            self.updater.take_reports().into_iter().map(|report| report.outcome).collect()
        }
    }

    #[tokio::test]
    async fn a_release_that_is_welcomed_for_a_while_has_proved_itself() {
        let mut trial = OnTrial::new();
        trial.updater.welcomed(1_000, 5_000);
        assert_eq!(trial.at(5_000 + PROBATION_MS - 1).await, []);
        trial.updater.disconnected();
        assert_eq!(trial.at(9 * MINUTE).await, [], "it was cut off, which proves nothing");
        trial.updater.welcomed(1_000, 9 * MINUTE);
        let installed = [UpdateOutcome::Installed];
        assert_eq!(trial.at(9 * MINUTE + PROBATION_MS).await, installed);
        assert!(trial.store.trial().is_some_and(|trial| trial.welcomed));
        assert_eq!(trial.at(90 * MINUTE).await, []);
        assert!(!trial.updater.wants_restart());
        trial.updater.welcomed(1_000, 91 * MINUTE);
        assert_eq!(trial.at(91 * MINUTE).await, installed, "each session hears of it");
    }

    /// A proved release after its seventh start in a row, `welcomed_ms` after it; how many count at `now_ms`.
    async fn check_starts(welcomed_ms: Option<i64>, now_ms: i64, expected: u32) {
        let mut trial = OnTrial::new();
        trial
            .store
            .set_trial(&Trial { version: "0.2.0".into(), starts: 7, welcomed: true })
            .unwrap();
        let dir = trial.dir.path();
        trial.updater = Updater::new(Signer::new().policy(), dir, "0.2.0", true, 0);
        if let Some(welcomed_ms) = welcomed_ms {
            trial.updater.welcomed(1_000, welcomed_ms);
        }
        trial.at(now_ms).await;
        assert_eq!(trial.store.trial().map(|trial| trial.starts), Some(expected));
    }

    #[tokio::test]
    async fn a_start_of_a_proved_release_is_good_once_it_has_lasted() {
        check_starts(Some(1_000), PROBATION_MS, 7).await;
        check_starts(Some(1_000), PROBATION_MS + 1_000, 0).await;
        check_starts(None, GOOD_START_MS - 1, 7).await;
        check_starts(None, GOOD_START_MS, 0).await;
    }

    #[tokio::test]
    async fn a_release_that_is_never_welcomed_is_set_aside_and_the_launcher_started() {
        let mut trial = OnTrial::new();
        assert_eq!(trial.at(TRIAL_MS - 1).await, []);
        assert!(!trial.updater.wants_restart());
        trial.at(TRIAL_MS).await;
        assert!(trial.updater.wants_restart());
        assert_eq!(trial.store.release(), None);
        let dir = trial.store.set_aside().unwrap();
        assert_eq!(dir.version, "0.2.0");
    }

    #[tokio::test]
    async fn the_installed_program_tells_of_a_release_that_did_not_come_up() {
        let dir = tempfile::tempdir().unwrap();
        let aside = SetAside { version: "0.2.0".into(), reason: "it hung".into(), at_ms: 1_000 };
        Store::new(dir.path()).give_up(&aside).unwrap();
        let policy = Signer::new().policy();
        let mut updater = Updater::new(policy, dir.path(), "0.1.0", false, 0);
        updater.welcomed(2_000, 0);
        let expected = UpdateReport {
            version: "0.2.0".into(),
            outcome: UpdateOutcome::RolledBack,
            message: "it hung".into(),
        };
        assert_eq!(updater.take_reports(), [expected]);
        updater.welcomed(1_000 + SET_ASIDE_MS, 0);
        assert_eq!(updater.take_reports(), []);
    }

    #[tokio::test]
    async fn a_download_is_spread_and_one_that_fails_is_told_and_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::new();
        let policy = UpdatePolicy { spread_ms: 1_000, ..signer.policy() };
        let mut updater = Updater::new(policy, dir.path(), "0.1.0", false, 0);
        let target = Arc::new(Target::parse("http://127.0.0.1:1").unwrap());
        let offered = offer(signer.release("0.2.0", b"new"));
        updater.offered(offered.clone(), 0, 0, 700);
        updater.offered(offered, 0, 500, 0);
        updater.tend(&target, None, false, 0, 699).await;
        assert!(updater.fetching.is_none(), "the second offer is the first one");
        updater.tend(&target, None, false, 0, 700).await;
        std::fs::create_dir_all(dir.path().join("update")).unwrap();
        std::fs::write(dir.path().join("update/incoming"), b"half").unwrap();
        while updater.fetching.is_some() {
            tokio::task::yield_now().await;
            updater.tend(&target, None, false, 0, 800).await;
        }
        let reports = updater.take_reports();
        assert_eq!(reports[0].outcome, UpdateOutcome::Failed, "{reports:?}");
        assert_eq!(updater.due.as_ref().map(|(at_ms, _)| *at_ms), Some(800 + RETRY_MS));
        assert!(!dir.path().join("update/incoming").exists(), "half a program stays");
        assert!(!updater.wants_restart());
    }
}
