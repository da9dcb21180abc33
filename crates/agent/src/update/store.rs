//! The folder `update` of the state folder: a release that was taken, and how it has done.
//!
//! | file | holds |
//! |---|---|
//! | `program` | the program, not writable even by its owner |
//! | `release` | what it is and its signature, as in a `.sig` file; written last, so without it there is no release |
//! | `trial` | how often it was started, and whether the server has welcomed it |
//! | `set-aside` | the release that did not come up, and why |
//! | `former-program`, `former-release` | the release before, if it had proved itself: it comes back where the next one fails |
//! | `incoming` | a program that is being fetched |

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use muster_environment::replace_private_file;
use muster_wire::{Release, SignedRelease};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::plan::{SetAside, Trial};

const PROGRAM: &str = "program";
const RELEASE: &str = "release";
const TRIAL: &str = "trial";
const SET_ASIDE: &str = "set-aside";
const INCOMING: &str = "incoming";
const FORMER_PROGRAM: &str = "former-program";
const FORMER_RELEASE: &str = "former-release";

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    /// The folder in `state_dir`; it need not be there.
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("update") }
    }

    /// The release that is here, if there is one.
    pub(crate) fn release(&self) -> Option<SignedRelease> {
        SignedRelease::parse(&fs::read_to_string(self.dir.join(RELEASE)).ok()?).ok()
    }

    /// How it has done.
    pub(crate) fn trial(&self) -> Option<Trial> {
        self.read(TRIAL)
    }

    /// Puts on record how it has done.
    pub(crate) fn set_trial(&self, trial: &Trial) -> io::Result<()> {
        self.write(TRIAL, trial)
    }

    /// The release that did not come up last.
    pub(crate) fn set_aside(&self) -> Option<SetAside> {
        self.read(SET_ASIDE)
    }

    /// Gives the release here up, for a reason that stays on record; the one before comes back, if it had proved itself.
    pub(crate) fn give_up(&self, aside: &SetAside) -> io::Result<()> {
        self.write(SET_ASIDE, aside)?;
        for name in [RELEASE, TRIAL, PROGRAM, INCOMING] {
            self.remove_file(name)?;
        }
        self.restore_former()
    }

    /// Ends what was cut off between two of its steps, by the end of the process or of the host: the release that had proved
    /// itself is the release again.
    pub(crate) fn recover(&self) -> io::Result<()> {
        let there = |name| self.dir.join(name).exists();
        if !there(RELEASE) {
            return self.restore_former();
        }
        if !there(PROGRAM) && there(FORMER_PROGRAM) {
            // What the former release was before has lost its program to this one.
            self.remove_file(FORMER_RELEASE)?;
            fs::rename(self.dir.join(FORMER_PROGRAM), self.dir.join(PROGRAM))?;
        }
        Ok(())
    }

    fn restore_former(&self) -> io::Result<()> {
        let path = self.dir.join(FORMER_RELEASE);
        let Ok(Ok(former)) = fs::read_to_string(&path).map(|text| SignedRelease::parse(&text))
        else {
            return Ok(());
        };
        // Without it the program was moved already, and the release was not.
        if self.dir.join(FORMER_PROGRAM).exists() {
            fs::rename(self.dir.join(FORMER_PROGRAM), self.dir.join(PROGRAM))?;
        }
        let version = former.release.version.to_string();
        self.set_trial(&Trial { version, starts: 0, welcomed: true })?;
        fs::rename(path, self.dir.join(RELEASE))
    }

    /// Removes every release that is here.
    pub(crate) fn remove_releases(&self) -> io::Result<()> {
        for name in [RELEASE, TRIAL, PROGRAM, INCOMING, FORMER_RELEASE, FORMER_PROGRAM] {
            self.remove_file(name)?;
        }
        Ok(())
    }

    /// Removes what was fetched of a program that is not to be accepted.
    pub(crate) fn discard_incoming(&self) -> io::Result<()> {
        self.remove_file(INCOMING)
    }

    /// A new file for a program to be fetched into.
    pub(crate) fn incoming(&self) -> io::Result<File> {
        fs::create_dir_all(&self.dir)?;
        fs::set_permissions(&self.dir, Permissions::from_mode(0o700))?;
        self.remove_file(INCOMING)?;
        File::create_new(self.dir.join(INCOMING))
    }

    /// Makes what was fetched the release that is here, if it is what it must be; the caller has verified the signature.
    pub(crate) fn accept(&self, signed: &SignedRelease) -> Result<(), AcceptError> {
        let path = self.dir.join(INCOMING);
        let mut file = File::open(&path)?;
        check(&mut file, &signed.release)?;
        fs::set_permissions(&path, Permissions::from_mode(0o500))?;
        file.sync_all()?;
        if let Some(release) = self.release()
            && let Some(trial) = self.trial()
            && trial.welcomed
            && trial.version == release.release.version.to_string()
        {
            fs::rename(self.dir.join(PROGRAM), self.dir.join(FORMER_PROGRAM))?;
            fs::rename(self.dir.join(RELEASE), self.dir.join(FORMER_RELEASE))?;
        }
        self.remove_file(RELEASE)?;
        self.remove_file(TRIAL)?;
        fs::rename(&path, self.dir.join(PROGRAM))?;
        Ok(replace_private_file(&self.dir, RELEASE, signed.to_text().as_bytes())?)
    }

    /// The program of the release that is here, open, after a check that it is the one. What is no ELF file is none:
    /// the C library would hand it to a shell.
    pub(crate) fn open_program(&self, release: &Release) -> Result<File, AcceptError> {
        let mut file = File::open(self.dir.join(PROGRAM))?;
        check(&mut file, release)?;
        let mut magic = [0; 4];
        if file.read_exact_at(&mut magic, 0).is_err() || magic != *b"\x7fELF" {
            return Err(AcceptError::NoProgram);
        }
        Ok(file)
    }

    fn remove_file(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.dir.join(name)).ok()?).ok()
    }

    fn write(&self, name: &str, content: &impl Serialize) -> io::Result<()> {
        replace_private_file(&self.dir, name, &serde_json::to_vec(content)?)
    }
}

