//! Settings: flag over environment over file over default.
//!
//! The command line parser has put flag over environment already; this adds the file and the defaults, and turns
//! text into values, so that what the rest of the program sees is valid.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use muster_meta::DatabaseUrl;
use muster_series::parse_duration_ms;
use muster_server::{Deadman, OidcConfig, ServerConfig, TlsMode, nearest};

use crate::cli::ServerArgs;
use crate::oidc_settings::oidc;
use crate::size::parse_size;

/// The port of everything.
pub(crate) const DEFAULT_PORT: u16 = 6868;
const DEFAULT_RETENTION: &str = "400d";
/// Less than this is the log alone.
const LEAST_RETENTION_BYTES: u64 = 100_000_000;
/// The keys of the configuration file.
const KEYS: [&str; 11] = [
    "data_dir",
    "database_url",
    "listen",
    "tls",
    "retention",
    "retention_size",
    "rules",
    "public_url",
    "deadman_url",
    "deadman_interval",
    "oidc",
];
/// How often the dead-man's signal is sent.
const DEFAULT_DEADMAN_INTERVAL: &str = "1m";

/// Which command the settings are for; they differ in where it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    Up,
    Server,
}

/// The settings of a server.
pub(crate) fn server_config(args: ServerArgs, flavor: Flavor) -> anyhow::Result<ServerConfig> {
    let file = file_settings(args.config.as_deref())?;
    let listen = match (args.listen, file.listen) {
        (Some(listen), _) => listen,
        (None, Some(text)) => text.parse().with_context(|| {
            format!("listen = {text:?} is no ADDRESS:PORT such as 0.0.0.0:6868")
        })?,
        (None, None) => default_listen(flavor),
    };
    let tls = args.tls.or(file.tls);
    let retention = args.retention.or(file.retention).unwrap_or_else(|| DEFAULT_RETENTION.into());
    let retention_ms = parse_duration_ms(&retention).context("in retention")?;
    if retention_ms < 3_600_000 {
        bail!("a retention of {retention} keeps nothing; give an hour or more, such as 400d");
    }
    let retention_size = args.retention_size.or(file.retention_size);
    let retention_bytes = retention_size.as_deref().map(retention_bytes).transpose()?;
    Ok(ServerConfig {
        data_dir: args.data_dir.or(file.data_dir).unwrap_or_else(|| state_dir("muster")),
        database: database_url(args.database_url.as_deref().or(file.database_url.as_deref()))?,
        tls: tls_mode(tls.as_deref(), listen.ip())?,
        listen,
        retention_ms,
        retention_bytes,
        rules: if args.rules.is_empty() { file.rules } else { args.rules },
        admin_password: chosen_password("MUSTER_ADMIN_PASSWORD")?,
        oidc: file.oidc,
        public_url: public_url(args.public_url.or(file.public_url))?,
        deadman: deadman(
            args.deadman_url.or(file.deadman_url),
            args.deadman_interval.or(file.deadman_interval),
        )?,
    })
}

/// The address of the page as people reach it; an empty one is none.
fn public_url(text: Option<String>) -> anyhow::Result<Option<String>> {
    let text = text.filter(|text| !text.is_empty());
    if let Some(text) = &text
        && !["http://", "https://"].iter().any(|scheme| text.starts_with(scheme))
    {
        bail!("public_url = {text:?} is no address such as https://muster.example.org");
    }
    Ok(text)
}

/// The dead-man's signal; none without an address.
fn deadman(url: Option<String>, interval: Option<String>) -> anyhow::Result<Option<Deadman>> {
    let Some(url) = url.filter(|url| !url.is_empty()) else { return Ok(None) };
    let interval = interval.unwrap_or_else(|| DEFAULT_DEADMAN_INTERVAL.into());
    let every_ms = parse_duration_ms(&interval).context("in deadman_interval")?;
    if every_ms < 1_000 {
        bail!("a deadman_interval of {interval} is too short; give a second or more, such as 1m");
    }
    Ok(Some(Deadman::new(&url, every_ms)?))
}

