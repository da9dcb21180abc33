//! `muster backup` and `muster restore`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use muster_environment::{Clock as _, RealDisk, SystemClock, replace_private_file};
use muster_meta::{DatabaseUrl, Location, copy_database};
use muster_server::{data_paths, location, move_to_server};
use muster_tsdb::{Damage, TsdbError, Unreadable, copy_store};
use serde_json::json;

use crate::backup::{self, Backup, FORMAT, LIST_NAME, LeftOut, SKIP_ADVICE};
use crate::cli::{BackupArgs, RestoreArgs};
use crate::place::Place;
use crate::settings::{database_url, state_dir};
use crate::size::format_size;
use crate::table;

/// A backup was made, and lacks what could not be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the backup is made and lacks {count} of the files of {}, which cannot be read; {} lists them",
    data_dir.display(),
    list.display()
)]
pub(crate) struct Incomplete {
    count: usize,
    data_dir: PathBuf,
    list: PathBuf,
}

/// How many faults of a backup are told.
const FAULTS_TOLD: usize = 5;

/// Copies all that a server keeps, also beside it.
pub(crate) async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let place = Place::of(&args.place)?;
    let data_dir = place.data_dir.clone();
    if !data_paths::metrics(&data_dir).join("MANIFEST").exists() {
        bail!(
            "there is no Muster data in {}; name the data folder of a server with --data-dir",
            data_dir.display()
        );
    }
    refuse_nested(&args.to, &data_dir)?;
    backup::make_empty(&args.to)?;
    let made = match make(&place, &args.to, args.skip_damaged).await {
        Ok(made) => made,
        Err(error) => {
            // Half a backup is only in the way of the next.
            backup::empty(&args.to);
            return Err(error.context("no backup was made"));
        }
    };
    for LeftOut { path, reason } in &made.left_out {
        tracing::warn!(path, reason, "a file cannot be read and is not in the backup");
    }
    let to = args.to.display().to_string();
    if args.json {
        let reply = json!({
            "to": to,
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
            "A backup of {} is in {to}: {} files, {}.\n\
             To bring it back: muster restore --from {to} --data-dir DIR\n",
            data_dir.display(),
            made.files.len(),
            format_size(made.bytes),
        ));
    }
    if made.left_out.is_empty() {
        return Ok(());
    }
    let list = args.to.join(LIST_NAME);
    Err(Incomplete { count: made.left_out.len(), data_dir, list }.into())
}

async fn make(place: &Place, to: &Path, skip_damaged: bool) -> anyhow::Result<Backup> {
    let data_dir = place.data_dir();
    let now = jiff::Timestamp::from_millisecond(SystemClock::new().now_ms())?;
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
        let _ = std::fs::remove_file(&copy);
        let path = copy.strip_prefix(to).unwrap_or(&copy).display().to_string();
        left_out.push(LeftOut { path, reason: format!("{error:#}") });
    }
    backup::copy_rest(data_dir, to, skip_damaged.then_some(&mut left_out))?;
    let files = backup::list_files(to)?;
    let made = Backup {
        format: FORMAT,
        muster: env!("CARGO_PKG_VERSION").to_owned(),
        created: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        block_samples: store.copied.samples,
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        left_out,
    };
    let list = serde_json::to_vec_pretty(&made)?;
    replace_private_file(to, LIST_NAME, &list)
        .with_context(|| format!("cannot write {LIST_NAME} into {}", to.display()))?;
    Ok(made)
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
    std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
}

/// Makes a data folder from a backup.
pub(crate) async fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let data_dir = args.data_dir.clone().unwrap_or_else(|| state_dir("muster"));
    refuse_nested(&data_dir, &args.from)?;
    let found = backup::read_list(&args.from)?;
    let faults = backup::check_files(&args.from, &found);
    if !faults.is_empty() {
        let told = faults.iter().take(FAULTS_TOLD).cloned().collect::<Vec<_>>().join("; ");
        bail!(
            "the backup in {} is damaged, nothing was restored: {} of its {} files do not check ({told}); use an older backup",
            args.from.display(),
            faults.len(),
            found.files.len(),
        );
    }
    backup::make_empty(&data_dir).context("nothing was restored")?;
    let database = database_url(args.database_url.as_deref())?;
    let mut restored = backup::copy_back(&args.from, &found, &data_dir);
    if let (Ok(()), Some(url)) = (&restored, &database) {
        restored = move_metadata(&data_dir, url).await;
    }
    if let Err(error) = restored {
        backup::empty(&data_dir);
        return Err(error.context("nothing was restored"));
    }
    let to = data_dir.display().to_string();
    for LeftOut { path, reason } in &found.left_out {
        tracing::warn!(
            path,
            reason,
            "the backup lacks a file, which could not be read when it was made"
        );
    }
    if args.json {
        let reply = json!({
            "data_dir": to,
            "left_out": found.left_out,
            "created": found.created,
            "files": found.files.len(),
            "bytes": found.bytes,
        });
        table::print(&format!("{reply:#}\n"));
    } else {
        table::print(&format!(
            "The backup of {} is in {to}: {} files, {}, all checked.\nStart it: muster server --data-dir {to}\n",
            found.created,
            found.files.len(),
            format_size(found.bytes),
        ));
    }
    Ok(())
}

/// Refuses a folder within the one that is copied.
fn refuse_nested(to: &Path, from: &Path) -> anyhow::Result<()> {
    let from_full =
        from.canonicalize().with_context(|| format!("cannot use the folder {}", from.display()))?;
    let to_full = std::path::absolute(to)
        .with_context(|| format!("cannot use the folder {}", to.display()))?;
    // The part of it that is there already may be reached by another name.
    let there = to_full.ancestors().find_map(|part| part.canonicalize().ok());
    let there = there.unwrap_or_else(|| PathBuf::from("/"));
    if to_full.starts_with(&from_full) || there.starts_with(&from_full) {
        bail!("{} lies within {}; choose a folder elsewhere", to.display(), from.display());
    }
    Ok(())
}
