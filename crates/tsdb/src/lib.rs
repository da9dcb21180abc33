//! The embedded time-series engine: samples in, durable; series by matcher and time range out.
//!
//! It knows no PromQL and no async runtime. All file access goes through `muster_environment::Disk`, all time through
//! `Clock`. The example on [`Db`] shows the whole of its use; docs/format says what the files hold.
//!
//! The way of a sample: [`Db::append`] → queue → log (`wal`) → head (`head`) → block (`block`) → merged block.
//! [`Db::select_parts`] reads head and blocks as they were at one moment, finding series by `index`.

mod batch;
mod block;
mod codec;
mod engine;
mod error;
mod head;
mod index;
mod inspect;
mod manifest;
mod options;
mod plan;
mod tombstone;
mod wal;

pub use batch::{Appended, Refused, SeriesId, SeriesSample, WriteBatch};
pub use engine::{
    CopyReport, Db, OpenReport, Quarantined, SelectHints, SelectLimits, SeriesReader,
    SnapshotReport, Stats, Unreadable, copy_store,
};
pub use error::TsdbError;
pub use inspect::{
    BlockInspection, Cardinality, Damage, Inspection, SegmentInspection, inspect, inspect_block,
    inspect_segment,
};
pub use options::{LabelLimits, Options};
