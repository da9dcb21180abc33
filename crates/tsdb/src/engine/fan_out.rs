//! Work on many series by several threads, where there are so many that it pays.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::TsdbError;

/// Items that a thread takes at a time.
const PART: usize = 512;
/// Below so many items a second thread costs more than it saves.
const LEAST: usize = 4096;
/// Most threads for one piece of work.
const MOST_THREADS: usize = 8;

/// The number of a part, and what was made of it.
type Done<T> = (usize, Result<Vec<T>, TsdbError>);

/// What `work` makes of all items, in their order. It is called with some of them at a time, by several threads if there
/// are many; the first error ends all.
pub(super) fn fan_out<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&[I]) -> Result<Vec<T>, TsdbError> + Sync,
) -> Result<Vec<T>, TsdbError> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    if items.len() < LEAST || cores < 2 {
        let mut all = Vec::new();
        for part in items.chunks(PART) {
            all.append(&mut work(part)?);
        }
        return Ok(all);
    }
    let parts: Vec<&[I]> = items.chunks(PART).collect();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Done<T>>> = Mutex::default();
    let run = || {
        while let Some((at, part)) = take(&next, &parts) {
            let made = work(part);
            if made.is_err() {
                next.store(parts.len(), Ordering::Relaxed);
            }
            done.lock().push((at, made));
        }
    };
    thread::scope(|scope| {
        for _ in 1..cores {
            // A system that gives no thread leaves the work to this one.
            let _ = thread::Builder::new().name("tsdb-query".into()).spawn_scoped(scope, run);
        }
        run();
    });
    let mut done = done.into_inner();
    done.sort_unstable_by_key(|(at, _)| *at);
    let mut all = Vec::with_capacity(items.len());
    for (_, made) in done {
        all.append(&mut made?);
    }
    Ok(all)
}

fn take<'a, I>(next: &AtomicUsize, parts: &[&'a [I]]) -> Option<(usize, &'a [I])> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, *parts.get(at)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(count: usize) {
        let items: Vec<usize> = (0..count).collect();
        let doubled = fan_out(&items, |part| Ok(part.iter().map(|item| item * 2).collect()));
        assert_eq!(doubled.unwrap(), (0..count).map(|item| item * 2).collect::<Vec<_>>());
    }

    #[test]
    fn results_stand_in_the_order_of_the_items() {
        check(0);
        check(PART + 1);
        check(LEAST);
        check(10 * LEAST + 17);
    }

    #[test]
    fn an_error_ends_the_work() {
        let items: Vec<usize> = (0..100 * LEAST).collect();
        let worked = AtomicUsize::new(0);
        let failed = fan_out(&items, |part| {
            worked.fetch_add(1, Ordering::Relaxed);
            if part[0] == 0 {
                return Err(TsdbError::Cancelled);
            }
            // All parts together are minutes of work, so that the thread that failed gets its turn before they are done.
            thread::sleep(Duration::from_millis(200));
            Ok(part.to_vec())
        });
        assert!(matches!(failed, Err(TsdbError::Cancelled)));
        assert!(worked.into_inner() < items.len() / PART);
    }
}
