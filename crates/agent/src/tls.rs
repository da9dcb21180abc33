//! Whom the agent trusts to be its server.

use std::sync::Arc;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER_PERMISSIVE;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// A text that is no fingerprint of a CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no CA fingerprint; copy it as `muster enroll-token` prints it: sha256: and 64 hexadecimal digits"
)]
pub struct FingerprintError(String);

/// The SHA-256 in a text like `sha256:0f…`, which has 64 hexadecimal digits.
pub fn parse_fingerprint(text: &str) -> Result<[u8; 32], FingerprintError> {
    let wrong = || FingerprintError(text.into());
    let digits = text.trim().strip_prefix("sha256:").ok_or_else(wrong)?;
    let fingerprint = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| wrong())?;
    fingerprint.try_into().map_err(|_| wrong())
}

/// TLS for connections to the server. With a fingerprint only a chain to that very CA is accepted, else
/// one to any CA of this machine's store.
pub fn client_config(ca_fingerprint: Option<[u8; 32]>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(provider::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous();
    let builder = if let Some(fingerprint) = ca_fingerprint {
        builder.with_custom_certificate_verifier(Arc::new(PinnedCa { fingerprint, provider }))
    } else {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a certificate of this machine's store is not readable");
        }
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(Error::General(
                "this machine has no CA certificates; install them, or give --ca-fingerprint"
                    .into(),
            ));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        builder.with_custom_certificate_verifier(verifier)
    };
    Ok(builder.with_no_client_auth())
}

/// Accepts what leads to one CA certificate, known by its SHA-256, that the server presents itself.
///
/// The name in the certificate is not compared: such a CA belongs to one Muster server and signs for
/// nobody else, and its server is often reached by addresses that it does not know of.
#[derive(Debug)]
struct PinnedCa {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ca = intermediates
            .iter()
            .find(|cert| digest::digest(&digest::SHA256, cert).as_ref() == self.fingerprint)
            .ok_or_else(|| {
                Error::General("the server's CA is not the one of --ca-fingerprint".into())
            })?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
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
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    #[test]
    fn a_fingerprint_is_sha256_and_64_digits() {
        let digits = "0f".repeat(32);
        assert_eq!(parse_fingerprint(&format!("sha256:{digits}")), Ok([0x0f; 32]));
        for text in [digits.clone(), "sha256:0f".into(), format!("sha256:{}", "é".repeat(32))] {
            assert!(parse_fingerprint(&text).is_err(), "{text}");
        }
    }

    type Ca = CertifiedIssuer<'static, KeyPair>;

    fn ca() -> Ca {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "a CA for tests");
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn fingerprint(ca: &Ca) -> [u8; 32] {
        digest::digest(&digest::SHA256, ca.der()).as_ref().try_into().unwrap()
    }

    /// Whether an agent that pins `pinned` accepts a leaf of `issuer`, sent with the certificate of `sent`.
    async fn accepts(pinned: &Ca, issuer: &Ca, sent: &Ca) -> bool {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["muster".into()]).unwrap();
        let leaf = params.signed_by(&key, issuer).unwrap();
        let chain = vec![leaf.der().clone(), sent.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let client = client_config(Some(fingerprint(pinned))).unwrap();
        let (near, far) = tokio::io::duplex(1 << 16);
        let name = ServerName::try_from("10.9.8.7").unwrap();
        let (agent, _server) = tokio::join!(
            TlsConnector::from(Arc::new(client)).connect(name, near),
            TlsAcceptor::from(Arc::new(server)).accept(far),
        );
        agent.is_ok()
    }

    #[tokio::test]
    async fn only_a_chain_to_the_pinned_ca_is_accepted() {
        let (own, other) = (ca(), ca());
        assert!(accepts(&own, &own, &own).await);
        assert!(!accepts(&own, &other, &other).await, "another CA");
        assert!(!accepts(&own, &other, &own).await, "the pinned CA shown beside a leaf of another");
        assert!(!accepts(&own, &own, &other).await, "the pinned CA not shown");
    }
}
