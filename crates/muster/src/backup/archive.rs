//! The archive of a backup: a tar of the files of a data folder, sealed as one stream, with the list of checksums at its end.
//!
//! An archive is believed only whole. Each file is hashed on its way in and on its way out; `backup.json`, the last entry, names
//! all of them, and where it is missing or differs in anything nothing counts. A tar is not compressed and only plain files
//! are taken from it, so what comes out is never larger than the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

use anyhow::{Context as _, bail};
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::seal::{Cost, SealedReader, SealedWriter};
use super::{Backup, BackupFile, FORMAT, Hasher, LIST_NAME, LeftOut, cannot_write};

/// The longest list that is read into memory, in bytes.
const LONGEST_LIST: u64 = 256 << 20;
/// How many faults of a backup are told.
const FAULTS_TOLD: usize = 5;

/// An archive that is being written.
pub(crate) struct ArchiveWriter<W: Write> {
    tar: Builder<SealedWriter<W>>,
    files: Vec<BackupFile>,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive; its key is made here, which takes a moment.
    pub(crate) fn new(output: W, passphrase: &str, cost: Cost) -> anyhow::Result<Self> {
        let sealed = SealedWriter::new(output, passphrase, cost)?;
        Ok(Self { tar: Builder::new(sealed), files: Vec::new() })
    }

    /// Moves every file below a folder into the archive, sorted by name: each is removed once it is in, so that the room for
    /// all of them is not needed twice.
    pub(crate) fn move_in(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.move_folder(dir, "")
    }

    fn move_folder(&mut self, dir: &Path, prefix: &str) -> anyhow::Result<()> {
        let reading = || format!("cannot read the folder {}", dir.display());
        let mut entries =
            fs::read_dir(dir).with_context(reading)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_unstable_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name =
                name.to_str().with_context(|| format!("a name in {prefix:?} is not UTF-8"))?;
            let path = format!("{prefix}{name}");
            if entry.file_type().with_context(reading)?.is_dir() {
                self.move_folder(&entry.path(), &format!("{path}/"))?;
                continue;
            }
            self.add_file(&entry.path(), path)?;
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
        Ok(())
    }

    fn add_file(&mut self, source: &Path, path: String) -> anyhow::Result<()> {
        let reading = || format!("cannot read {}", source.display());
        let file = File::open(source).with_context(reading)?;
        let len = file.metadata().with_context(reading)?.len();
        let mut hashed = HashedReader { inner: file.take(len), hasher: Hasher::new() };
        self.append(&path, len, &mut hashed)?;
        let (bytes, sha256) = hashed.hasher.finish();
        if bytes != len {
            bail!("{} became shorter while it was read", source.display());
        }
        self.files.push(BackupFile { path, bytes, sha256 });
        Ok(())
    }

    fn append(&mut self, path: &str, len: u64, content: impl Read) -> anyhow::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(len);
        header.set_mode(0o600);
        self.tar
            .append_data(&mut header, path, content)
            .with_context(|| format!("cannot write {path} into the backup"))
    }

    /// Writes the list and the end; gives the list back, with all files in it.
    pub(crate) fn finish(
        mut self,
        about: impl FnOnce(Vec<BackupFile>) -> Backup,
    ) -> anyhow::Result<(Backup, W)> {
        let list = about(std::mem::take(&mut self.files));
        let text = serde_json::to_vec_pretty(&list)?;
        self.append(LIST_NAME, text.len() as u64, &*text)?;
        let ending = "cannot write the end of the backup";
        let output = self.tar.into_inner().and_then(SealedWriter::finish).context(ending)?;
        Ok((list, output))
    }
}

/// Counts and hashes what is read through it.
struct HashedReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for HashedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.hasher.add(&buffer[..len]);
        Ok(len)
    }
}

