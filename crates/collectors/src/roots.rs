//! The host by value: where its files are and how the space of a mount is asked for.
//!
//! Tests give a small tree of files and a function; the agent gives the machine.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The size of a mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// All of it, in bytes.
    pub size: u64,
    /// What is free, in bytes.
    pub free: u64,
    /// What is free for users other than root, in bytes.
    pub available: u64,
    /// All inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
}

/// Asks for the space of the file system mounted at a path. It may block for ever.
pub type MeasureSpace = Arc<dyn Fn(&Path) -> io::Result<Space> + Send + Sync>;

/// Where the host's files are.
#[derive(Clone)]
pub struct Roots {
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys`
    pub sys: PathBuf,
    /// `/`: where mount points, `/etc` and `/run` are looked for.
    pub rootfs: PathBuf,
    /// How the space of a mount is asked for.
    pub measure_space: MeasureSpace,
}

impl Roots {
    /// Trees at other places than usual, as in a container that sees its host's files.
    pub fn new(proc: &Path, sys: &Path, rootfs: &Path) -> Self {
        Self {
            proc: proc.into(),
            sys: sys.into(),
            rootfs: rootfs.into(),
            measure_space: Arc::new(statvfs),
        }
    }
}

impl Default for Roots {
    /// This machine.
    fn default() -> Self {
        Self::new(Path::new("/proc"), Path::new("/sys"), Path::new("/"))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proc, sys, rootfs, measure_space: _ } = self;
        f.debug_struct("Roots")
            .field("proc", proc)
            .field("sys", sys)
            .field("rootfs", rootfs)
            .finish_non_exhaustive()
    }
}

fn statvfs(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space {
        size: bytes(stat.f_blocks),
        free: bytes(stat.f_bfree),
        available: bytes(stat.f_bavail),
        files: stat.f_files,
        files_free: stat.f_ffree,
    })
}
