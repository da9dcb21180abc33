//! `muster agent`, and the agent of this machine inside `muster up`.

use std::convert::Infallible;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use muster_agent::{
    AgentConfig, AgentError, AgentReport, CpuCounted, FallbackConfig, HostSource, LAUNCHED_VERSION,
    UpdatePolicy, built_in_key, launch, parse_fingerprint, relaunch, run,
};
use muster_collectors::{NamedPattern, Roots};
use muster_environment::{
    Clock, ServiceManager, SystemClock, give_back_program_pages, replace_private_file,
};
use muster_series::parse_duration_ms;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::agent_modes::{self, MetricsListener};
use crate::cli::AgentArgs;
use crate::settings::state_dir;
use crate::signals::Signals;

/// What the state folder remembers of the command with which the agent joined.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    server: Option<String>,
    ca_fingerprint: Option<String>,
    instance: Option<String>,
}

const REMEMBERED_FILE: &str = "agent.json";

/// The shortest wait before the fallback is told, in milliseconds.
const LEAST_FALLBACK_MS: i64 = 60_000;

/// When the start is over: the session stands, and each collector has run once.
const STARTED: Duration = Duration::from_secs(10);
/// From then on until what happens each minute has happened too.
const SETTLED: Duration = Duration::from_mins(1);
/// From then on, for what was touched meanwhile and is not needed again.
const SELDOM: Duration = Duration::from_hours(1);

/// Runs the agent of this host until it is told to stop.
pub(crate) async fn agent(args: AgentArgs) -> anyhow::Result<()> {
    let state_dir = args.state_dir.clone().unwrap_or_else(|| state_dir("muster-agent"));
    let settings = agent_modes::settings(&state_dir, !args.no_central_settings);
    if args.once {
        return agent_modes::once(settings, args.json).await;
    }
    let updates = update_policy(&args)?;
    launch(&state_dir, &updates, SystemClock::new().now_ms());
    let metrics = match &args.listen_metrics {
        Some(text) => Some(MetricsListener::start(text, &settings).await?),
        None => None,
    };
    let result = report(args, state_dir, updates, metrics.is_some()).await;
    if let Some(metrics) = metrics {
        metrics.stop().await;
    }
    result
}

/// Reports to a server; without one it only waits for the end, if the agent has something else to do.
async fn report(
    args: AgentArgs,
    state_dir: PathBuf,
    updates: UpdatePolicy,
    is_exporter: bool,
) -> anyhow::Result<()> {
    let known = match recall(&state_dir) {
        // What was remembered is not needed where the server is given.
        Err(error) if args.server.is_some() => {
            tracing::warn!("{error:#}; going on with what the command line says");
            None
        }
        known => Some(known?),
    };
    let Remembered { server, ca_fingerprint, instance } = known.clone().unwrap_or_default();
    let remembered = Remembered {
        server: args.server.or(server),
        ca_fingerprint: args.ca_fingerprint.or(ca_fingerprint),
        instance: args.instance.or(instance),
    };
    let mut signals = Signals::listen()?;
    let Some(server) = remembered.server.clone() else {
        if is_exporter {
            signals.stop().await;
            return Ok(());
        }
        bail!(
            "this agent has not joined a server yet: make a token with `muster enroll-token` on the server, \
             then start the agent with --server, --token and, if it was printed, --ca-fingerprint"
        );
    };
    let mut config = AgentConfig::new(server, &state_dir);
    config.token = args.token;
    config.ca_fingerprint =
        remembered.ca_fingerprint.as_deref().map(parse_fingerprint).transpose()?;
    config.instance.clone_from(&remembered.instance);
    config.updates = updates;
    if let Ok(version) = std::env::var(LAUNCHED_VERSION) {
        config.launched = true;
        config.agent_version = version;
    }
    config.service_manager = ServiceManager::from_environment().map(Arc::new);
    if let Some(interval) = &args.interval {
        config.interval_ms = parse_duration_ms(interval).context("in --interval")?;
        config.interval_is_fixed = true;
    }
    config.central_settings = !args.no_central_settings;
    config.hide_arguments = args.hide_process_arguments;
    if let Some(ratio) = args.max_cpu {
        config.max_cpu_ratio = ratio;
        config.max_cpu_is_fixed = true;
    }
    config.fallback = fallback(args.fallback_webhook, &args.fallback_after)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (stop, stopped) = watch::channel(false);
    let mut running = spawn(config, args.watch_processes, clock, stopped);
    if known.as_ref() != Some(&remembered) {
        remember(&state_dir, &remembered);
    }
    tokio::select! {
        ended = &mut running => {
            if ended??.relaunch {
                return Err(anyhow::Error::new(relaunch()).context("cannot start the installed program anew"));
            }
        }
        () = signals.stop() => {
            stop.send_replace(true);
            tell(running.await??);
        }
        never = stay_small() => match never {},
    }
    Ok(())
}

