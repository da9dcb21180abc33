//! `muster backup` and `muster restore`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use muster_environment::{Clock as _, RealDisk, SystemClock, replace_private_file};
use muster_meta::{DatabaseUrl, Location, copy_database};
use muster_server::{data_paths, location, move_to_server};
use serde_json::json;

use crate::backup::{self, Backup, FORMAT, LIST_NAME};
use crate::cli::{BackupArgs, RestoreArgs};
use crate::place::Place;
use crate::settings::{database_url, state_dir};
use crate::size::format_size;
use crate::table;

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
    let made = match make(&place, &args.to).await {
        Ok(made) => made,
        Err(error) => {
            // Half a backup is only in the way of the next.
            backup::empty(&args.to);
            return Err(error.context("no backup was made"));
        }
    };
    let to = args.to.display().to_string();
    if args.json {
        let reply = json!({
            "to": to,
            "muster": made.muster,
            "created": made.created,
            "files": made.files.len(),
            "bytes": made.bytes,
            "block_samples": made.block_samples,
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
    Ok(())
}

async fn make(place: &Place, to: &Path) -> anyhow::Result<Backup> {
    let data_dir = place.data_dir();
    let now = jiff::Timestamp::from_millisecond(SystemClock::new().now_ms())?;
    let store = muster_tsdb::copy_store(
        &RealDisk,
        &data_paths::metrics(data_dir),
        &data_paths::metrics(to),
    )?;
    copy_metadata(place, &data_paths::meta(to)).await?;
    backup::copy_rest(data_dir, to)?;
    let files = backup::list_files(to)?;
    let made = Backup {
        format: FORMAT,
        muster: env!("CARGO_PKG_VERSION").to_owned(),
        created: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        block_samples: store.samples,
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
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
    if args.json {
        let reply = json!({
            "data_dir": to,
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
