//! Where the passphrase of a backup comes from: a file, the environment, or somebody at a terminal; never the command line, which
//! every user of the machine can read.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The environment variable that may hold it.
const VARIABLE: &str = "MUSTER_BACKUP_PASSPHRASE";
/// How few characters a new one may have: whoever has the file may guess as long as they like.
const FEWEST: usize = 12;

/// What a passphrase is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new backup: it must be long enough, and is asked for twice.
    Make,
    /// A backup that is there.
    Read,
}

/// Finds the passphrase: in `file` if there is one, else in the environment, else by asking at the terminal.
pub(crate) fn passphrase(file: Option<&Path>, purpose: Purpose) -> anyhow::Result<String> {
    let found = match (file, std::env::var(VARIABLE)) {
        (Some(file), _) => read_file(file)?,
        (None, Ok(value)) => value,
        (None, Err(std::env::VarError::NotUnicode(_))) => bail!("{VARIABLE} is not UTF-8"),
        (None, Err(std::env::VarError::NotPresent)) => ask_at_terminal(purpose)?,
    };
    accept(found, purpose)
}

fn accept(found: String, purpose: Purpose) -> anyhow::Result<String> {
    ensure!(!found.is_empty(), "the passphrase of the backup is empty");
    let is_short = found.chars().count() < FEWEST;
    ensure!(
        purpose == Purpose::Read || !is_short,
        "the passphrase of a backup must have {FEWEST} characters or more"
    );
    Ok(found)
}

/// The first line of a file; it must be the only one.
fn read_file(file: &Path) -> anyhow::Result<String> {
    let reading = || format!("cannot read the passphrase from {}", file.display());
    let text = fs::read_to_string(file).with_context(reading)?;
    let mode = fs::metadata(file).with_context(reading)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(file = %file.display(), "others can read the passphrase of the backups: chmod 600 it");
    }
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    ensure!(
        lines.next().is_none(),
        "{} has more than one line; the passphrase of the backup must be alone in it",
        file.display()
    );
    Ok(first)
}

fn ask_at_terminal(purpose: Purpose) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!(
            "the backup needs a passphrase, and there is no terminal to ask for it: write it into a file that only you can read and \
             name that with --passphrase-file FILE, or set {VARIABLE}"
        );
    }
    let first = ask("Passphrase of the backup: ")?;
    if purpose == Purpose::Make {
        let first = accept(first, purpose)?;
        ensure!(ask("Once more: ")? == first, "the two passphrases differ; nothing was done");
        return Ok(first);
    }
    Ok(first)
}

/// Reads a line that the terminal does not show.
fn ask(prompt: &str) -> anyhow::Result<String> {
    let mut stderr = io::stderr();
    stderr.write_all(prompt.as_bytes())?;
    stderr.flush()?;
    let mut line = String::new();
    {
        let _hidden = Hidden::new().context("the terminal cannot hide what is typed")?;
        io::stdin().lock().read_line(&mut line).context("cannot read from the terminal")?;
    }
    stderr.write_all(b"\n")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, purpose: Purpose, expected: Result<&str, &str>) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passphrase");
        fs::write(&file, content).unwrap();
        match (passphrase(Some(&file), purpose), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_file_holds_one_line() {
        check("correct horse battery\n", Purpose::Make, Ok("correct horse battery"));
        check("correct horse battery", Purpose::Make, Ok("correct horse battery"));
        check(" spaces are kept \r\n", Purpose::Make, Ok(" spaces are kept "));
        check("一二三四五六七八九十百千", Purpose::Make, Ok("一二三四五六七八九十百千"));
        check("one line here\nand another\n", Purpose::Make, Err("more than one line"));
        check("", Purpose::Read, Err("is empty"));
        check("eleven char", Purpose::Make, Err("12 characters or more"));
        check("eleven char", Purpose::Read, Ok("eleven char"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = passphrase(Some(Path::new("/nowhere/key")), Purpose::Read).unwrap_err();
        assert!(error.to_string().contains("/nowhere/key"), "{error}");
    }
}
