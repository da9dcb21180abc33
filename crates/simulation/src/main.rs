//! The program `muster-simulation`: a fleet on the command line.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use muster_environment::SystemClock;
use muster_series::parse_duration_ms;
use muster_simulation::{
    FleetConfig, FleetKind, FleetReport, Present, Target, Totals, Weeks, run_fleet, write_log,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing_subscriber::EnvFilter;

/// How often the log says how it goes.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

const EXAMPLE: &str = "Example: muster-simulation --server http://127.0.0.1:6868 --token T \
                       --hosts 100 --backfill 24h";
const NUMBERED_EXAMPLE: &str = "Example: muster-simulation numbered \
                                --server http://127.0.0.1:6868 --token T --log acked.tsv";

/// Simulated hosts that report to a Muster server as real agents do.
#[derive(Parser)]
#[command(
    after_help = EXAMPLE,
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Hosts whose series count ticks, and a log of what the server acknowledged: for crash tests.
    #[command(after_help = NUMBERED_EXAMPLE)]
    Numbered(NumberedArgs),
    /// Hosts that live for a week in simulated time before the real rules: what would people have been told?
    Weeks(WeeksArgs),
}

#[derive(Args)]
struct FleetArgs {
    /// Address of the server, http://HOST:PORT or https://HOST:PORT.
    // Clap sees to it that it is given, but not where a subcommand brings its own.
    #[arg(long, required = true)]
    server: Option<String>,
    /// Join token from `muster enroll-token`; it must allow as many uses as there are new hosts.
    #[arg(long)]
    token: Option<String>,
    /// Fingerprint of the server's own CA, as `muster enroll-token` prints it.
    #[arg(long, value_name = "sha256:HEX")]
    ca_fingerprint: Option<String>,
    /// How many hosts to simulate.
    #[arg(long, default_value_t = 5)]
    hosts: u32,
    /// Folder for the hosts' keys, to come back as the same agents; by default a temporary one.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Stop after this time; by default at SIGTERM or SIGINT.
    #[arg(long, value_parser = parse_duration_ms)]
    duration: Option<i64>,
}

#[derive(Args)]
struct ModelArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    /// The same seed gives the same hosts with the same values.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time between samples of fast series; slow ones are sampled every 30 s.
    #[arg(long, default_value = "1s", value_parser = parse_interval)]
    interval: i64,
    /// Fill this much of the past first.
    #[arg(long, default_value = "0", value_parser = parse_duration_ms)]
    backfill: i64,
    /// Time between samples in the past.
    #[arg(long, default_value = "15s", value_parser = parse_interval)]
    backfill_step: i64,
    /// End once the past is filled.
    #[arg(long, conflicts_with = "whole_agents")]
    backfill_only: bool,
    /// Make each host a whole agent, with thread and spool of its own, instead of a light task.
    #[arg(long)]
    whole_agents: bool,
}

#[derive(Args)]
struct NumberedArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    /// Ticks a second of each host.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Series of each host.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    series: u32,
    /// File to append to: instance, timestamp in ms, value, number of series; by default the output.
    #[arg(long)]
    log: Option<PathBuf>,
}

#[derive(Args)]
struct WeeksArgs {
    /// The same seed gives the same weeks.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many healthy hosts.
    #[arg(long, default_value_t = 200)]
    hosts: u64,
    /// For how many days they are known before they are judged.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=28))]
    known_days: u32,
    /// For how many days they are judged.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=28))]
    days: u32,
    /// How many hosts with a fault besides.
    #[arg(long, default_value_t = 30)]
    faults: u64,
    /// Begin faults on the first day, and make slow ones quicker.
    #[arg(long)]
    short: bool,
}

fn parse_interval(text: &str) -> Result<i64, String> {
    let ms = parse_duration_ms(text).map_err(|error| error.to_string())?;
    if ms == 0 { Err("an interval must be longer than nothing".to_owned()) } else { Ok(ms) }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    let cli = Cli::parse();
    let args = match cli.command {
        Some(Command::Numbered(args)) => args,
        Some(Command::Weeks(args)) => return live_weeks(&args),
        None => return run_model(cli.model).await,
    };
    let kind = FleetKind::Numbered { series: args.series };
    let log: Box<dyn Write + Send> = match &args.log {
        None => Box::new(io::stdout()),
        Some(path) => Box::new(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot write the log {}", path.display()))?,
        ),
    };
    run(args.fleet, kind, i64::from(1000 / args.rate), Some(log)).await
}

