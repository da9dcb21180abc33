//! The life of a server: open, listen, serve, stop.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use muster_delivery::SpecError;
use muster_environment::Clock;
use muster_meta::{Actor, Meta, MetaError, NewUser, Role};
use muster_tsdb::{OpenReport, TsdbError};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::alarms::{self, Alarms};
use crate::app::{App, Parts};
use crate::config::{ServerConfig, data_paths};
use crate::database::{self, DatabaseError};
use crate::oidc::{OidcError, Provider};
use crate::outbox::{self, Outbox};
use crate::secrets::{generate_password, hash_password};
use crate::store::{Embedded, MetricStore, QueryRun};
use crate::tasks::Tasks;
use crate::tls::{Keeper, TlsError, format_fingerprint};
use crate::{agent_settings, http, ingest, insight, judging, listener, own_series, tls};

/// The name of the first administrator.
const FIRST_USER: &str = "admin";
/// How long connections may take to end.
const DRAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether the first samples have come.
const FIRST_SAMPLES_LOOK: Duration = Duration::from_millis(20);

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made or used.
    #[error(
        "the data folder {} cannot be used: {source}; make it writable for this user, or choose another with --data-dir",
        path.display()
    )]
    DataDir {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store of samples cannot be opened.
    #[error("the store of samples cannot be opened: {0}")]
    Store(#[from] TsdbError),
    /// The metadata database cannot be opened.
    #[error("{0}")]
    Meta(#[from] MetaError),
    /// It is not known which metadata database belongs to the data folder.
    #[error("{0}")]
    Database(#[from] DatabaseError),
    /// The identity provider cannot be used.
    #[error("{0}")]
    Oidc(#[from] OidcError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] TlsError),
    /// What messages need to leave cannot be set up.
    #[error("messages cannot be sent: {0}")]
    Delivery(#[from] SpecError),
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {address}: {source}; {}", listen_advice(source))]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A thread of ours died while starting.
    #[error("a part of the server failed while starting; this is a defect of Muster: {0}")]
    Defect(String),
}

fn listen_advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "another program (or another Muster) uses that port; stop it, or choose another with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need privileges; choose a higher one with --listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; choose another with --listen"
        }
        _ => "choose another address with --listen",
    }
}

/// The account that was made because there was none.
pub struct FirstSignIn {
    /// Its name.
    pub user: &'static str,
    /// Its password, if it was made here: to be shown once, on the terminal.
    pub generated_password: Option<String>,
}

/// A server at work.
pub struct Running {
    app: Arc<App>,
    address: SocketAddr,
    first_sign_in: Option<FirstSignIn>,
    ca_fingerprint: Option<[u8; 32]>,
    stop: watch::Sender<bool>,
    tasks: Tasks,
}

/// Starts a server. It answers requests when this returns.
pub async fn start(config: ServerConfig, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    prepare_data_dir(&config.data_dir)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| StartError::Listen { address: config.listen, source })?;
    let address = listener
        .local_addr()
        .map_err(|source| StartError::Listen { address: config.listen, source })?;
    let listen = config.listen.ip().to_string();
    let keeper = Keeper::open(&config.tls, &config.data_dir, listen, clock.now_ms())?;
    let served = keeper.as_ref().map(Keeper::served);
    let tls_config = served.clone().map(tls::server_config).transpose()?;
    let store = open_store(&config, &clock).await?;
    let provider = config.oidc.clone().map(Provider::new).transpose()?;
    let meta = open_meta(&config, store.stats().series + store.stats().blocks > 0).await?;
    let password = config.admin_password.clone();
    let first_sign_in = ensure_administrator(&meta, password, clock.now_ms()).await?;

    let alarms = Alarms::open(&meta, clock.now_ms()).await?;
    let place = outbox::place(&config, address, served.is_some());
    let (stop, stopped) = watch::channel(false);
    let ca_fingerprint = keeper.as_ref().and_then(Keeper::ca_fingerprint);
    let app = Arc::new(App::new(Parts {
        clock,
        config: ServerConfig { admin_password: None, ..config },
        provider,
        certificate: served,
        ca_fingerprint: ca_fingerprint.as_ref().map(format_fingerprint),
        store,
        meta,
        alarms,
        outbox: Outbox::new(place)?,
        stop: stopped,
    }));
    call_roll(&app).await?;
    app.central.refresh(&app.meta).await?;
    let mut tasks = Tasks::default();
    tasks.spawn("up series", ingest::presence_series::run(Arc::clone(&app)));
    tasks.spawn("own series", own_series::run(Arc::clone(&app)));
    let told = Arc::downgrade(&app);
    app.judging.announce_to(Box::new(move |alerts| {
        if let Some(app) = told.upgrade() {
            app.alarms.post(alerts);
        }
    }));
    // Before the rules, so that it ends after them and writes down what they told last.
    tasks.spawn("alarms", alarms::run(Arc::clone(&app)));
    tasks.spawn("rules", judging::run(Arc::clone(&app)));
    tasks.spawn("forecasts", insight::run_forecasts(Arc::clone(&app)));
    tasks.spawn("baselines", insight::run_baselines(Arc::clone(&app)));
    tasks.spawn("releases", ingest::releases::run(Arc::clone(&app)));
    tasks.spawn("agent settings", agent_settings::run(Arc::clone(&app)));
    tasks.spawn("outbox", outbox::run(Arc::clone(&app)));
    if let Some(deadman) = app.config.deadman.clone() {
        tasks.spawn("dead-man's signal", outbox::signal(Arc::clone(&app), deadman));
    }
    let router = http::router(Arc::clone(&app));
    if let Some(keeper) = keeper {
        tasks.spawn("certificate", tls::run(keeper, Arc::clone(&app)));
    }
    let serving = listener::serve(listener, tls_config, router, Arc::clone(&app), DRAIN);
    tasks.spawn("listener", serving);
    tracing::info!(%address, "listening");
    Ok(Running { app, address, first_sign_in, ca_fingerprint, stop, tasks })
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS.
    pub fn is_secure(&self) -> bool {
        self.app.is_secure()
    }

    /// The fingerprint of the own CA, which agents pin.
    pub fn ca_fingerprint(&self) -> Option<[u8; 32]> {
        self.ca_fingerprint
    }

    /// The account that was made at this start, if there was none.
    pub fn first_sign_in(&self) -> Option<&FirstSignIn> {
        self.first_sign_in.as_ref()
    }

    /// Resolves when samples of an agent have come since the start.
    pub async fn first_samples(&self) {
        while !self.app.roster.all().iter().any(|entry| *entry.newest().borrow() > 0) {
            tokio::time::sleep(FIRST_SAMPLES_LOOK).await;
        }
    }

    /// The metadata database, for the one who started the server.
    pub fn meta(&self) -> &Meta {
        &self.app.meta
    }

    /// Stops: agents and browsers are told, what is stored is flushed, the port is free.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.tasks.join().await;
        if let Err(error) = self.app.meta.clone().close().await {
            tracing::warn!(%error, "the metadata database did not close cleanly; nothing in it is lost");
        }
        let store = Arc::clone(&self.app.store);
        match tokio::task::spawn_blocking(move || store.close()).await {
            Ok(Ok(())) => tracing::info!("stopped"),
            Ok(Err(error)) => {
                tracing::error!(%error, "the store did not close cleanly; nothing acknowledged is lost");
            }
            Err(error) => tracing::error!(%error, "closing the store failed"),
        }
    }
}

