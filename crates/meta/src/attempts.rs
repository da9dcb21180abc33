//! Transactions that are tried again when another one was in their way.
//!
//! Two that want the same rows are sorted out by the database, which fails one of them: with a deadlock, with a
//! serialization failure, or, on a Galera cluster, when it commits. Nothing of that one has happened, and the whole of
//! it is right to be done once more.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};

use crate::Meta;
use crate::error::MayPass;

/// How often a transaction is tried.
const TRIES: u32 = 5;
/// The longest pause after the first try; it doubles with each.
const PAUSE: Duration = Duration::from_millis(50);

/// The tries of one transaction: begin, work, end, until [`Attempts::end`] has a result.
pub(crate) struct Attempts<'m> {
    meta: &'m Meta,
    left: u32,
    pause: Duration,
}

impl<'m> Attempts<'m> {
    pub(crate) fn new(meta: &'m Meta) -> Self {
        Self { meta, left: TRIES, pause: PAUSE }
    }

    /// Begins the next try.
    pub(crate) async fn begin(&mut self) -> Result<DatabaseTransaction, DbErr> {
        self.left -= 1;
        self.meta.begin_write().await
    }

    /// Commits what succeeded and takes back what failed. None, after a pause, if it is to be tried again.
    pub(crate) async fn end<T, E: From<DbErr> + MayPass>(
        &mut self,
        open: DatabaseTransaction,
        result: Result<T, E>,
    ) -> Option<Result<T, E>> {
        let result = match result {
            Ok(value) => open.commit().await.map(|()| value).map_err(E::from),
            Err(error) => {
                // A transaction that the database has ended already cannot be taken back, and need not be: the pool
                // parts with a connection that stays unclear about it.
                let _ = open.rollback().await;
                Err(error)
            }
        };
        match result {
            Err(error) if error.may_pass() && self.left > 0 => {
                tokio::time::sleep(jittered(self.pause)).await;
                self.pause *= 2;
                None
            }
            result => Some(result),
        }
    }
}

/// Between half of a pause and all of it, so that those who were in each other's way part.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + share / 2.0)
}
