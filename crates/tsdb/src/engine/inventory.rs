//! Which blocks are served, found at start: those that the manifest names, and those that somebody put there.
//!
//! 1. A block that the manifest names is served if its contents check; else it is set aside.
//! 2. A block that it does not name is removed if the last change meant to and its samples are in one that is named. So
//!    the leftovers of a merge go. It is also removed if a crash left it of a rewriting: it is newer than the manifest, and
//!    made of blocks that are named and can all be opened.
//! 3. Any other is adopted if all of it checks and no named block was made of the same heads. So a block restored from a backup
//!    is served, and what a crash left between block and manifest does no harm: samples that are there twice are read once.
//! 4. What is left is set aside. No other file that can be opened is deleted.
//!
//! A manifest that is lost names nothing, so all blocks come to step 3, those of most heads first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::Disk;

use super::Folders;
use super::maintenance::open_block;
use super::open::OpenReport;
use crate::TsdbError;
use crate::block::{Block, BlockMeta};
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::wal::segment_number;

/// Looks at a data folder and tells what it finds.
pub(super) struct Inventory<'a> {
    disk: &'a dyn Disk,
    folders: &'a Folders,
    pub(super) report: OpenReport,
    /// Whether there was no manifest that could be read.
    pub(super) manifest_is_new: bool,
}

impl<'a> Inventory<'a> {
    pub(super) fn new(disk: &'a dyn Disk, folders: &'a Folders) -> Self {
        Self { disk, folders, report: OpenReport::default(), manifest_is_new: false }
    }

    /// The manifest, which is on disk as it is returned, and the blocks that it names, oldest heads first.
    pub(super) fn take(&mut self) -> Result<(Manifest, Vec<Arc<Block>>), TsdbError> {
        let before = self.manifest()?;
        let mut manifest = Manifest { blocks: Vec::new(), removed: Vec::new(), ..before.clone() };
        let mut blocks = Vec::new();
        for meta in &before.blocks {
            if let Some(block) = self.named_block(&meta.file_name())? {
                manifest.blocks.push(meta.clone());
                blocks.push(Arc::new(block));
            }
        }
        for block in self.unnamed_blocks(&manifest, &before)? {
            self.adopt(block, &mut manifest, &mut blocks)?;
        }
        if self.manifest_is_new || manifest != before {
            manifest.store(self.disk, &self.folders.root)?;
        }
        blocks.sort_by_key(|block| block.meta.last_head);
        Ok((manifest, blocks))
    }

