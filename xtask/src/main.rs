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
mod dist;
mod fuzz;
mod test;
mod tidy;
mod up;

mod help;
mod packages;
mod page;
mod process;
mod tally;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

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
        print!("{}", help::HELP);
        return Ok(ExitCode::SUCCESS);
    }
    if help::is_wanted(rest)
        && let Some(text) = help::of(command)
    {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    let takes_more = match command {
        "up" | "demo" | "bench" | "dist" | "fuzz" | "databases" => true,
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
        "dist" => dist::run(&workspace, rest),
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
    fn asked_for_help_every_command_answers_and_does_nothing() {
        for command in ["up", "build", "demo", "check", "test", "bench", "dist", "fuzz", "tidy"] {
            // Whatever else is said: the workspace is not even looked for.
            let arguments = [command, "x", "--help"].map(ToString::to_string);
            assert!(run(&arguments).is_ok(), "{command}");
        }
    }

    #[test]
    fn help_names_every_command() {
        for command in [
            "up",
            "build",
            "demo",
            "dist",
            "check",
            "test",
            "bench",
            "fuzz",
            "databases",
            "tidy",
            "help",
        ] {
            assert!(help::HELP.contains(&format!("\n  {command} ")), "{command}");
        }
    }
}
