//! A backup: what of a data folder goes into it, the list of its files, and the folder to which they come back.
//!
//! Samples are copied by the engine and the metadata by the database, each consistent in itself; everything else in the folder
//! (CA, keys, state of the agent of `muster up`) is copied as it lies there. The copies go into one file, an archive
//! (`archive.rs`) under a passphrase (`passphrase.rs`, `seal.rs`): keys, password hashes and samples alike, so that it
//! may lie anywhere.

mod archive;
mod passphrase;
mod seal;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

pub(crate) use archive::{ArchiveWriter, read_archive, warn_of_gaps};
pub(crate) use passphrase::{Purpose, passphrase};
pub(crate) use seal::Cost;

/// The list of the files, the last in the archive.
pub(crate) const LIST_NAME: &str = "backup.json";
/// The version of the list.
pub(crate) const FORMAT: u32 = 1;
/// Where files lie until the whole archive has been checked, in the folder that they are for.
const UNCHECKED: &str = ".restoring";
/// What to do where a file cannot be read.
pub(crate) const SKIP_ADVICE: &str =
    "a file is damaged; --skip-damaged makes a backup of all the others";
/// What is of one process only, or comes into the backup by other ways.
const NOT_COPIED: [&str; 11] = [
    "metrics",
    "snapshots",
    "muster.db",
    "muster.db-wal",
    "muster.db-shm",
    "database",
    "address",
    ".writable",
    "lost+found",
    UNCHECKED,
    LIST_NAME,
];

/// What `backup.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Backup {
    /// Version of this list.
    pub(crate) format: u32,
    /// The version of Muster that made it.
    pub(crate) muster: String,
    /// When it was begun, like `2026-11-22T10:11:12Z`.
    pub(crate) created: String,
    /// Samples in blocks; those of the log come to them.
    pub(crate) block_samples: u64,
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// All files but this one, in the order of the archive.
    pub(crate) files: Vec<BackupFile>,
    /// What could not be read and is not in it; only with `--skip-damaged`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<LeftOut>,
}

/// Something that a backup lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    /// Its place in the data folder.
    pub(crate) path: String,
    /// Why it could not be read.
    pub(crate) reason: String,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupFile {
    /// Its place in the folder, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// In hexadecimal digits.
    pub(crate) sha256: String,
}

/// Makes a folder for this user alone; an error if it holds something.
pub(crate) fn make_empty(dir: &Path) -> anyhow::Result<()> {
    let shown = dir.display();
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => {
            bail!("the folder {shown} is not empty; choose another, or move it away first")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("cannot make the folder {shown}")),
        Err(error) => Err(error).with_context(|| format!("cannot use the folder {shown}")),
    }
}

/// Removes everything in a folder; what cannot be removed stays.
pub(crate) fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "a file of no use could not be removed");
        }
    }
}

/// Copies what neither engine nor database copies, durably. What goes away meanwhile, as parts of an agent's spool do, is left out.
/// Files that cannot be read are added to `left_out`, or are an error where there is none.
pub(crate) fn copy_rest(
    from: &Path,
    to: &Path,
    left_out: Option<&mut Vec<LeftOut>>,
) -> anyhow::Result<()> {
    copy_folder(from, to, "", &NOT_COPIED, left_out)
}

fn copy_folder(
    from: &Path,
    to: &Path,
    prefix: &str,
    not_copied: &[&str],
    mut left_out: Option<&mut Vec<LeftOut>>,
) -> anyhow::Result<()> {
    let reading = || format!("cannot read the folder {}", from.display());
    for entry in fs::read_dir(from).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = entry.file_name();
        let is_passing = Path::new(&name).extension().is_some_and(|ending| ending == "tmp");
        if is_passing || name == "LOCK" || not_copied.iter().any(|other| name == *other) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        let path = format!("{prefix}{}", name.display());
        if entry.file_type().with_context(reading)?.is_dir() {
            DirBuilder::new().mode(0o700).create(&target).with_context(|| cannot_write(&target))?;
            copy_folder(&source, &target, &format!("{path}/"), &[], left_out.as_deref_mut())?;
        } else if fs::metadata(&source).is_ok_and(|metadata| metadata.is_file()) {
            match copy_file(&source, &target) {
                Err(CopyError::Read(error)) if error.kind() == ErrorKind::NotFound => {}
                Err(CopyError::Read(error)) => {
                    let Some(left_out) = left_out.as_deref_mut() else {
                        return Err(error).with_context(|| {
                            format!("{SKIP_ADVICE}: cannot read {}", source.display())
                        });
                    };
                    // Half of it is of no use.
                    let _ = fs::remove_file(&target);
                    left_out.push(LeftOut { path, reason: error.to_string() });
                }
                result => result?,
            }
        }
    }
    sync_folder(to)
}

