//! Benchmarks: the peers are installed, what is measured is built, and `bench/` measures them in one run.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::workspace::Workspace;
use crate::{build, packages, page};

/// `cargo xtask bench tsdb|queries|parts [OPTIONS]`; the options are those of `muster-bench`, or of Criterion.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let (what, options) = arguments
        .split_first()
        .context("say what to measure: `cargo xtask bench tsdb`, `queries` or `parts`")?;
    match what.as_str() {
        "tsdb" | "queries" => whole_servers(workspace, what, options),
        "parts" => parts(workspace, options),
        unknown => anyhow::bail!("there is no benchmark `{unknown}`; take tsdb, queries or parts"),
    }
}

/// Muster's release binary beside Debian's packages of its peers.
fn whole_servers(
    workspace: &Workspace,
    what: &str,
    options: &[String],
) -> anyhow::Result<ExitCode> {
    let alone = options.windows(2).any(|two| two == ["--peers", "none"]);
    if !alone {
        let missing = packages::install(&packages::PEERS);
        anyhow::ensure!(
            missing.is_empty(),
            "{}; or measure Muster alone: --peers none",
            missing[0]
        );
    }
    page::build(workspace, "[1/3] ")?;
    build::release(workspace, &["muster", "muster-bench"], "[2/3] ")?;
    eprintln!("[3/3] measuring; the whole takes most of an hour, with --quick some minutes …");
    let mut command = Command::new(workspace.binary("muster-bench"));
    command.arg(what).args(options).env("MUSTER_BIN", workspace.binary("muster"));
    finish(&mut command)
}

/// Criterion's benchmarks of the parts, through their public functions.
fn parts(workspace: &Workspace, options: &[String]) -> anyhow::Result<ExitCode> {
    let mut command =
        workspace.cargo(["bench", "--package", "muster-bench", "--bench", "parts", "--"]);
    command.args(options);
    finish(&mut command)
}

/// Runs a program on this terminal.
fn finish(command: &mut Command) -> anyhow::Result<ExitCode> {
    let program = Path::new(command.get_program()).to_owned();
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_cannot_be_measured_is_told_before_anything_is_built() {
        let nowhere = Workspace { root: PathBuf::new(), target: PathBuf::new() };
        for (arguments, expected) in
            [(vec![], "say what to measure"), (vec!["tsbd"], "no benchmark `tsbd`")]
        {
            let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            let error = run(&nowhere, &arguments).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