/// Reads a whole archive and checks all of it. With a folder, which must be empty, its files are written there, durably; after an error
/// what lies there is of no use.
pub(crate) fn read_archive(
    input: impl Read,
    passphrase: &str,
    into: Option<&Path>,
) -> anyhow::Result<Backup> {
    let sealed = SealedReader::new(BufReader::with_capacity(1 << 20, input), passphrase)?;
    let mut archive = Archive::new(sealed);
    let mut found = BTreeMap::new();
    let mut list = None;
    for entry in archive.entries().context("the archive cannot be read")? {
        let mut entry = entry.context("the archive cannot be read")?;
        let path = place_of(&entry)?;
        if list.is_some() {
            bail!("the archive goes on after its list, with {path:?}; use another backup");
        }
        if path == LIST_NAME {
            list = Some(read_list(&mut entry)?);
            continue;
        }
        let read = take_out(&mut entry, &path, into)?;
        if found.insert(path.clone(), read).is_some() {
            bail!("the archive holds {path:?} twice; use another backup");
        }
    }
    // The seal of what stands behind the last entry is checked too.
    io::copy(&mut archive.into_inner(), &mut io::sink()).context("the archive cannot be read")?;
    let list = list.with_context(|| {
        format!("this is no whole backup: {LIST_NAME}, which is written last, is missing")
    })?;
    compare(&list, &found)?;
    Ok(list)
}

/// Where an entry belongs in the data folder; an error for anything but a plain file at a plain place in it.
fn place_of(entry: &Entry<'_, impl Read>) -> anyhow::Result<String> {
    let raw = entry.path_bytes();
    let shown = String::from_utf8_lossy(&raw).into_owned();
    if entry.header().entry_type() != EntryType::Regular {
        bail!("the archive holds {shown:?}, which is no plain file; use another backup");
    }
    let is_plain = std::str::from_utf8(&raw).is_ok_and(|path| {
        !path.is_empty()
            && !path.contains('\0')
            && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
    });
    if !is_plain {
        bail!("the archive names {shown:?}, which is no place in a folder; use another backup");
    }
    Ok(shown)
}

fn read_list(entry: &mut Entry<'_, impl Read>) -> anyhow::Result<Backup> {
    let mut text = Vec::new();
    entry.take(LONGEST_LIST).read_to_end(&mut text).context("the list cannot be read")?;
    let backup: Backup = serde_json::from_slice(&text).context("the list is damaged")?;
    if backup.format != FORMAT {
        let (format, muster) = (backup.format, &backup.muster);
        bail!(
            "the list of the backup has format {format} and this program reads {FORMAT}; use muster {muster}"
        );
    }
    Ok(backup)
}

/// Reads an entry to its end, and writes it into a folder if there is one. Gives its length and checksum.
fn take_out(
    entry: &mut Entry<'_, impl Read>,
    path: &str,
    into: Option<&Path>,
) -> anyhow::Result<(u64, String)> {
    let mut target = None;
    if let Some(dir) = into {
        let place = dir.join(path);
        let folder = place.parent().unwrap_or(dir);
        let file = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| OpenOptions::new().write(true).create_new(true).mode(0o600).open(&place))
            .with_context(|| cannot_write(&place))?;
        target = Some((place, file));
    }
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 18]);
    loop {
        let len = match entry.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).with_context(|| format!("{path} cannot be read")),
        };
        hasher.add(&buffer[..len]);
        if let Some((place, file)) = &mut target {
            file.write_all(&buffer[..len]).with_context(|| cannot_write(place))?;
        }
    }
    if let Some((place, file)) = target {
        file.sync_all().with_context(|| cannot_write(&place))?;
    }
    Ok(hasher.finish())
}

/// Everything that the list names must be there as it says, and nothing else.
fn compare(list: &Backup, found: &BTreeMap<String, (u64, String)>) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for file in &list.files {
        match found.get(&file.path) {
            Some((bytes, sha256)) if *bytes == file.bytes && *sha256 == file.sha256 => {}
            Some(_) => faults.push(format!("{} is not what was written", file.path)),
            None => faults.push(format!("{} is missing", file.path)),
        }
    }
    let listed: BTreeSet<&str> = list.files.iter().map(|file| &*file.path).collect();
    let others = found.keys().filter(|path| !listed.contains(path.as_str()));
    faults.extend(others.map(|path| format!("{path} is not listed")));
    if faults.is_empty() {
        return Ok(());
    }
    let told = faults.iter().take(FAULTS_TOLD).cloned().collect::<Vec<_>>().join("; ");
    bail!("the backup is damaged ({told}); use another one")
}

/// Tells in the log what a backup lacks.
pub(crate) fn warn_of_gaps(backup: &Backup) {
    for LeftOut { path, reason } in &backup.left_out {
        tracing::warn!(
            path,
            reason,
            "the backup lacks a file, which could not be read when it was made"
        );
    }
}

#[cfg(test)]
mod tests;