/// Where a copy failed.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("cannot read a file: {0}")]
    Read(io::Error),
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// Copies a file, durably, for this user alone.
fn copy_file(from: &Path, to: &Path) -> Result<(), CopyError> {
    let writing = |source| CopyError::Write { path: to.to_owned(), source };
    let mut source = File::open(from).map_err(CopyError::Read)?;
    let mut target =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(writing)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return target.sync_all().map_err(writing),
            Ok(len) => target.write_all(&buffer[..len]).map_err(writing)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
}

/// Length and checksum of bytes that come in pieces.
struct Hasher {
    context: Context,
    bytes: u64,
}

impl Hasher {
    fn new() -> Self {
        Self { context: Context::new(&SHA256), bytes: 0 }
    }

    fn add(&mut self, piece: &[u8]) {
        self.context.update(piece);
        self.bytes += piece.len() as u64;
    }

    /// The number of bytes, and their SHA-256 in hexadecimal digits.
    fn finish(self) -> (u64, String) {
        (self.bytes, HEXLOWER.encode(self.context.finish().as_ref()))
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn sync_folder(dir: &Path) -> anyhow::Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(|| cannot_write(dir))
}

/// Reads an archive into an empty data folder. Nothing takes its place there before all of it is checked; after an error the
/// folder is as empty as before.
pub(crate) fn bring_back(
    input: impl io::Read,
    passphrase: &str,
    to: &Path,
) -> anyhow::Result<Backup> {
    let unchecked = to.join(UNCHECKED);
    let brought = DirBuilder::new()
        .mode(0o700)
        .create(&unchecked)
        .with_context(|| cannot_write(&unchecked))
        .and_then(|()| read_archive(input, passphrase, Some(&unchecked)))
        .and_then(|backup| {
            put_in_place(&unchecked, to)?;
            Ok(backup)
        });
    if brought.is_err() {
        empty(to);
    }
    brought
}

fn put_in_place(unchecked: &Path, to: &Path) -> anyhow::Result<()> {
    // The engine expects its folders, those without a file too.
    for folder in ["metrics/blocks", "metrics/wal"] {
        let folder = unchecked.join(folder);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| cannot_write(&folder))?;
    }
    sync_folders(unchecked)?;
    for entry in fs::read_dir(unchecked).with_context(|| cannot_write(unchecked))? {
        let entry = entry.with_context(|| cannot_write(unchecked))?;
        let place = to.join(entry.file_name());
        fs::rename(entry.path(), &place).with_context(|| cannot_write(&place))?;
    }
    fs::remove_dir(unchecked).with_context(|| cannot_write(unchecked))?;
    sync_folder(to)
}

fn sync_folders(dir: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| cannot_write(dir))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of each kind, and whether it is copied.
    const FILES: [(&str, bool); 10] = [
        ("tls/ca.key", true),
        ("agent/key", true),
        ("agent/spool/0001", true),
        ("agent/spool/0002.tmp", false),
        ("agent/LOCK", false),
        ("metrics/MANIFEST", false),
        ("muster.db", false),
        ("muster.db-wal", false),
        ("address", false),
        ("snapshots/one/MANIFEST", false),
    ];

    fn data_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, _) in FILES {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    #[test]
    fn what_belongs_to_one_process_is_left_out() {
        let (from, to) = (data_dir(), tempfile::tempdir().unwrap());
        copy_rest(from.path(), to.path(), None).unwrap();
        for (file, is_copied) in FILES {
            assert_eq!(to.path().join(file).exists(), is_copied, "{file}");
        }
        assert_eq!(fs::read_to_string(to.path().join("tls/ca.key")).unwrap(), "tls/ca.key");
        assert!(make_empty(to.path()).unwrap_err().to_string().contains("is not empty"));
        empty(to.path());
        assert!(make_empty(to.path()).is_ok());
    }

    #[test]
    fn a_checksum_is_what_sha256sum_says() {
        let mut hasher = Hasher::new();
        hasher.add(b"agent");
        hasher.add(b"/key");
        let expected = "469f8623a8f51bc8f4acdc70e3d4f50eea65ebe66043ddaf842cf6e28bd6e930";
        assert_eq!(hasher.finish(), (9, expected.to_owned()));
    }
}
