//! `/metrics` for an existing Prometheus: what the collectors say now, in the text format 0.0.4.
//!
//! It answers GET and HEAD of two paths and reads no body. Whoever asks often gets what was collected within the last
//! second; connections are few, short-spoken and may not dawdle.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::scrape::Scraper;

/// The most connections at a time; others wait until one ends.
const MAX_CONNECTIONS: usize = 16;
/// The most of them from one address: nobody alone can shut the others out.
const MAX_CONNECTIONS_OF_ONE: usize = 4;
/// After so long a connection ends with the answer that is under way, and is cut if that does not leave.
const CONNECTION_LIMIT: Duration = Duration::from_mins(1);
const LAST_ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long the head of a request may take to come, the time between two requests included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a head.
const MAX_HEAD: usize = 16 << 10;
/// For how long a collection is handed out again.
const FRESH: Duration = Duration::from_secs(1);
/// How long a collection may take.
const COLLECT_LIMIT: Duration = Duration::from_secs(30);
/// After accepting has failed, as where the system has no more sockets.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

const INDEX: &str = "<!doctype html><title>Muster agent</title><a href=\"/metrics\">Metrics</a>\n";

type Reply = Response<Full<Bytes>>;

/// What all connections share.
struct Shared {
    scraper: std::sync::Mutex<Scraper>,
    /// The last collection as text, plain and compressed, and when it was made.
    newest: Mutex<Option<(Instant, Page)>>,
}

#[derive(Clone)]
struct Page {
    plain: Bytes,
    gzip: Bytes,
}

type Visitors = Arc<std::sync::Mutex<HashMap<IpAddr, usize>>>;

/// A connection that counts for its address until this is dropped.
struct Visit {
    visitors: Visitors,
    address: IpAddr,
}

impl Visit {
    /// None if the address has as many as it may have.
    fn begin(visitors: &Visitors, address: IpAddr) -> Option<Self> {
        let mut counts = visitors.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= MAX_CONNECTIONS_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Self { visitors: Arc::clone(visitors), address })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Serves `/metrics` until `stop` becomes true or its sender is gone.
pub async fn serve_metrics(
    listener: TcpListener,
    scraper: Scraper,
    mut stop: watch::Receiver<bool>,
) {
    let shared =
        Arc::new(Shared { scraper: std::sync::Mutex::new(scraper), newest: Mutex::new(None) });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let visitors = Arc::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            _ = stop.wait_for(|&stop| stop) => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, visit) = match accepted {
            Ok((stream, peer)) => match Visit::begin(&visitors, peer.ip()) {
                Some(visit) => (stream, visit),
                // Closing it is the answer.
                None => continue,
            },
            Err(error) => {
                tracing::warn!(%error, "a connection to --listen-metrics cannot be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(reply(&shared, &request).await) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
            // One that breaks off, or says what is no HTTP, concerns nobody else.
            let connection = http.serve_connection(TokioIo::new(stream), answer);
            let mut connection = pin!(connection);
            if tokio::time::timeout(CONNECTION_LIMIT, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                let _ = tokio::time::timeout(LAST_ANSWER_LIMIT, connection).await;
            }
            drop((place, visit));
        });
    }
}

