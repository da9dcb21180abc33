//! Reads every block again about once a week, so that damage is found while a backup still has what is lost.
//!
//! One block at a time, the one that was not looked at for the longest. A block whose chunks are damaged is written anew without
//! them, and one whose index is damaged is set aside; the file is in quarantine then, and told.

use std::collections::HashMap;

use super::Shared;
use crate::TsdbError;
use crate::block::BlockMeta;
use crate::plan::{Compaction, plan_scrub};

/// When blocks were last read whole, and the last of them, by the monotonic clock in milliseconds.
#[derive(Debug)]
pub(super) struct ScrubTimes {
    /// Blocks that are not in here were there when the store was opened.
    by_name: HashMap<String, i64>,
    last_ms: i64,
}

impl ScrubTimes {
    /// For a store that is opened now.
    pub(super) fn new(now_ms: i64) -> Self {
        Self { by_name: HashMap::new(), last_ms: now_ms }
    }

    /// Notes blocks that were just written, and so read back.
    pub(super) fn note_written(&mut self, new: &[BlockMeta], now_ms: i64) {
        self.by_name.extend(new.iter().map(|meta| (meta.file_name(), now_ms)));
    }
}

impl Shared {
    /// Reads a block whose turn it is, if there is one. A head that is cut meanwhile is written in between.
    pub(super) fn scrub(&self) -> Result<(), TsdbError> {
        let now_ms = self.clock.monotonic_ms();
        let view = self.view.load_full();
        let turn = {
            let mut times = self.scrub_times.lock();
            let names: Vec<String> =
                view.blocks.iter().map(|block| block.meta.file_name()).collect();
            times.by_name.retain(|name, _| names.contains(name));
            let checked: Vec<Option<i64>> =
                names.iter().map(|name| times.by_name.get(name).copied()).collect();
            let turn = plan_scrub(&checked, self.opened_ms, times.last_ms, now_ms);
            if let Some(at) = turn {
                times.last_ms = now_ms;
                times.by_name.insert(names[at].clone(), now_ms);
            }
            turn
        };
        let Some(block) = turn.map(|at| &view.blocks[at]) else {
            return Ok(());
        };
        let read = block.verify(&mut || {
            self.check_stopping()?;
            if self.view.load().cut.is_some() { self.maintain() } else { Ok(()) }
        });
        let name = block.meta.file_name();
        let done = match read {
            Err(error @ TsdbError::Corrupt { .. }) => {
                tracing::error!(block = name, %error, "a block was damaged on the disk; restore it from a backup");
                self.counters.scrub_damage.add(1);
                self.rewrite(&block.meta)
            }
            other => other,
        };
        // Counted last, so that whoever sees a block counted also sees what was found in it.
        self.counters.scrubbed.add(1);
        if done.is_err() {
            // Its turn comes again before that of others.
            self.scrub_times.lock().by_name.remove(&name);
        }
        done
    }

    /// Writes what is readable of a block anew; the file goes to quarantine.
    fn rewrite(&self, meta: &BlockMeta) -> Result<(), TsdbError> {
        let mut manifest = self.manifest.lock();
        if !manifest.blocks.contains(meta) {
            // It was merged or dropped while it was read.
            return Ok(());
        }
        match self.merge(&mut manifest, &Compaction::again(meta)) {
            // Its index is damaged: the merge has taken it out of the view.
            Err(TsdbError::Corrupt { .. }) => self.set_damaged_aside(&mut manifest),
            other => other,
        }
    }
}
