//! Fetches a program from the server: one plain request over a connection of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use muster_wire::{CONNECT_PATH, Offer};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::http::Uri;

use super::store::{AcceptError, Store};
use crate::link::{self, LinkError};
use crate::target::Target;
use crate::tasks::on_disk;

/// For connecting, and for each piece to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest head of an answer.
const MAX_HEAD: usize = 16 << 10;
/// What is read at once.
const PIECE: usize = 32 << 10;

/// Why a program was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Link(#[from] LinkError),
    #[error("the connection fails: {0}")]
    Connection(#[source] io::Error),
    #[error("nothing came for {} s", PATIENCE.as_secs())]
    Timeout,
    #[error("the server answers {0:?}")]
    Status(String),
    #[error("it ended after {got} of {expected} bytes")]
    Short { expected: u64, got: u64 },
    #[error("the state folder cannot take it: {0}")]
    Disk(#[source] io::Error),
    #[error("{0}")]
    Accept(#[from] AcceptError),
}

/// Fetches what is offered and makes it the release of `store`. The caller has verified the signature.
pub(crate) async fn fetch(
    target: Arc<Target>,
    tls: Option<Arc<ClientConfig>>,
    offer: Offer,
    store: Store,
) -> Result<(), FetchError> {
    let request = request(&target, &offer.path);
    let late = |_| FetchError::Timeout;
    let stream = timeout(PATIENCE, link::tcp(&target)).await.map_err(late)??;
    let size = offer.signed.release.size;
    match tls {
        None => receive(stream, &request, size, &store).await?,
        Some(tls) => {
            let wrapping = link::wrap(&target, tls, stream);
            let stream = timeout(PATIENCE, wrapping).await.map_err(late)??;
            receive(stream, &request, size, &store).await?;
        }
    }
    Ok(on_disk(move || store.accept(&offer.signed)).await?)
}

/// HTTP 1.0, to which no answer comes in chunks.
fn request(target: &Target, path: &str) -> String {
    let uri: Uri = target.websocket_url.parse().unwrap_or_default();
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let prefix = uri.path().strip_suffix(CONNECT_PATH).unwrap_or_default();
    format!(
        "GET {prefix}{path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: muster-agent\r\nConnection: close\r\n\r\n"
    )
}

/// Sends the request and writes the answer's body into the store, if it is one of `size` bytes.
async fn receive(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    size: u64,
    store: &Store,
) -> Result<(), FetchError> {
    stream.write_all(request.as_bytes()).await.map_err(FetchError::Connection)?;
    stream.flush().await.map_err(FetchError::Connection)?;
    let mut received = Vec::new();
    let body_at = loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if received.len() > MAX_HEAD || read(&mut stream, &mut received).await? == 0 {
            return Err(FetchError::Status("nothing that is HTTP".into()));
        }
    };
    check_status(&received)?;
    let incoming = store.clone();
    let file = on_disk(move || incoming.incoming()).await.map_err(FetchError::Disk)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut piece = received.split_off(body_at);
    let mut got = 0;
    loop {
        // What is beyond the size is not even written; the hash decides about the rest.
        let wanted = (piece.len() as u64).min(size - got);
        file.write_all(&piece[..wanted as usize]).await.map_err(FetchError::Disk)?;
        got += wanted;
        if got == size {
            return file.flush().await.map_err(FetchError::Disk);
        }
        piece.clear();
        if read(&mut stream, &mut piece).await? == 0 {
            return Err(FetchError::Short { expected: size, got });
        }
    }
}

fn check_status(head: &[u8]) -> Result<(), FetchError> {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(100)]).into_owned();
    let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    if code == Some("200") { Ok(()) } else { Err(FetchError::Status(line)) }
}

async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Result<usize, FetchError> {
    buffer.reserve(PIECE);
    let reading = timeout(PATIENCE, stream.read_buf(buffer));
    reading.await.map_err(|_| FetchError::Timeout)?.map_err(FetchError::Connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::plan::tests::Signer;

    #[test]
    fn the_request_goes_where_the_agent_connects() {
        let target = Target::parse("https://proxy.example:9/muster/").unwrap();
        let request = request(&target, "/download/x");
        assert!(
            request.starts_with("GET /muster/download/x HTTP/1.0\r\nHost: proxy.example:9\r\n")
        );
    }

    /// Lets a server answer with `answer` and tells what became of it.
    async fn fetched(answer: &'static [u8]) -> Result<(), FetchError> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let signed = Signer::new().release("0.2.0", b"program");
        let (ours, theirs) = tokio::io::duplex(64);
        let (mut reader, mut writer) = tokio::io::split(theirs);
        let server = tokio::spawn(async move {
            let mut request = [0; 3];
            reader.read_exact(&mut request).await.unwrap();
            // The agent may have had enough before all of it is sent.
            let _ = writer.write_all(answer).await;
            let _ = writer.shutdown().await;
        });
        let received = receive(ours, "GET", signed.release.size, &store).await;
        server.abort();
        received?;
        Ok(store.accept(&signed)?)
    }

    #[track_caller]
    fn check(result: Result<(), FetchError>, expected: &str) {
        let told = result.map_or_else(|error| error.to_string(), |()| "fetched".into());
        assert!(told.contains(expected), "{told}");
    }

    #[tokio::test]
    async fn only_the_whole_program_is_accepted() {
        check(fetched(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nprogram").await, "fetched");
        check(fetched(b"HTTP/1.1 200 OK\r\n\r\nprogram and more").await, "fetched");
        check(fetched(b"HTTP/1.0 200 OK\r\n\r\nprog").await, "after 4 of 7 bytes");
        check(fetched(b"HTTP/1.0 200 OK\r\n\r\nPROGRAM").await, "SHA-256");
        check(fetched(b"HTTP/1.0 404 Not Found\r\n\r\nprogram").await, "404 Not Found");
        check(fetched(b"HTTP/1.0 503 Busy\r\n\r\n").await, "503");
        check(fetched(b"SSH-2.0-OpenSSH\r\n").await, "nothing that is HTTP");
    }

    #[tokio::test]
    async fn an_endless_head_is_given_up() {
        static ENDLESS: [u8; 40_000] = [b'a'; 40_000];
        check(fetched(&ENDLESS).await, "nothing that is HTTP");
    }
}
