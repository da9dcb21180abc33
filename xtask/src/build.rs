//! The page, then the release binaries, which carry it: in that order, because the server embeds `web/dist`.

use std::process::ExitCode;

use crate::page;
use crate::process::{self, Outcome};
use crate::workspace::Workspace;

/// What is delivered: the product, and the simulated fleets that tests and demos run against it.
pub(crate) const BINARIES: [&str; 2] = ["muster", "muster-simulation"];

/// `cargo xtask build`.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    page::build(workspace, "[1/2] ")?;
    release(workspace, &BINARIES, "[2/2] ")?;
    for name in BINARIES {
        println!("{}", workspace.binary(name).display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds release binaries by the names of their packages; cargo itself knows what changed.
pub(crate) fn release(
    workspace: &Workspace,
    names: &[&str],
    step: &str,
) -> anyhow::Result<Outcome> {
    let all = names.join(", ");
    let first = names.iter().any(|name| !workspace.binary(name).exists());
    let time = if first { ", about ten minutes the first time" } else { "" };
    eprintln!("{step}building {all} (cargo, release{time}) …");
    let mut command = workspace.cargo(["build", "--release"]);
    for name in names {
        command.args(["--package", name]);
    }
    process::watch("release build", &mut command)?.or_error("the release build")
}
