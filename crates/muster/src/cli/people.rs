//! The commands about who may do what: accounts, API tokens, tokens with which agents join.

use clap::{Args, Subcommand};

use super::{PlaceArgs, TargetArgs};

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is the last line printed, and is shown only this once
    #[command(after_help = "Examples:\n  muster token create grafana --role viewer --expires 90d")]
    Create {
        /// What it is for; unique
        name: String,
        /// viewer, operator, admin, or writer (may only push)
        #[arg(long, default_value = "viewer", value_name = "ROLE")]
        role: String,
        /// How long it is valid, such as 90d [default: until revoked]
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// List the tokens, without their secrets
    #[command(after_help = "Examples:\n  muster token list --json")]
    List {
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Revoke a token, at once
    #[command(after_help = "Examples:\n  muster token revoke grafana")]
    Revoke {
        /// Its name
        name: String,
        #[command(flatten)]
        target: TargetArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct EnrollTokenArgs {
    /// How many agents may join with it
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) uses: u32,
    /// How long it is valid
    #[arg(long, default_value = "1h", value_name = "DURATION")]
    pub(crate) expires: String,
    /// Groups that the joining hosts get
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    pub(crate) groups: Vec<String>,
    /// Tags that the joining hosts get: words, such as rack=12
    #[arg(long, value_delimiter = ',', value_name = "TAG,…")]
    pub(crate) tags: Vec<String>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

/// Accounts are managed on the server's machine.
#[derive(Debug, Args)]
pub(crate) struct UserTarget {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account; its password is the last line printed
    #[command(
        after_help = "Examples:\n  muster user add ada --role operator\n  MUSTER_NEW_PASSWORD=… muster user add ada --role admin"
    )]
    Add {
        /// The name to sign in with
        name: String,
        /// viewer, operator (may acknowledge and silence) or admin
        #[arg(long, default_value = "viewer", value_name = "ROLE")]
        role: String,
        #[command(flatten)]
        target: UserTarget,
    },
    /// List the accounts
    #[command(after_help = "Examples:\n  muster user list\n  muster user list --json")]
    List {
        #[command(flatten)]
        target: UserTarget,
    },
    /// Set a new password, which ends the account's sessions; it is the last line printed
    #[command(
        after_help = "Examples:\n  muster user passwd admin\n  MUSTER_NEW_PASSWORD=… muster user passwd admin"
    )]
    Passwd {
        /// The account
        name: String,
        #[command(flatten)]
        target: UserTarget,
    },
    /// Give an account another role, at once
    #[command(after_help = "Examples:\n  muster user role ada admin")]
    Role {
        /// The account
        name: String,
        /// viewer, operator or admin
        role: String,
        #[command(flatten)]
        target: UserTarget,
    },
    /// Shut an account out: its sessions end, and it cannot sign in
    #[command(after_help = "Examples:\n  muster user disable ada")]
    Disable {
        /// The account
        name: String,
        #[command(flatten)]
        target: UserTarget,
    },
    /// Let an account in again
    #[command(after_help = "Examples:\n  muster user enable ada")]
    Enable {
        /// The account
        name: String,
        #[command(flatten)]
        target: UserTarget,
    },
    /// Take an account's second factor away, for somebody who lost the device and the recovery codes
    #[command(after_help = "Examples:\n  muster user reset-second-factor ada")]
    ResetSecondFactor {
        /// The account
        name: String,
        #[command(flatten)]
        target: UserTarget,
    },
    /// Remove an account; what it did stays in the audit log
    #[command(after_help = "Examples:\n  muster user remove ada")]
    Remove {
        /// The account
        name: String,
        #[command(flatten)]
        target: UserTarget,
    },
}
