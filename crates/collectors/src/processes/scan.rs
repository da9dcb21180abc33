//! One pass over `/proc`: a line of every process, for three system calls each.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

use super::stat::{Io, ProcessStat, parse_io, parse_stat};
use crate::error::CollectError;

/// Room for the names of a few hundred processes a system call, in bytes.
const NAMES_BYTES: usize = 32 << 10;
/// Most of a file of a process that is read, in bytes: more of a command line nobody can look at.
const FILE_BYTES: usize = 4096;

/// What can be asked of a process beside its line, by those who need it.
pub(crate) trait Details {
    /// Its arguments, each followed by a zero byte; empty where it has none or is gone.
    fn command_line(&mut self, pid: u32) -> &[u8];

    /// What it moved to and from disks; `None` where the kernel does not tell this user.
    fn io(&mut self, pid: u32) -> Option<Io>;
}

/// The folder of processes, opened once.
#[derive(Debug)]
pub(crate) struct ProcFolder {
    path: PathBuf,
    folder: Option<OwnedFd>,
    names: Vec<u8>,
    pids: Vec<u32>,
    /// The path of the file that is read, below the folder.
    name: String,
    line: Vec<u8>,
    file: Vec<u8>,
}

impl ProcFolder {
    /// The folder at `path`, `/proc` or the threads of one process in it. Nothing is opened before
    /// the first pass.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            folder: None,
            names: Vec::new(),
            pids: Vec::new(),
            name: String::new(),
            line: Vec::new(),
            file: Vec::new(),
        }
    }

    /// Turns to another folder.
    pub(crate) fn set_path(&mut self, path: PathBuf) {
        self.path = path;
        self.folder = None;
    }

    /// Hands the line of each process to `each`, by rising numbers. One that ends meanwhile, or that
    /// may not be looked at, is left out; so are all where this machine has no such folder.
    pub(crate) fn scan(
        &mut self,
        mut each: impl FnMut(&ProcessStat<'_>, &mut dyn Details),
    ) -> Result<(), CollectError> {
        for at in 0..self.begin()? {
            self.visit(at, &mut each)?;
        }
        Ok(())
    }

    /// Begins a pass that visits only some: says how many processes there are.
    pub(crate) fn begin(&mut self) -> Result<usize, CollectError> {
        match self.list() {
            Ok(()) => Ok(self.pids.len()),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(0),
            Err(error) => Err(CollectError::read(&self.path, error.into())),
        }
    }

    /// The number of a process of this pass; `at` is below what [`ProcFolder::begin`] said.
    pub(crate) fn pid(&self, at: usize) -> u32 {
        self.pids[at]
    }

    /// Hands the line of a process of this pass to `each`, if it can be read.
    pub(crate) fn visit(
        &mut self,
        at: usize,
        mut each: impl FnMut(&ProcessStat<'_>, &mut dyn Details),
    ) -> Result<(), CollectError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let pid = self.pids[at];
        match read_file(folder, &mut self.name, pid, "stat", &mut self.line) {
            Ok(len) => {
                if let Some(stat) = parse_stat(&self.line[..len]) {
                    each(
                        &stat,
                        &mut Files { folder, path: &mut self.name, buffer: &mut self.file },
                    );
                }
                Ok(())
            }
            // The agent itself lacks something: that must not look as if all had ended.
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
                Err(CollectError::read(&self.path, error.into()))
            }
            Err(_) => Ok(()),
        }
    }

    /// Puts the numbers of all processes into `self.pids`.
    fn list(&mut self) -> Result<(), Errno> {
        self.pids.clear();
        let folder = if let Some(folder) = self.folder.take() {
            rustix::fs::seek(&folder, SeekFrom::Start(0))?;
            folder
        } else {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(&self.path, flags, Mode::empty())?
        };
        self.names.reserve(NAMES_BYTES);
        let mut entries = RawDir::new(&folder, self.names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name.first().is_some_and(u8::is_ascii_digit)
                && let Some(pid) = std::str::from_utf8(name).ok().and_then(|n| n.parse().ok())
            {
                self.pids.push(pid);
            }
        }
        self.folder = Some(folder);
        Ok(())
    }

    /// The beginning of a file of a process; empty where it is gone or may not be read.
    pub(crate) fn bytes(&mut self, pid: u32, name: &str) -> &[u8] {
        let Some(folder) = &self.folder else { return &[] };
        match read_file(folder, &mut self.name, pid, name, &mut self.file) {
            Ok(len) => &self.file[..len],
            Err(_) => &[],
        }
    }
}

/// The other files of the processes.
struct Files<'a> {
    folder: &'a OwnedFd,
    path: &'a mut String,
    buffer: &'a mut Vec<u8>,
}

impl Details for Files<'_> {
    fn command_line(&mut self, pid: u32) -> &[u8] {
        match read_file(self.folder, self.path, pid, "cmdline", self.buffer) {
            Ok(len) => &self.buffer[..len],
            Err(_) => &[],
        }
    }

    fn io(&mut self, pid: u32) -> Option<Io> {
        let len = read_file(self.folder, self.path, pid, "io", self.buffer).ok()?;
        parse_io(&self.buffer[..len])
    }
}

/// Reads the beginning of a file of a process: as much as one call gives, at most [`FILE_BYTES`].
fn read_file(
    folder: &OwnedFd,
    path: &mut String,
    pid: u32,
    name: &str,
    buffer: &mut Vec<u8>,
) -> Result<usize, Errno> {
    path.clear();
    write!(path, "{pid}/{name}").expect("a string takes any text");
    let file =
        rustix::fs::openat(folder, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    buffer.resize(FILE_BYTES, 0);
    rustix::io::read(&file, buffer.as_mut_slice())
}
