//! Reading the body of a push: never more memory than was reserved before, and no copy where it comes in one piece.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::ingest::push::{MAX_BODY, Push, PushError};

/// What is reserved at a time for a body that does not say its length.
const PIECE: usize = 256 << 10;

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
    let announced: Option<usize> =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut room = announced.unwrap_or(PIECE);
    if room > MAX_BODY {
        return Err(too_large());
    }
    let mut memory = push.reserve(room).ok_or(PushError::NoMemory)?;
    let mut pieces = body.into_data_stream();
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece
            .map_err(|error| PushError::Malformed(format!("the body ended early: {error}")))?;
        length += piece.len();
        if length > MAX_BODY {
            return Err(too_large());
        }
        while length > room {
            memory.merge(push.reserve(PIECE).ok_or(PushError::NoMemory)?);
            room += PIECE;
        }
        if length == piece.len() {
            first = piece;
            continue;
        }
        if whole.is_empty() {
            whole.reserve_exact(room);
            whole.extend_from_slice(&first);
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
        let body = Body::from_stream(futures_util::stream::iter(pieces));
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
