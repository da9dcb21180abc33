//! `muster backup` and `muster restore`.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::BufWriter;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use muster_environment::{Clock as _, RealDisk, SystemClock};
use muster_meta::{DatabaseUrl, Location, copy_database};
use muster_server::{data_paths, location, move_to_server};
use muster_tsdb::{Damage, TsdbError, Unreadable, copy_store};
use serde_json::json;

use crate::backup::{self, ArchiveWriter, Backup, Cost, FORMAT, LeftOut, Purpose, SKIP_ADVICE};
use crate::cli::{BackupArgs, RestoreArgs};
use crate::place::Place;
use crate::settings::{database_url, state_dir};
use crate::size::format_size;
use crate::table;

/// A backup was made, and lacks what could not be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the backup is made and lacks {count} of the files of {}, which cannot be read; muster restore --check {} --json lists them",
    data_dir.display(),
    file.display()
)]
pub(crate) struct Incomplete {
    count: usize,
    data_dir: PathBuf,
    file: PathBuf,
}

/// Writes all that a server keeps into one file, also beside it.
pub(crate) async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let place = Place::of(&args.place)?;
    let data_dir = place.data_dir.clone();
    if !data_paths::metrics(&data_dir).join("MANIFEST").exists() {
        bail!(
            "there is no Muster data in {}; name the data folder of a server with --data-dir",
            data_dir.display()
        );
    }
    let target = Target::of(&args.file, &data_dir)?;
    let passphrase = backup::passphrase(args.passphrase_file.as_deref(), Purpose::Make)?;
    let made = make(&place, &target, &passphrase, args.skip_damaged)
        .await
        .context("no backup was made")?;
    for LeftOut { path, reason } in &made.left_out {
        tracing::warn!(path, reason, "a file cannot be read and is not in the backup");
    }
    let file = args.file.display().to_string();
    if args.json {
        let reply = json!({
            "file": file,
            "muster": made.muster,
            "created": made.created,
            "files": made.files.len(),
            "bytes": made.bytes,
            "block_samples": made.block_samples,
            "left_out": made.left_out,
        });
        table::print(&format!("{reply:#}\n"));
    } else {
        table::print(&format!(
            "A backup of {} is in {file}: {} files, {}, under your passphrase.\n\
             To check it:      muster restore --check {file}\n\
             To bring it back: muster restore {file} --data-dir DIR\n",
            data_dir.display(),
            made.files.len(),
            format_size(made.bytes),
        ));
    }
    if made.left_out.is_empty() {
        return Ok(());
    }
    Err(Incomplete { count: made.left_out.len(), data_dir, file: args.file }.into())
}

/// Where a backup goes: a new file.
struct Target {
    file: PathBuf,
    folder: PathBuf,
}

impl Target {
    fn of(file: &Path, data_dir: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        if file.is_dir() {
            bail!(
                "{shown} is a folder; name the file to make in it, such as {shown}/muster.backup"
            );
        }
        if fs::symlink_metadata(file).is_ok() {
            bail!("the file {shown} is there already; choose another name, or remove it first");
        }
        let full = std::path::absolute(file).with_context(|| format!("cannot use {shown}"))?;
        let folder = full.parent().map(Path::to_owned).unwrap_or_default();
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot use the folder {}", folder.display()))?;
        let data_full = data_dir
            .canonicalize()
            .with_context(|| format!("cannot use the folder {}", data_dir.display()))?;
        if folder.starts_with(&data_full) {
            bail!("{shown} lies within {}; choose a place elsewhere", data_dir.display());
        }
        Ok(Self { file: full, folder })
    }
}

/// The folder beside a new backup in which it is made; it goes when this is dropped.
struct Workshop {
    dir: PathBuf,
    /// The lock, which also tells a folder that a killed process left from one in use.
    _lock: File,
}

