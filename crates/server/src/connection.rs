//! How long one connection may do nothing, and what it takes while it lasts.
//!
//! A connection ends by itself when no request is being answered on it for a while ([`Activity`]), and when it takes
//! nothing of what is sent to it ([`Watched`]). A WebSocket is an answered request that has left HTTP, and an event
//! stream one that is still being answered: neither is idle.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::throttle::network;

/// The most connections of one address that have not become a WebSocket. Many people may stand behind one address.
const MAX_PER_ADDRESS: usize = 2_000;

/// How long a connection may take for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For its TLS handshake, and for the head of a request.
    pub(crate) head: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// For taking anything of what is sent.
    pub(crate) stalled: Duration,
}

/// What happens on a connection.
pub(crate) struct Activity(Mutex<Now>);

struct Now {
    answering: usize,
    /// When the connection was made, or the last answer ended.
    since: Instant,
    answered: bool,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Now { answering: 0, since: Instant::now(), answered: false })))
    }

    /// A request has come: the connection is not idle until its answer is sent or given up.
    pub(crate) fn begin(self: &Arc<Self>) -> Answering {
        self.0.lock().answering += 1;
        Answering(Arc::clone(self))
    }

    /// Resolves when nothing was answered for too long.
    pub(crate) async fn idle(&self, patience: Patience) {
        loop {
            let end = self.ends_at(patience);
            if end.is_some_and(|end| end <= Instant::now()) {
                return;
            }
            tokio::time::sleep_until(end.unwrap_or_else(|| Instant::now() + patience.idle)).await;
        }
    }

    /// Until when the next request has to come; none while one is answered.
    fn ends_at(&self, patience: Patience) -> Option<Instant> {
        let now = self.0.lock();
        let limit = if now.answered { patience.idle } else { patience.head };
        (now.answering == 0).then(|| now.since + limit)
    }
}

/// One request that is being answered.
pub(crate) struct Answering(Arc<Activity>);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut now = self.0.0.lock();
        now.answering -= 1;
        now.since = Instant::now();
        now.answered = true;
    }
}

/// The body of an answer, until whose end its connection is not idle.
pub(crate) struct AnswerBody {
    body: Body,
    _answering: Answering,
}

impl AnswerBody {
    pub(crate) fn new(body: Body, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that fails when it takes nothing of what is sent, and holds its place until it ends.
pub(crate) struct Watched<S> {
    inner: S,
    stalled: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl<S> Watched<S> {
    pub(crate) fn new(inner: S, patience: Patience, place: OwnedSemaphorePermit) -> Self {
        Self { inner, stalled: patience.stalled, waiting: None, _place: place }
    }

    /// Passes on what a write came to; an error if it has come to nothing for too long.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let stalled = self.stalled;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(stalled)));
        waiting.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket flushes at once, whether or not it takes bytes: that says nothing about the client.
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watch(context, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// How many connections each address has.
#[derive(Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// One connection of an address.
pub(crate) struct OfAddress {
    addresses: Arc<Addresses>,
    network: IpAddr,
}

impl Addresses {
    /// Counts one more connection; none if the address has too many. The machine's own are not limited: a proxy
    /// in front of the server has all of its clients' connections.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<OfAddress> {
        let network = network(address);
        let mut counts = self.0.lock();
        let count = counts.entry(network).or_insert(0);
        if *count >= MAX_PER_ADDRESS && !network.is_loopback() {
            return None;
        }
        *count += 1;
        Some(OfAddress { addresses: Arc::clone(self), network })
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock();
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_millis(10),
        idle: Duration::from_millis(10),
        stalled: Duration::from_millis(10),
    };

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_not_idle_while_it_answers() {
        let activity = Activity::new();
        let answering = activity.begin();
        let patient = Duration::from_millis(100);
        let idle = tokio::time::timeout(patient, activity.idle(PATIENCE)).await;
        assert!(idle.is_err(), "idle while it answers");
        drop(answering);
        let idle = tokio::time::timeout(Duration::from_secs(5), activity.idle(PATIENCE)).await;
        assert!(idle.is_ok(), "not idle after it answered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut() {
        let places = Arc::new(Semaphore::new(1));
        let (inner, _client) = tokio::io::duplex(16);
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let mut watched = Watched::new(inner, PATIENCE, place);
        let written = tokio::time::timeout(Duration::from_secs(5), watched.write_all(&[0; 64]));
        let error = written.await.expect("it is cut").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(watched);
        assert_eq!(places.available_permits(), 1);
    }

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let addresses = Arc::new(Addresses::default());
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let mut held: Vec<OfAddress> =
            (0..MAX_PER_ADDRESS).filter_map(|_| addresses.enter(address)).collect();
        assert_eq!(held.len(), MAX_PER_ADDRESS);
        assert!(addresses.enter(address).is_none());
        assert!(addresses.enter("192.0.2.2".parse().unwrap()).is_some());
        held.pop();
        assert!(addresses.enter(address).is_some());
        drop(held);
        assert!(addresses.0.lock().is_empty());
    }
}
