//! The log at start: every segment in turn goes into the head; what is torn, damaged or missing is told.

use std::path::Path;
use std::sync::Arc;

use muster_environment::replace_file;
use muster_series::Labels;

use super::Shared;
use super::open::{OpenReport, Quarantined};
use crate::head::Head;
use crate::plan::head_is_full;
use crate::wal::{
    Cut, ReplaySink, SeriesTable, replay_segment, segment_header, segment_name, segment_number,
};
use crate::{SeriesId, SeriesSample, TsdbError};

/// Puts what a segment holds into the head.
struct Replay<'a> {
    shared: &'a Shared,
    head: Arc<Head>,
    /// The series of the numbers that this segment uses, plus one; 0 where it names none.
    series: SeriesTable<u32>,
    /// Samples of series that are named.
    known: Vec<SeriesSample>,
    segment: String,
    report: &'a mut OpenReport,
}

impl ReplaySink for Replay<'_> {
    fn series(&mut self, series: &[(u32, Labels)]) {
        let mut registry = self.shared.registry.write();
        for (id, labels) in series {
            // What was acknowledged is kept, whatever the limit says now.
            if let Ok(known) = registry.insert(labels, usize::MAX) {
                *self.series.get_mut(*id) = known.0 + 1;
            }
        }
    }

    fn samples(&mut self, samples: &[SeriesSample]) {
        self.known.clear();
        for sample in samples {
            if let Some(id) = self.series.get(sample.series.0).checked_sub(1) {
                self.known.push(SeriesSample { series: SeriesId(id), ..*sample });
            }
        }
        self.head.push(&self.known);
        self.report.replayed_samples += self.known.len() as u64;
        self.report.nameless_samples += (samples.len() - self.known.len()) as u64;
    }

    fn damaged(&mut self, offset: u64, bytes: &[u8], reason: &'static str) -> bool {
        let name = format!("{}.at-{offset}", self.segment);
        let folder = &self.shared.folders.quarantine;
        let kept = replace_file(&*self.shared.disk, folder, &name, bytes);
        if let Err(error) = &kept {
            tracing::warn!(name, %error, "damaged bytes of the log could not be kept");
        }
        let file = format!("wal/{}", self.segment);
        let reason = format!("{reason}, at byte {offset}, {} bytes", bytes.len());
        tracing::error!(file, reason, "a part of the log is set aside");
        self.report.quarantined.push(Quarantined { file, reason });
        kept.is_ok()
    }
}

impl Shared {
    /// Reads the log into the head; returns the number for the next segment. Where the manifest tells it, the log starts
    /// with segment `first_segment`; what is missing there or further on is told.
    pub(super) fn replay(
        &self,
        manifest_is_kept: bool,
        report: &mut OpenReport,
    ) -> Result<u64, TsdbError> {
        let folder = &self.folders.wal;
        let files = self.disk.list(folder).map_err(|error| TsdbError::io("list", folder, error))?;
        let first = self.manifest.lock().first_segment;
        let numbered = files.iter().filter_map(|file| Some((segment_number(&file.name)?, file)));
        let (void, valid): (Vec<_>, Vec<_>) = numbered.partition(|(number, _)| *number < first);
        for (_, file) in void {
            // A crash came between the manifest and this removal; nothing in it is needed.
            let _ = self.disk.remove(&folder.join(&file.name));
        }
        let mut expected = manifest_is_kept.then_some(first);
        let last = valid.last().map(|(number, _)| *number);
        for (number, file) in valid {
            if let Some(expected) = expected.filter(|&expected| expected < number) {
                let names = [expected, number - 1].map(segment_name);
                let [from, to] = &names;
                let to = if from == to { String::new() } else { format!(" to wal/{to}") };
                report.miss(format!("wal/{from}{to}"));
            }
            expected = Some(number + 1);
            let path = folder.join(&file.name);
            let damaged = report.quarantined.len();
            let mut sink = Replay {
                shared: self,
                head: Arc::clone(&self.view.load().active),
                series: SeriesTable::default(),
                known: Vec::new(),
                segment: file.name.clone(),
                report: &mut *report,
            };
            let replayed = match replay_segment(&*self.disk, &path, &mut sink) {
                Err(error @ TsdbError::Corrupt { .. }) => {
                    self.keep_unreadable(&path, &file.name)?;
                    report.quarantine(format!("wal/{}", file.name), error.to_string());
                    self.bound_replay(number + 1);
                    continue;
                }
                replayed => replayed?,
            };
            report.replayed_records += replayed.records;
            if let Some(cut) = replayed.cut {
                // Only the last segment may have been in the making when the machine stopped.
                if cut.len == 0 && Some(number) != last && report.quarantined.len() == damaged {
                    report.miss(format!("wal/{}, which is empty", file.name));
                }
                report.cut_tail_bytes += cut.torn;
                self.cut_segment(&path, cut)?;
            }
            self.bound_replay(number + 1);
        }
        if report.nameless_samples > 0 {
            let samples = report.nameless_samples;
            tracing::error!(samples, "samples of the log are lost: the names of their series are");
        }
        Ok(expected.unwrap_or(first))
    }

    /// Gives a segment of which the disk cannot read all a second name in quarantine. It stays in the log as well, for what could
    /// be read, until that is in blocks.
    fn keep_unreadable(&self, path: &Path, name: &str) -> Result<(), TsdbError> {
        let aside = self.folders.quarantine.join(name);
        let kept = self
            .disk
            .exists(&aside)
            .and_then(|is_kept| if is_kept { Ok(()) } else { self.disk.hard_link(path, &aside) });
        kept.map_err(|error| TsdbError::io("set aside", path, error))
    }

    /// Cuts a segment so that the next start finds nothing wrong with it.
    fn cut_segment(&self, path: &Path, cut: Cut) -> Result<(), TsdbError> {
        let done = if cut.len > 0 {
            self.disk.truncate(path, cut.len)
        } else {
            self.disk.create(path).and_then(|mut file| {
                file.write_all(&segment_header())?;
                file.sync_data()
            })
        };
        done.map_err(|error| TsdbError::io("cut", path, error))
    }

    /// Cuts the head when replay has filled it. One cut head may wait, as while running; before the next one it is written as a block, so
    /// that a start needs no more memory than running does.
    fn bound_replay(&self, end_segment: u64) {
        let view = self.view.load();
        let head = &view.active;
        if !head_is_full(head.bytes(), head.series_count(), &self.options) {
            return;
        }
        if view.cut.is_some() {
            drop(view);
            if let Err(error) = self.maintain() {
                tracing::warn!(%error, "the log is still needed, its samples could not be written as a block");
                return;
            }
        }
        self.cut_head(end_segment);
    }
}
