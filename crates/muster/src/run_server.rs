//! `muster up` and `muster server`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use muster_agent::AgentKey;
use muster_environment::{Clock, SystemClock};
use muster_meta::Actor;
use muster_server::local::{self, JoinTerms};
use muster_server::{Running, ServerConfig, data_paths, start};

use crate::cli::ServerArgs;
use crate::explain;
use crate::run_agent::{LocalAgent, RunningAgent};
use crate::settings::{Flavor, server_config};
use crate::signals::Signals;
use crate::{client, supervision, table};

/// How long the token lives with which the agent of `muster up` joins, in milliseconds.
const JOIN_MS: i64 = 600_000;
/// How long a first start waits for its agent, so that the lines about it stand before the password and not after it.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// Runs the server alone.
pub(crate) async fn server(args: ServerArgs) -> anyhow::Result<()> {
    let config = server_config(args, Flavor::Server)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let data_dir = config.data_dir.clone();
    let mut signals = Signals::listen()?;
    let opening = open(config, clock);
    let Some(running) = unless_stopped(opening, &mut signals).await? else { return Ok(()) };
    greet(&running);
    signals.stop().await;
    close(running, &data_dir).await;
    Ok(())
}

/// Runs the server and an agent for this machine.
pub(crate) async fn up(args: ServerArgs) -> anyhow::Result<()> {
    let config = server_config(args, Flavor::Up)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let data_dir = config.data_dir.clone();
    let mut signals = Signals::listen()?;
    let opening = open(config, Arc::clone(&clock));
    let Some(running) = unless_stopped(opening, &mut signals).await? else { return Ok(()) };
    match local_agent(&running, &data_dir, clock).await {
        Ok(agent) => attend(&running, agent, &mut signals).await,
        Err(error) => {
            tracing::error!(
                "the agent of this machine cannot start: {}; the server runs without it",
                explain(&error)
            );
            greet(&running);
            signals.stop().await;
        }
    }
    close(running, &data_dir).await;
    Ok(())
}

/// Lets the agent run until the process is told to stop; the server does not end with it.
async fn attend(running: &Running, mut agent: RunningAgent, signals: &mut Signals) {
    let mut settled = pin!(async {
        if running.first_sign_in().is_some() {
            // Late samples keep nobody from the password.
            let _ = tokio::time::timeout(SETTLES_WITHIN, running.first_samples()).await;
        }
    });
    let mut told = false;
    loop {
        tokio::select! {
            () = &mut settled, if !told => {
                greet(running);
                told = true;
            }
            failed = agent.failed() => tell_failed(&failed),
            () = signals.stop() => break,
        }
    }
    if !told {
        greet(running);
    }
    agent.stop().await;
}

fn tell_failed(error: &anyhow::Error) {
    tracing::error!("the agent of this machine stopped: {}; the server goes on", explain(error));
}

async fn local_agent(
    running: &Running,
    data_dir: &Path,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<RunningAgent> {
    let state_dir = data_paths::agent(data_dir);
    let token = join_token(running, &state_dir, &*clock).await?;
    let agent = LocalAgent {
        server_url: url(running),
        token,
        ca_fingerprint: running.ca_fingerprint(),
        state_dir,
    };
    Ok(agent.spawn(clock))
}

/// A token for an agent that has not joined yet.
async fn join_token(
    running: &Running,
    state_dir: &Path,
    clock: &dyn Clock,
) -> anyhow::Result<Option<String>> {
    let key = AgentKey::load_or_create(state_dir)?;
    if running.meta().agent_by_public_key(&key.public_key()).await?.is_some() {
        return Ok(None);
    }
    let now_ms = clock.now_ms();
    let terms = JoinTerms { uses: 1, expires_ms: now_ms + JOIN_MS, ..JoinTerms::default() };
    let by = Actor::server();
    let token = local::create_enroll_token(running.meta(), &by, terms, now_ms).await?;
    Ok(Some(token))
}

/// Lets the process open as many files as the system's administrator allows: each agent and browser needs one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: now.maximum, maximum: now.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays at {:?}", now.current);
    }
}

/// The server, or none if the process is told to stop before it is ready; what is half done then is as after a crash.
async fn unless_stopped(
    opening: impl Future<Output = anyhow::Result<Running>>,
    signals: &mut Signals,
) -> anyhow::Result<Option<Running>> {
    tokio::select! {
        running = opening => running.map(Some),
        () = signals.stop() => {
            tracing::info!("stopped before it was ready");
            Ok(None)
        }
    }
}

async fn open(config: ServerConfig, clock: Arc<dyn Clock>) -> anyhow::Result<Running> {
    raise_file_limit();
    let data_dir = config.data_dir.clone();
    // The whole start is some tens of kilobytes of state, which every caller would carry along.
    let running = Box::pin(start(config, clock)).await?;
    client::note_address(&data_dir, &url(&running))
        .with_context(|| format!("cannot write into {}", data_dir.display()))
        .unwrap_or_else(|error| tracing::warn!("{error:#}; commands here will need --server"));
    supervision::begin();
    Ok(running)
}

async fn close(running: Running, data_dir: &Path) {
    tracing::info!("stopping");
    supervision::end();
    client::forget_address(data_dir);
    running.stop().await;
}

/// Says where the page is, and once how to sign in; that stands apart from the lines of the log.
fn greet(running: &Running) {
    let mut lines = vec![format!("page: {}/", url(running))];
    if let Some(first) = running.first_sign_in() {
        lines.insert(0, String::new());
        lines.push(format!("user: {}", first.user));
        match &first.generated_password {
            Some(password) => {
                lines.push(format!("password: {password}"));
                lines.push("(shown only this once; write it down)".into());
            }
            None => lines.push("password: the one in MUSTER_ADMIN_PASSWORD".into()),
        }
    }
    if let Some(fingerprint) = running.ca_fingerprint() {
        let fingerprint = muster_server::format_fingerprint(&fingerprint);
        lines.push(format!("CA fingerprint: {fingerprint}"));
    }
    lines.push(String::new());
    if running.first_sign_in().is_some() {
        lines.push(String::new());
    }
    table::print(&lines.join("\n"));
}

/// The address by which this machine reaches the server.
fn url(running: &Running) -> String {
    let scheme = if running.is_secure() { "https" } else { "http" };
    format!("{scheme}://{}", reachable(running.address()))
}

/// An address to connect to, for one to listen on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
