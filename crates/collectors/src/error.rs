//! What can go wrong while a collector works.

use std::io;
use std::path::{Path, PathBuf};

/// Why a collector failed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The kernel refused a file that exists.
    #[error("{path} could not be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file says something that this version of Muster does not understand.
    #[error("{path} holds a line that is not understood: {line:?}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line, shortened.
        line: String,
    },
}

impl CollectError {
    /// Puts the path to what the kernel said.
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.into(), source }
    }
}

/// Longest part of a line that an error quotes, in characters.
const QUOTED_CHARS: usize = 80;

/// A line that a parser does not understand; it gets its path from whoever read the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(String);

impl Malformed {
    /// An error about this line.
    pub(crate) fn at(line: &str) -> Self {
        Self(line.chars().take(QUOTED_CHARS).collect())
    }

    /// The error with the path of the file.
    pub(crate) fn in_file(self, path: &Path) -> CollectError {
        CollectError::Malformed { path: path.into(), line: self.0 }
    }
}
