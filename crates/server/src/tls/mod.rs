//! TLS: off, an own CA made on the first run, or a certificate from files.
//!
//! With `auto`, `tls/` in the data folder holds `ca.pem`, `ca.key`, `server.pem` and `server.key` ([`own`]). Whichever it is,
//! the certificate is looked after while the server runs ([`keeper`]). TLS 1.2 and 1.3 are spoken, nothing older, and
//! HTTP/2 is offered first.

mod keeper;
mod own;
mod pem;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};

pub(crate) use keeper::{Keeper, Served, run};

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
    /// The certificate of files that were replaced has expired, or is of the future.
    #[error("the certificate is not valid at this time; check its dates and this machine's clock")]
    NotValidNow,
    /// Certificate and key do not work together.
    #[error("certificate and key cannot be used: {0}; check that they belong together")]
    Unusable(#[from] rustls::Error),
}

/// What the listener speaks with.
pub(crate) fn server_config(served: Arc<Served>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(served);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The fingerprint as people see it: `sha256:` and 64 hexadecimal digits.
pub fn format_fingerprint(fingerprint: &[u8; 32]) -> String {
    format!("sha256:{}", HEXLOWER.encode(fingerprint))
}

/// The fingerprint of the own CA in a data folder, if it has one.
pub fn stored_ca_fingerprint(data_dir: &Path) -> Option<[u8; 32]> {
    let certificate = pem::read_certificate(&data_dir.join("tls/ca.pem")).ok()?;
    Some(pem::fingerprint(&certificate))
}

fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(test)]
mod tests;