impl Workshop {
    /// Its name is always the same, so what a killed process leaves goes with the next backup.
    const NAME: &str = ".muster-backup.unfinished";

    fn open(folder: &Path) -> anyhow::Result<Self> {
        let dir = folder.join(Self::NAME);
        let failed = || format!("cannot use the folder {}", dir.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).with_context(failed)?;
        let lock = File::open(&dir).with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another backup is being made in {}; wait for its end", folder.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        backup::empty(&dir);
        Ok(Self { dir, _lock: lock })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(path = %self.dir.display(), %error, "a folder of no use could not be removed");
        }
    }
}

/// Makes the copies, moves them into the archive, and gives it its name when all of it is on the disk.
async fn make(
    place: &Place,
    target: &Target,
    passphrase: &str,
    skip_damaged: bool,
) -> anyhow::Result<Backup> {
    let now = jiff::Timestamp::from_millisecond(SystemClock::new().now_ms())?;
    let workshop = Workshop::open(&target.folder)?;
    let (copies, unnamed) = (workshop.dir.join("copies"), workshop.dir.join("archive"));
    backup::make_empty(&copies)?;
    let (block_samples, left_out) = copy_all(place, &copies, skip_damaged).await?;
    let writing = || format!("cannot write {}", target.file.display());
    let output = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unnamed)
        .with_context(writing)?;
    let mut archive =
        ArchiveWriter::new(BufWriter::with_capacity(1 << 20, output), passphrase, Cost::USUAL)?;
    archive.move_in(&copies)?;
    let (made, output) = archive.finish(|files| Backup {
        format: FORMAT,
        muster: env!("CARGO_PKG_VERSION").to_owned(),
        created: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        block_samples,
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        left_out,
    })?;
    let output = output.into_inner().map_err(std::io::IntoInnerError::into_error);
    output.and_then(|file| file.sync_all()).with_context(writing)?;
    // A second name is only given where nobody took it meanwhile; the first goes with its folder.
    fs::hard_link(&unnamed, &target.file)
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::rename(&unnamed, &target.file),
        })
        .and_then(|()| File::open(&target.folder)?.sync_all())
        .with_context(writing)?;
    Ok(made)
}

/// Copies samples, metadata and the rest, each as it is at one moment. Gives the number of samples in blocks, and what could not be read.
async fn copy_all(
    place: &Place,
    to: &Path,
    skip_damaged: bool,
) -> anyhow::Result<(u64, Vec<LeftOut>)> {
    let data_dir = place.data_dir();
    let unreadable = if skip_damaged { Unreadable::LeaveOut } else { Unreadable::Refuse };
    let (metrics, copy) = (data_paths::metrics(data_dir), data_paths::metrics(to));
    let store =
        copy_store(&RealDisk, &metrics, &copy, unreadable).map_err(|error| match error {
            TsdbError::Corrupt { .. } => anyhow::Error::new(error).context(SKIP_ADVICE),
            other => other.into(),
        })?;
    let of_store = |damage: Damage| LeftOut {
        path: format!("metrics/{}", damage.file),
        reason: damage.reason,
    };
    let mut left_out: Vec<LeftOut> = store.left_out.into_iter().map(of_store).collect();
    let copy = data_paths::meta(to);
    if let Err(error) = copy_metadata(place, &copy).await {
        if !skip_damaged {
            return Err(error.context(SKIP_ADVICE));
        }
        // Half of it is of no use, and may not be there at all.
        let _ = fs::remove_file(&copy);
        let path = copy.strip_prefix(to).unwrap_or(&copy).display().to_string();
        left_out.push(LeftOut { path, reason: format!("{error:#}") });
    }
    backup::copy_rest(data_dir, to, skip_damaged.then_some(&mut left_out))?;
    Ok((store.copied.samples, left_out))
}