async fn run_model(args: ModelArgs) -> anyhow::Result<()> {
    let kind = FleetKind::Model {
        seed: args.seed,
        backfill_ms: args.backfill,
        backfill_step_ms: args.backfill_step,
        present: present(&args),
    };
    run(args.fleet, kind, args.interval, None).await
}

fn live_weeks(args: &WeeksArgs) -> anyhow::Result<()> {
    let WeeksArgs { seed, hosts, known_days, days, faults, short } = *args;
    let report = Weeks { seed, hosts, known_days, days, faults, short }.run();
    write!(io::stdout(), "{report}").context("cannot write the report")
}

fn present(args: &ModelArgs) -> Present {
    match (args.backfill_only, args.whole_agents) {
        (true, _) => Present::None,
        (false, true) => Present::WholeAgents,
        (false, false) => Present::Light,
    }
}

async fn run(
    args: FleetArgs,
    kind: FleetKind,
    interval_ms: i64,
    log: Option<Box<dyn Write + Send>>,
) -> anyhow::Result<()> {
    let server = args.server.context("give the server's address as --server")?;
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let config = FleetConfig {
        target: Target::parse(&server, args.ca_fingerprint.as_deref())?,
        token: args.token,
        hosts: args.hosts,
        interval_ms,
        state_dir: args.state_dir.unwrap_or_else(|| temporary.path().to_owned()),
        kind,
    };
    let (stop_sender, stop) = watch::channel(false);
    let signals = stop_signal(args.duration)?;
    let stopper = tokio::spawn(async move {
        signals.await;
        tracing::info!("stopping");
        stop_sender.send_replace(true);
        // The sender stays, since hosts take its end for a stop as well.
        stop_sender.closed().await;
    });
    let (listener, writer) = match log {
        Some(log) => {
            let (sender, receiver) = mpsc::channel(1024);
            (Some(sender), Some(tokio::spawn(write_log(log, receiver))))
        }
        None => (None, None),
    };
    let totals = Arc::new(Totals::default());
    let progress = tokio::spawn(tell_progress(Arc::clone(&totals), config.hosts));
    let result = run_fleet(config, Arc::new(SystemClock::new()), totals, listener, stop).await;
    progress.abort();
    stopper.abort();
    if let Some(writer) = writer {
        writer.await?.context("cannot write the log")?;
    }
    tell("done", &result?, None);
    Ok(())
}

/// Ends when the process is asked to end, or after `duration_ms`.
fn stop_signal(duration_ms: Option<i64>) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    Ok(async move {
        let over = async {
            match duration_ms {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = over => {}
        }
    })
}

async fn tell_progress(totals: Arc<Totals>, hosts: u32) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        tell("running", &totals.report(), Some(hosts));
    }
}

fn tell(what: &str, report: &FleetReport, hosts: Option<u32>) {
    tracing::info!(
        connected = report.connected,
        of = hosts,
        samples = report.samples,
        batches = report.batches,
        lost_batches = report.lost_batches,
        reconnects = report.reconnects,
        skipped_ticks = report.skipped_ticks,
        "{what}"
    );
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_understood() {
        Cli::command().debug_assert();
        let plain = ["sim", "--server", "http://x", "--hosts", "9", "--backfill", "24h"];
        let cli = Cli::try_parse_from(plain).unwrap();
        assert_eq!((cli.model.fleet.hosts, cli.model.backfill), (9, 86_400_000));
        assert_eq!(cli.model.fleet.server.as_deref(), Some("http://x"));

        let cli = Cli::try_parse_from(["sim", "numbered", "--server", "http://y"]).unwrap();
        let Some(Command::Numbered(numbered)) = cli.command else { panic!("it is a command") };
        assert_eq!(numbered.fleet.server.as_deref(), Some("http://y"));

        let refused: [&[&str]; 4] = [
            &["sim"],
            &["sim", "numbered"],
            &["sim", "--server", "x", "--interval", "0"],
            &["sim", "--server", "x", "--backfill-only", "--whole-agents"],
        ];
        for line in refused {
            assert!(Cli::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
