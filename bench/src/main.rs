//! Muster beside what one could pick instead: whole servers, on the same data, in the same run.
//!
//! `cargo xtask bench` builds what is measured, installs the peers and runs this. What a figure rests on is read in this
//! order: `data` makes the samples, `load` and `agents` send them, `product` starts the servers, `process` counts
//! what they cost, `engine` and `queries` say what is measured.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks to people on its standard streams"
)]

mod data;

mod http;
mod remote_write;

mod process;
mod product;

mod agents;
mod load;
mod query;

mod engine;
mod queries;

mod machine;
mod options;
mod report;

use clap::{Parser, Subcommand};

use options::Options;

#[derive(Debug, Parser)]
#[command(name = "muster-bench", version, about = "Muster beside VictoriaMetrics and Prometheus")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ingest, bytes on disk, memory, start after kill -9
    #[command(
        after_help = "Example:\n  muster-bench tsdb --muster target/release/muster --quick --only day"
    )]
    Tsdb(Options),
    /// Latency of queries; answers are compared
    #[command(
        after_help = "Example:\n  muster-bench queries --muster target/release/muster --peers prometheus"
    )]
    Queries(Options),
}

fn main() -> anyhow::Result<()> {
    let (options, run): (_, fn(&Options) -> anyhow::Result<String>) = match Cli::parse().command {
        Command::Tsdb(options) => (options, engine::run),
        Command::Queries(options) => (options, queries::run),
    };
    let head = machine::describe(&options)?;
    let tables = run(&options)?;
    println!("{head}{tables}");
    Ok(())
}

/// Says on the terminal what was just measured; the report comes at the end.
fn progress(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_understood() {
        Cli::command().debug_assert();
        let line = ["x", "tsdb", "--muster", "m", "--quick", "--peers", "victoria-metrics"];
        let Command::Tsdb(options) = Cli::try_parse_from(line).unwrap().command else {
            panic!("it is that command")
        };
        assert_eq!((options.rounds(), options.products().len()), (1, 2));
        assert!(options.wants("anything") && options.scaled(16) == 2);
        let refused = ["x", "tsdb", "--muster", "m", "--peers", "excel"];
        assert!(Cli::try_parse_from(refused).is_err());
    }
}
