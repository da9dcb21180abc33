//! Everything, as the CI runs it: what `check` does, then the release binaries, driven from outside by programs and a browser.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::check::{self, Report};
use crate::databases::Databases;
use crate::process::{self, Outcome};
use crate::workspace::Workspace;
use crate::{build, packages, page, tally};

/// `cargo xtask test`.
pub(crate) fn run(workspace: &Workspace) -> ExitCode {
    let mut report = Report::default();
    report.skipped = packages::install_for_tests();
    for skip in &report.skipped {
        eprintln!("skipped: {skip}");
    }
    let databases = Databases::start();
    check::steps(workspace, &databases, &mut report);
    report.step("comparison with Alertmanager", Some(tally::cargo_test), || {
        compare_with_alertmanager(workspace)
    });
    if report.step("release build", None, || release(workspace)) {
        report.step("end to end", Some(tally::cargo_test), || end_to_end(workspace, &databases));
        if Path::new(packages::CHROMIUM).exists() {
            report.step("end to end, browser", Some(tally::node_test), || browser(workspace));
        }
    } else {
        report.skipped.push("the end-to-end tests: there is no release build".into());
    }
    report.close()
}

fn release(workspace: &Workspace) -> anyhow::Result<Outcome> {
    page::build(workspace, "  ")?;
    build::release(workspace, &build::BINARIES, "  ")
}

fn end_to_end(workspace: &Workspace, databases: &Databases) -> anyhow::Result<Outcome> {
    let mut command = workspace.cargo(["test", "--package", "muster", "--tests", "--no-fail-fast"]);
    command.args(["--", "--ignored", "--test-threads=1", "--show-output"]);
    databases.name(&mut command);
    process::watch("end to end", name_binaries(workspace, &mut command))
}

fn compare_with_alertmanager(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let mut command =
        workspace.cargo(["test", "--package", "muster-alerting", "--test", "alertmanager"]);
    command.args(["--", "--ignored", "--show-output"]);
    process::watch("comparison with Alertmanager", &mut command)
}

fn browser(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let mut command = page::npm_command(workspace, &["run", "e2e"]);
    process::watch("end to end, browser", name_binaries(workspace, &mut command))
}

/// Tells the tests which binaries to drive.
fn name_binaries<'a>(workspace: &Workspace, command: &'a mut Command) -> &'a mut Command {
    command
        .env("MUSTER_BIN", workspace.binary("muster"))
        .env("MUSTER_SIMULATION_BIN", workspace.binary("muster-simulation"))
}
