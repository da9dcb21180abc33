//! Reading the body of a push: memory is reserved as it comes, and nothing is copied where it comes in one piece.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::ingest::push::{MAX_BODY, Push, PushError};

/// The fewest bytes that are reserved for a body of several pieces that does not say its length.
const PIECE: usize = 256 << 10;
/// How long a sender may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// A body and the memory that it takes.
pub(super) struct Received {
    pub(super) body: Bytes,
    pub(super) _memory: OwnedSemaphorePermit,
}

/// Receives a whole body.
pub(super) async fn receive(
    push: &Push,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, PushError> {
    receive_within(push, headers, body, SILENCE).await
}

/// Receives a whole body whose sender is never silent for longer.
///
/// Memory is reserved for what came and at most as much again: what is announced may never come, and would keep other
/// senders out for nothing.
async fn receive_within(
    push: &Push,
    headers: &HeaderMap,
    body: Body,
    silence: Duration,
) -> Result<Received, PushError> {
    let announced: Option<usize> =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let most = announced.unwrap_or(MAX_BODY);
    if most > MAX_BODY {
        return Err(too_large());
    }
    let mut memory = push.reserve(0).ok_or(PushError::NoMemory)?;
    let mut pieces = body.into_data_stream();
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    let mut length = 0;
    loop {
        let next = timeout(silence, pieces.next()).await.map_err(|_| PushError::Silent)?;
        let Some(piece) = next else { break };
        let piece = piece
            .map_err(|error| PushError::Malformed(format!("the body ended early: {error}")))?;
        length += piece.len();
        if length > MAX_BODY {
            return Err(too_large());
        }
        if length == piece.len() {
            push.extend(&mut memory, length)?;
            first = piece;
            continue;
        }
        if length > whole.capacity() {
            let room = (2 * length).max(PIECE).min(most.max(length));
            push.extend(&mut memory, room)?;
            whole.reserve_exact(room - whole.len());
        }
        if whole.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&piece);
    }
    let body = if whole.is_empty() { first } else { whole.into() };
    Ok(Received { body, _memory: memory })
}

fn too_large() -> PushError {
    PushError::TooLarge(format!("the body has more than {MAX_BODY} bytes; send less at once"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt as _, stream};

    use super::*;

    async fn read(announced: Option<usize>, pieces: &[usize]) -> Result<Vec<u8>, PushError> {
        let mut headers = HeaderMap::new();
        if let Some(length) = announced {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let pieces: Vec<_> = pieces
            .iter()
            .enumerate()
            .map(|(at, &length)| Ok::<_, Infallible>(Bytes::from(vec![at as u8; length])))
            .collect();
        let body = Body::from_stream(stream::iter(pieces));
        receive(&Push::default(), &headers, body).await.map(|received| received.body.to_vec())
    }

    #[tokio::test]
    async fn bodies_come_whole_in_any_pieces() {
        for announced in [None, Some(6)] {
            assert_eq!(read(announced, &[]).await.unwrap(), b"");
            assert_eq!(read(announced, &[2]).await.unwrap(), [0, 0]);
            assert_eq!(read(announced, &[1, 0, 2, 3]).await.unwrap(), [0, 2, 2, 3, 3, 3]);
            assert_eq!(read(announced, &[0, 2]).await.unwrap(), [1, 1]);
        }
        let long = read(None, &[PIECE; 5]).await.unwrap();
        assert_eq!(long.len(), 5 * PIECE);
    }

    /// What announces the longest body, sends so much of it, and falls silent.
    fn silent(sent: usize) -> (HeaderMap, Body) {
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, MAX_BODY.into())]);
        let sent = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![0; sent]))]);
        (headers, Body::from_stream(sent.chain(stream::pending())))
    }

    #[tokio::test]
    async fn who_announces_much_and_falls_silent_keeps_nobody_out() {
        let push = Push::default();
        let (headers, _) = silent(0);
        let mut waiting = Vec::new();
        for at in 0..1_000 {
            let mut body = Box::pin(receive(&push, &headers, silent(at % 2 * 1_000).1));
            assert!(body.as_mut().now_or_never().is_none(), "body {at}");
            waiting.push(body);
        }
        let pieces = vec![Ok::<_, Infallible>(Bytes::from(vec![0; MAX_BODY / 4])); 4];
        let other = receive(&push, &headers, Body::from_stream(stream::iter(pieces))).await;
        assert_eq!(other.unwrap().body.len(), MAX_BODY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_sender_is_not_waited_for() {
        let push = Push::default();
        for sent in [0, 10] {
            let (headers, body) = silent(sent);
            let received = receive_within(&push, &headers, body, Duration::from_millis(5)).await;
            assert!(matches!(received, Err(PushError::Silent)));
        }
    }

    #[tokio::test]
    async fn too_much_is_refused_before_it_is_kept() {
        let error = read(Some(MAX_BODY + 1), &[]).await.unwrap_err();
        assert!(matches!(error, PushError::TooLarge(_)));
        let error = read(None, &[MAX_BODY / 4; 5]).await.unwrap_err();
        assert!(matches!(error, PushError::TooLarge(_)));
        let push = Push::default();
        let _all: Vec<_> = std::iter::from_fn(|| push.reserve(MAX_BODY)).collect();
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, 1.into())]);
        let refused = receive(&push, &headers, Body::from("x")).await;
        assert!(matches!(refused, Err(PushError::NoMemory)));
    }
}
