//! Samples that other programs push: remote write, OTLP, Prometheus's text.
//!
//! 1. `payload`: the body is decompressed into a buffer that is used again and again.
//! 2. `gather`: the decoder of the protocol walks it and tells series by key; `series_table` knows the keys of series that
//!    came before, so that only a new series has its labels read, checked and registered.
//! 3. The samples go to the store as one batch, and the answer waits until they are durable.
//!
//! What cannot be stored is counted by reason and told to the sender; the rest of the request is stored.

mod counts;
mod gather;
mod payload;
mod series_table;

use std::sync::Arc;

use muster_series::Labels;
use muster_tsdb::{Appended, TsdbError, WriteBatch};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
pub(crate) use counts::{CODES, Counts, OfProtocol, Protocol, Reason, Refusals};
pub(crate) use gather::{Format, TextOptions};
use gather::{Gathered, Keys, Known};
use payload::Buffers;
pub(crate) use payload::{Encoding, MAX_BODY, Payload};
use series_table::SeriesTable;

/// The most memory that requests under way take together, in KiB; beyond, senders are asked to come again.
const MEMORY_KIB: usize = 384 << 10;
/// Bodies up to this many bytes are worked on at once; larger ones would keep others waiting and go to a thread of their own.
const INLINE_BYTES: usize = 256 << 10;

/// What pushing needs of a running server.
pub(crate) struct Push {
    table: SeriesTable,
    keys: Keys,
    buffers: Buffers,
    memory: Arc<Semaphore>,
    pub(crate) counts: Counts,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            table: SeriesTable::new(),
            keys: Keys::new(),
            buffers: Buffers::default(),
            memory: Arc::new(Semaphore::new(MEMORY_KIB)),
            counts: Counts::default(),
        }
    }
}

impl Push {
    /// How many series are known by key.
    pub(crate) fn known_series(&self) -> usize {
        self.table.len()
    }

    /// Memory for so many bytes, until the permit is dropped; none if too much is under way.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).ok()?;
        Arc::clone(&self.memory).try_acquire_many_owned(kib).ok()
    }

    /// Makes memory that was reserved before enough for so many bytes.
    pub(crate) fn extend(
        &self,
        memory: &mut OwnedSemaphorePermit,
        bytes: usize,
    ) -> Result<(), PushError> {
        let held = memory.num_permits() << 10;
        if bytes > held {
            memory.merge(self.reserve(bytes - held).ok_or(PushError::NoMemory)?);
        }
        Ok(())
    }
}

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Samples that are in the store now.
    pub(crate) samples: u64,
    /// What was not taken.
    pub(crate) refusals: Refusals,
    /// Data points of OTLP of which something was not taken.
    pub(crate) rejected_points: u64,
    /// Exemplars, which are read and not kept.
    pub(crate) exemplars: u64,
}

/// Why nothing of a request is known to be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// It is not what it says to be.
    #[error("{0}")]
    Malformed(String),
    /// It is over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// Its sender fell silent.
    #[error("no more of the body came for 10 s; send it again")]
    Silent,
    /// Too much is under way.
    #[error("the server has too many large requests under way; send it again")]
    NoMemory,
    /// The store does not take it now.
    #[error("{0}")]
    Store(#[from] TsdbError),
    /// A defect of ours.
    #[error("the server failed at this request; its log says why")]
    Defect,
}

/// A request that is worked on and the memory that this takes.
struct Work {
    payload: Payload,
    memory: Mutex<OwnedSemaphorePermit>,
}

/// Stores what a request holds. When this returns, what was stored is durable.
pub(crate) async fn store(app: &Arc<App>, payload: Payload) -> Result<Stored, PushError> {
    let memory = app.push.reserve(payload.work_bytes()?).ok_or(PushError::NoMemory)?;
    let protocol = payload.format.protocol();
    let work = Arc::new(Work { payload, memory: Mutex::new(memory) });
    // Once, so that samples without a time have the same one if they are sent again.
    let now_ms = app.clock.now_ms();
    let stored = attempt(
        |known| gather(Arc::clone(app), Arc::clone(&work), known, now_ms),
        |batch| append(Arc::clone(app), batch),
    )
    .await?;
    app.push.counts.note(protocol, &stored);
    Ok(stored)
}

