//! Fuzzing: each target of `fuzz/` for some seconds, where there is a nightly compiler; the stable tests of `crates/hostile` run
//! the same attacks everywhere.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::process;
use crate::workspace::Workspace;

/// Seconds for each target where nobody says.
const SECONDS: u32 = 60;
/// Where the targets stand, one file each.
const TARGETS: &str = "fuzz/fuzz_targets";

/// `cargo xtask fuzz [SECONDS]`: fails at the first target that finds something.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let seconds = seconds(arguments)?;
    if let Some(missing) = missing() {
        println!("skipped: fuzzing needs {missing}");
        return Ok(ExitCode::SUCCESS);
    }
    // The same versions of all dependencies as the program's.
    fs::copy(workspace.root.join("Cargo.lock"), workspace.root.join("fuzz/Cargo.lock"))
        .context("cannot copy Cargo.lock to fuzz")?;
    let targets = targets(&workspace.root.join(TARGETS))?;
    for (at, target) in targets.iter().enumerate() {
        let label = format!("[{}/{}] fuzzing {target} for {seconds} s", at + 1, targets.len());
        let limit = format!("-max_total_time={seconds}");
        let mut command = Command::new("cargo");
        command.current_dir(&workspace.root);
        command.args(["+nightly", "fuzz", "run", target, "--", &limit, "-timeout=20"]);
        process::watch(&label, &mut command)?.or_error(&label)?;
        println!("{label}: nothing found");
    }
    Ok(ExitCode::SUCCESS)
}

fn seconds(arguments: &[String]) -> anyhow::Result<u32> {
    match arguments {
        [] => Ok(SECONDS),
        [seconds] => seconds.parse().ok().filter(|seconds| *seconds > 0).with_context(|| {
            format!("{seconds:?} is no number of seconds; write one like {SECONDS}")
        }),
        _ => anyhow::bail!("`cargo xtask fuzz` takes nothing but a number of seconds"),
    }
}

/// What is not installed, and how to get it.
fn missing() -> Option<&'static str> {
    let works = |arguments: &[&str]| {
        Command::new("cargo").args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if !works(&["+nightly", "--version"]) {
        return Some("a nightly compiler: rustup toolchain install nightly");
    }
    (!works(&["fuzz", "--version"])).then_some("cargo-fuzz: cargo install cargo-fuzz")
}

/// The names of the targets, which are those of their files.
fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
    let mut targets: Vec<String> =
        names.filter_map(|name| Some(name.to_str()?.strip_suffix(".rs")?.to_owned())).collect();
    targets.sort_unstable();
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_can_be_chosen() {
        let parse = |words: &[&str]| {
            seconds(&words.iter().map(ToString::to_string).collect::<Vec<_>>()).ok()
        };
        assert_eq!(parse(&[]), Some(SECONDS));
        assert_eq!(parse(&["5"]), Some(5));
        assert_eq!(parse(&["0"]), None);
        assert_eq!(parse(&["long"]), None);
        assert_eq!(parse(&["5", "6"]), None);
    }

    #[test]
    fn targets_are_the_files_of_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.rs", "a.rs", "notes.md"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(targets(folder.path()).unwrap(), ["a", "b"]);
        assert!(targets(&folder.path().join("nowhere")).is_err());
    }
}
