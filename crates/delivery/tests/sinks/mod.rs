//! Small servers that channels are tried against: they say what the test wants, and keep what they heard.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// What an HTTP sink does with each request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Answers this, head and body.
    Raw(Vec<u8>),
    /// Closes the connection.
    Hangup,
}

impl Reply {
    pub(crate) fn text(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n"
        );
        Self::Raw(format!("{head}{body}").into_bytes())
    }
}

/// A server of HTTP, and what it was asked: head and body in one text.
pub(crate) struct HttpSink {
    pub(crate) address: SocketAddr,
    pub(crate) heard: mpsc::UnboundedReceiver<String>,
}

impl HttpSink {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_http(stream, reply.clone(), tell.clone()));
            }
        });
        Self { address, heard }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn answer_http(stream: TcpStream, reply: Reply, tell: mpsc::UnboundedSender<String>) {
    let mut stream = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let start = text.len();
        if stream.read_line(&mut text).await.unwrap_or(0) == 0 {
            return;
        }
        let line = text[start..].trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    text.push_str(&String::from_utf8(body).unwrap());
    let _ = tell.send(text);
    if let Reply::Raw(bytes) = reply {
        // The client may leave before it has read all of it.
        let _ = stream.get_mut().write_all(&bytes).await;
        let _ = stream.get_mut().shutdown().await;
    }
}

/// What an SMTP sink does.
#[derive(Clone, Default)]
pub(crate) struct Manners {
    /// Whether it offers and takes STARTTLS.
    pub(crate) starttls: bool,
    /// Whether it speaks TLS from the first byte.
    pub(crate) tls: bool,
    /// What it says to `AUTH`.
    pub(crate) auth: Option<&'static str>,
    /// What it says to recipients whose address holds this.
    pub(crate) refuses: Option<(&'static str, &'static str)>,
    /// What it says when all of a mail is there.
    pub(crate) data: Option<&'static str>,
}

/// A server of SMTP, and the conversations it has had: all lines of the client in one text.
pub(crate) struct SmtpSink {
    pub(crate) address: SocketAddr,
    pub(crate) heard: mpsc::UnboundedReceiver<String>,
    /// Its certificate, as PEM.
    pub(crate) certificate: String,
}

impl SmtpSink {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (manners, acceptor, tell) = (manners.clone(), acceptor.clone(), tell.clone());
                tokio::spawn(converse(stream, manners, acceptor, tell));
            }
        });
        Self { address, heard, certificate: cert.pem() }
    }
}

async fn converse(
    stream: TcpStream,
    manners: Manners,
    acceptor: TlsAcceptor,
    tell: mpsc::UnboundedSender<String>,
) {
    let mut heard = String::new();
    if manners.tls {
        if let Ok(stream) = acceptor.accept(stream).await {
            talk(&mut BufReader::new(stream), &manners, true, true, &mut heard).await;
        }
    } else {
        let mut stream = BufReader::new(stream);
        if talk(&mut stream, &manners, true, false, &mut heard).await
            && let Ok(stream) = acceptor.accept(stream.into_inner()).await
        {
            talk(&mut BufReader::new(stream), &manners, false, true, &mut heard).await;
        }
    }
    let _ = tell.send(heard);
}

/// Talks until the client goes (false) or wants TLS (true).
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    manners: &Manners,
    greet: bool,
    secure: bool,
    heard: &mut String,
) -> bool {
    async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, text: &str) {
        let _ = stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await;
        let _ = stream.get_mut().flush().await;
    }
    if greet {
        say(stream, "220 sink ESMTP").await;
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        heard.push_str(&line);
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let tls = if manners.starttls && !secure { "250-STARTTLS\r\n" } else { "" };
                say(stream, &format!("250-sink\r\n{tls}250-8BITMIME\r\n250 AUTH PLAIN LOGIN"))
                    .await;
            }
            "STARTTLS" => {
                say(stream, "220 go on").await;
                return true;
            }
            "AUTH" => say(stream, manners.auth.unwrap_or("235 welcome")).await,
            "RCPT" => match manners.refuses {
                Some((part, answer)) if line.contains(part) => say(stream, answer).await,
                _ => say(stream, "250 ok").await,
            },
            "DATA" => {
                say(stream, "354 go on").await;
                let mut line = String::new();
                while line != ".\r\n" {
                    line.clear();
                    if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                        return false;
                    }
                    heard.push_str(&line);
                }
                say(stream, manners.data.unwrap_or("250 queued as 4711")).await;
            }
            "QUIT" => {
                say(stream, "221 bye").await;
                return false;
            }
            _ => say(stream, "250 ok").await,
        }
    }
}