/// Why a file is not the program that it must be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcceptError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is no ELF program")]
    NoProgram,
    #[error("the program has {got} bytes and not the {expected} of the release")]
    Size { expected: u64, got: u64 },
    #[error("the program's SHA-256 is {got} and not the release's {expected}")]
    Hash { expected: String, got: String },
}

fn check(file: &mut File, release: &Release) -> Result<(), AcceptError> {
    let got = file.metadata()?.len();
    if got != release.size {
        return Err(AcceptError::Size { expected: release.size, got });
    }
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => context.update(&buffer[..read]),
        }
    }
    let digest = context.finish();
    if digest.as_ref() != release.sha256 {
        return Err(AcceptError::Hash {
            expected: HEXLOWER.encode(&release.sha256),
            got: HEXLOWER.encode(digest.as_ref()),
        });
    }
    file.rewind()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::update::plan::tests::Signer;

    fn fetched(store: &Store, content: &[u8]) {
        store.incoming().unwrap().write_all(content).unwrap();
    }

    #[test]
    fn what_was_fetched_becomes_the_release_only_if_it_is_the_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let signed = Signer::new().release("0.2.0", b"\x7fELF new");
        fetched(&store, b"\x7fELF ne");
        assert!(matches!(store.accept(&signed), Err(AcceptError::Size { .. })));
        fetched(&store, b"\x7fELF old");
        assert!(matches!(store.accept(&signed), Err(AcceptError::Hash { .. })));
        assert_eq!(store.release(), None);
        fetched(&store, b"\x7fELF new");
        store.accept(&signed).unwrap();
        assert_eq!(store.release(), Some(signed.clone()));
        assert!(store.open_program(&signed.release).is_ok());
        let program = dir.path().join("update").join(PROGRAM);
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o500);
        fs::remove_file(&program).unwrap();
        fs::write(&program, b"\x7fELF neW").unwrap();
        assert!(matches!(store.open_program(&signed.release), Err(AcceptError::Hash { .. })));
    }

    #[test]
    fn where_a_release_fails_the_one_before_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (store, signer) = (Store::new(dir.path()), Signer::new());
        let proved = signer.release("0.2.0", b"\x7fELF good");
        fetched(&store, b"\x7fELF good");
        store.accept(&proved).unwrap();
        store.set_trial(&Trial { version: "0.2.0".into(), starts: 1, welcomed: true }).unwrap();
        for version in ["0.3.0", "0.4.0"] {
            fetched(&store, b"bad");
            store.accept(&signer.release(version, b"bad")).unwrap();
        }
        let aside = SetAside { version: "0.4.0".into(), reason: String::new(), at_ms: 0 };
        store.give_up(&aside).unwrap();
        assert_eq!(store.release(), Some(proved.clone()));
        assert!(store.open_program(&proved.release).is_ok());
        assert!(store.trial().is_some_and(|trial| trial.welcomed));
        store.give_up(&SetAside { version: "0.2.0".into(), ..aside }).unwrap();
        assert_eq!(store.release(), None);
    }

    /// Moves files of a store with a proved release as an acceptance that is cut off leaves them.
    #[track_caller]
    fn check_recovery(moved: &[(&str, &str)]) {
        let dir = tempfile::tempdir().unwrap();
        let (store, signer) = (Store::new(dir.path()), Signer::new());
        let proved = signer.release("0.2.0", b"\x7fELF good");
        fetched(&store, b"\x7fELF good");
        store.accept(&proved).unwrap();
        fetched(&store, b"\x7fELF newer");
        for (from, to) in moved {
            fs::rename(store.dir.join(from), store.dir.join(to)).unwrap();
        }
        store.recover().unwrap();
        assert_eq!(store.release(), Some(proved.clone()), "{moved:?}");
        assert!(store.open_program(&proved.release).is_ok(), "{moved:?}");
    }

    #[test]
    fn an_acceptance_that_was_cut_off_leaves_the_release_that_worked() {
        let (program, release) = ((PROGRAM, FORMER_PROGRAM), (RELEASE, FORMER_RELEASE));
        check_recovery(&[]);
        check_recovery(&[program]);
        check_recovery(&[program, release]);
        check_recovery(&[program, release, (INCOMING, PROGRAM)]);
        check_recovery(&[release]);
    }

    #[test]
    fn a_new_release_begins_its_trial_anew_and_one_given_up_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (store, signer) = (Store::new(dir.path()), Signer::new());
        fetched(&store, b"\x7fELF new");
        store.accept(&signer.release("0.2.0", b"\x7fELF new")).unwrap();
        let trial = Trial { version: "0.2.0".into(), starts: 2, welcomed: false };
        store.set_trial(&trial).unwrap();
        assert_eq!(store.trial(), Some(trial));
        fetched(&store, b"newer");
        store.accept(&signer.release("0.3.0", b"newer")).unwrap();
        assert_eq!(store.trial(), None);
        let aside = SetAside { version: "0.3.0".into(), reason: "it hangs".into(), at_ms: 5 };
        store.give_up(&aside).unwrap();
        assert_eq!((store.release(), store.set_aside()), (None, Some(aside)));
        let left: Vec<_> = fs::read_dir(dir.path().join("update")).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}