async fn reply(shared: &Arc<Shared>, request: &Request<Incoming>) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {}
        "/" => {
            let mut response = text(StatusCode::OK, INDEX);
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, html);
            return response;
        }
        _ => return text(StatusCode::NOT_FOUND, "only /metrics is here\n"),
    }
    let Some(page) = newest(shared).await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the collectors did not answer in time\n");
    };
    let gzip = request.headers().get_all(ACCEPT_ENCODING).iter().any(takes_gzip);
    let mut response = Response::new(Full::new(if gzip { page.gzip } else { page.plain }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(muster_exposition::CONTENT_TYPE));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether an `Accept-Encoding` names gzip and does not forbid it.
fn takes_gzip(value: &HeaderValue) -> bool {
    let Ok(value) = value.to_str() else { return false };
    value.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let forbidden = weight
            .split_once('=')
            .is_some_and(|(_, weight)| weight.trim().parse::<f64>().is_ok_and(|w| w <= 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !forbidden
    })
}

fn text(status: StatusCode, text: &'static str) -> Reply {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// What is there now: who comes while it is collected waits for it, and who comes soon after gets the same.
async fn newest(shared: &Arc<Shared>) -> Option<Page> {
    let waiting = tokio::time::timeout(COLLECT_LIMIT, shared.newest.lock());
    let mut newest = waiting.await.ok()?;
    if let Some((made, page)) = &*newest
        && made.elapsed() < FRESH
    {
        return Some(page.clone());
    }
    let working = Arc::clone(shared);
    let work = tokio::task::spawn_blocking(move || {
        // A collection that hung and was given up still holds this.
        let mut scraper = working.scraper.try_lock().ok()?;
        page(&muster_exposition::write(&scraper.collect())).ok()
    });
    let page = tokio::time::timeout(COLLECT_LIMIT, work).await.ok()?.ok()??;
    *newest = Some((Instant::now(), page.clone()));
    Some(page)
}

fn page(text: &str) -> io::Result<Page> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    gzip.write_all(text.as_bytes())?;
    Ok(Page { plain: Bytes::copy_from_slice(text.as_bytes()), gzip: gzip.finish()?.into() })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use muster_environment::ManualClock;
    use muster_series::Labels;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::source::{Collection, Source, Tick};

    /// One series whose value counts the collections.
    struct Counting(f64);

    impl Source for Counting {
        fn collect(&mut self, _tick: Tick, _now_ms: i64) -> Collection {
            self.0 += 1.0;
            let labels = Labels::from_pairs([("__name__", "counting")]).unwrap();
            Collection {
                new_series: vec![(1, labels)],
                samples: vec![(1, self.0)],
                ..Default::default()
            }
        }
    }

    /// Head and body of the answer to a request.
    async fn ask(address: std::net::SocketAddr, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
        let body = answer.get(end + 4..).unwrap_or_default().to_vec();
        (String::from_utf8_lossy(&answer[..end]).to_lowercase(), body)
    }

    #[tokio::test]
    async fn one_address_cannot_shut_the_others_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scraper = Scraper::new(Box::new(Counting(0.0)), Arc::new(ManualClock::at(0)));
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve_metrics(listener, scraper, stopped));
        let mut held = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let other = tokio::net::TcpSocket::new_v4().unwrap();
        other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = other.connect(address).await.unwrap();
        other.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // All but the first ones of the other address were closed at once.
        let mut closed = 0;
        for stream in &mut held[MAX_CONNECTIONS_OF_ONE..] {
            closed += usize::from(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
        }
        assert_eq!(closed, MAX_CONNECTIONS - MAX_CONNECTIONS_OF_ONE);
        drop(stop);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn metrics_are_served_plain_and_compressed_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scraper = Scraper::new(Box::new(Counting(0.0)), Arc::new(ManualClock::at(0)));
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve_metrics(listener, scraper, stopped));
        let get = |path: &str, more: &str| {
            format!("GET {path} HTTP/1.1\r\nhost: x\r\n{more}connection: close\r\n\r\n")
        };

        let (head, body) = ask(address, &get("/metrics", "")).await;
        assert!(head.contains("200 ok") && head.contains("version=0.0.4"), "{head}");
        assert!(body.starts_with(b"counting "), "{}", String::from_utf8_lossy(&body));
        let (head, body) =
            ask(address, &get("/metrics", "accept-encoding: deflate, gzip;q=1\r\n")).await;
        assert!(head.contains("content-encoding: gzip"), "{head}");
        let mut plain = String::new();
        GzDecoder::new(&*body).read_to_string(&mut plain).unwrap();
        assert!(plain.starts_with("counting "), "{plain}");
        let (head, _) = ask(address, &get("/metrics", "accept-encoding: gzip;q=0\r\n")).await;
        assert!(!head.contains("content-encoding"), "{head}");

        assert!(ask(address, &get("/etc/passwd", "")).await.0.contains(" 404 "));
        let post =
            "POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert!(ask(address, post).await.0.contains(" 405 "));
        let long = get("/metrics", &format!("x: {}\r\n", "y".repeat(2 * MAX_HEAD)));
        assert!(!ask(address, &long).await.0.contains(" 200 "));
        stop.send(true).unwrap();
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_often_gets_the_last_collection() {
        let scraper = Scraper::new(Box::new(Counting(0.0)), Arc::new(ManualClock::at(0)));
        let scraper = std::sync::Mutex::new(scraper);
        let shared = Arc::new(Shared { scraper, newest: Mutex::new(None) });
        let first = newest(&shared).await.unwrap().plain;
        assert_eq!(newest(&shared).await.unwrap().plain, first);
        tokio::time::advance(FRESH).await;
        assert_eq!(newest(&shared).await.unwrap().plain, "counting 2\n");
    }
}
