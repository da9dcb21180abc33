//! Large answers: written in pieces on a thread that may block, sent piece by piece, and bounded while they wait.
//!
//! 1. [`Pieces`] takes the text of an answer and refuses what is over [`MAX_ANSWER`].
//! 2. [`body`] hands the pieces to the connection, one at a time. The room that the answer takes is given back when
//!    it is sent, when the client is gone, and when a client does not read for [`STALLED`].

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::sync::mpsc;

use crate::shares::Place;
use crate::store::QueryRun;

/// The most bytes of one answer.
pub(crate) const MAX_ANSWER: usize = 64 << 20;
/// How long a client may take for a piece of an answer.
const STALLED: Duration = Duration::from_secs(30);
/// How long a client may take for a whole answer.
const LONGEST: Duration = Duration::from_mins(10);
/// About how many bytes a piece has.
const PIECE: usize = 64 << 10;

/// Why an answer is not written to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error(
        "the answer is larger than {} MiB; choose fewer series, a shorter range or a longer step",
        MAX_ANSWER >> 20
    )]
    TooLarge,
    #[error("the query was stopped before its answer was written")]
    Cancelled,
}

/// The text of an answer as it is written.
pub(crate) struct Pieces {
    run: QueryRun,
    limit: usize,
    bytes: usize,
    done: Vec<Bytes>,
    open: Vec<u8>,
}

impl Pieces {
    /// An empty answer, which is given up when `run` is stopped.
    pub(crate) fn new(run: QueryRun, limit: usize) -> Self {
        Self { run, limit, bytes: 0, done: Vec::new(), open: Vec::new() }
    }

    /// Where to write to; call [`Self::turn`] after every few hundred bytes.
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.open
    }

    /// Begins a new piece if the last one is long enough.
    pub(crate) fn turn(&mut self) -> Result<(), AnswerError> {
        if self.open.len() < PIECE {
            return Ok(());
        }
        self.close_piece()
    }

    /// All pieces, and how many bytes they have.
    pub(crate) fn finish(mut self) -> Result<(Vec<Bytes>, usize), AnswerError> {
        self.close_piece()?;
        Ok((self.done, self.bytes))
    }

    fn close_piece(&mut self) -> Result<(), AnswerError> {
        if self.run.is_stopped() {
            return Err(AnswerError::Cancelled);
        }
        self.bytes += self.open.len();
        if self.bytes > self.limit {
            return Err(AnswerError::TooLarge);
        }
        let next = Vec::with_capacity(PIECE + PIECE / 4);
        let piece = std::mem::replace(&mut self.open, next);
        self.done.push(piece.into());
        Ok(())
    }
}

/// Sends the pieces; `room` is held until the last one is on its way.
pub(crate) fn body(pieces: Vec<Bytes>, room: Place) -> Body {
    feed(pieces, room, STALLED)
}

fn feed(pieces: Vec<Bytes>, room: Place, stalled: Duration) -> Body {
    let mut pieces = pieces;
    if pieces.len() <= 1 {
        return Body::from(pieces.pop().unwrap_or_default());
    }
    let left = pieces.len();
    let (sender, receiver) = mpsc::channel(1);
    let send_all = async move {
        let _room = room;
        for piece in pieces {
            match tokio::time::timeout(stalled, sender.send(piece)).await {
                Ok(Ok(())) => {}
                // The client is gone.
                Ok(Err(_)) => return,
                Err(_) => {
                    tracing::info!("a client stopped reading its answer, which was cut");
                    return;
                }
            }
        }
    };
    tokio::spawn(tokio::time::timeout(LONGEST, send_all));
    let stream =
        futures_util::stream::try_unfold((receiver, left), |(mut receiver, left)| async move {
            match receiver.recv().await {
                Some(piece) => Ok(Some((piece, (receiver, left - 1)))),
                None if left == 0 => Ok(None),
                // An end in order would make half an answer look whole.
                None => Err(io::Error::from(io::ErrorKind::TimedOut)),
            }
        });
    Body::from_stream(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::Shares;

    fn written(count: usize, limit: usize) -> Result<(Vec<Bytes>, usize), AnswerError> {
        let mut pieces = Pieces::new(QueryRun::default(), limit);
        for _ in 0..count {
            pieces.text().extend_from_slice(&[b'x'; 1 << 10]);
            pieces.turn()?;
        }
        pieces.finish()
    }

    #[test]
    fn an_answer_over_the_limit_is_refused() {
        assert_eq!(written(200, 100 << 10), Err(AnswerError::TooLarge));
        let (pieces, bytes) = written(200, 200 << 10).unwrap();
        assert_eq!((pieces.len(), bytes), (4, 200 << 10));
    }

    #[test]
    fn a_stopped_query_writes_no_further() {
        let run = QueryRun::default();
        let mut pieces = Pieces::new(run.clone(), MAX_ANSWER);
        drop(run.stop_on_drop());
        pieces.text().resize(PIECE, b'x');
        assert_eq!(pieces.turn(), Err(AnswerError::Cancelled));
    }

    #[tokio::test]
    async fn all_pieces_arrive_in_order() {
        let shares = Shares::new(2);
        let pieces: Vec<Bytes> = (0..100_u8).map(|n| Bytes::from(vec![n; 3])).collect();
        let sent = body(pieces.clone(), shares.acquire("a").await);
        let read = axum::body::to_bytes(sent, usize::MAX).await.unwrap();
        assert_eq!(read, pieces.concat());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_gives_its_room_back() {
        let shares = Shares::new(1);
        let pieces = vec![Bytes::from_static(b"x"); 5];
        let room = shares.acquire("a").await;
        let sent = feed(pieces, room, Duration::from_millis(20));
        let freed = tokio::time::timeout(Duration::from_secs(5), shares.acquire("a")).await;
        assert!(freed.is_ok());
        assert!(axum::body::to_bytes(sent, usize::MAX).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_away_gives_its_room_back() {
        let shares = Shares::new(1);
        let pieces = vec![Bytes::from_static(b"x"); 5];
        drop(body(pieces, shares.acquire("a").await));
        let freed = tokio::time::timeout(Duration::from_secs(5), shares.acquire("a")).await;
        assert!(freed.is_ok());
    }
}
