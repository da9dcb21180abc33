//! Files `*.prom` that other programs leave: what a script measures becomes series of this host.
//!
//! A program writes a file under another name and renames it, so that no half of it is read. A file that
//! cannot be taken loses its own series only: [`SCRAPE_ERROR`] says that there is one, and the log which and
//! why. A file that did not change is not read again.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use muster_series::Labels;

use crate::documentation::metric_of;
use crate::error::CollectError;
use crate::file::names_in;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::{ParseText, Roots};
use crate::sink::Sink;

static MTIME: Metric = Metric::gauge(
    "node_textfile_mtime_seconds",
    Unit::Seconds,
    "When a file that was read was last changed, since 1970-01-01 UTC.",
    &["file"],
);
static SCRAPE_ERROR: Metric = Metric::gauge(
    "node_textfile_scrape_error",
    Unit::None,
    "1 if there was an error opening or reading a file, 0 otherwise.",
    &[],
);

/// Most files that are looked at.
const MAX_FILES: usize = 200;
/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most series of all files.
const MAX_SERIES: usize = 5_000;
/// Beginning of names that only Muster gives.
const OWN_PREFIX: &str = "muster_";

/// Collects the files `*.prom` of some folders.
pub(crate) struct Textfile {
    folders: Vec<PathBuf>,
    parse: Option<ParseText>,
    files: BTreeMap<PathBuf, Known>,
}

/// A file as it was when it was read.
struct Known {
    version: Version,
    content: Result<Vec<(Labels, f64)>, String>,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Version {
    mtime_s: f64,
    bytes: u64,
}

impl Textfile {
    pub(crate) fn new(roots: &Roots) -> Self {
        let (folders, parse) = (roots.textfile_folders.clone(), roots.parse_text.clone());
        Self { folders, parse, files: BTreeMap::new() }
    }

    /// Reads what is new or has changed, and forgets what is gone.
    fn look(&mut self, parse: &ParseText) {
        let mut paths: Vec<PathBuf> = self
            .folders
            .iter()
            .flat_map(|folder| names_in(folder).into_iter().map(|name| folder.join(name)))
            .filter(|path| path.extension().is_some_and(|ending| ending == "prom"))
            .collect();
        if paths.len() > MAX_FILES {
            tracing::warn!(
                files = paths.len(),
                "more than {MAX_FILES} text files; the last ones are not read"
            );
            paths.truncate(MAX_FILES);
        }
        self.files.retain(|path, _| paths.contains(path));
        for path in paths {
            let version = match path.metadata() {
                Ok(metadata) => version(&metadata),
                // It was there a moment ago: it is being replaced, or is a link to nothing.
                Err(error) => {
                    self.note(path, Version { mtime_s: 0.0, bytes: 0 }, Err(error.to_string()));
                    continue;
                }
            };
            if self.files.get(&path).is_none_or(|known| known.version != version) {
                let content = read(&path).and_then(|text| points(&text, parse));
                self.note(path, version, content);
            }
        }
    }

    fn note(
        &mut self,
        path: PathBuf,
        version: Version,
        content: Result<Vec<(Labels, f64)>, String>,
    ) {
        let before = self.files.get(&path).and_then(|known| known.content.as_ref().err());
        if let Err(reason) = &content
            && before != Some(reason)
        {
            tracing::warn!(file = %path.display(), %reason, "a text file is not taken; mend what writes it");
        }
        self.files.insert(path, Known { version, content });
    }
}

impl Collector for Textfile {
    fn name(&self) -> &'static str {
        "textfile"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&MTIME, &SCRAPE_ERROR]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let Some(parse) = self.parse.clone() else { return Ok(()) };
        self.look(&parse);
        let mut failed = false;
        let mut pushed: HashSet<&Labels> = HashSet::new();
        for (path, file) in &self.files {
            let Ok(points) = &file.content else {
                failed = true;
                continue;
            };
            sink.push(&MTIME, &[&path.to_string_lossy()], file.version.mtime_s);
            for (labels, value) in points {
                // What an earlier file said stands.
                if pushed.len() >= MAX_SERIES || !pushed.insert(labels) {
                    failed = true;
                    continue;
                }
                sink.push_labels(labels, *value);
            }
        }
        sink.push(&SCRAPE_ERROR, &[], if failed { 1.0 } else { 0.0 });
        Ok(())
    }
}

fn version(metadata: &Metadata) -> Version {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Version { mtime_s: modified.map_or(0.0, |since| since.as_secs_f64()), bytes: metadata.len() }
}

/// The text of a plain file; a pipe or a device would hold this thread.
fn read(path: &Path) -> Result<String, String> {
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no plain file".into());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err("it is larger than 1 MiB".into());
    }
    Ok(text)
}

