//! TLS: off, an own CA made on the first run, or a certificate from files.
//!
//! With `auto`, `tls/` in the data folder holds `ca.pem`, `ca.key`, `server.pem` and `server.key`.
//! The CA lives ten years; agents pin its fingerprint. The server's certificate lives a year and is made anew at a
//! start in its last 60 days, or when the names it must hold have changed.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::replace_private_file;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const DAY_MS: i64 = 86_400_000;
const CA_LIFE_MS: i64 = 3_650 * DAY_MS;
const SERVER_LIFE_MS: i64 = 365 * DAY_MS;
const RENEW_BEFORE_MS: i64 = 60 * DAY_MS;

/// How connections are secured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain HTTP.
    Off,
    /// An own CA and certificate, made on the first run.
    Auto,
    /// Certificate chain and key in PEM files.
    Files {
        /// The chain, the server's certificate first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("{path}: {source}; check that the file exists and that this user may use it")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no usable PEM.
    #[error("{path}: {reason}; give a PEM file with {wanted}")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What should have been in it.
        wanted: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A part of the own CA is gone.
    #[error(
        "{path} is missing; restore it from a backup, or remove the whole folder to make a new CA, \
         which every agent must then join again"
    )]
    Lost {
        /// Which file.
        path: PathBuf,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// Certificate and key do not work together.
    #[error("certificate and key cannot be used: {0}; check that they belong together")]
    Unusable(#[from] rustls::Error),
}

/// What the listener needs.
pub(crate) struct Tls {
    /// For the TLS acceptor.
    pub(crate) config: Arc<ServerConfig>,
    /// SHA-256 of the own CA's certificate, which agents pin; none with a certificate from files.
    pub(crate) ca_fingerprint: Option<[u8; 32]>,
}

/// Sets TLS up; `None` when it is off. `names` are the host names and addresses that an own certificate must hold.
pub(crate) fn prepare(
    mode: &TlsMode,
    data_dir: &Path,
    names: &[String],
    now_ms: i64,
) -> Result<Option<Tls>, TlsError> {
    match mode {
        TlsMode::Off => Ok(None),
        TlsMode::Files { certificate, key } => {
            let config = server_config(read_chain(certificate)?, read_key(key)?)?;
            Ok(Some(Tls { config, ca_fingerprint: None }))
        }
        TlsMode::Auto => {
            let dir = data_dir.join("tls");
            let ca_fingerprint = prepare_own(&dir, names, now_ms)?;
            let chain = read_chain(&dir.join("server.pem"))?;
            let config = server_config(chain, read_key(&dir.join("server.key"))?)?;
            Ok(Some(Tls { config, ca_fingerprint: Some(ca_fingerprint) }))
        }
    }
}

/// The fingerprint as people see it: `sha256:` and 64 hexadecimal digits.
pub fn format_fingerprint(fingerprint: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    fingerprint.iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// The fingerprint of the own CA in a data folder, if it has one.
pub fn stored_ca_fingerprint(data_dir: &Path) -> Option<[u8; 32]> {
    let chain = read_chain(&data_dir.join("tls/ca.pem")).ok()?;
    chain.first().map(|certificate| fingerprint(certificate))
}

/// The files of `tls/`.
struct Files {
    ca: PathBuf,
    ca_key: PathBuf,
    server: PathBuf,
    server_key: PathBuf,
    /// The day to renew the certificate, its CA and its names, as they were when it was made.
    note: PathBuf,
}

impl Files {
    fn of(dir: &Path) -> Self {
        let file = |name| dir.join(name);
        Self {
            ca: file("ca.pem"),
            ca_key: file("ca.key"),
            server: file("server.pem"),
            server_key: file("server.key"),
            note: file("server.txt"),
        }
    }
}

/// Makes what is missing or about to expire in `dir`; returns the fingerprint of the CA.
///
/// A CA is made only where nothing of one is left: agents pin it, so a new one cuts them all off.
fn prepare_own(dir: &Path, names: &[String], now_ms: i64) -> Result<[u8; 32], TlsError> {
    fs::create_dir_all(dir)
        .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)))
        .map_err(|source| TlsError::File { path: dir.into(), source })?;
    let files = Files::of(dir);
    if !exists(&files.ca)? && !exists(&files.ca_key)? && !exists(&files.server)? {
        let key = KeyPair::generate()?;
        let certificate = ca_params(now_ms)?.self_signed(&key)?;
        write_private(&files.ca_key, &key.serialize_pem())?;
        write_private(&files.ca, &certificate.pem())?;
    }
    let Some(ca) = read_chain(&files.ca)?.into_iter().next() else {
        return Err(TlsError::Lost { path: files.ca });
    };
    let ca_fingerprint = fingerprint(&ca);
    let wanted = wanted_names(names);
    let note = format!("{}\n{}", format_fingerprint(&ca_fingerprint), wanted.join(" "));
    if !is_fresh(&files, &note, now_ms) {
        make_server_certificate(&files, wanted, &note, now_ms)?;
    }
    Ok(ca_fingerprint)
}

