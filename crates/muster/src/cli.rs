//! The command line: every command with its flags, its environment variables and an example.

mod alerting;
mod people;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use muster_collectors::{NamedPattern, Pattern};

pub(crate) use alerting::{AlertsArgs, SilenceArgs, SilenceCommand};
pub(crate) use people::{
    EnrollTokenArgs, TokenArgs, TokenCommand, UserArgs, UserCommand, UserTarget,
};

/// What is logged: everything worth knowing of ours, only warnings of libraries that talk much.
const DEFAULT_LOG: &str = "info,sea_orm_migration=warn,sqlx=warn";

/// Monitoring for clusters of servers: agent, server, time-series store and web page in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "muster",
    version,
    propagate_version = true,
    after_help = "First run:  muster up        (server, page and an agent for this machine)\n\
                  More hosts: muster enroll-token on the server, then muster agent on each host"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Which log lines to show, such as `info` or `warn,muster_server=debug`
    #[arg(
        long,
        global = true,
        env = "MUSTER_LOG",
        default_value = DEFAULT_LOG,
        value_name = "FILTER"
    )]
    pub(crate) log: String,
    /// Write log lines as JSON
    #[arg(long, global = true, env = "MUSTER_LOG_JSON")]
    pub(crate) log_json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server and an agent for this machine, in one process: the first run
    #[command(
        after_help = "Examples:\n  muster up\n  muster up --listen 0.0.0.0:6868 --data-dir /srv/muster"
    )]
    Up(ServerArgs),
    /// Run the server
    #[command(
        after_help = "Examples:\n  muster server\n  muster server --config /etc/muster.toml --retention 2y\n  \
                            muster server --tls /etc/ssl/muster.pem,/etc/ssl/muster.key"
    )]
    Server(ServerArgs),
    /// Run the agent of this host
    #[command(
        after_help = "Examples:\n  muster agent --server https://monitor:6868 --token TOKEN --ca-fingerprint sha256:F   (once, to join)\n  \
                            muster agent                                     (afterwards: the state folder knows)\n  \
                            muster agent --once                              (prints what it would send; needs no server)\n  \
                            muster agent --listen-metrics 9100               (for an existing Prometheus; needs no server)"
    )]
    Agent(AgentArgs),
    /// Ask the store with PromQL
    #[command(after_help = "Examples:\n  muster query 'node_load1'\n  \
                            muster query 'rate(node_network_receive_bytes_total[5m])' --last 1h --chart\n  \
                            muster query node_load1 --start 2026-09-01T08:00:00Z --end 2026-09-01T09:00:00Z --step 1m --csv\n  \
                            muster query up --server https://monitor:6868 --api-token TOKEN --json")]
    Query(QueryArgs),
    /// List the hosts with their state and main figures
    #[command(
        after_help = "Examples:\n  muster hosts\n  muster hosts --server https://monitor:6868 --api-token TOKEN --json"
    )]
    Hosts(TargetArgs),
    /// List the alerts, the most urgent and newest first
    #[command(
        after_help = "Examples:\n  muster alerts\n  muster alerts --severity critical --instance web-1 --json"
    )]
    Alerts(AlertsArgs),
    /// Hide alerts for a while: add, list, expire and preview silences
    #[command(
        after_help = "Examples:\n  muster silence add 'instance=~\"web-.*\"' --duration 2h --comment 'new kernel'\n  muster silence list\n  muster silence expire ID"
    )]
    Silence(SilenceArgs),
    /// Check files of rules, and test them
    #[command(
        after_help = "Examples:\n  muster rules check rules/*.yml\n  muster rules test rules/tests/*.yml"
    )]
    Rules(RulesArgs),
    /// Manage accounts of people
    #[command(
        after_help = "Examples:\n  muster user add ada --role operator     (prints a password)\n  muster user passwd admin                (prints a new one; ends the account's sessions)\n  muster user list"
    )]
    User(UserArgs),
    /// Make, list and revoke API tokens
    #[command(
        after_help = "Examples:\n  muster token create grafana --role viewer\n  muster token list\n  muster token revoke grafana"
    )]
    Token(TokenArgs),
    /// Make a token with which agents join; the token is the last line printed
    #[command(
        after_help = "Examples:\n  muster enroll-token\n  muster enroll-token --uses 50 --expires 24h --groups web,berlin --tags rack=12,owner=ada"
    )]
    EnrollToken(EnrollTokenArgs),
    /// Write all that a server keeps into one file under a passphrase, also while it runs
    #[command(
        after_help = "Examples:\n  muster backup /mnt/backup/muster-2026-11-22.backup      (asks for a passphrase)\n  \
                            muster backup /mnt/b/muster.backup --passphrase-file /etc/muster-backup.key --json\n  \
                            muster backup /mnt/b/muster.backup --skip-damaged      (what can be read of a damaged disk)\n\n\
                            The passphrase may also stand in MUSTER_BACKUP_PASSPHRASE. Without it nothing comes back: keep it elsewhere."
    )]
    Backup(BackupArgs),
    /// Make a data folder from a backup, after checking all of it
    #[command(
        after_help = "Examples:\n  muster restore /mnt/backup/muster-2026-11-22.backup --data-dir /srv/muster\n  \
                            muster restore --check /mnt/backup/muster-2026-11-22.backup      (restores nothing)"
    )]
    Restore(RestoreArgs),
    /// Check a server's data folder and tell what takes the room, or, on a host without one, what its agent misses; changes nothing
    #[command(
        after_help = "Examples:\n  muster doctor\n  muster doctor --data-dir /srv/muster --json\n  muster doctor --host --json      (what the agent of this host misses, and why)\n\nIt ends with 1 if something is damaged, not there or wrong."
    )]
    Doctor(DoctorArgs),
}

