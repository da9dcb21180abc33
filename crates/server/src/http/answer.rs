//! Answers, written piece by piece as fast as the client takes them: what is held is what an answer is made of.
//!
//! 1. A query makes an [`Answer`]: a text to begin with, and perhaps a [`Rest`] that is not text yet.
//! 2. Its first piece is written at once. If that is all, it is sent with its length.
//! 3. [`body`] writes each further piece when the client has taken the one before. What the answer holds is given back
//!    when it is sent, when the client is gone, and when a client does not read for [`STALLED`]. An answer that does not
//!    come to its end has no end: its connection is cut, so that nobody takes half of it for the whole.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::sync::mpsc;

use crate::shares::Place;

/// How long a client may take for a piece of an answer.
const STALLED: Duration = Duration::from_secs(30);
/// How long a client may take for a whole answer.
const LONGEST: Duration = Duration::from_mins(10);
/// About how many bytes a piece has.
pub(super) const PIECE: usize = 64 << 10;

/// Why an answer is not written to its end.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be written: {0}")]
pub(crate) struct AnswerError(pub(crate) String);

/// What is still to be written of an answer.
pub(crate) trait Rest: Send + 'static {
    /// Appends the next part, until `out` has about [`PIECE`] bytes; false if all is written.
    fn write(&mut self, out: &mut Vec<u8>) -> Result<bool, AnswerError>;

    /// About how many bytes of memory it holds.
    fn held(&self) -> usize;
}

/// An answer that is being written.
pub(crate) struct Answer {
    /// What is written and in no piece yet.
    text: Vec<u8>,
    rest: Option<Box<dyn Rest>>,
    end: Vec<u8>,
}

impl Answer {
    /// An answer that is all there.
    pub(crate) fn text(text: Vec<u8>) -> Self {
        Self { text, rest: None, end: Vec::new() }
    }

    /// An answer that begins and ends so.
    pub(crate) fn new(begin: Vec<u8>, rest: impl Rest, end: Vec<u8>) -> Self {
        Self { text: begin, rest: Some(Box::new(rest)), end }
    }

    /// Whether it was all given out as pieces.
    pub(super) fn is_written(&self) -> bool {
        self.rest.is_none() && self.text.is_empty()
    }

    /// About how many bytes of memory it holds.
    pub(super) fn held(&self) -> usize {
        self.text.len() + self.rest.as_ref().map_or(0, |rest| rest.held())
    }

    /// The next piece, empty only at the end.
    pub(super) fn next_piece(&mut self) -> Result<Bytes, AnswerError> {
        let mut piece = std::mem::take(&mut self.text);
        while piece.len() < PIECE
            && let Some(rest) = &mut self.rest
        {
            if !rest.write(&mut piece)? {
                self.rest = None;
                piece.append(&mut self.end);
            }
        }
        Ok(piece.into())
    }
}

/// The body of an answer of which `first` is the first piece; `place` is held until the last one is on its way.
pub(super) fn body(first: Bytes, answer: Answer, place: Option<Place>) -> Body {
    if answer.is_written() { Body::from(first) } else { feed(first, answer, place, STALLED) }
}

