//! The engine from outside: against a model, through crashes, over damaged files, on a full disk.

#![expect(
    clippy::unwrap_used,
    reason = "all of this crate is tests, the functions they share included"
)]

mod churn;
mod compaction;
mod crash;
mod damage;
mod deletion;
mod found_at_start;
mod full_disk;
mod harness;
mod hooked_disk;
mod inspection;
mod large;
mod limits;
mod lying_disk;
mod model;
mod parts;
mod scrub;
mod size;
mod snapshot;
mod unreadable;
