//! `/dev/kmsg`: the kernel's log, record by record.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

/// The kernel gives no longer record, in bytes.
const RECORD_BYTES: usize = 8192;
/// Most records that are read at once, so that a storm in the log does not hold up the others; the rest
/// waits for the next reading.
const MAX_RECORDS: usize = 2000;
/// How long a log that may not be read is left alone, in monotonic milliseconds.
const RETRY_MS: i64 = 5 * 60_000;

/// The kernel's log from the moment on at which it was opened.
#[derive(Debug)]
pub(super) struct KernelLog {
    path: PathBuf,
    log: Option<OwnedFd>,
    /// When the log could not be opened last.
    refused_ms: Option<i64>,
    record: Vec<u8>,
}

impl KernelLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, log: None, refused_ms: None, record: Vec::new() }
    }

    /// Hands each new record to `each`; there is none where the log may not be read.
    pub(super) fn read(&mut self, now_ms: i64, mut each: impl FnMut(&str)) {
        if self.log.is_none() {
            if self.refused_ms.is_some_and(|refused_ms| now_ms - refused_ms < RETRY_MS) {
                return;
            }
            self.refused_ms = None;
            match self.open() {
                Ok(log) => self.log = Some(log),
                Err(_) => self.refused_ms = Some(now_ms),
            }
        }
        let Some(log) = &self.log else { return };
        self.record.resize(RECORD_BYTES, 0);
        for _ in 0..MAX_RECORDS {
            match rustix::io::read(log, self.record.as_mut_slice()) {
                Ok(0) | Err(Errno::AGAIN) => return,
                Ok(len) => each(&String::from_utf8_lossy(&self.record[..len])),
                // Records were overwritten before they were read; the next reading goes on behind them.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(_) => {
                    self.log = None;
                    self.refused_ms = Some(now_ms);
                    return;
                }
            }
        }
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = rustix::fs::open(&self.path, flags, Mode::empty())?;
        rustix::fs::seek(&log, SeekFrom::End(0))?;
        Ok(log)
    }
}