/// Whatever kind of database the metadata is in, the backup holds a SQLite file.
async fn copy_metadata(place: &Place, to: &Path) -> anyhow::Result<()> {
    match location(place.data_dir(), place.database.as_ref())? {
        Location::Sqlite(path) if path.exists() => Ok(copy_database(&path, to).await?),
        Location::Sqlite(path) => {
            tracing::warn!(path = %path.display(), "there is no metadata database; the backup has the samples only");
            Ok(())
        }
        _ => Ok(place.open().await?.copy_to_file(to).await?),
    }
}

/// Brings the metadata of a restored folder into a database server. The file stays behind only if that failed.
async fn move_metadata(data_dir: &Path, url: &DatabaseUrl) -> anyhow::Result<()> {
    let file = data_paths::meta(data_dir);
    if !file.exists() {
        bail!("the backup holds no metadata, so none can go into {url}; leave --database-url out");
    }
    move_to_server(data_dir, &file, url).await?;
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
}

/// Makes a data folder from a backup, or only checks one.
pub(crate) async fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let shown = args.file.display();
    let input = File::open(&args.file).with_context(|| format!("cannot read {shown}"))?;
    if input.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("{shown} is a folder; name the file that `muster backup` made");
    }
    if args.check {
        let passphrase = backup::passphrase(args.passphrase_file.as_deref(), Purpose::Read)?;
        let found = backup::read_archive(input, &passphrase, None)
            .with_context(|| format!("{shown} does not check"))?;
        backup::warn_of_gaps(&found);
        return tell(args, &found, None);
    }
    let data_dir = args.data_dir.clone().unwrap_or_else(|| state_dir("muster"));
    let database = database_url(args.database_url.as_deref())?;
    let is_new = !data_dir.exists();
    backup::make_empty(&data_dir).context("nothing was restored")?;
    let restored = fill(args, input, &data_dir, database.as_ref()).await;
    if restored.is_err() && is_new {
        // It was made for this alone, and is empty again.
        let _ = fs::remove_dir(&data_dir);
    }
    let found = restored.context("nothing was restored")?;
    backup::warn_of_gaps(&found);
    tell(args, &found, Some(&data_dir))
}

/// Brings a backup into an empty folder and its metadata into a database server, if there is one; after an error the folder is empty.
async fn fill(
    args: &RestoreArgs,
    input: File,
    data_dir: &Path,
    database: Option<&DatabaseUrl>,
) -> anyhow::Result<Backup> {
    let passphrase = backup::passphrase(args.passphrase_file.as_deref(), Purpose::Read)?;
    let found = backup::bring_back(input, &passphrase, data_dir)?;
    if let Some(url) = database
        && let Err(error) = move_metadata(data_dir, url).await
    {
        backup::empty(data_dir);
        return Err(error);
    }
    Ok(found)
}

/// Says what is in a backup; where `data_dir` is given, it is there now.
fn tell(args: &RestoreArgs, found: &Backup, data_dir: Option<&Path>) -> anyhow::Result<()> {
    if args.json {
        let mut reply = json!({
            "created": found.created,
            "muster": found.muster,
            "bytes": found.bytes,
            "block_samples": found.block_samples,
            "left_out": found.left_out,
        });
        match data_dir {
            Some(dir) => {
                reply["data_dir"] = dir.display().to_string().into();
                reply["files"] = found.files.len().into();
            }
            None => reply["files"] = serde_json::to_value(&found.files)?,
        }
        table::print(&format!("{reply:#}\n"));
        return Ok(());
    }
    let (files, bytes) = (found.files.len(), format_size(found.bytes));
    table::print(&match data_dir {
        Some(dir) => {
            let to = dir.display();
            format!(
                "The backup of {} is in {to}: {files} files, {bytes}, all checked.\nStart it: muster server --data-dir {to}\n",
                found.created
            )
        }
        None => format!(
            "The backup is whole: {files} files, {bytes}, of {}, made by muster {}.\n",
            found.created, found.muster
        ),
    });
    Ok(())
}
