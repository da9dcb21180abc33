//! What can go wrong in the engine, with the evidence.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The numbers by which Linux says that a medium or its file system does not give back what was written: EIO, EBADMSG, EUCLEAN.
const UNREADABLE: [i32; 3] = [5, 74, 117];

/// Why an operation of the engine failed. Cheap to clone: one failed sync fails many appends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TsdbError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}; check that the folder exists and that this user may read and write it", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Somebody else has the data folder.
    #[error("cannot open {}: {holder}; stop that process or choose another --data-dir", path.display())]
    Locked {
        /// The data folder.
        path: PathBuf,
        /// Who has it, in words.
        holder: String,
    },
    /// There is too little room to write; reading goes on, and writing resumes when there is room.
    #[error("the disk that holds {} is full: {available} bytes are free and {needed} are kept in reserve; free some space or shorten the retention", path.display())]
    DiskFull {
        /// The data folder.
        path: PathBuf,
        /// Bytes free.
        available: u64,
        /// Bytes below which nothing is appended.
        needed: u64,
    },
    /// A file does not hold what was written.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A file of another version of Muster.
    #[error("{} has format version {found}, and this program reads version {known}; start the version of muster that wrote it", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is understood.
        known: u32,
    },
    /// There are as many series as are allowed.
    #[error(
        "the limit of {limit} series is reached; remove a label that takes many values, or raise the limit"
    )]
    SeriesLimit {
        /// How many are allowed.
        limit: usize,
    },
    /// Something is larger than the files of the store can hold. Nothing is damaged by it.
    #[error(
        "{what} takes {bytes} bytes, and at most {limit} can be stored; use fewer or shorter labels"
    )]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        limit: u64,
    },
    /// The texts of all labels take as much memory as is allowed.
    #[error(
        "the limit of {limit} bytes of label text is reached; remove a label that takes many values, or raise the limit"
    )]
    LabelMemory {
        /// How many bytes are allowed.
        limit: usize,
    },
    /// A series has more labels than are allowed.
    #[error("a series has {found} labels, and at most {limit} can be stored; use fewer labels")]
    TooManyLabels {
        /// How many it has.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// What was given is no label set.
    #[error(
        "labels must be sorted by name, each name once, with no empty name and no empty value; got {labels}"
    )]
    InvalidLabels {
        /// The labels as they were given.
        labels: String,
    },
    /// A query needs more than it is allowed.
    #[error("the query needs more than {limit} {what}; narrow its selectors or its time range")]
    QueryLimit {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// Whoever asked for the query stopped it.
    #[error("the query was stopped")]
    Cancelled,
    /// More waits to be written than the queue holds.
    #[error("the store has too much to write at the moment; send the batch again in a few seconds")]
    Busy,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl TsdbError {
    /// Whether a file is not there.
    pub(crate) fn is_missing_file(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// An error of the system; a lack of room becomes [`TsdbError::DiskFull`].
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::DiskFull { path: path.into(), available: 0, needed: 0 };
        }
        Self::Io { action, path: path.into(), source: Arc::new(source) }
    }

    /// Why bytes of a file could not be read. Where the medium is at fault they are damaged, which costs no more than what
    /// they hold; all else is an error of the system, and may pass.
    pub(crate) fn reading(path: &Path, offset: u64, source: io::Error) -> Self {
        if cfg!(unix) && source.raw_os_error().is_some_and(|code| UNREADABLE.contains(&code)) {
            return Self::Corrupt { path: path.into(), offset, reason: "the disk cannot read it" };
        }
        Self::io("read", path, source)
    }
}
