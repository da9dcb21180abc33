//! How commands reach a server: over HTTP with a token, or, on the same machine, by its data folder.
//!
//! A running server notes its address in the data folder. Who may read the metadata database there may make a
//! token; so a command without `--api-token` makes one for a minute and revokes it when it is done.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use data_encoding::HEXLOWER;
use muster_environment::{Clock as _, SystemClock, replace_private_file};
use muster_meta::{Meta, Role};
use muster_server::local;
use serde::de::DeserializeOwned;

use crate::cli::TargetArgs;
use crate::place::{Place, actor};

const ADDRESS_FILE: &str = "address";
const TOKEN_LIFE_MS: i64 = 60_000;
const TIMEOUT: Duration = Duration::from_mins(2);

/// Where a command's server is.
pub(crate) enum Target {
    /// Over HTTP.
    Remote(Client),
    /// By its data folder.
    Local(Place),
}

impl Target {
    /// What `args` say: a server by address needs a token, else it is the data folder here.
    pub(crate) fn of(args: &TargetArgs) -> anyhow::Result<Self> {
        let Some(server) = &args.server else {
            return Ok(Self::Local(Place::of(&args.place)?));
        };
        let token = args
            .api_token
            .clone()
            .ok_or_else(|| anyhow!("--server needs --api-token (or MUSTER_API_TOKEN); make one with `muster token create` on the server"))?;
        let trust = match &args.ca_fingerprint {
            Some(text) => Trust::Fingerprint(muster_agent::parse_fingerprint(text)?),
            None => Trust::System,
        };
        Ok(Self::Remote(Client::new(server, token, trust)?))
    }
}

/// Which certificates are trusted.
#[derive(Debug, Clone, Copy)]
enum Trust {
    System,
    Fingerprint([u8; 32]),
}

/// An HTTP client of one server.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    fn new(base: &str, token: String, trust: Trust) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none());
        let fingerprint = match trust {
            Trust::Fingerprint(fingerprint) => Some(fingerprint),
            // Without TLS nothing is verified, and a machine without a CA store must not be in the way.
            Trust::System if base.starts_with("http:") => Some([0; 32]),
            Trust::System => None,
        };
        builder = builder.tls_backend_preconfigured(muster_agent::tls_client_config(fingerprint)?);
        Ok(Self { http: builder.build()?, base: base.trim_end_matches('/').to_owned(), token })
    }

    /// The reply to a POST of a form; a failure's own words become the error.
    pub(crate) async fn post_form(
        &self,
        path: &str,
        form: &[(&str, String)],
    ) -> anyhow::Result<serde_json::Value> {
        self.reply(self.http.post(format!("{}{path}", self.base)).form(form)).await
    }

    /// The reply to a POST of JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> anyhow::Result<T> {
        let value = self.reply(self.http.post(format!("{}{path}", self.base)).json(body)).await?;
        serde_json::from_value(value).context("the server's answer has an unknown form")
    }

    /// The reply to a GET.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let value = self.reply(self.http.get(format!("{}{path}", self.base))).await?;
        serde_json::from_value(value).context("the server's answer has an unknown form")
    }

    /// Deletes.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.reply(self.http.delete(format!("{}{path}", self.base))).await.map(drop)
    }

    async fn reply(&self, request: reqwest::RequestBuilder) -> anyhow::Result<serde_json::Value> {
        let response = request.bearer_auth(&self.token).send().await.with_context(|| {
            format!("cannot reach {}; does the server run, and is the address right?", self.base)
        })?;
        let status = response.status();
        let text = response.text().await.context("the answer broke off")?;
        let value: serde_json::Value = if text.is_empty() {
            serde_json::Value::Null
        } else {
            serde_json::from_str(&text)
                .with_context(|| format!("{} is no Muster server", self.base))?
        };
        if status.is_success() {
            return Ok(value);
        }
        match value["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => bail!("the server answered {status}"),
        }
    }
}

/// A client of the server that `args` name; `done` must be called at the end.
pub(crate) struct Session {
    pub(crate) client: Client,
    borrowed: Option<(Meta, String)>,
}