fn feed(first: Bytes, answer: Answer, place: Option<Place>, stalled: Duration) -> Body {
    // One piece is on its way and the next waits; an empty one is the end.
    let (sender, receiver) = mpsc::channel(1);
    let send_all = async move {
        let _place = place;
        let (mut piece, mut answer) = (first, answer);
        loop {
            let is_last = piece.is_empty();
            match tokio::time::timeout(stalled, sender.send(piece)).await {
                Ok(Ok(())) if is_last => return,
                Ok(Ok(())) => {}
                // The client is gone.
                Ok(Err(_)) => return,
                Err(_) => {
                    tracing::info!("a client stopped reading its answer, which was cut");
                    return;
                }
            }
            piece = match answer.next_piece() {
                Ok(piece) => piece,
                Err(error) => {
                    tracing::error!(%error, "an answer was cut");
                    return;
                }
            };
        }
    };
    tokio::spawn(tokio::time::timeout(LONGEST, send_all));
    let stream = futures_util::stream::try_unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Some(piece) if piece.is_empty() => Ok(None),
            Some(piece) => Ok(Some((piece, receiver))),
            // An end in order would make half an answer look whole.
            None => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    });
    Body::from_stream(stream)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::shares::Shares;

    /// So many pieces of one letter each; counts those that were written, and fails after them if it is to.
    struct Letters {
        left: usize,
        written: Arc<AtomicUsize>,
        fails: bool,
    }

    impl Rest for Letters {
        fn write(&mut self, out: &mut Vec<u8>) -> Result<bool, AnswerError> {
            if self.left == 0 {
                return if self.fails { Err(AnswerError("no more".into())) } else { Ok(false) };
            }
            self.left -= 1;
            out.resize(PIECE, b'x');
            self.written.fetch_add(1, Ordering::Relaxed);
            Ok(true)
        }

        fn held(&self) -> usize {
            self.left
        }
    }

    fn letters(left: usize, fails: bool) -> (Answer, Arc<AtomicUsize>) {
        let written = Arc::new(AtomicUsize::new(0));
        let rest = Letters { left, written: Arc::clone(&written), fails };
        (Answer::new(b"[".to_vec(), rest, b"]".to_vec()), written)
    }

    async fn read(body: Body) -> Result<Bytes, axum::Error> {
        axum::body::to_bytes(body, usize::MAX).await
    }

    #[tokio::test]
    async fn an_answer_is_its_beginning_its_rest_and_its_end() {
        for count in [0, 1, 2, 100] {
            let (mut answer, written) = letters(count, false);
            let first = answer.next_piece().unwrap();
            let sent = read(body(first, answer, None)).await.unwrap();
            assert_eq!(written.load(Ordering::Relaxed), count);
            assert_eq!((sent.first(), sent.last()), (Some(&b'['), Some(&b']')));
            assert_eq!(sent.len(), (count * PIECE).max(1) + 1, "{count}");
        }
    }

    #[tokio::test]
    async fn no_more_is_written_than_the_client_takes() {
        let (mut answer, written) = letters(1_000, false);
        let first = answer.next_piece().unwrap();
        let mut sent = body(first, answer, None).into_data_stream();
        for taken in 1..20 {
            assert!(sent.next().await.is_some_and(|piece| piece.is_ok()));
            // One is taken, one is in the channel, one waits to get into it, and one may be on its way between them.
            assert!(written.load(Ordering::Relaxed) <= taken + 3);
        }
    }

    #[tokio::test]
    async fn an_answer_that_fails_is_no_answer() {
        for count in [1, 5] {
            let (mut answer, _) = letters(count, true);
            let first = answer.next_piece().unwrap();
            assert!(read(body(first, answer, None)).await.is_err(), "{count}");
        }
    }

    /// What a client gets on the wire of an answer of so many pieces.
    async fn on_the_wire(count: usize, fails: bool) -> Vec<u8> {
        let handler = move || async move {
            let (mut answer, _) = letters(count, fails);
            let first = answer.next_piece().unwrap();
            body(first, answer, None)
        };
        let router = axum::Router::new().route("/", axum::routing::get(handler));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut got = Vec::new();
        // A connection that is cut may say so by an error.
        let _ = client.read_to_end(&mut got).await;
        serving.abort();
        got
    }

    #[tokio::test]
    async fn what_is_cut_has_no_end_on_the_wire() {
        const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
        let whole = on_the_wire(5, false).await;
        assert!(whole.starts_with(b"HTTP/1.1 200") && whole.ends_with(LAST_CHUNK));
        let cut = on_the_wire(5, true).await;
        assert!(cut.starts_with(b"HTTP/1.1 200") && !cut.ends_with(LAST_CHUNK));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_gives_its_place_back() {
        let shares = Shares::new(1);
        let (mut answer, _) = letters(1_000, false);
        let first = answer.next_piece().unwrap();
        let place = Some(shares.acquire("a").await);
        let sent = feed(first, answer, place, Duration::from_millis(20));
        let freed = tokio::time::timeout(Duration::from_mins(1), shares.acquire("a")).await;
        assert!(freed.is_ok());
        assert!(read(sent).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_goes_away_gives_its_place_back() {
        let shares = Shares::new(1);
        let (mut answer, _) = letters(1_000, false);
        let first = answer.next_piece().unwrap();
        drop(body(first, answer, Some(shares.acquire("a").await)));
        let freed = tokio::time::timeout(Duration::from_mins(1), shares.acquire("a")).await;
        assert!(freed.is_ok());
    }
}