    fn manifest(&mut self) -> Result<Manifest, TsdbError> {
        let root = &self.folders.root;
        match Manifest::load(self.disk, root) {
            Ok(Some(manifest)) => return Ok(manifest),
            Ok(None) => {
                let has_segments = self
                    .names(&self.folders.wal)?
                    .iter()
                    .any(|name| segment_number(name).is_some());
                if has_segments
                    || self
                        .names(&self.folders.blocks)?
                        .iter()
                        .any(|name| has_extension(name, "blk"))
                {
                    self.report.miss(MANIFEST_NAME.to_owned());
                }
            }
            Err(error @ TsdbError::Corrupt { .. }) => {
                self.set_aside(&root.join(MANIFEST_NAME), MANIFEST_NAME, error.to_string())?;
            }
            Err(error) => return Err(error),
        }
        self.manifest_is_new = true;
        Ok(Manifest::default())
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>, TsdbError> {
        let files = self.disk.list(folder).map_err(|error| TsdbError::io("list", folder, error))?;
        Ok(files.into_iter().map(|file| file.name).collect())
    }

    fn named_block(&mut self, name: &str) -> Result<Option<Block>, TsdbError> {
        match open_block(self.disk, &self.folders.blocks, name) {
            Ok(block) => return Ok(Some(block)),
            Err(error @ TsdbError::Corrupt { .. }) => {
                self.set_block_aside(name, error.to_string())?;
            }
            Err(error) if error.is_missing_file() => {
                self.report.quarantine(format!("blocks/{name}"), "the file is missing".into());
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// The blocks that can be opened and are not in the manifest, of most heads first. What a crash left is removed. `before` is
    /// the manifest as it was found, with the blocks that cannot be opened.
    fn unnamed_blocks(
        &mut self,
        manifest: &Manifest,
        before: &Manifest,
    ) -> Result<Vec<Block>, TsdbError> {
        let named: Vec<String> = manifest.blocks.iter().map(BlockMeta::file_name).collect();
        let mut found = Vec::new();
        for name in self.names(&self.folders.blocks)? {
            if has_extension(&name, "tmp") {
                // What stays costs room only, and the next start tries again.
                let _ = self.disk.remove(&self.folders.blocks.join(&name));
            }
            if !has_extension(&name, "blk") || named.contains(&name) {
                continue;
            }
            match open_block(self.disk, &self.folders.blocks, &name) {
                Ok(block) if block.meta.file_name() != name => {
                    self.set_block_aside(&name, "the file was renamed".into())?;
                }
                Ok(block) => {
                    let covers = |other: &BlockMeta| {
                        other.overlaps_heads(&block.meta)
                            && other.first_head <= block.meta.first_head
                            && block.meta.last_head <= other.last_head
                    };
                    let is_input = before.removed.contains(&name);
                    if is_input && manifest.blocks.iter().any(covers) {
                        let _ = self.disk.remove(&self.folders.blocks.join(&name));
                    } else if is_left_of_rewriting(&block.meta, manifest, before) {
                        tracing::info!(
                            block = name,
                            "what a crash left of a merge is removed; what it was made of is served"
                        );
                        let _ = self.disk.remove(&self.folders.blocks.join(&name));
                    } else {
                        found.push(block);
                    }
                }
                Err(error @ TsdbError::Corrupt { .. }) => {
                    self.set_block_aside(&name, error.to_string())?;
                }
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|block| std::cmp::Reverse(block.meta.last_head - block.meta.first_head));
        Ok(found)
    }

    fn adopt(
        &mut self,
        block: Block,
        manifest: &mut Manifest,
        blocks: &mut Vec<Arc<Block>>,
    ) -> Result<(), TsdbError> {
        let name = block.meta.file_name();
        if manifest.blocks.iter().any(|other| other.overlaps_heads(&block.meta)) {
            let reason = "the manifest does not name it, and names a block of the same heads";
            return self.set_block_aside(&name, reason.into());
        }
        // Where all blocks are unnamed, one that is damaged in part is better than none.
        if !self.manifest_is_new {
            match block.verify(&mut || Ok(())) {
                Ok(()) => {}
                Err(error @ TsdbError::Corrupt { .. }) => {
                    return self.set_block_aside(&name, error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        tracing::warn!(block = name, "a block that no manifest names is served from now on");
        self.report.adopted.push(format!("blocks/{name}"));
        manifest.next_head = manifest.next_head.max(block.meta.last_head.saturating_add(1));
        let next = block.meta.sequence.saturating_add(1);
        manifest.next_sequence = manifest.next_sequence.max(next);
        manifest.blocks.push(block.meta.clone());
        blocks.push(Arc::new(block));
        Ok(())
    }

    fn set_block_aside(&mut self, name: &str, reason: String) -> Result<(), TsdbError> {
        self.set_aside(&self.folders.blocks.join(name), &format!("blocks/{name}"), reason)
    }

    fn set_aside(&mut self, path: &Path, name: &str, reason: String) -> Result<(), TsdbError> {
        aside_path(self.disk, self.folders, &name.replace('/', "_"))
            .and_then(|aside| self.disk.rename(path, &aside))
            .map_err(|error| TsdbError::io("set aside", path, error))?;
        self.report.quarantine(name.into(), reason);
        Ok(())
    }
}

/// Whether a block that is not named is what a merge wrote before a crash kept it from the manifest. All that it was made of
/// must be there: blocks of the manifest `before` that can be opened, and so are in `manifest`.
fn is_left_of_rewriting(meta: &BlockMeta, manifest: &Manifest, before: &Manifest) -> bool {
    let inputs: Vec<&BlockMeta> =
        before.blocks.iter().filter(|other| other.overlaps_heads(meta)).collect();
    let first = inputs.iter().map(|input| input.first_head).min();
    let last = inputs.iter().map(|input| input.last_head).max();
    meta.sequence >= before.next_sequence
        && (first, last) == (Some(meta.first_head), Some(meta.last_head))
        && inputs.iter().all(|input| manifest.blocks.contains(input))
}

/// A path in quarantine that no file has.
pub(super) fn aside_path(
    disk: &dyn Disk,
    folders: &Folders,
    name: &str,
) -> std::io::Result<PathBuf> {
    let mut path = folders.quarantine.join(name);
    let mut number = 1;
    while disk.exists(&path)? {
        path = folders.quarantine.join(format!("{name}.{number}"));
        number += 1;
    }
    Ok(path)
}

pub(super) fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|own| own == extension)
}