/// Flags of `up` and `server`; each may also stand in the configuration file.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// A TOML file with settings; flags and environment variables win over it
    #[arg(long, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is kept [default: /var/lib/muster as root, else ~/.local/state/muster]
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// MariaDB, MySQL or PostgreSQL for people, tokens and agents, such as <postgres://muster:PASSWORD@db/muster>
    /// [default: a SQLite file in the data folder]
    #[arg(long, env = "MUSTER_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:6868 for up, 0.0.0.0:6868 for server]
    #[arg(long, env = "MUSTER_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// off, auto (an own CA) or CERTIFICATE,KEY [default: off on loopback, else auto]
    #[arg(long, env = "MUSTER_TLS", value_name = "MODE")]
    pub(crate) tls: Option<String>,
    /// How long samples are kept, such as 400d [default: 400d]
    #[arg(long, env = "MUSTER_RETENTION", value_name = "DURATION")]
    pub(crate) retention: Option<String>,
    /// Most room that samples may take, such as 50GB; beyond it the oldest days go [default: no limit]
    #[arg(long, env = "MUSTER_RETENTION_SIZE", value_name = "SIZE")]
    pub(crate) retention_size: Option<String>,
    /// Address by which people reach the page, for links in messages [default: the host's name]
    #[arg(long, env = "MUSTER_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Ask this address regularly while alerts can be told, so that somebody outside notices when they cannot
    #[arg(long, env = "MUSTER_DEADMAN_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) deadman_url: Option<String>,
    /// How often [default: 1m]
    #[arg(long, env = "MUSTER_DEADMAN_INTERVAL", value_name = "DURATION")]
    pub(crate) deadman_interval: Option<String>,
    /// Files of rules in Prometheus's format, such as '/etc/muster/rules/*.yml'; may be given several times
    #[arg(long, env = "MUSTER_RULES", value_name = "GLOB", value_delimiter = ',')]
    pub(crate) rules: Vec<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct AgentArgs {
    /// Address of the server, such as <https://monitor.example.com:6868>; needed once
    #[arg(long, env = "MUSTER_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Token made by `muster enroll-token`; needed once
    #[arg(long, env = "MUSTER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Fingerprint of the server's own CA, as `muster enroll-token` prints it
    #[arg(long, env = "MUSTER_CA_FINGERPRINT", value_name = "sha256:HEX")]
    pub(crate) ca_fingerprint: Option<String>,
    /// Where key and unsent samples are kept [default: /var/lib/muster-agent as root, else ~/.local/state/muster-agent]
    #[arg(long, env = "MUSTER_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// How often to collect; wins over settings of the server [default: what the server says, else 5s]
    #[arg(long, env = "MUSTER_INTERVAL", value_name = "DURATION")]
    pub(crate) interval: Option<String>,
    /// Name of this host, its label `instance` [default: the host name]
    #[arg(long, env = "MUSTER_INSTANCE", value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// The most CPU time to take, in percent of one core; beyond it the agent collects less often; wins over settings of the
    /// server [default: what the server says, else 2%]
    #[arg(long, env = "MUSTER_MAX_CPU", value_name = "PERCENT", value_parser = percent)]
    pub(crate) max_cpu: Option<f64>,
    /// Leave out what the server would set: cadence, collectors, filters
    #[arg(long, env = "MUSTER_NO_CENTRAL_SETTINGS")]
    pub(crate) no_central_settings: bool,
    /// Show programs without their arguments to those who look at this host's processes
    #[arg(long, env = "MUSTER_HIDE_PROCESS_ARGUMENTS")]
    pub(crate) hide_process_arguments: bool,
    /// Serve /metrics for an existing Prometheus there, as node exporters do; a port alone is for this machine only
    #[arg(long, env = "MUSTER_LISTEN_METRICS", value_name = "[ADDRESS:]PORT")]
    pub(crate) listen_metrics: Option<String>,
    /// Print once what would be sent now, in Prometheus's text format, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// With --once: print JSON
    #[arg(long, requires = "once")]
    pub(crate) json: bool,
    /// Tell people there, with Alertmanager's body, when this host has reached no server for a while; a few hosts that see
    /// the others' network are enough
    #[arg(long, env = "MUSTER_FALLBACK_WEBHOOK", value_name = "URL", hide_env_values = true)]
    pub(crate) fallback_webhook: Option<String>,
    /// How long no server was reached before the fallback webhook is told
    #[arg(long, env = "MUSTER_FALLBACK_AFTER", default_value = "5m", value_name = "DURATION")]
    pub(crate) fallback_after: String,
    /// Take releases from the server that are newer and signed by a key that this host trusts
    #[arg(long, env = "MUSTER_ALLOW_UPDATES")]
    pub(crate) allow_updates: bool,
    /// A key that releases may be signed with, beside the one that this program was built with
    #[arg(long, env = "MUSTER_TRUSTED_RELEASE_KEY", value_name = "HEX")]
    pub(crate) release_key: Option<String>,
    /// Over how long a fleet spreads the download of a release
    #[arg(long, env = "MUSTER_UPDATE_SPREAD", default_value = "10m", value_name = "DURATION")]
    pub(crate) update_spread: String,
    /// Count processes under a name, and tell their ends at once: those whose program or command line matches a regular expression, such as `web=^nginx`
    #[arg(long = "watch-process", value_name = "NAME=PATTERN", value_parser = named_pattern)]
    pub(crate) watch_processes: Vec<NamedPattern>,
}

