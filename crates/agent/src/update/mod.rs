//! How the agent's program is renewed, and how it goes back where that fails.
//!
//! 1. The program that was installed belongs to root and stays as it is. It is the launcher: at its start it looks into the
//!    state folder for a release that was stored there ([`launch`]).
//! 2. The server offers a release. Where the host's administrator allowed it, the agent checks signature, version and
//!    machine, fetches the program, checks size and hash, stores it, and starts the launcher anew ([`Updater`]).
//! 3. The launcher checks all of that again, counts the attempt on disk, and becomes the release: the same process, so a
//!    manager of services sees nothing of it.
//! 4. The release has to be welcomed by the server within [`plan::MAX_STARTS`] starts and [`TRIAL_MS`]. If it is not, it
//!    is set aside, and what ran before (the release before it, or the installed program) runs again and says so.
//!
//! Only a holder of the private key can make a release; the server passes it on. Nothing else that the server sends is ever
//! executed.

mod download;
mod key;
mod launcher;
mod plan;
mod store;
mod updater;

pub use key::{ReleaseKey, ReleaseKeyError, built_in_key};
pub use launcher::{LAUNCHED_VERSION, launch, relaunch};
pub(crate) use updater::Updater;

/// How long a release may run without a welcome before it is set aside, in milliseconds.
pub(crate) const TRIAL_MS: i64 = 600_000;

/// What the host's administrator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatePolicy {
    /// Whether releases may be taken at all.
    pub allowed: bool,
    /// Who may sign them, any of these; none means that nothing is taken.
    pub keys: Vec<ReleaseKey>,
    /// Over how long the agents that hear of a release spread their downloads, in milliseconds.
    pub spread_ms: i64,
}

impl Default for UpdatePolicy {
    /// Nothing is allowed.
    fn default() -> Self {
        Self { allowed: false, keys: Vec::new(), spread_ms: 600_000 }
    }
}
