//! Where the server is, and how to reach it: over TCP, with TLS as agents have it.

use std::sync::Arc;

use muster_agent::{parse_fingerprint, tls_client_config};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::SimulationError;

/// A connection, whatever is below it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A server that agents connect to.
#[derive(Clone)]
pub struct Target {
    url: String,
    host: String,
    port: u16,
    ca_fingerprint: Option<[u8; 32]>,
    tls: Option<TlsConnector>,
}

impl Target {
    /// Reads `http://HOST[:PORT]` or `https://HOST[:PORT]`. With the SHA-256 of the certificate of
    /// the server's CA, as `sha256:` and 64 hexadecimal digits, only that CA is believed, else any
    /// of this machine's store.
    pub fn parse(url: &str, ca_fingerprint: Option<&str>) -> Result<Self, SimulationError> {
        let malformed = || SimulationError::Address { url: url.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(malformed()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(malformed());
        }
        // The last colon is the port's, unless it stands within the brackets of an IPv6 address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| malformed())?)
            }
            _ => (authority, if secure { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(malformed());
        }
        let ca_fingerprint =
            ca_fingerprint.filter(|_| secure).map(parse_fingerprint).transpose()?;
        let tls = if secure {
            let config = tls_client_config(ca_fingerprint).map_err(SimulationError::Tls)?;
            Some(TlsConnector::from(Arc::new(config)))
        } else {
            None
        };
        Ok(Self { url: url.to_owned(), host, port, ca_fingerprint, tls })
    }

    /// The address as it was given.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// SHA-256 of the CA's certificate; none for http, or where any CA of this machine's store will do.
    pub(crate) fn ca_fingerprint(&self) -> Option<[u8; 32]> {
        self.ca_fingerprint
    }

    /// Host and port, as the `Host` header has them.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, SimulationError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(SimulationError::connection)?;
        tcp.set_nodelay(true).map_err(SimulationError::connection)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let name = ServerName::try_from(self.host.clone()).map_err(SimulationError::connection)?;
        let stream = tls.connect(name, tcp).await.map_err(SimulationError::connection)?;
        Ok(Box::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest;
    use data_encoding::HEXLOWER;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        let fingerprint = format!("sha256:{}", "0A".repeat(32));
        let target = Target::parse(url, Some(&fingerprint)).ok();
        assert_eq!(target.map(|target| target.authority()).as_deref(), expected);
    }

    #[test]
    fn addresses_of_servers() {
        check("http://127.0.0.1:6868", Some("127.0.0.1:6868"));
        check("http://muster.example/", Some("muster.example:80"));
        check("https://muster.example", Some("muster.example:443"));
        check("https://[::1]:6868", Some("[::1]:6868"));
        check("http://[::1]", Some("[::1]:80"));
        for bad in ["", "localhost:6868", "ftp://x", "http://", "http://x:port", "http://x/y"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_fingerprint_must_be_one() {
        let refused = Target::parse("https://x", Some("sha256:12")).err();
        assert!(matches!(refused, Some(SimulationError::Fingerprint(_))));
        let plain = Target::parse("http://x", Some("sha256:12"));
        assert!(plain.is_ok(), "there is nothing to pin");
    }

    /// Whether a connection that is pinned to `pinned_to` reaches a server with a chain of `ca`.
    async fn reaches(ca: &Authority, pinned_to: &[u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = ca.acceptor();
        let server = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            acceptor.accept(tcp).await.is_ok()
        });
        let hash = digest::digest(&digest::SHA256, pinned_to);
        let digits = HEXLOWER.encode(hash.as_ref());
        let target = Target::parse(&url, Some(&format!("sha256:{digits}"))).unwrap();
        let connected = target.connect().await.is_ok();
        connected && server.await.unwrap()
    }

    struct Authority {
        certificate: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
        leaf_key: Vec<u8>,
    }

    impl Authority {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).unwrap();
            let issuer = Issuer::new(params, key);
            let leaf_key = KeyPair::generate().unwrap();
            let leaf = CertificateParams::new(vec!["another.example".to_owned()]).unwrap();
            let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
            Self {
                certificate: certificate.der().clone(),
                leaf: leaf.der().clone(),
                leaf_key: leaf_key.serialize_der(),
            }
        }

        fn acceptor(&self) -> TlsAcceptor {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let chain = vec![self.leaf.clone(), self.certificate.clone()];
            let key = PrivateKeyDer::try_from(self.leaf_key.clone()).unwrap();
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        }
    }

    #[tokio::test]
    async fn only_the_ca_with_the_fingerprint_is_believed() {
        let (ca, other) = (Authority::new(), Authority::new());
        assert!(reaches(&ca, &ca.certificate).await);
        assert!(!reaches(&ca, &other.certificate).await);
    }
}
