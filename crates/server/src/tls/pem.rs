//! Certificates and keys as files: read, checked against each other, and written.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use muster_environment::replace_private_file;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;

/// A certificate chain with its key, and until when its first certificate is valid.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_before_ms: i64,
    pub(super) not_after_ms: i64,
}

/// The chain and the key of two PEM texts, which belong together. The paths are for the errors.
pub(super) fn identity(
    (certificate_path, certificate): (&Path, &[u8]),
    (key_path, key): (&Path, &[u8]),
) -> Result<Identity, TlsError> {
    let chain = chain(certificate_path, certificate)?;
    let bad =
        |wanted, path: &Path, reason: String| TlsError::Pem { path: path.into(), wanted, reason };
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| bad("a private key", key_path, error.to_string()))?;
    let (_, first) = x509_parser::parse_x509_certificate(&chain[0])
        .map_err(|error| bad("a certificate", certificate_path, error.to_string()))?;
    let validity = first.validity();
    let (not_before_ms, not_after_ms) =
        (validity.not_before.timestamp() * 1_000, validity.not_after.timestamp() * 1_000);
    let key = CertifiedKey::from_der(chain, key, &super::provider())?;
    Ok(Identity { key: Arc::new(key), not_before_ms, not_after_ms })
}

/// The same, from two files.
pub(super) fn read_identity(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    identity((certificate, &read(certificate)?), (key, &read(key)?))
}

/// The certificates of a PEM text, of which there is one at least.
fn chain(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |reason| TlsError::Pem { path: path.into(), wanted: "a certificate", reason };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| pem(error.to_string()))?;
    if chain.is_empty() { Err(pem("it holds no certificate".into())) } else { Ok(chain) }
}

/// The first certificate of a file.
pub(super) fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, TlsError> {
    Ok(chain(path, &read(path)?)?.swap_remove(0))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { path: path.into(), source })
}

pub(super) fn read_text(path: &Path) -> Result<String, TlsError> {
    fs::read_to_string(path).map_err(|source| TlsError::File { path: path.into(), source })
}

/// Whether the file is there; an answer that cannot be had is an error, not a no.
pub(super) fn exists(path: &Path) -> Result<bool, TlsError> {
    path.try_exists().map_err(|source| TlsError::File { path: path.into(), source })
}

/// Writes a file of the server's own folder, which only the server's user can read, whole or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), TlsError> {
    let dir = path.parent().expect("each of the files lies in a folder");
    let name =
        path.file_name().and_then(|name| name.to_str()).expect("each of the files has a name");
    replace_private_file(dir, name, text.as_bytes())
        .map_err(|source| TlsError::File { path: path.into(), source })
}

/// SHA-256 of a certificate, or of anything else.
pub(super) fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}
