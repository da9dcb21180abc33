//! The own CA and the certificate it signs, in `tls/` of the data folder.
//!
//! The CA lives ten years; agents pin its fingerprint. The server's certificate lives a year and is made anew in its last
//! 60 days, or when it lacks a name that it must hold.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::pem::{
    Identity, exists, fingerprint, read_certificate, read_identity, read_text, write_private,
};
use super::{TlsError, format_fingerprint};

pub(super) const DAY_MS: i64 = 86_400_000;
const CA_LIFE_MS: i64 = 3_650 * DAY_MS;
const SERVER_LIFE_MS: i64 = 365 * DAY_MS;
const RENEW_BEFORE_MS: i64 = 60 * DAY_MS;

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

/// What is to be served, and whose fingerprint agents pin.
pub(super) struct Own {
    pub(super) identity: Identity,
    pub(super) ca_fingerprint: [u8; 32],
    /// Whether the certificate was made just now.
    pub(super) renewed: bool,
}

/// Makes what is missing or about to expire in `dir`. `names` are what the certificate must hold.
///
/// A CA is made only where nothing of one is left: agents pin it, so a new one cuts them all off.
pub(super) fn prepare(dir: &Path, names: &[String], now_ms: i64) -> Result<Own, TlsError> {
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
    let ca_fingerprint = fingerprint(&read_certificate(&files.ca)?);
    let wanted = wanted_names(names);
    if let Some(identity) = usable(&files, &ca_fingerprint, &wanted, now_ms) {
        return Ok(Own { identity, ca_fingerprint, renewed: false });
    }
    make_server_certificate(&files, &ca_fingerprint, wanted, now_ms)?;
    let identity = read_identity(&files.server, &files.server_key)?;
    Ok(Own { identity, ca_fingerprint, renewed: true })
}

/// The server's certificate, if it can be used as it is.
fn usable(files: &Files, ca: &[u8; 32], wanted: &[String], now_ms: i64) -> Option<Identity> {
    let note = fs::read_to_string(&files.note).ok()?;
    let mut lines = note.lines();
    let renew_at: i64 = lines.next()?.parse().ok()?;
    let same_ca = lines.next()? == format_fingerprint(ca);
    let held: Vec<&str> = lines.next()?.split(' ').collect();
    let holds_all = wanted.iter().all(|name| held.contains(&name.as_str()));
    if !same_ca || !holds_all || now_ms >= renew_at {
        return None;
    }
    read_identity(&files.server, &files.server_key).ok()
}

fn make_server_certificate(
    files: &Files,
    ca: &[u8; 32],
    wanted: Vec<String>,
    now_ms: i64,
) -> Result<(), TlsError> {
    if !exists(&files.ca_key)? {
        return Err(TlsError::Lost { path: files.ca_key.clone() });
    }
    let ca_pem = read_text(&files.ca)?;
    let ca_key = KeyPair::from_pem(&read_text(&files.ca_key)?)?;
    let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key)?;
    let key = KeyPair::generate()?;
    let names = wanted.join(" ");
    let certificate = server_params(wanted, now_ms)?.signed_by(&key, &issuer)?;
    write_private(&files.server_key, &key.serialize_pem())?;
    // The chain holds the CA too: an agent that pins its fingerprint learns it from the handshake.
    write_private(&files.server, &format!("{}{ca_pem}", certificate.pem()))?;
    let renew_at = now_ms + SERVER_LIFE_MS - RENEW_BEFORE_MS;
    write_private(&files.note, &format!("{renew_at}\n{}\n{names}", format_fingerprint(ca)))
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    fn prepare_at(dir: &Path, names: &[&str], now_ms: i64) -> (Vec<u8>, [u8; 32]) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let own = prepare(&dir.join("tls"), &names, now_ms).unwrap();
        (fs::read(dir.join("tls/server.pem")).unwrap(), own.ca_fingerprint)
    }

    #[test]
    fn the_ca_stays_and_the_certificate_is_renewed_when_needed() {
        let dir = tempfile::tempdir().unwrap();
        let (first, ca) = prepare_at(dir.path(), &["web-1", "web-3"], NOW_MS);
        assert_eq!(prepare_at(dir.path(), &["web-1"], NOW_MS + DAY_MS), (first.clone(), ca));
        let (renamed, same_ca) = prepare_at(dir.path(), &["web-2"], NOW_MS + DAY_MS);
        assert_ne!(renamed, first);
        assert_eq!(same_ca, ca);
        let (renewed, same_ca) = prepare_at(dir.path(), &["web-2"], NOW_MS + 330 * DAY_MS);
        assert_ne!(renewed, renamed);
        assert_eq!(same_ca, ca);
        assert_eq!(crate::tls::stored_ca_fingerprint(dir.path()), Some(ca));
    }

    #[test]
    fn a_ca_is_never_replaced_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let (_, ca) = prepare_at(dir.path(), &["web-1"], NOW_MS);
        let tls = dir.path().join("tls");
        fs::write(tls.join("server.key"), "damaged").unwrap();
        let again = prepare_at(dir.path(), &["web-1"], NOW_MS);
        assert_eq!(again.1, ca, "what the CA signs is made anew");
        fs::remove_file(tls.join("ca.key")).unwrap();
        assert_eq!(prepare_at(dir.path(), &["web-1"], NOW_MS).1, ca, "the key is not needed now");
        let names = ["web-2".to_owned()];
        let renewal = prepare(&tls, &names, NOW_MS);
        assert!(renewal.err().unwrap().to_string().contains("ca.key is missing"));
        fs::remove_file(tls.join("ca.pem")).unwrap();
        assert!(prepare(&tls, &names, NOW_MS).is_err());
    }

    #[test]
    fn keys_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        prepare_at(dir.path(), &[], NOW_MS);
        let mode = fs::metadata(dir.path().join("tls/ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
