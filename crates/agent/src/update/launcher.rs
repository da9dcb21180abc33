//! The launcher: the installed program, which belongs to root, becomes a release that lies in the state folder.
//!
//! It is checked and started through one open file, so nothing can be put in its place between the two. Who can write into
//! that very file is the agent's own account; the release runs with what that account may do and no more.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_wire::SignedRelease;

use super::UpdatePolicy;
use super::plan::{Launch, SetAside, Trial, plan_launch};
use super::store::{AcceptError, Store};

/// Set by the launcher: the version of the release that it has become.
pub const LAUNCHED_VERSION: &str = "MUSTER_LAUNCHED_VERSION";
/// Set by the launcher: where its own program lies.
const LAUNCHER: &str = "MUSTER_LAUNCHER";

/// Becomes the release in the state folder, if there is one that may be tried; else returns, and the caller goes on as the
/// program that it is. `wall_ms` is milliseconds since 1970.
pub fn launch(state_dir: &Path, policy: &UpdatePolicy, wall_ms: i64) {
    if env::var_os(LAUNCHED_VERSION).is_some() {
        // A program that was started through an open file is listed by the file's number otherwise.
        let _ = std::fs::write("/proc/self/comm", "muster");
        return;
    }
    let store = Store::new(state_dir);
    if let Err(error) = store.recover() {
        tracing::warn!(%error, "an update that was cut off cannot be undone");
    }
    let Some(stored) = store.release() else { return };
    let Ok(own) = env!("CARGO_PKG_VERSION").parse() else { return };
    let version = stored.release.version;
    let reason = match plan_launch(own, policy, &stored, store.trial()) {
        Launch::Stay if version <= own => {
            if let Err(error) = store.remove_releases() {
                tracing::debug!(%error, "a release that is no newer stays in the state folder");
            }
            return;
        }
        Launch::Stay => return,
        Launch::SetAside(reason) => reason,
        Launch::Become(trial) => match become_release(&store, &stored, &trial) {
            // Without a count of the attempts there would be no end of them.
            BecomeError::Record(error) => {
                tracing::warn!(%error, %version, "the release is not started: the attempt cannot be put on record");
                return;
            }
            BecomeError::Program(error) => format!("it cannot be started: {error}"),
        },
    };
    tracing::error!(%version, reason, "a release is set aside; the former program runs");
    let aside = SetAside { version: version.to_string(), reason, at_ms: wall_ms };
    match store.give_up(&aside) {
        // The release before this one may be there again; there is none before that.
        Ok(()) if store.release().is_some() => launch(state_dir, policy, wall_ms),
        Ok(()) => {}
        Err(error) => tracing::warn!(%error, "that cannot be put on record"),
    }
}

enum BecomeError {
    Record(io::Error),
    Program(AcceptError),
}

/// Returns only if that fails.
fn become_release(store: &Store, stored: &SignedRelease, trial: &Trial) -> BecomeError {
    if let Err(error) = store.set_trial(trial) {
        if !trial.welcomed {
            return BecomeError::Record(error);
        }
        // A full disk is no reason to run an older program than the one that is known to work.
        tracing::warn!(%error, version = trial.version, "this start of the release cannot be put on record");
    }
    let file = match store.open_program(&stored.release) {
        Ok(file) => file,
        Err(error) => return BecomeError::Program(error),
    };
    let launcher = match own_path() {
        Ok(launcher) => launcher,
        Err(error) => return BecomeError::Program(error.into()),
    };
    tracing::info!(version = trial.version, attempt = trial.starts, "starting the release");
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| "muster".into());
    let error = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .arg0(name)
        .args(arguments)
        .env(LAUNCHED_VERSION, &trial.version)
        .env(LAUNCHER, launcher)
        .exec();
    BecomeError::Program(error.into())
}

/// Starts the launcher anew, in this process, with the same arguments; returns only if that fails.
pub fn relaunch() -> io::Error {
    let launcher = match env::var_os(LAUNCHER).map_or_else(own_path, |path| Ok(path.into())) {
        Ok(launcher) => launcher,
        Err(error) => return error,
    };
    Command::new(launcher)
        .args(env::args_os().skip(1))
        .env_remove(LAUNCHED_VERSION)
        .env_remove(LAUNCHER)
        .exec()
}

/// Where this program lies, or what was put in its place since it was started.
fn own_path() -> io::Result<PathBuf> {
    let path = env::current_exe()?.into_os_string();
    let bytes = path.as_bytes();
    let name = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    Ok(OsString::from_vec(name.to_vec()).into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::update::plan::tests::Signer;

    #[track_caller]
    fn check_set_aside(content: &[u8], expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let (store, signer) = (Store::new(dir.path()), Signer::new());
        store.incoming().unwrap().write_all(content).unwrap();
        store.accept(&signer.release("999.0.0", content)).unwrap();
        if expected.contains("SHA-256") {
            let program = dir.path().join("update/program");
            std::fs::remove_file(&program).unwrap();
            std::fs::write(&program, b"another program").unwrap();
        }
        launch(dir.path(), &signer.policy(), 7);
        let aside = store.set_aside().expect("it was set aside");
        assert!(aside.reason.contains(expected), "{}", aside.reason);
        assert_eq!((aside.version.as_str(), aside.at_ms), ("999.0.0", 7));
        assert_eq!(store.release(), None);
    }

    #[test]
    fn what_cannot_be_started_is_set_aside_and_the_caller_goes_on() {
        check_set_aside(b"#!/bin/sh", "no ELF program");
        check_set_aside(b"what was signed", "SHA-256");
    }

    #[test]
    fn a_release_that_is_no_newer_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (store, signer) = (Store::new(dir.path()), Signer::new());
        store.incoming().unwrap().write_all(b"old").unwrap();
        store.accept(&signer.release("0.0.1", b"old")).unwrap();
        launch(dir.path(), &signer.policy(), 7);
        assert_eq!((store.release(), store.set_aside()), (None, None));
    }
}
