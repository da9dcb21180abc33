//! A backup as files: which are copied, their checksums, and the list that makes it whole.
//!
//! A backup mirrors a data folder. `backup.json` is written last and lists every file with its length and SHA-256: a folder
//! without it is no backup. Samples are copied by the engine and the metadata by the database, each consistent in itself;
//! everything else in the folder (CA, keys, state of the agent of `muster up`) is copied as it lies there.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// The list of the files, and what makes the folder a backup.
pub(crate) const LIST_NAME: &str = "backup.json";
/// The version of the list.
pub(crate) const FORMAT: u32 = 1;
/// What to do where a file cannot be read.
pub(crate) const SKIP_ADVICE: &str =
    "a file is damaged; --skip-damaged makes a backup of all the others";
/// What is of one process only, or comes into the backup by other ways.
const NOT_COPIED: [&str; 10] = [
    "metrics",
    "snapshots",
    "muster.db",
    "muster.db-wal",
    "muster.db-shm",
    "database",
    "address",
    ".writable",
    "lost+found",
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
    /// All files but this one.
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
                result => drop(result?),
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

/// Copies a file, durably, for this user alone; its length and checksum are those of what was written.
fn copy_file(from: &Path, to: &Path) -> Result<(u64, String), CopyError> {
    let writing = |source| CopyError::Write { path: to.to_owned(), source };
    let mut source = File::open(from).map_err(CopyError::Read)?;
    let mut target =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(writing)?;
    let (bytes, sha256) = hash(&mut source, |piece| target.write_all(piece).map_err(writing))?;
    target.sync_all().map_err(writing)?;
    Ok((bytes, sha256))
}

/// Reads to the end and hands out every piece.
fn hash(
    source: &mut File,
    mut each: impl FnMut(&[u8]) -> Result<(), CopyError>,
) -> Result<(u64, String), CopyError> {
    let (mut context, mut bytes, mut buffer) = (Context::new(&SHA256), 0, vec![0; 1 << 20]);
    loop {
        let len = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        context.update(&buffer[..len]);
        each(&buffer[..len])?;
        bytes += len as u64;
    }
    Ok((bytes, hexadecimal(context.finish().as_ref())))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn sync_folder(dir: &Path) -> anyhow::Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(|| cannot_write(dir))
}

/// Every file below a folder with its length and checksum, by path.
pub(crate) fn list_files(dir: &Path) -> anyhow::Result<Vec<BackupFile>> {
    let mut files = Vec::new();
    list_into(dir, "", &mut files)?;
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn list_into(dir: &Path, prefix: &str, files: &mut Vec<BackupFile>) -> anyhow::Result<()> {
    let reading = || format!("cannot read the folder {}", dir.display());
    for entry in fs::read_dir(dir).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = entry.file_name();
        let name = name.to_str().with_context(|| format!("a name in {prefix:?} is not UTF-8"))?;
        let path = format!("{prefix}{name}");
        if entry.file_type().with_context(reading)?.is_dir() {
            list_into(&entry.path(), &format!("{path}/"), files)?;
        } else {
            let (bytes, sha256) = File::open(entry.path())
                .map_err(CopyError::Read)
                .and_then(|mut file| hash(&mut file, |_| Ok(())))
                .with_context(|| format!("cannot check {path}"))?;
            files.push(BackupFile { path, bytes, sha256 });
        }
    }
    Ok(())
}

/// The list of a backup; an error if there is none, so that half a backup is not taken for one.
pub(crate) fn read_list(dir: &Path) -> anyhow::Result<Backup> {
    let path = dir.join(LIST_NAME);
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "{} is no whole backup: {LIST_NAME}, which is written last, cannot be read",
            dir.display()
        )
    })?;
    let backup: Backup =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    if backup.format != FORMAT {
        let (format, muster) = (backup.format, &backup.muster);
        bail!(
            "the backup has format {format} and this program reads {FORMAT}; use muster {muster}"
        );
    }
    for file in &backup.files {
        let mut parts = Path::new(&file.path).components();
        if file.path.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            bail!("{} names {:?}, which is no place in a folder", path.display(), file.path);
        }
    }
    Ok(backup)
}