/// What the configuration file says; nothing if there is none.
pub(crate) fn file_settings(path: Option<&Path>) -> anyhow::Result<FileSettings> {
    let Some(path) = path else { return Ok(FileSettings::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    parse_file(&text).with_context(|| format!("in {}", path.display()))
}

/// The address of a metadata database; an empty one is none, so that an environment variable can be blanked.
pub(crate) fn database_url(text: Option<&str>) -> anyhow::Result<Option<DatabaseUrl>> {
    text.filter(|text| !text.is_empty()).map(|text| Ok(text.parse()?)).transpose()
}

fn retention_bytes(text: &str) -> anyhow::Result<u64> {
    let bytes = parse_size(text).context("in retention_size")?;
    if bytes < LEAST_RETENTION_BYTES {
        bail!("a retention_size of {text} keeps hardly a day; give 100MB or more, such as 50GB");
    }
    Ok(bytes)
}

fn default_listen(flavor: Flavor) -> SocketAddr {
    let ip = match flavor {
        Flavor::Up => Ipv4Addr::LOCALHOST,
        Flavor::Server => Ipv4Addr::UNSPECIFIED,
    };
    SocketAddr::new(IpAddr::V4(ip), DEFAULT_PORT)
}

fn tls_mode(text: Option<&str>, ip: IpAddr) -> anyhow::Result<TlsMode> {
    match text {
        None if ip.is_loopback() => Ok(TlsMode::Off),
        None | Some("auto") => Ok(TlsMode::Auto),
        Some("off") => Ok(TlsMode::Off),
        Some(text) => match text.split_once(',') {
            Some((certificate, key)) if !certificate.is_empty() && !key.is_empty() => {
                Ok(TlsMode::Files { certificate: certificate.into(), key: key.into() })
            }
            _ => bail!("tls = {text:?} is neither off, auto nor CERTIFICATE,KEY"),
        },
    }
}

/// The password in an environment variable, if it is set.
pub(crate) fn chosen_password(variable: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(variable) {
        Ok(password) if password.chars().count() < 8 => {
            bail!("{variable} must have 8 characters at least")
        }
        Ok(password) => Ok(Some(password)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => bail!("{variable}: {error}"),
    }
}

/// Where this user keeps the state of `name`: `/var/lib/NAME` as root, else the XDG state folder.
pub(crate) fn state_dir(name: &str) -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return Path::new("/var/lib").join(name);
    }
    let base =
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    base.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
        .unwrap_or_else(|| PathBuf::from("."))
        .join(name)
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FileSettings {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) database_url: Option<String>,
    listen: Option<String>,
    tls: Option<String>,
    retention: Option<String>,
    retention_size: Option<String>,
    public_url: Option<String>,
    deadman_url: Option<String>,
    deadman_interval: Option<String>,
    rules: Vec<String>,
    oidc: Option<OidcConfig>,
}

fn parse_file(text: &str) -> anyhow::Result<FileSettings> {
    let table: toml::Table = text.parse().context("the configuration is not valid TOML")?;
    let mut settings = FileSettings::default();
    for (key, value) in table {
        let known = KEYS.contains(&key.as_str());
        if !known {
            bail!("unknown key {key:?}; did you mean {:?}?", nearest(&key, &KEYS));
        }
        if let ("oidc", Some(table)) = (key.as_str(), value.as_table()) {
            settings.oidc = Some(oidc(table).context("in [oidc]")?);
            continue;
        }
        if let ("rules", Some(patterns)) = (key.as_str(), value.as_array()) {
            let texts = patterns.iter().map(|one| one.as_str().map(str::to_owned));
            settings.rules = texts.collect::<Option<_>>().context(
                "rules must be a list of patterns, such as [\"/etc/muster/rules/*.yml\"]",
            )?;
            continue;
        }
        let Some(value) = value.as_str().map(str::to_owned) else {
            let form = match key.as_str() {
                "oidc" => "a table, [oidc]",
                "rules" => "a list of patterns, such as [\"/etc/muster/rules/*.yml\"]",
                _ => "a text in quotes",
            };
            bail!("{key} must be {form}");
        };
        match key.as_str() {
            "data_dir" => settings.data_dir = Some(value.into()),
            "database_url" => settings.database_url = Some(value),
            "listen" => settings.listen = Some(value),
            "tls" => settings.tls = Some(value),
            "retention" => settings.retention = Some(value),
            "retention_size" => settings.retention_size = Some(value),
            "public_url" => settings.public_url = Some(value),
            "deadman_url" => settings.deadman_url = Some(value),
            "rules" => bail!("rules must be a list of patterns, such as [{value:?}]"),
            _ => settings.deadman_interval = Some(value),
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_told_with_the_nearest_known_one() {
        for (text, expected) in [("retension = '1d'", "retention"), ("data-dir = 'x'", "data_dir")]
        {
            let error = parse_file(text).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean {expected:?}?")), "{error}");
        }
    }

    #[test]
    fn the_file_is_read() {
        let settings = parse_file("listen = '0.0.0.0:1'\nretention = '30d'").unwrap();
        assert_eq!(settings.listen.as_deref(), Some("0.0.0.0:1"));
        assert_eq!(settings.retention.as_deref(), Some("30d"));
        let settings = parse_file("retention_size = '50GB'").unwrap();
        assert_eq!(settings.retention_size.as_deref(), Some("50GB"));
        let settings = parse_file("rules = ['/etc/muster/*.yml', 'a.yml']").unwrap();
        assert_eq!(settings.rules, ["/etc/muster/*.yml", "a.yml"]);
        for wrong in ["rules = 'a.yml'", "rules = [5]", "rules = 5"] {
            assert!(parse_file(wrong).unwrap_err().to_string().contains("a list of patterns"));
        }
        assert!(parse_file("listen = 5").is_err());
        assert!(parse_file("listen").is_err());
    }

    #[test]
    fn a_size_that_keeps_nothing_is_refused() {
        assert_eq!(retention_bytes("50GB").unwrap(), 50_000_000_000);
        assert!(retention_bytes("99MB").unwrap_err().to_string().contains("hardly a day"));
        assert!(retention_bytes("50").is_err());
    }

    #[test]
    fn tls_is_off_on_loopback_only() {
        let (loopback, any) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into());
        assert_eq!(tls_mode(None, loopback).unwrap(), TlsMode::Off);
        assert_eq!(tls_mode(None, any).unwrap(), TlsMode::Auto);
        assert_eq!(tls_mode(Some("off"), any).unwrap(), TlsMode::Off);
        let files = TlsMode::Files { certificate: "a".into(), key: "b".into() };
        assert_eq!(tls_mode(Some("a,b"), any).unwrap(), files);
        assert!(tls_mode(Some("on"), any).is_err());
    }
}
