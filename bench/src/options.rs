//! What can be asked of a run, and what follows from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::product::Product;

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// A short look: one round, an eighth of the data
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rounds; the medians are told [default: 3, or 1 with --quick]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Only the measurement whose name holds this
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,
    /// Whom Muster is compared with
    #[arg(long, value_name = "WHICH", default_value = "all")]
    peers: Peers,
    /// Measure the peers alone
    #[arg(long)]
    without_muster: bool,
    /// The program that is measured
    #[arg(long, value_name = "FILE", env = "MUSTER_BIN")]
    pub(crate) muster: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peers {
    All,
    None,
    VictoriaMetrics,
    Prometheus,
}

impl Options {
    /// Whom to measure, in this order in each round.
    pub(crate) fn products(&self) -> Vec<Product> {
        let wanted = |product: &Product| match self.peers {
            Peers::All => true,
            Peers::None => false,
            Peers::VictoriaMetrics => *product == Product::VictoriaMetrics,
            Peers::Prometheus => *product == Product::Prometheus,
        };
        let own = (!self.without_muster).then_some(Product::Muster);
        own.into_iter().chain(Product::PEERS.into_iter().filter(wanted)).collect()
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    /// Whether a measurement is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }

    /// How much of something to do: all, or with `--quick` an eighth.
    pub(crate) fn scaled(&self, whole: i64) -> i64 {
        if self.quick { (whole / 8).max(1) } else { whole }
    }

    /// How long a server must do nothing to be at rest.
    pub(crate) fn quiet(&self) -> Duration {
        Duration::from_secs(if self.quick { 6 } else { 12 })
    }
}