/// Processes to look for, such as `web=^nginx`.
fn named_pattern(text: &str) -> Result<NamedPattern, String> {
    let Some((name, pattern)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err("give a name and a regular expression, such as web=^nginx".into());
    };
    let pattern = Pattern::anywhere(pattern).map_err(|error| error.to_string())?;
    Ok(NamedPattern { name: name.into(), pattern })
}

/// A share in percent, such as `2%` or `0.5`, as a ratio.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent.is_finite() => Ok(percent / 100.0),
        _ => Err("give a percentage of one core, such as 2% or 0.5%".into()),
    }
}

/// How to reach a server: over HTTP, or, without `--server`, the one on this machine by its data folder.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Address of the server [default: the server of --data-dir on this machine]
    #[arg(long, env = "MUSTER_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Token for the API of --server
    #[arg(long, env = "MUSTER_API_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) api_token: Option<String>,
    /// Fingerprint of the server's own CA
    #[arg(long, env = "MUSTER_CA_FINGERPRINT", value_name = "sha256:HEX")]
    pub(crate) ca_fingerprint: Option<String>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What belongs to a server on this machine: its data folder, and its database where that is not a file in it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlaceArgs {
    /// Data folder of the server on this machine [default: /var/lib/muster as root, else ~/.local/state/muster]
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Its metadata database, where that is no SQLite file in the data folder, such as <postgres://muster:PASSWORD@db/muster>
    #[arg(long, env = "MUSTER_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// The server's TOML file, which may name both
    #[arg(long, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The expression, in PromQL
    pub(crate) expression: String,
    /// The instant, in seconds since 1970 or like 2026-09-01T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME", conflicts_with_all = ["last", "start"])]
    pub(crate) time: Option<String>,
    /// The last so much time instead of one instant, such as 1h
    #[arg(long, value_name = "DURATION", conflicts_with = "start")]
    pub(crate) last: Option<String>,
    /// The beginning of a range, as --time
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    /// The end of a range [default: now]
    #[arg(long, value_name = "TIME", requires = "start")]
    pub(crate) end: Option<String>,
    /// The step of a range [default: a hundredth of it]
    #[arg(long, value_name = "DURATION")]
    pub(crate) step: Option<String>,
    /// Print CSV, a column for each label
    #[arg(long, conflicts_with_all = ["json", "chart"])]
    pub(crate) csv: bool,
    /// Draw a chart of a range [default range: the last hour]
    #[arg(long, conflicts_with_all = ["json", "time"])]
    pub(crate) chart: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Check that files hold rules, as `promtool check rules` does
    #[command(after_help = "Examples:\n  muster rules check rules/*.yml")]
    Check {
        /// Files of rules
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run tests of rules, in the files of `promtool test rules`
    #[command(after_help = "Examples:\n  muster rules test rules/tests/*.yml")]
    Test {
        /// Files of tests
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say when rules would have fired over what the server has stored
    #[command(
        after_help = "Examples:\n  muster rules backtest rules/own.yml\n  muster rules backtest --built-in disk_full --days 30 --json"
    )]
    Backtest(BacktestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// A file of rules
    #[arg(value_name = "FILE", required_unless_present = "built_in", conflicts_with = "built_in")]
    pub(crate) file: Option<PathBuf>,
    /// A rule that comes with Muster, as it is set now
    #[arg(long, value_name = "ID")]
    pub(crate) built_in: Option<String>,
    /// How many days until now
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=90))]
    pub(crate) days: u8,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file to make; beside it there must be room for all samples
    pub(crate) file: PathBuf,
    /// A file with the passphrase, alone on a line [default: `MUSTER_BACKUP_PASSPHRASE`, else it is asked for]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Leave out files that cannot be read, list them in the backup, and end with 3
    #[arg(long)]
    pub(crate) skip_damaged: bool,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// A file that `muster backup` made
    pub(crate) file: PathBuf,
    /// Only read the backup, check all of it and tell what it holds; --json lists the files
    #[arg(long)]
    pub(crate) check: bool,
    /// A file with the passphrase, alone on a line [default: `MUSTER_BACKUP_PASSPHRASE`, else it is asked for]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The data folder to make; if it is there, it must be empty [default: /var/lib/muster as root, else ~/.local/state/muster]
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// An empty database of a MariaDB, MySQL or PostgreSQL server that people, tokens and agents go into
    /// [default: a SQLite file in the data folder]
    #[arg(long, env = "MUSTER_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Data folder of the server [default: /var/lib/muster as root, else ~/.local/state/muster]
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Look at this host as its agent does, also where there is a server
    #[arg(long, conflicts_with = "data_dir")]
    pub(crate) host: bool,
    /// State folder of the agent [default: /var/lib/muster-agent if it is there, else that of this user]
    #[arg(long, env = "MUSTER_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
