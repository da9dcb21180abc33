//! The commands about alerts: what fires, and what is to be quiet.

use clap::{Args, Subcommand};

use super::TargetArgs;

#[derive(Debug, Args)]
pub(crate) struct AlertsArgs {
    /// Only critical, warning or info; may be given several times
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Vec<String>,
    /// Only alerts of this host
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SilenceArgs {
    #[command(subcommand)]
    pub(crate) command: SilenceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SilenceCommand {
    /// Hide the alerts that all matchers hold for, from now on; prints the silence's number
    #[command(
        after_help = "Examples:\n  muster silence add alertname=DiskFull instance=db-1 --duration 2h --comment 'being cleared'"
    )]
    Add {
        /// Conditions on labels, such as `instance=web-1`, `severity!=critical` or `instance=~"web-.*"`
        #[arg(required = true, value_name = "MATCHER")]
        matchers: Vec<String>,
        /// For how long, at most 366d
        #[arg(long, default_value = "1h", value_name = "DURATION")]
        duration: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        comment: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// List the silences, those that hide first
    #[command(after_help = "Examples:\n  muster silence list --json")]
    List {
        #[command(flatten)]
        target: TargetArgs,
    },
    /// End a silence now
    #[command(
        after_help = "Examples:\n  muster silence expire 1e02a3b4-36b0-477f-8589-cb357b34d68f"
    )]
    Expire {
        /// Its number, as `muster silence list` shows it
        id: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Show which alerts a silence would hide now
    #[command(after_help = "Examples:\n  muster silence preview 'instance=~\"web-.*\"'")]
    Preview {
        /// Conditions on labels, as for `add`
        #[arg(required = true, value_name = "MATCHER")]
        matchers: Vec<String>,
        #[command(flatten)]
        target: TargetArgs,
    },
}