/// What is wrong with the files of a backup, a line each; nothing if all check.
pub(crate) fn check_files(dir: &Path, backup: &Backup) -> Vec<String> {
    let mut faults = Vec::new();
    for file in &backup.files {
        let read = File::open(dir.join(&file.path)).map_err(CopyError::Read);
        match read.and_then(|mut open| hash(&mut open, |_| Ok(()))) {
            Ok((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => {}
            Ok(_) => faults.push(format!("{} is not what was written", file.path)),
            Err(error) => faults.push(format!("{}: {error}", file.path)),
        }
    }
    faults
}

/// Copies the files of a backup into an empty folder, durably, and checks them once more on the way.
pub(crate) fn copy_back(from: &Path, backup: &Backup, to: &Path) -> anyhow::Result<()> {
    for file in &backup.files {
        let target = to.join(&file.path);
        let folder = target.parent().unwrap_or(to);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| cannot_write(folder))?;
        let (_, sha256) = copy_file(&from.join(&file.path), &target)?;
        if sha256 != file.sha256 {
            bail!("{} changed while it was copied", file.path);
        }
    }
    // The engine expects its folders, those without a file too.
    for folder in ["metrics/blocks", "metrics/wal"] {
        let folder = to.join(folder);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| cannot_write(&folder))?;
    }
    sync_folders(to)
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

    /// A data folder with a file of each kind that is copied and that is not.
    fn data_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "tls/ca.key",
            "agent/key",
            "agent/spool/0001",
            "agent/spool/0002.tmp",
            "agent/LOCK",
            "metrics/MANIFEST",
            "muster.db",
            "muster.db-wal",
            "address",
            "snapshots/one/MANIFEST",
        ] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    fn copied() -> (tempfile::TempDir, Backup) {
        let (from, to) = (data_dir(), tempfile::tempdir().unwrap());
        copy_rest(from.path(), to.path(), None).unwrap();
        let files = list_files(to.path()).unwrap();
        let (muster, created) = ("1".into(), "now".into());
        let backup = Backup {
            format: FORMAT,
            muster,
            created,
            block_samples: 0,
            bytes: 0,
            files,
            left_out: Vec::new(),
        };
        fs::write(to.path().join(LIST_NAME), serde_json::to_vec(&backup).unwrap()).unwrap();
        (to, backup)
    }

    #[test]
    fn what_belongs_to_one_process_is_left_out() {
        let (_to, backup) = copied();
        let paths: Vec<&str> = backup.files.iter().map(|file| &*file.path).collect();
        assert_eq!(paths, ["agent/key", "agent/spool/0001", "tls/ca.key"]);
        assert_eq!(backup.files[0].bytes, 9);
        // What `sha256sum` says.
        let expected = "469f8623a8f51bc8f4acdc70e3d4f50eea65ebe66043ddaf842cf6e28bd6e930";
        assert_eq!(backup.files[0].sha256, expected);
    }

    #[test]
    fn a_file_that_changed_or_is_gone_is_told() {
        let (to, backup) = copied();
        assert_eq!(check_files(to.path(), &backup), [] as [String; 0]);
        fs::write(to.path().join("tls/ca.key"), "tls/ca.kez").unwrap();
        fs::remove_file(to.path().join("agent/key")).unwrap();
        let faults = check_files(to.path(), &backup);
        assert_eq!(faults.len(), 2);
        assert!(faults[0].starts_with("agent/key: cannot read"), "{faults:?}");
        assert_eq!(faults[1], "tls/ca.key is not what was written");
    }

    #[test]
    fn what_is_copied_back_is_the_same_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let (from, backup) = copied();
        let to = tempfile::tempdir().unwrap();
        copy_back(from.path(), &backup, to.path()).unwrap();
        assert_eq!(list_files(to.path()).unwrap(), backup.files);
        let mode = fs::metadata(to.path().join("tls/ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        empty(to.path());
        assert!(make_empty(to.path()).is_ok());
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut Backup), expected: &str) {
        let (to, mut backup) = copied();
        change(&mut backup);
        fs::write(to.path().join(LIST_NAME), serde_json::to_vec(&backup).unwrap()).unwrap();
        let error = format!("{:#}", read_list(to.path()).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_list_that_is_not_to_be_trusted_is_refused() {
        check_refused(|backup| backup.format = 2, "has format 2");
        for path in ["../outside", "/etc/passwd", "a/../../b", ""] {
            check_refused(|backup| backup.files[0].path = path.into(), "no place in a folder");
        }
        let (to, _) = copied();
        assert!(read_list(to.path()).is_ok());
        fs::remove_file(to.path().join(LIST_NAME)).unwrap();
        assert!(read_list(to.path()).unwrap_err().to_string().contains("no whole backup"));
    }
}