/// The series of a text, unless one of them is the agent's own.
fn points(text: &str, parse: &ParseText) -> Result<Vec<(Labels, f64)>, String> {
    let points = parse(text)?;
    for (labels, _) in &points {
        let name = labels.metric_name().unwrap_or("");
        if name.starts_with(OWN_PREFIX) || metric_of(name).is_some() {
            return Err(format!("it names {name:?}, which the agent itself tells"));
        }
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use muster_series::{METRIC_NAME, is_stale_marker};

    use super::*;
    use crate::sink::{Collection, SeriesCache};

    /// A parser for tests: a name and a number a line.
    fn parser() -> ParseText {
        Arc::new(|text: &str| {
            text.lines()
                .map(|line| {
                    let (name, value) = line.split_once(' ').ok_or("no value")?;
                    let labels =
                        Labels::from_pairs([(METRIC_NAME, name)]).map_err(|e| e.to_string())?;
                    Ok((labels, value.parse().map_err(|_| "no number")?))
                })
                .collect()
        })
    }

    struct Folder {
        temporary: tempfile::TempDir,
        textfile: Textfile,
        cache: SeriesCache,
        next: u32,
        names: BTreeMap<u32, String>,
    }

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut roots = Roots::new(folder.path(), folder.path(), folder.path());
            roots.textfile_folders = vec![folder.path().into(), "/nonexistent".into()];
            roots.parse_text = Some(parser());
            let textfile = Textfile::new(&roots);
            Self {
                temporary: folder,
                textfile,
                cache: SeriesCache::default(),
                next: 0,
                names: BTreeMap::new(),
            }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.temporary.path().join(name), text).unwrap();
        }

        /// The values by name; the files' times are left out.
        fn collect(&mut self) -> BTreeMap<String, f64> {
            let mut out = Collection::default();
            let mut sink = self.cache.begin(&mut out, &mut self.next, 0, 0);
            self.textfile.collect(&mut sink).unwrap();
            self.cache.end(&mut out);
            for (number, labels) in out.new_series {
                self.names.insert(number, labels.metric_name().unwrap().to_owned());
            }
            let live = out.samples.into_iter().filter(|(_, value)| !is_stale_marker(*value));
            let named = live.map(|(number, value)| (self.names[&number].clone(), value));
            named.filter(|(name, _)| name != MTIME.name).collect()
        }
    }

    #[track_caller]
    fn check(folder: &mut Folder, expected: &[(&str, f64)]) {
        let expected: BTreeMap<String, f64> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        assert_eq!(folder.collect(), expected);
    }

    #[test]
    fn a_bad_file_loses_its_own_series_only() {
        let mut folder = Folder::new();
        check(&mut folder, &[(SCRAPE_ERROR.name, 0.0)]);
        folder.write("good.prom", "backup_age 12");
        folder.write("note.txt", "backup_age 13");
        check(&mut folder, &[("backup_age", 12.0), (SCRAPE_ERROR.name, 0.0)]);
        folder.write("bad.prom", "oops");
        check(&mut folder, &[("backup_age", 12.0), (SCRAPE_ERROR.name, 1.0)]);
        folder.write("bad.prom", "raid 1\nraid_disks 7");
        let good = ("backup_age", 12.0);
        check(&mut folder, &[good, ("raid", 1.0), ("raid_disks", 7.0), (SCRAPE_ERROR.name, 0.0)]);
        fs::remove_file(folder.temporary.path().join("bad.prom")).unwrap();
        check(&mut folder, &[good, (SCRAPE_ERROR.name, 0.0)]);
    }

    #[test]
    fn nobody_speaks_for_the_agent() {
        let mut folder = Folder::new();
        for name in ["node_load1", "muster_agent_sessions_total", "node_memory_MemFree_bytes"] {
            folder.write("a.prom", &format!("{name} 1"));
            check(&mut folder, &[(SCRAPE_ERROR.name, 1.0)]);
        }
        folder.write("a.prom", "node_reboot_required 1");
        check(&mut folder, &[("node_reboot_required", 1.0), (SCRAPE_ERROR.name, 0.0)]);
    }

    #[test]
    fn of_two_files_with_one_series_the_first_stands() {
        let mut folder = Folder::new();
        folder.write("a.prom", "x 1");
        folder.write("b.prom", "x 2\ny 3");
        check(&mut folder, &[("x", 1.0), ("y", 3.0), (SCRAPE_ERROR.name, 1.0)]);
    }

    #[test]
    fn there_is_a_limit_to_files_and_series() {
        let mut folder = Folder::new();
        folder.write("large.prom", &"x 1\n".repeat(300_000));
        check(&mut folder, &[(SCRAPE_ERROR.name, 1.0)]);
        let many: Vec<String> = (0..=MAX_SERIES).map(|at| format!("x{at} 1")).collect();
        folder.write("large.prom", &many.join("\n"));
        let told = folder.collect();
        assert_eq!(told.len(), MAX_SERIES + 1);
        assert_eq!(told[SCRAPE_ERROR.name], 1.0);
    }

    #[test]
    fn a_pipe_holds_nobody() {
        let mut folder = Folder::new();
        let path = folder.temporary.path().join("pipe.prom");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        check(&mut folder, &[(SCRAPE_ERROR.name, 1.0)]);
    }
}