/// Whether the server's certificate can be used as it is.
fn is_fresh(files: &Files, note: &str, now_ms: i64) -> bool {
    let noted = fs::read_to_string(&files.note).is_ok_and(|text| {
        text.split_once('\n').is_some_and(|(renew_at, rest)| {
            rest == note && renew_at.parse::<i64>().is_ok_and(|at| now_ms < at)
        })
    });
    let usable = || {
        let (chain, key) = (read_chain(&files.server).ok()?, read_key(&files.server_key).ok()?);
        server_config(chain, key).ok()
    };
    noted && usable().is_some()
}

fn make_server_certificate(
    files: &Files,
    wanted: Vec<String>,
    note: &str,
    now_ms: i64,
) -> Result<(), TlsError> {
    if !exists(&files.ca_key)? {
        return Err(TlsError::Lost { path: files.ca_key.clone() });
    }
    let ca_pem = read_text(&files.ca)?;
    let ca_key = KeyPair::from_pem(&read_text(&files.ca_key)?)?;
    let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key)?;
    let key = KeyPair::generate()?;
    let certificate = server_params(wanted, now_ms)?.signed_by(&key, &issuer)?;
    write_private(&files.server_key, &key.serialize_pem())?;
    // The chain holds the CA too: an agent that pins its fingerprint learns it from the handshake.
    write_private(&files.server, &format!("{}{ca_pem}", certificate.pem()))?;
    let renew_at = now_ms + SERVER_LIFE_MS - RENEW_BEFORE_MS;
    write_private(&files.note, &format!("{renew_at}\n{note}"))
}

/// Whether the file is there; an answer that cannot be had is an error, not a no.
fn exists(path: &Path) -> Result<bool, TlsError> {
    path.try_exists().map_err(|source| TlsError::File { path: path.into(), source })
}

fn wanted_names(names: &[String]) -> Vec<String> {
    let mut wanted: Vec<String> = names
        .iter()
        .filter(|name| name.parse::<IpAddr>().map_or(!name.is_empty(), |ip| !ip.is_unspecified()))
        .cloned()
        .chain(["localhost", "127.0.0.1", "::1"].map(str::to_owned))
        .collect();
    wanted.sort();
    wanted.dedup();
    wanted
}

fn ca_params(now_ms: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Muster CA");
    set_validity(&mut params, now_ms, CA_LIFE_MS);
    Ok(params)
}

fn server_params(names: Vec<String>, now_ms: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Muster server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now_ms, SERVER_LIFE_MS);
    Ok(params)
}

