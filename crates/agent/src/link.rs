//! One connection to the server: TCP, TLS, WebSocket, and frames in both directions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use muster_wire::Limits;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

use crate::target::Target;

/// For all of TCP, TLS and the WebSocket's handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether the connection is idle.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(4);
/// A connection on which nothing went, or came, for so long is tried with a ping. A server counts an
/// agent as gone after 12 s without a word, and this and one look later are 9.5 s.
const IDLE_LIMIT: Duration = Duration::from_millis(5_500);
/// How long a connection may be silent, pongs included.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// For one frame to leave, and for the last ones at the end.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// What happens on a connection. `Down` comes once, and last.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The WebSocket is open.
    Up,
    /// A frame of the server.
    Frame(Bytes),
    /// There is no connection (any more).
    Down(LinkError),
}

/// Why a connection could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("cannot connect to {host}:{port}: {source}")]
    Connect { host: String, port: u16, source: std::io::Error },
    #[error(
        "TLS fails: {0}; if the server has its own CA, give the fingerprint that `muster enroll-token` prints there as --ca-fingerprint"
    )]
    Tls(std::io::Error),
    #[error("{0:?} is no name for TLS")]
    Name(String),
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the server answers {status}; {advice}", status = .0, advice = status_advice(*.0))]
    Status(StatusCode),
    #[error("the WebSocket fails: {0}")]
    WebSocket(Box<WebSocketError>),
    #[error("the connection was closed")]
    Closed,
}

fn status_advice(status: StatusCode) -> &'static str {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        "it may be starting or have too much to do"
    } else {
        "check that this is the address of a Muster server"
    }
}

/// Opens a connection, moves frames until it ends, and tells everything as events. It ends when the
/// senders of `outgoing` are gone and all was sent.
pub(crate) async fn run(
    target: Arc<Target>,
    tls: Option<Arc<ClientConfig>>,
    events: Sender<LinkEvent>,
    outgoing: UnboundedReceiver<Vec<u8>>,
) {
    let end = match timeout(CONNECT_TIMEOUT, tcp(&target)).await {
        Err(_) => LinkError::Timeout(CONNECT_TIMEOUT),
        Ok(Err(error)) => error,
        Ok(Ok(stream)) => match tls {
            None => talk(&target, stream, &events, outgoing).await,
            Some(config) => match timeout(CONNECT_TIMEOUT, wrap(&target, config, stream)).await {
                Err(_) => LinkError::Timeout(CONNECT_TIMEOUT),
                Ok(Err(error)) => error,
                Ok(Ok(stream)) => talk(&target, stream, &events, outgoing).await,
            },
        },
    };
    // The agent may have stopped listening: it is on its way out.
    let _ = events.send(LinkEvent::Down(end)).await;
}

pub(crate) async fn tcp(target: &Target) -> Result<TcpStream, LinkError> {
    let failed =
        |source| LinkError::Connect { host: target.host.clone(), port: target.port, source };
    let stream = TcpStream::connect((&*target.host, target.port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

pub(crate) async fn wrap(
    target: &Target,
    config: Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, LinkError> {
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| LinkError::Name(target.host.clone()))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(LinkError::Tls)
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    target: &Target,
    stream: S,
    events: &Sender<LinkEvent>,
    outgoing: UnboundedReceiver<Vec<u8>>,
) -> LinkError {
    let limit = Limits::default().frame_bytes;
    let config = WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    let handshake =
        tokio_tungstenite::client_async_with_config(&target.websocket_url, stream, Some(config));
    match timeout(CONNECT_TIMEOUT, handshake).await {
        Err(_) => LinkError::Timeout(CONNECT_TIMEOUT),
        Ok(Err(WebSocketError::Http(response))) => LinkError::Status(response.status()),
        Ok(Err(error)) => LinkError::WebSocket(Box::new(error)),
        Ok(Ok((socket, _))) => {
            if events.send(LinkEvent::Up).await.is_err() {
                return LinkError::Closed;
            }
            pump(socket, events, outgoing).await.err().unwrap_or(LinkError::Closed)
        }
    }
}

async fn pump<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    events: &Sender<LinkEvent>,
    mut outgoing: UnboundedReceiver<Vec<u8>>,
) -> Result<(), LinkError> {
    let mut looks = interval(IDLE_CHECK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard, mut sent) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            frame = outgoing.recv() => {
                let Some(frame) = frame else {
                    let _ = timeout(SEND_TIMEOUT, socket.close(None)).await;
                    return Ok(());
                };
                send(&mut socket, Message::Binary(frame.into())).await?;
                sent = Instant::now();
            }
            message = socket.next() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Binary(frame))) => {
                        if events.send(LinkEvent::Frame(frame)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Some(Ok(Message::Close(_))) | None => return Err(LinkError::Closed),
                    // Pings are answered by the library; text is no frame of ours.
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(LinkError::WebSocket(Box::new(error))),
                }
            }
            _ = looks.tick() => {
                if heard.elapsed() > SILENCE_LIMIT {
                    return Err(LinkError::Timeout(SILENCE_LIMIT));
                }
                if heard.min(sent).elapsed() > IDLE_LIMIT {
                    send(&mut socket, Message::Ping(Bytes::new())).await?;
                    sent = Instant::now();
                }
            }
        }
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    message: Message,
) -> Result<(), LinkError> {
    timeout(SEND_TIMEOUT, socket.send(message))
        .await
        .map_err(|_| LinkError::Timeout(SEND_TIMEOUT))?
        .map_err(|error| LinkError::WebSocket(Box::new(error)))
}