/// Who is told when no server is reached; an empty address is none, so that an environment variable can be blanked.
fn fallback(url: Option<String>, after: &str) -> anyhow::Result<Option<FallbackConfig>> {
    let Some(url) = url.filter(|url| !url.is_empty()) else { return Ok(None) };
    let after_ms = parse_duration_ms(after).context("in --fallback-after")?;
    if after_ms < LEAST_FALLBACK_MS {
        bail!("--fallback-after {after} is shorter than a server's restart; give 1m or more");
    }
    Ok(Some(FallbackConfig { url, after_ms }))
}

/// Gives back the memory that only the start needed, and now and then what was touched since.
async fn stay_small() -> Infallible {
    for wait in [STARTED, SETTLED].into_iter().chain(iter::repeat(SELDOM)) {
        tokio::time::sleep(wait).await;
        if let Err(error) = give_back_program_pages() {
            tracing::debug!(%error, "the memory that the start needed is not given back");
            break;
        }
    }
    std::future::pending().await
}

/// What the host's administrator allows, and who may sign releases for it.
fn update_policy(args: &AgentArgs) -> anyhow::Result<UpdatePolicy> {
    let built_in = built_in_key().transpose().context("this program was built with a bad key")?;
    let given = args.release_key.as_deref().map(str::parse).transpose();
    let given = given.context("in --release-key")?;
    let keys: Vec<_> = built_in.into_iter().chain(given).collect();
    if args.allow_updates && keys.is_empty() {
        tracing::warn!(
            "updates are off: this program was built without a key for releases; give one with --release-key, \
             or renew the agent by installing it again"
        );
    }
    let spread_ms = parse_duration_ms(&args.update_spread).context("in --update-spread")?;
    Ok(UpdatePolicy { allowed: args.allow_updates, keys, spread_ms })
}

/// The server with which the agent of this state folder has joined, and the fingerprint of its CA.
pub(crate) fn joined_with(state_dir: &Path) -> anyhow::Result<(Option<String>, Option<String>)> {
    let Remembered { server, ca_fingerprint, .. } = recall(state_dir)?;
    Ok((server, ca_fingerprint))
}

fn recall(state_dir: &Path) -> anyhow::Result<Remembered> {
    let path = state_dir.join(REMEMBERED_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| {
            format!("{} is damaged; remove it and give --server again", path.display())
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Remembered::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn remember(state_dir: &Path, remembered: &Remembered) {
    let text = serde_json::to_string_pretty(remembered).expect("three texts are JSON");
    if let Err(error) = replace_private_file(state_dir, REMEMBERED_FILE, text.as_bytes()) {
        tracing::warn!(state_dir = %state_dir.display(), %error, "the server's address is not remembered");
    }
}

fn spawn(
    config: AgentConfig,
    named_processes: Vec<NamedPattern>,
    clock: Arc<dyn Clock>,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<Result<AgentReport, AgentError>> {
    let roots = Roots { named_processes, ..Roots::default() };
    let source = Box::new(HostSource::new(&roots, Arc::clone(&clock)));
    tokio::spawn(run(config, source, clock, stopped))
}

fn tell(report: AgentReport) {
    tracing::info!(
        acknowledged = report.acknowledged,
        dropped = report.dropped,
        spooled_bytes = report.spooled_bytes,
        "agent stopped"
    );
}

/// The agent of the machine on which `muster up` runs.
pub(crate) struct LocalAgent {
    pub(crate) server_url: String,
    pub(crate) token: Option<String>,
    pub(crate) ca_fingerprint: Option<[u8; 32]>,
    pub(crate) state_dir: PathBuf,
}

/// See [`LocalAgent::spawn`].
pub(crate) struct RunningAgent {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<Result<AgentReport, AgentError>>>,
}

impl LocalAgent {
    pub(crate) fn spawn(self, clock: Arc<dyn Clock>) -> RunningAgent {
        let mut config = AgentConfig::new(self.server_url, self.state_dir);
        config.token = self.token;
        config.ca_fingerprint = self.ca_fingerprint;
        // The server is in this process too.
        config.cpu_counted = CpuCounted::Collecting;
        let (stop, stopped) = watch::channel(false);
        RunningAgent { stop, task: Some(spawn(config, Vec::new(), clock, stopped)) }
    }
}

impl RunningAgent {
    /// Resolves when the agent has ended by itself, with the reason.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        let Some(task) = &mut self.task else {
            return std::future::pending().await;
        };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(Ok(_)) => anyhow::anyhow!("it ended by itself"),
            Ok(Err(error)) => error.into(),
            Err(error) => error.into(),
        }
    }

    /// Stops it; what is not acknowledged yet stays in its spool.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let Some(task) = self.task else { return };
        match task.await {
            Ok(Ok(report)) => tell(report),
            Ok(Err(error)) => tracing::error!(%error, "the agent failed"),
            Err(error) => tracing::error!(%error, "the agent failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_joined_with_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(recall(dir.path()).unwrap(), Remembered::default());
        let joined = Remembered {
            server: Some("https://monitor:6868".into()),
            ca_fingerprint: Some("sha256:00".into()),
            instance: None,
        };
        remember(dir.path(), &joined);
        assert_eq!(recall(dir.path()).unwrap(), joined);
        std::fs::write(dir.path().join(REMEMBERED_FILE), "{").unwrap();
        assert!(recall(dir.path()).unwrap_err().to_string().contains("damaged"));
    }
}
