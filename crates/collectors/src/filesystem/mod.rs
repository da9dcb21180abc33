//! How full the mounted file systems are.
//!
//! Asking a mount whose server is gone can block for ever. So each mount is asked on a thread of
//! its own ([`Surveyor`]), and one that does not answer only marks itself:
//! `node_filesystem_device_error` is 1 and its other series end.

mod mounts;
mod survey;
mod surveyor;

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::read;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::{Roots, Space};
use crate::settings::{Choice, CollectorSettings};
use crate::sink::Sink;

use mounts::{Mount, is_ignored_kind, is_ignored_point, parse};
use survey::Answer;
use surveyor::Surveyor;

const LABELS: &[&str] = &["device", "mountpoint", "fstype"];

static SIZE: Metric = bytes("node_filesystem_size_bytes", "Filesystem size in bytes.");
static FREE: Metric = bytes("node_filesystem_free_bytes", "Filesystem free space in bytes.");
static AVAILABLE: Metric =
    bytes("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.");
static FILES: Metric = count("node_filesystem_files", "Filesystem total file nodes.");
static FILES_FREE: Metric =
    count("node_filesystem_files_free", "Filesystem total free file nodes.");
static READ_ONLY: Metric = count("node_filesystem_readonly", "Filesystem read-only status.");
static DEVICE_ERROR: Metric = count(
    "node_filesystem_device_error",
    "Whether an error occurred while getting statistics for the given device.",
);

const fn bytes(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::Bytes, help, LABELS)
}

const fn count(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::None, help, LABELS)
}

/// Collects the space of mounted file systems.
#[derive(Debug)]
pub(crate) struct Filesystem {
    /// The first of these that exists: the mounts as process 1 sees them, then as we do.
    tables: [PathBuf; 2],
    rootfs: PathBuf,
    surveyor: Surveyor,
    points: Choice,
    kinds: Choice,
}

impl Filesystem {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            tables: ["1/mounts", "self/mounts"].map(|path| roots.proc.join(path)),
            rootfs: roots.rootfs.clone(),
            surveyor: Surveyor::new(roots.measure_space.clone()),
            points: Choice::default(),
            kinds: Choice::default(),
        }
    }

    /// What is ignored by default is looked at where a pattern asks for it by name.
    fn takes(&self, mount: &Mount) -> bool {
        self.points.takes(&mount.point, !is_ignored_point(&mount.point))
            && self.kinds.takes(&mount.kind, !is_ignored_kind(&mount.kind))
    }

    fn mounts(&self) -> Result<Vec<Mount>, CollectError> {
        let mut found = None;
        for table in &self.tables {
            // An agent that is not root may not look at process 1.
            match read(table, parse) {
                Ok(Some(mounts)) => return Ok(mounts),
                Ok(None) => {}
                Err(error) => found = Some(error),
            }
        }
        found.map_or(Ok(Vec::new()), Err)
    }
}

impl Collector for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&SIZE, &FREE, &AVAILABLE, &FILES, &FILES_FREE, &READ_ONLY, &DEVICE_ERROR]
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        self.points = settings.mount_points.clone();
        self.kinds = settings.fs_types.clone();
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let mounts: Vec<Mount> =
            self.mounts()?.into_iter().filter(|mount| self.takes(mount)).collect();
        let paths: Vec<PathBuf> = mounts
            .iter()
            .map(|mount| self.rootfs.join(mount.point.trim_start_matches('/')))
            .collect();
        let answers = self.surveyor.survey(&paths, sink.monotonic_ms());
        for (mount, answer) in mounts.iter().zip(answers) {
            match answer {
                Answer::Space(space) => push(sink, mount, space),
                Answer::Failed => {
                    let labels = labels_of(mount);
                    sink.push(&DEVICE_ERROR, &labels, 1.0);
                    sink.push(&READ_ONLY, &labels, f64::from(u8::from(mount.read_only)));
                }
                Answer::NotYet => {}
            }
        }
        Ok(())
    }
}

fn labels_of(mount: &Mount) -> [&str; 3] {
    [&mount.device, &mount.point, &mount.kind]
}

fn push(sink: &mut Sink<'_>, mount: &Mount, space: Space) {
    let labels = labels_of(mount);
    sink.push(&SIZE, &labels, space.size as f64);
    sink.push(&FREE, &labels, space.free as f64);
    sink.push(&AVAILABLE, &labels, space.available as f64);
    sink.push(&FILES, &labels, space.files as f64);
    sink.push(&FILES_FREE, &labels, space.files_free as f64);
    sink.push(&DEVICE_ERROR, &labels, 0.0);
    // Not what the file system tells us: a hardened unit sees all of them read-only.
    sink.push(&READ_ONLY, &labels, f64::from(u8::from(mount.read_only)));
}
