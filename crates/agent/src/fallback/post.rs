//! One POST of JSON to the fallback's address, over a connection of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::http::Uri;

use super::Word;

/// For all of it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of an answer is read, at least its first line.
const READ_BYTES: usize = 1_024;

/// An address that is none. It is not repeated, since it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the fallback webhook is no address: {reason}; write it like https://chat.example.org/hook"
)]
pub struct AddressError {
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Where to POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
    tls: bool,
    /// The value of the header `Host`.
    authority: String,
    path: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, AddressError> {
        let refuse = |reason| AddressError { reason };
        let uri: Uri = url.trim().parse().map_err(|_| refuse("it is malformed"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse("it must begin with http:// or https://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refuse("no host"))?;
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        if authority.contains('@') {
            return Err(refuse("a user name is of no use here"));
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).into(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            authority: authority.into(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).into(),
        })
    }

    /// POSTs a body and tells whether it was taken.
    pub(crate) async fn post(&self, body: &str) -> bool {
        let sent = timeout(PATIENCE, self.exchange(body)).await;
        match sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(status) if (200..300).contains(&status) => true,
            Ok(status) => {
                tracing::warn!(host = self.host, status, "the fallback webhook refuses");
                false
            }
            Err(error) => {
                tracing::warn!(host = self.host, %error, "the fallback webhook is not reached");
                false
            }
        }
    }

    async fn exchange(&self, body: &str) -> io::Result<u16> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: muster-agent\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.path,
            self.authority,
            body.len()
        );
        if !self.tls {
            return ask(stream, &request).await;
        }
        let config = crate::tls::client_config(None).map_err(io::Error::other)?;
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        ask(stream, &request).await
    }
}

/// Sends a request and gives the status of the answer.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<u16> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    while answer.len() < READ_BYTES && !answer.contains(&b'\n') {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    let line = answer.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let line = str::from_utf8(line).unwrap_or_default();
    let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    code.and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP"))
}

/// Alertmanager's body, version 4, of one alert: this host reaches no server, or reaches one again.
pub(crate) fn body(
    word: Word,
    instance: &str,
    server: &str,
    started_ms: i64,
    wall_ms: i64,
) -> String {
    let time = |at_ms: i64| {
        Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |at| at.to_string())
    };
    let (status, ends_at) = match word {
        Word::Lost => ("firing", "0001-01-01T00:00:00Z".to_owned()),
        Word::Back => ("resolved", time(wall_ms)),
    };
    let labels = json!({
        "alertname": "MusterServerUnreachable", "instance": instance, "severity": "critical",
    });
    let annotations = json!({
        "summary": format!("{instance} reaches no Muster server"),
        "description": format!("The agent on {instance} has not reached {server}. What happens on its host is kept, but nobody is told of it."),
        "action": "Look whether the server runs and its host is reachable.",
        "summary_zh": format!("{instance} 无法连接 Muster 服务器"),
        "description_zh": format!("{instance} 上的代理无法连接 {server}。主机上的数据会保留,但不会有人收到告警。"),
        "action_zh": "请检查服务器是否在运行,网络是否可达。",
    });
    json!({
        "version": "4", "status": status, "receiver": "fallback",
        "groupKey": "{}:{alertname=\"MusterServerUnreachable\"}", "truncatedAlerts": 0,
        "groupLabels": {"alertname": "MusterServerUnreachable"},
        "commonLabels": labels, "commonAnnotations": annotations, "externalURL": server,
        "alerts": [{
            "status": status, "labels": labels, "annotations": annotations,
            "startsAt": time(started_ms), "endsAt": ends_at,
            "generatorURL": server, "fingerprint": "",
        }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |url| Address::parse(url).map(|a| format!("{} {} {}", a.host, a.port, a.path));
        assert_eq!(
            read("https://chat.example/hook?key=1").as_deref(),
            Ok("chat.example 443 /hook?key=1")
        );
        assert_eq!(read("http://[::1]:9").as_deref(), Ok("::1 9 /"));
        for bad in
            ["", "chat.example/hook", "ftp://x/", "http://", "http://a:s3cret@x/", "http://a b/"]
        {
            let error = read(bad).expect_err(bad).to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    /// A server that answers `answer`; whether the agent thinks that the message was taken, and what was heard.
    async fn posted(answer: &'static [u8]) -> (bool, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=1", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"}") {
                stream.read_buf(&mut heard).await.unwrap();
            }
            stream.write_all(answer).await.unwrap();
            String::from_utf8(heard).unwrap()
        });
        let address = Address::parse(&url).unwrap();
        let taken = address.post(&body(Word::Lost, "web-1", "https://muster", 0, 1)).await;
        (taken, server.await.unwrap())
    }

    #[tokio::test]
    async fn a_message_is_posted_and_the_answer_read() {
        let (taken, heard) = posted(b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert!(taken);
        let (head, body) = heard.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /hook?key=1 HTTP/1.1\r\nHost: 127.0.0.1:"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["alerts"][0]["labels"]["instance"], "web-1");
        assert_eq!(body["alerts"][0]["startsAt"], "1970-01-01T00:00:00Z");
        for refusal in
            [&b"HTTP/1.1 500 Oh\r\n\r\n"[..], b"HTTP/1.1 302 Found\r\n\r\n", b"SSH-2.0\r\n", b""]
        {
            assert!(!posted(refusal).await.0);
        }
    }

    #[test]
    fn the_end_has_its_time() {
        let body = body(Word::Back, "a\"b", "https://muster", 0, 60_000);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["status"], "resolved");
        assert_eq!(body["alerts"][0]["endsAt"], "1970-01-01T00:01:00Z");
        assert_eq!(body["commonLabels"]["instance"], "a\"b");
    }
}
