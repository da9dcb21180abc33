//! `cargo xtask`: every command a developer or the CI runs, so that nobody has to remember which tool does what.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks to people on its standard streams"
)]

mod bench;
mod build;
mod check;
mod databases;
mod demo;
mod fuzz;
mod test;
mod tidy;
mod up;

mod packages;
mod page;
mod process;
mod tally;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

/// What `cargo xtask help` prints: each command with an example.
const HELP: &str = "\
cargo xtask COMMAND

  up [-- ARGS]    build what changed, then run `muster up ARGS`: server, page and an agent for this machine
                    cargo xtask up
                    cargo xtask up -- --listen 0.0.0.0:6868 --data-dir /tmp/muster
  build           the page and the release binaries only; prints where they are
  demo [--hosts N] a server with N simulated hosts (50) and a day of their past, until Ctrl+C
                    cargo xtask demo --hosts 200
  check           format, tidy, lints, unit tests, the page's checks: run it while working
  test            everything: installs what tests need, check, release build, end-to-end tests (CI runs this)
  bench tsdb|queries|parts [OPTIONS]
                  Muster beside VictoriaMetrics and Prometheus, which it installs: ingest, bytes, memory, start,
                  or answers; or the parts alone. --quick, --rounds N, --only NAME, --peers none
                    cargo xtask bench tsdb --quick --only day
  fuzz [SECONDS]  each fuzz target for so long (60), where there is a nightly compiler
                    cargo xtask fuzz 10
  databases COMMAND…
                  a command with MariaDB and PostgreSQL at hand, on scratch data, where they are installed
                    cargo xtask databases cargo test -p muster-meta
  tidy [--bless]  the rules of this repository that no other tool checks, in a second or two;
                  --bless lowers the limits in xtask/tidy-ratchet.toml to what files have now
  help            this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; an error is what stopped it, an exit code what it found.
fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let (command, rest) = match arguments {
        [] => ("help", arguments),
        [command, rest @ ..] => (command.as_str(), rest),
    };
    if matches!(command, "help" | "--help" | "-h") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let takes_more = match command {
        "up" | "demo" | "bench" | "fuzz" | "databases" => true,
        "tidy" => matches!(rest, [flag] if flag == "--bless"),
        "build" | "check" | "test" => false,
        unknown => anyhow::bail!("no command `{unknown}`; `cargo xtask help` lists them"),
    };
    if let Some(extra) = rest.first()
        && !takes_more
    {
        anyhow::bail!("`cargo xtask {command}` knows no `{extra}`; see `cargo xtask help`");
    }
    let workspace = Workspace::find()?;
    match command {
        "up" => up::run(&workspace, rest),
        "build" => build::run(&workspace),
        "demo" => demo::run(&workspace, rest),
        "bench" => bench::run(&workspace, rest),
        "fuzz" => fuzz::run(&workspace, rest),
        "databases" => databases::run(&workspace, rest),
        "check" => Ok(check::run(&workspace)),
        "test" => Ok(test::run(&workspace)),
        _ => tidy::run(&workspace, !rest.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let error = run(&arguments).expect_err("these arguments are refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn wrong_arguments_are_refused_before_anything_runs() {
        check(&["frobnicate"], "no command `frobnicate`");
        check(&["check", "--fast"], "knows no `--fast`");
        check(&["tidy", "--bles"], "knows no `--bles`");
    }

    #[test]
    fn help_names_every_command() {
        for command in
            ["up", "build", "demo", "check", "test", "bench", "fuzz", "databases", "tidy", "help"]
        {
            assert!(HELP.contains(&format!("\n  {command} ")), "{command}");
        }
    }
}