async fn open_meta(config: &ServerConfig, has_samples: bool) -> Result<Meta, StartError> {
    let path = data_paths::meta(&config.data_dir);
    if config.database.is_none() && !path.exists() && has_samples {
        tracing::warn!(
            path = %path.display(),
            "there are samples but no metadata database: accounts, tokens and agents start anew; \
             if this is not meant, stop the server and restore the file from a backup"
        );
    }
    let meta = database::open(&config.data_dir, config.database.as_ref()).await?;
    if config.database.is_some() {
        tracing::info!(
            database = meta.place(),
            "people, tokens and agents are kept in a database server"
        );
    }
    Ok(meta)
}

fn prepare_data_dir(path: &Path) -> Result<(), StartError> {
    let failed = |source| StartError::DataDir { path: path.into(), source };
    let fresh = !path.exists();
    std::fs::create_dir_all(path).map_err(failed)?;
    if fresh {
        // Samples, password hashes and keys are for the server's own user.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    let probe = path.join(".writable");
    match std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)) {
        // A full disk must not keep the server from showing what it has.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        result => result.map_err(failed),
    }
}

async fn open_store(
    config: &ServerConfig,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn MetricStore>, StartError> {
    let (data_dir, clock) = (config.data_dir.clone(), Arc::clone(clock));
    let options = muster_tsdb::Options {
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
        ..muster_tsdb::Options::default()
    };
    let opening = tokio::task::spawn_blocking(move || Embedded::open(&data_dir, clock, options));
    let (store, report) =
        opening.await.map_err(|error| StartError::Defect(error.to_string()))??;
    tell_repairs(&report);
    Ok(Arc::new(store))
}

fn tell_repairs(report: &OpenReport) {
    if report.replayed_samples > 0 {
        tracing::info!(samples = report.replayed_samples, "log replayed");
    }
    if report.cut_tail_bytes > 0 {
        tracing::warn!(
            bytes = report.cut_tail_bytes,
            "the log's torn end was cut; nothing in it was acknowledged"
        );
    }
    for file in &report.quarantined {
        tracing::error!(
            file = file.file,
            reason = file.reason,
            "a damaged file was set aside; everything else is served"
        );
    }
}

/// Makes the first administrator if there is no account.
async fn ensure_administrator(
    meta: &Meta,
    password: Option<String>,
    now_ms: i64,
) -> Result<Option<FirstSignIn>, StartError> {
    if meta.count_users().await? > 0 {
        return Ok(None);
    }
    let generated_password = password.is_none().then(generate_password);
    let password = password.or_else(|| generated_password.clone()).unwrap_or_default();
    let hashing = tokio::task::spawn_blocking(move || hash_password(&password));
    let password_hash = hashing.await.map_err(|error| StartError::Defect(error.to_string()))?;
    let user =
        NewUser { name: FIRST_USER.into(), password_hash, role: Role::Admin, identity: None };
    meta.create_user(&Actor::server(), user, now_ms).await?;
    Ok(Some(FirstSignIn { user: FIRST_USER, generated_password }))
}

/// Puts the agents that are known on the roster, as silent since they were last seen.
async fn call_roll(app: &Arc<App>) -> Result<(), StartError> {
    let agents = app.meta.list_agents().await?;
    let now_ms = app.clock.now_ms();
    let (store, run) = (Arc::clone(&app.store), QueryRun::default());
    let newest = tokio::task::spawn_blocking(move || {
        let query = "max by (instance) (timestamp(node_load1))";
        store.query_instant(query, now_ms, &run)
    });
    let newest = match newest.await {
        Ok(Ok(done)) => done.value,
        _ => muster_promql::Value::Vector(Vec::new()),
    };
    for agent in agents.into_iter().filter(|agent| !agent.revoked) {
        let since_ms = agent.last_seen_ms.unwrap_or(agent.created_ms);
        let newest_ms = match &newest {
            muster_promql::Value::Vector(samples) => samples
                .iter()
                .find(|sample| sample.labels.get("instance") == Some(agent.instance.as_str()))
                .map_or(0, |sample| (sample.value * 1_000.0) as i64),
            _ => 0,
        };
        app.roster.add_silent(&agent.instance, since_ms, newest_ms);
    }
    Ok(())
}