/// Valid from a day ago, so that a client whose clock is a little behind accepts it.
fn set_validity(params: &mut CertificateParams, now_ms: i64, life_ms: i64) {
    let day = |ms: i64| {
        let date = jiff::Timestamp::from_millisecond(ms)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(jiff::tz::TimeZone::UTC);
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    params.not_before = day(now_ms - DAY_MS);
    params.not_after = day(now_ms + life_ms);
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

fn read_text(path: &Path) -> Result<String, TlsError> {
    fs::read_to_string(path).map_err(|source| TlsError::File { path: path.into(), source })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_text(path)?;
    let pem = |reason| TlsError::Pem { path: path.into(), wanted: "a certificate", reason };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| pem(error.to_string()))?;
    if chain.is_empty() { Err(pem("it holds no certificate".into())) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(read_text(path)?.as_bytes()).map_err(|error| TlsError::Pem {
        path: path.into(),
        wanted: "a private key",
        reason: error.to_string(),
    })
}

/// Writes one of the [`Files`], which only the server's own user can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), TlsError> {
    let dir = path.parent().expect("each of the files lies in a folder");
    let name =
        path.file_name().and_then(|name| name.to_str()).expect("each of the files has a name");
    replace_private_file(dir, name, text.as_bytes())
        .map_err(|source| TlsError::File { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    fn prepare_at(dir: &Path, names: &[&str], now_ms: i64) -> (Vec<u8>, [u8; 32]) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let tls = prepare(&TlsMode::Auto, dir, &names, now_ms).unwrap().unwrap();
        let server = fs::read(dir.join("tls/server.pem")).unwrap();
        (server, tls.ca_fingerprint.unwrap())
    }

    #[test]
    fn the_ca_stays_and_the_certificate_is_renewed_when_needed() {
        let dir = tempfile::tempdir().unwrap();
        let (first, ca) = prepare_at(dir.path(), &["web-1"], NOW_MS);
        assert_eq!(prepare_at(dir.path(), &["web-1"], NOW_MS + DAY_MS), (first.clone(), ca));
        let (renamed, same_ca) = prepare_at(dir.path(), &["web-2"], NOW_MS + DAY_MS);
        assert_ne!(renamed, first);
        assert_eq!(same_ca, ca);
        let (renewed, same_ca) = prepare_at(dir.path(), &["web-2"], NOW_MS + 330 * DAY_MS);
        assert_ne!(renewed, renamed);
        assert_eq!(same_ca, ca);
        assert_eq!(stored_ca_fingerprint(dir.path()), Some(ca));
    }

    #[test]
    fn a_ca_is_never_replaced_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let (_, ca) = prepare_at(dir.path(), &["web-1"], NOW_MS);
        let tls = dir.path().join("tls");
        fs::write(tls.join("server.key"), "damaged").unwrap();
        assert_eq!(
            prepare_at(dir.path(), &["web-1"], NOW_MS).1,
            ca,
            "what the CA signs is made anew"
        );
        fs::remove_file(tls.join("ca.key")).unwrap();
        assert_eq!(prepare_at(dir.path(), &["web-1"], NOW_MS).1, ca, "the key is not needed now");
        let names = ["web-2".to_owned()];
        let renewal = prepare(&TlsMode::Auto, dir.path(), &names, NOW_MS);
        assert!(renewal.err().unwrap().to_string().contains("ca.key is missing"));
        fs::remove_file(tls.join("ca.pem")).unwrap();
        assert!(prepare(&TlsMode::Auto, dir.path(), &names, NOW_MS).is_err());
    }

    #[test]
    fn keys_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        prepare_at(dir.path(), &[], NOW_MS);
        let mode = fs::metadata(dir.path().join("tls/ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let certificate = dir.path().join("cert.pem");
        fs::write(&certificate, "hello").unwrap();
        let mode = TlsMode::Files { certificate: certificate.clone(), key: certificate };
        let error = prepare(&mode, dir.path(), &[], NOW_MS).err().unwrap().to_string();
        assert!(error.contains("cert.pem") && error.contains("certificate"), "{error}");
    }
}
