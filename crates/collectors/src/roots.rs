//! The host by value: where its files are and how the space of a mount is asked for.
//!
//! Tests give a small tree of files and a function; the agent gives the machine.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_series::Labels;

use crate::settings::NamedPattern;

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

/// Reads series out of a text that another program wrote; the error is a sentence for people.
pub type ParseText = Arc<dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + Send + Sync>;

/// Folders in which other programs leave files `*.prom`, as distributions and `node_exporter`'s documentation have them.
const TEXTFILE_FOLDERS: [&str; 3] = [
    "var/lib/muster-agent/textfile",
    "var/lib/prometheus/node-exporter",
    "var/lib/node_exporter/textfile_collector",
];

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
    /// Where other programs leave files `*.prom`.
    pub textfile_folders: Vec<PathBuf>,
    /// How those are read; they are not, where nobody said.
    pub parse_text: Option<ParseText>,
    /// Processes that this host's own configuration looks for.
    pub named_processes: Vec<NamedPattern>,
}

impl Roots {
    /// Trees at other places than usual, as in a container that sees its host's files.
    pub fn new(proc: &Path, sys: &Path, rootfs: &Path) -> Self {
        Self {
            proc: proc.into(),
            sys: sys.into(),
            rootfs: rootfs.into(),
            measure_space: Arc::new(statvfs),
            textfile_folders: TEXTFILE_FOLDERS.iter().map(|path| rootfs.join(path)).collect(),
            parse_text: None,
            named_processes: Vec::new(),
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
        let Self { proc, sys, rootfs, textfile_folders, named_processes, .. } = self;
        f.debug_struct("Roots")
            .field("proc", proc)
            .field("sys", sys)
            .field("rootfs", rootfs)
            .field("textfile_folders", textfile_folders)
            .field("named_processes", named_processes)
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