/// Gathers and appends, and does both again if the store has forgotten series that the table still knew. All of
/// the request is then sent again under fresh numbers; what was stored the first time is dropped as a duplicate.
async fn attempt<G, A>(
    gather: impl Fn(Known) -> G,
    append: impl Fn(WriteBatch) -> A,
) -> Result<Stored, PushError>
where
    G: Future<Output = Result<Gathered, PushError>>,
    A: Future<Output = Result<Appended, TsdbError>>,
{
    let mut gathered = gather(Known::Trusted).await?;
    let mut appended = append(std::mem::take(&mut gathered.batch)).await?;
    if appended.refused.unknown_series > 0 {
        gathered = gather(Known::Forgotten).await?;
        appended = append(std::mem::take(&mut gathered.batch)).await?;
    }
    Ok(settle(gathered, &appended))
}

async fn gather(
    app: Arc<App>,
    work: Arc<Work>,
    known: Known,
    now_ms: i64,
) -> Result<Gathered, PushError> {
    // A small body may hide a large text; what it takes without compression is what keeps others waiting.
    if work.payload.body.len() <= INLINE_BYTES && work.payload.work_bytes()? <= 8 * INLINE_BYTES {
        return gather_now(&app, &work, known, now_ms);
    }
    let gathering = tokio::task::spawn_blocking(move || gather_now(&app, &work, known, now_ms));
    gathering.await.map_err(|_| PushError::Defect)?
}

fn gather_now(app: &App, work: &Work, known: Known, now_ms: i64) -> Result<Gathered, PushError> {
    let Push { table, keys, buffers, .. } = &app.push;
    let register = |labels: &Labels| app.store.series(labels);
    let cover = |bytes| app.push.extend(&mut work.memory.lock(), bytes);
    buffers.with(|buffer| {
        let plain = work.payload.decompress(buffer, cover)?;
        gather::gather((table, keys), &register, &work.payload.format, plain, known, now_ms)
    })
}

async fn append(app: Arc<App>, batch: WriteBatch) -> Result<Appended, TsdbError> {
    if batch.samples.is_empty() {
        return Ok(Appended::default());
    }
    let (sender, done) = tokio::sync::oneshot::channel();
    app.store.append(
        batch,
        Box::new(move |result| {
            // Who waits may have gone; the samples are stored all the same.
            let _ = sender.send(result);
        }),
    );
    done.await.unwrap_or(Err(TsdbError::Closed))
}

/// Adds what the store refused to what was refused before.
fn settle(gathered: Gathered, appended: &Appended) -> Stored {
    let Gathered { samples, mut refusals, mut rejected_points, points, exemplars, .. } = gathered;
    let refused = &appended.refused;
    refusals.add(Reason::TooNew, refused.too_new);
    refusals.add(Reason::TooOld, refused.too_old);
    refusals.add(Reason::UnknownSeries, refused.unknown_series);
    let by_store = refused.total();
    // The store refuses by the sample and OTLP counts points: a point has at least one sample.
    rejected_points = points.min(rejected_points + by_store);
    Stored { samples: samples.saturating_sub(by_store), refusals, rejected_points, exemplars }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;

    use muster_tsdb::Refused;

    use super::*;

    fn gathered(samples: u64, rejected_points: u64) -> Gathered {
        Gathered { samples, points: 9, rejected_points, ..Gathered::default() }
    }

    #[tokio::test]
    async fn a_batch_of_forgotten_series_is_sent_once_more_under_fresh_numbers() {
        let asked = RefCell::new(Vec::new());
        let stored = attempt(
            |known| {
                asked.borrow_mut().push(known);
                ready(Ok(gathered(5, 0)))
            },
            |_| {
                let forgotten = u64::from(asked.borrow().len() == 1);
                let refused = Refused { unknown_series: forgotten, ..Refused::default() };
                let appended = Appended { samples: 5 - forgotten, refused, ..Appended::default() };
                ready(Ok(appended))
            },
        );
        let stored = stored.await.unwrap();
        assert_eq!(*asked.borrow(), [Known::Trusted, Known::Forgotten]);
        assert_eq!((stored.samples, stored.refusals.total()), (5, 0));
    }

    #[test]
    fn what_the_store_refused_is_no_longer_stored() {
        let refused = Refused { too_new: 1, too_old: 2, unknown_series: 0 };
        let appended = Appended { samples: 1, duplicates: 1, refused };
        let stored = settle(gathered(5, 8), &appended);
        assert_eq!((stored.samples, stored.refusals.total(), stored.rejected_points), (2, 3, 9));
    }
}