impl Session {
    /// Connects to read, with a token of its own if the server is on this machine.
    pub(crate) async fn open(args: &TargetArgs) -> anyhow::Result<Self> {
        Self::open_as(args, Role::Viewer).await
    }

    /// Connects with what a role may, with a token of its own if the server is on this machine.
    pub(crate) async fn open_as(args: &TargetArgs, role: Role) -> anyhow::Result<Self> {
        let place = match Target::of(args)? {
            Target::Remote(client) => {
                return Ok(Self { client, borrowed: None });
            }
            Target::Local(place) => place,
        };
        let data_dir = place.data_dir();
        let base = std::fs::read_to_string(data_dir.join(ADDRESS_FILE)).with_context(|| {
            format!(
                "no server runs with the data folder {}; start one, name its folder with --data-dir, \
                 or ask a server elsewhere with --server and --api-token",
                data_dir.display()
            )
        })?;
        let clock = SystemClock::new();
        let name = format!("command line {} {}", std::process::id(), clock.now_ms());
        let expires_ms = Some(clock.now_ms() + TOKEN_LIFE_MS);
        let meta = place.open().await?;
        let (by, now_ms) = (actor(), clock.now_ms());
        let token = local::create_api_token(&meta, &by, &name, role, expires_ms, now_ms).await?;
        let trust = match muster_server::stored_ca_fingerprint(data_dir) {
            Some(fingerprint) if base.starts_with("https:") => Trust::Fingerprint(fingerprint),
            _ => Trust::System,
        };
        Ok(Self { client: Client::new(base.trim(), token, trust)?, borrowed: Some((meta, name)) })
    }

    /// Revokes the token that was made for this session.
    pub(crate) async fn done(self) {
        if let Some((meta, name)) = self.borrowed
            && let Err(error) =
                meta.revoke_api_token(&actor(), &name, SystemClock::new().now_ms()).await
        {
            tracing::debug!(%error, "a token that ends in a minute was not revoked");
        }
    }
}

/// The SHA-256 of the script that the running server of a data folder gives to hosts; none if no server runs.
pub(crate) async fn install_sha256(data_dir: &Path) -> Option<String> {
    let base = std::fs::read_to_string(data_dir.join(ADDRESS_FILE)).ok()?;
    let trust = match muster_server::stored_ca_fingerprint(data_dir) {
        Some(fingerprint) if base.starts_with("https:") => Trust::Fingerprint(fingerprint),
        _ => Trust::System,
    };
    let client = Client::new(base.trim(), String::new(), trust).ok()?;
    let response = client.http.get(format!("{}/install.sh", client.base)).send().await.ok()?;
    let script = response.error_for_status().ok()?.bytes().await.ok()?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &script);
    Some(HEXLOWER.encode(digest.as_ref()))
}

/// The address under which other machines reach the server of a data folder, and what to know about it.
pub(crate) fn address_for_others(data_dir: &Path) -> (String, &'static str) {
    let noted = std::fs::read_to_string(data_dir.join(ADDRESS_FILE)).unwrap_or_default();
    let noted = noted.trim();
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match (noted.split_once("://"), noted.rsplit_once(':')) {
        (Some(("https", _)), Some((_, port))) => (
            format!("https://{}:{port}", name.trim()),
            "(Use any name or address under which the hosts reach this server.)\n\n",
        ),
        (Some(_), _) => (
            noted.to_owned(),
            "(This server listens on this machine only; for others, run `muster server`.)\n\n",
        ),
        _ => ("https://THIS-SERVER:6868".into(), "(Put in the address of this server.)\n\n"),
    }
}

/// Notes where the server of a data folder listens.
pub(crate) fn note_address(data_dir: &Path, url: &str) -> std::io::Result<()> {
    replace_private_file(data_dir, ADDRESS_FILE, url.as_bytes())
}

/// Takes the note back when the server stops.
pub(crate) fn forget_address(data_dir: &Path) {
    if let Err(error) = std::fs::remove_file(data_dir.join(ADDRESS_FILE)) {
        tracing::debug!(%error, "the note of the address was not removed");
    }
}
