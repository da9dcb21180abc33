//! Where the server is, and how to reach it: over TCP, with TLS pinned to one CA if need be.

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
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
    /// Reads `http://HOST[:PORT]` or `https://HOST[:PORT]`; the latter needs the SHA-256 of the
    /// certificate of the server's CA, as `sha256:` and 64 hexadecimal digits.
    pub fn parse(url: &str, ca_fingerprint: Option<&str>) -> Result<Self, SimulationError> {
        let malformed = || SimulationError::Address {
            url: url.to_owned(),
        };
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
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.is_empty() {
            return Err(malformed());
        }
        let ca_fingerprint = match (secure, ca_fingerprint) {
            (false, _) => None,
            (true, None) => return Err(SimulationError::NoFingerprint),
            (true, Some(text)) => Some(parse_fingerprint(text)?),
        };
        let tls = ca_fingerprint.map(pinned);
        Ok(Self {
            url: url.to_owned(),
            host,
            port,
            ca_fingerprint,
            tls,
        })
    }

    /// The address as it was given.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// SHA-256 of the CA's certificate; none for http.
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
        let stream = tls
            .connect(name, tcp)
            .await
            .map_err(SimulationError::connection)?;
        Ok(Box::new(stream))
    }
}

fn parse_fingerprint(text: &str) -> Result<[u8; 32], SimulationError> {
    let malformed = || SimulationError::Fingerprint(text.to_owned());
    let digits = text
        .strip_prefix("sha256:")
        .unwrap_or(text)
        .replace(':', "");
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| malformed())?;
    }
    Ok(bytes)
}

fn pinned(fingerprint: [u8; 32]) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Pinned {
        fingerprint,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Accepts a chain that holds and leads to the one CA certificate with this SHA-256. By whatever
/// name it is reached: such a CA signs for one Muster server and nobody else.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let hash = |der: &CertificateDer<'_>| digest::digest(&digest::SHA256, der);
        let authority = intermediates
            .iter()
            .find(|der| hash(der).as_ref() == self.fingerprint)
            .ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
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
        for bad in [
            "",
            "localhost:6868",
            "ftp://x",
            "http://",
            "http://x:port",
            "http://x/y",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn a_secure_server_needs_a_fingerprint() {
        let refused = |fingerprint| Target::parse("https://x", fingerprint).err().unwrap();
        assert!(matches!(refused(None), SimulationError::NoFingerprint));
        assert!(matches!(
            refused(Some("sha256:12")),
            SimulationError::Fingerprint(_)
        ));
        let odd = "é".repeat(32);
        assert!(matches!(
            refused(Some(&odd)),
            SimulationError::Fingerprint(_)
        ));
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
        let hash: Vec<String> = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let digits = hash.concat();
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
        // That the server knows the right CA certificate does not mean that the CA knows the server.
        let pretender = Authority {
            certificate: ca.certificate.clone(),
            ..other
        };
        assert!(!reaches(&pretender, &ca.certificate).await);
        // The server's own certificate is no CA.
        assert!(!reaches(&ca, &ca.leaf).await);
    }
}
