//! `muster`: one binary that is agent, server, store, page and command line.
//!
//! This file tells the life of the process: read the command line, set up logs, run one command, say what went wrong.

mod cli;
mod settings;

mod agent_modes;
mod run_agent;
mod run_server;

mod alerts_command;
mod backtest_command;
mod backup;
mod backup_command;
mod client;
mod doctor_command;
mod host_doctor;
mod hosts_command;
mod install_command;
mod oidc_settings;
mod place;
mod query_command;
mod rules_command;
mod rules_test;
mod silence_command;
mod token_commands;
mod user_commands;

mod chart;
mod csv;
mod logging;
mod signals;
mod size;
mod supervision;
mod table;

use std::process::ExitCode;

use clap::Parser as _;
use rustix::fs::Mode;
use tokio::runtime::Builder;

use cli::{Cli, Command};

/// The exit status of what was done in part; 1 is a failure, and 2 a wrong command line.
const INCOMPLETE: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Keys, tokens and samples are for this user alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    logging::init(&cli.log, cli.log_json);
    let runtime = match runtime_of(&cli.command).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start threads")),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Up(arguments) => run_server::up(arguments).await,
            Command::Server(arguments) => run_server::server(arguments).await,
            Command::Agent(arguments) => run_agent::agent(arguments).await,
            Command::Query(arguments) => query_command::run(arguments).await,
            Command::Hosts(arguments) => hosts_command::run(arguments).await,
            Command::Rules(arguments) => rules_command::run(&arguments).await,
            Command::Alerts(arguments) => alerts_command::run(arguments).await,
            Command::Silence(arguments) => silence_command::run(arguments).await,
            Command::User(arguments) => user_commands::run(arguments).await,
            Command::Token(arguments) => token_commands::token(arguments).await,
            Command::EnrollToken(arguments) => token_commands::enroll_token(arguments).await,
            Command::Backup(arguments) => backup_command::backup(arguments).await,
            Command::Restore(arguments) => backup_command::restore(&arguments).await,
            Command::Doctor(arguments) => doctor_command::run(arguments).await,
        }
    });
    // A query that still computes must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<backup_command::Incomplete>() => {
            fail(&error);
            ExitCode::from(INCOMPLETE)
        }
        Err(error) => fail(&error),
    }
}

/// An agent works in the process's first thread, so that nothing is handed from thread to thread each second; a server
/// has a thread for each core.
fn runtime_of(command: &Command) -> Builder {
    let threads = match command {
        Command::Agent(_) => return Builder::new_current_thread(),
        Command::Up(_) | Command::Server(_) => {
            std::thread::available_parallelism().map_or(2, usize::from).max(2)
        }
        _ => 1,
    };
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads);
    builder
}

#[expect(clippy::print_stderr, reason = "this is where the command line says what went wrong")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("muster: {}", explain(error));
    ExitCode::FAILURE
}

/// An error and its causes, each text once: many an error's own words hold its cause already.
fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        let cause = || std::io::Error::other("no room");
        let plain = anyhow::Error::new(cause()).context("in --listen");
        assert_eq!(explain(&plain), "in --listen: no room");
        let wordy = anyhow::Error::new(cause()).context("cannot open the file: no room");
        assert_eq!(explain(&wordy), "cannot open the file: no room");
        let around = wordy.context("cannot start");
        assert_eq!(explain(&around), "cannot start: cannot open the file: no room");
    }
}
