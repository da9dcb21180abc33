//! Certificates that change while connections come, by real handshakes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::keeper::Seen;
use super::own::DAY_MS;
use super::*;

const NOW_MS: i64 = 1_790_000_000_000;

/// Takes any certificate: what is asked here is which one was shown.
#[derive(Debug)]
struct TakesAny;

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The chain that a client is shown, and the protocol that was agreed on.
async fn handshake(keeper: &Keeper) -> (Vec<CertificateDer<'static>>, Option<Vec<u8>>) {
    let mut client = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAny))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(server_config(keeper.served()).unwrap());
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from("web-1").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let (accepted, connected) = tokio::join!(acceptor.accept(near), connector.connect(name, far));
    accepted.unwrap();
    let connected = connected.unwrap();
    let connection = connected.get_ref().1;
    let chain = connection.peer_certificates().unwrap().iter().map(|c| c.clone().into_owned());
    (chain.collect(), connection.alpn_protocol().map(<[u8]>::to_vec))
}

async fn shown(keeper: &Keeper) -> CertificateDer<'static> {
    handshake(keeper).await.0.swap_remove(0)
}

fn auto(dir: &Path) -> Keeper {
    Keeper::open(&TlsMode::Auto, dir, "192.0.2.1".into(), NOW_MS).unwrap().unwrap()
}

/// Puts a new self-signed certificate, valid in the years `from..until`, and its key into `dir`.
fn write_pair(dir: &Path, from: i32, until: i32) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["web-1".into()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

fn files(dir: &Path) -> Keeper {
    let mode = TlsMode::Files { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
    Keeper::open(&mode, dir, String::new(), NOW_MS).unwrap().unwrap()
}

#[tokio::test]
async fn an_own_certificate_is_renewed_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = auto(dir.path());
    let (first, _) = handshake(&keeper).await;
    assert!(matches!(keeper.look(NOW_MS + DAY_MS), Seen::Same));
    assert_eq!(shown(&keeper).await, first[0]);
    assert!(matches!(keeper.look(NOW_MS + 306 * DAY_MS), Seen::Renewed));
    let (renewed, _) = handshake(&keeper).await;
    assert_ne!(renewed[0], first[0]);
    assert_eq!(renewed[1], first[1], "agents pin the CA, which stays");
    assert!(keeper.served().not_after_ms() > NOW_MS + 600 * DAY_MS);
    assert!(matches!(keeper.look(NOW_MS + 307 * DAY_MS), Seen::Same));
}

#[tokio::test]
async fn a_ca_that_cannot_sign_leaves_the_certificate_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = auto(dir.path());
    let first = shown(&keeper).await;
    fs::remove_file(dir.path().join("tls/ca.key")).unwrap();
    assert!(matches!(keeper.look(NOW_MS + 306 * DAY_MS), Seen::Unusable(TlsError::Lost { .. })));
    assert_eq!(shown(&keeper).await, first);
}

#[tokio::test]
async fn replaced_files_are_served_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = write_pair(dir.path(), 2020, 2040);
    let mut keeper = files(dir.path());
    assert_eq!(shown(&keeper).await, first);
    assert!(matches!(keeper.look(NOW_MS), Seen::Same));
    let second = write_pair(dir.path(), 2021, 2041);
    assert!(matches!(keeper.look(NOW_MS), Seen::Renewed));
    assert_eq!(shown(&keeper).await, second);
}

#[tokio::test]
async fn a_bad_pair_is_told_once_and_keeps_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let first = write_pair(dir.path(), 2020, 2040);
    let old_key = fs::read(dir.path().join("key.pem")).unwrap();
    let mut keeper = files(dir.path());
    let mut check = async |what: &str, change: &dyn Fn()| {
        change();
        assert!(
            matches!(keeper.look(NOW_MS), Seen::Unsettled),
            "{what}: it may be half of a change"
        );
        assert!(matches!(keeper.look(NOW_MS), Seen::Unusable(_)), "{what}");
        assert!(matches!(keeper.look(NOW_MS), Seen::Unsettled), "{what}: told once");
        assert_eq!(shown(&keeper).await, first, "{what}");
    };
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    check("the key of another", &|| {
        write_pair(dir.path(), 2021, 2041);
        fs::write(&key, &old_key).unwrap();
    })
    .await;
    check("an expired one", &|| drop(write_pair(dir.path(), 2010, 2012))).await;
    check("one of the future", &|| drop(write_pair(dir.path(), 2035, 2041))).await;
    check("no certificate", &|| fs::write(&certificate, "hello").unwrap()).await;
    check("no file", &|| fs::remove_file(&certificate).unwrap()).await;
    let good = write_pair(dir.path(), 2021, 2041);
    assert!(matches!(keeper.look(NOW_MS), Seen::Renewed));
    assert_eq!(shown(&keeper).await, good);
}

#[tokio::test]
async fn http_2_is_preferred() {
    let dir = tempfile::tempdir().unwrap();
    let (_, protocol) = handshake(&auto(dir.path())).await;
    assert_eq!(protocol.as_deref(), Some(b"h2".as_slice()));
}

/// The first bytes of what a server says to a client that speaks at most this version of TLS.
async fn answer_to(minor: u8) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let keeper = auto(dir.path());
    // ECDHE-ECDSA-AES128-SHA and -GCM, P-256, uncompressed points, ECDSA with SHA-256: what a client of that age offers.
    let extensions: &[u8] =
        &[0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3, 0, 23, 0, 0];
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x09, 0xc0, 0x2b, 1, 0, 0, extensions.len() as u8]);
    hello.extend(extensions);
    let mut record = vec![22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    record.extend(hello);
    let acceptor = TlsAcceptor::from(server_config(keeper.served()).unwrap());
    let (near, mut far) = tokio::io::duplex(1 << 16);
    far.write_all(&record).await.unwrap();
    let accepting = tokio::spawn(acceptor.accept(near));
    let mut first = vec![0; 7];
    far.read_exact(&mut first).await.unwrap();
    drop(far);
    accepting.await.unwrap().unwrap_err();
    first
}

#[tokio::test]
async fn nothing_older_than_tls_1_2_is_spoken() {
    const ALERT: u8 = 21;
    const PROTOCOL_VERSION: u8 = 70;
    const HANDSHAKE: u8 = 22;
    for minor in [1, 2] {
        let answer = answer_to(minor).await;
        assert_eq!((answer[0], answer[6]), (ALERT, PROTOCOL_VERSION), "{answer:?}");
    }
    assert_eq!(answer_to(3).await[0], HANDSHAKE);
}

#[test]
fn a_file_without_a_certificate_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = dir.path().join("cert.pem");
    fs::write(&certificate, "hello").unwrap();
    let mode = TlsMode::Files { certificate: certificate.clone(), key: certificate };
    let error = Keeper::open(&mode, dir.path(), String::new(), NOW_MS).err().unwrap().to_string();
    assert!(error.contains("cert.pem") && error.contains("certificate"), "{error}");
}
