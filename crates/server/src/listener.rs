//! The one port: accepts connections, with TLS or without, and serves HTTP/1.1 and HTTP/2 on them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::app::App;
use crate::connection::{Activity, Addresses, AnswerBody, OfAddress, Patience, Watched};

/// How long clients may take for what.
const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(75),
    stalled: Duration::from_secs(30),
};
/// The most connections, agents and live streams included.
const MAX_CONNECTIONS: u64 = 50_000;
/// Open files that are kept for the store, the database and the log.
const FILES_FOR_OTHERS: u64 = 256;
/// The fewest connections, however few files may be open.
const MIN_CONNECTIONS: u64 = 64;
/// The most bytes of a request's head.
const MAX_HEAD: usize = 32 << 10;
/// How long to wait after the system gave no connection, as when file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often that is told.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Serves until the server stops, then lets connections end for `drain`.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    app: Arc<App>,
    drain: Duration,
) {
    let door = Door { acceptor: tls.map(TlsAcceptor::from), router, patience: PATIENCE };
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = accept_all(&listener, &door, &graceful, max_connections()) => {}
        () = app.stopped() => {}
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::info!("some connections did not end in time and were cut");
    }
}

/// How many connections there may be, by how many files the system lets this process open.
fn max_connections() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let connections = files.map_or(MAX_CONNECTIONS, |files| {
        files.saturating_sub(FILES_FOR_OTHERS).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
    });
    usize::try_from(connections).expect("50,000 fit")
}

/// What every connection is served with.
#[derive(Clone)]
struct Door {
    acceptor: Option<TlsAcceptor>,
    router: Router,
    patience: Patience,
}

async fn accept_all(
    listener: &TcpListener,
    door: &Door,
    graceful: &GracefulShutdown,
    max_connections: usize,
) {
    let places = Arc::new(Semaphore::new(max_connections));
    let addresses = Arc::new(Addresses::default());
    let mut told = None;
    loop {
        // Without a place, clients wait in the system's queue until another connection ends.
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.expect("the semaphore of places is never closed");
        let (socket, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if told.is_none_or(|at: Instant| at.elapsed() > TELL_EVERY) {
                    told = Some(Instant::now());
                    tracing::warn!(%error, "the system gives no connection; it is tried again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(of_address) = addresses.enter(address.ip()) else {
            tracing::debug!(%address, "an address has too many connections");
            continue;
        };
        let (door, watcher) = (door.clone(), graceful.watcher());
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let socket = Watched::new(socket, door.patience, place);
        tokio::spawn(door.receive(socket, address, of_address, watcher));
    }
}

impl Door {
    async fn receive(
        self,
        socket: Watched<TcpStream>,
        address: SocketAddr,
        _of_address: OfAddress,
        watcher: Watcher,
    ) {
        let Some(acceptor) = &self.acceptor else {
            return self.connection(socket, address, watcher).await;
        };
        match tokio::time::timeout(self.patience.head, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => self.connection(stream, address, watcher).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(_) => {}
        }
    }

    /// Serves one connection until it ends, is idle for too long, or becomes a WebSocket.
    async fn connection<S>(&self, stream: S, address: SocketAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new();
        let (router, counted) = (self.router.clone(), Arc::clone(&activity));
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let answering = counted.begin();
            request.extensions_mut().insert(ConnectInfo(address));
            let answer = router.clone().oneshot(request);
            async move {
                let answer: Response = answer.await?;
                Ok::<_, Infallible>(answer.map(|body| AnswerBody::new(body, answering)))
            }
        });
        let builder = self.protocols();
        let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::select! {
            served = watcher.watch(serving.into_owned()) => if let Err(error) = served {
                tracing::debug!(%address, %error, "a connection ended with an error");
            },
            () = activity.idle(self.patience) => {
                tracing::debug!(%address, "an idle connection was ended");
            }
        }
    }

    fn protocols(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.head)
            .max_buf_size(MAX_HEAD);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .max_concurrent_streams(128)
            .max_header_list_size(MAX_HEAD as u32);
        builder
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    const SHORT: Patience = Patience {
        head: Duration::from_millis(50),
        idle: Duration::from_millis(50),
        stalled: Duration::from_millis(50),
    };

    fn open() -> DuplexStream {
        let endless = || async {
            let first = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"x"))]);
            let never = futures_util::stream::pending();
            Body::from_stream(futures_util::StreamExt::chain(first, never))
        };
        let router =
            Router::new().route("/", get(|| async { "hello" })).route("/endless", get(endless));
        let door = Door { acceptor: None, router, patience: SHORT };
        let (server, client) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let graceful = GracefulShutdown::new();
            let address = SocketAddr::from(([192, 0, 2, 1], 1));
            door.connection(server, address, graceful.watcher()).await;
        });
        client
    }

    /// What a client gets until the server ends the connection; none if it does not within `limit_ms`.
    async fn answers(sent: &[u8], limit_ms: u64) -> Option<String> {
        let mut client = open();
        client.write_all(sent).await.unwrap();
        let mut got = Vec::new();
        let limit = Duration::from_millis(limit_ms);
        let read = tokio::time::timeout(limit, client.read_to_end(&mut got)).await;
        read.ok().map(|_| String::from_utf8_lossy(&got).into_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_ask_for_nothing_are_ended() {
        assert_eq!(answers(b"", 5_000).await.as_deref(), Some(""));
        assert_eq!(answers(b"PRI * HTTP/2.0\r\n", 5_000).await.as_deref(), Some(""));
        let partial = answers(b"GET / HTTP/1.1\r\nhost: a\r\n", 5_000).await;
        assert!(partial.is_some_and(|got| !got.contains("200 OK")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_ended_after_its_answer() {
        let got = answers(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", 5_000).await.unwrap();
        assert!(got.contains("200 OK") && got.ends_with("hello"), "{got}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_silent_is_not_cut() {
        let got = answers(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n", 500).await;
        assert_eq!(got, None);
    }
}
