//! Reading the kernel's files: the hot ones through a handle that stays open, the others whole.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{CollectError, Malformed};

/// First size of a buffer, in bytes; most files of `/proc` fit.
const FIRST_BUFFER: usize = 4096;
/// The kernel gives whole records, as many as fit a page (4096 bytes at least). So of a file without records of half a
/// page a first reading that is shorter than this is all there is.
const SURELY_WHOLE: usize = 2048;
/// A file that is not there is looked for again after so many readings: to look costs more than to read.
const ABSENT_READINGS: u32 = 15;
/// What the kernel lets an attribute of `/sys` have at most, in bytes.
const MAX_ATTRIBUTE: usize = 4096;
/// Longest text of a hot attribute, in bytes: a number or a word.
const MAX_HOT_ATTRIBUTE: usize = 64;
/// Largest file accepted, in bytes; `/proc/stat` of a machine with 1,000 CPUs is far below.
const MAX_FILE: usize = 16 << 20;

/// A file that is read again and again, by `pread` from its beginning, through one handle.
#[derive(Debug)]
pub(crate) struct HotFile {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    /// Whether a record may be longer than [`SURELY_WHOLE`].
    long_records: bool,
    /// How many readings more the file counts as absent without a look.
    absent: u32,
}

impl HotFile {
    /// A file that is opened at the first reading. The kernel writes it in records of less than 2 KiB, or in one.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None, buffer: Vec::new(), long_records: false, absent: 0 }
    }

    /// A file whose records may be of any length.
    pub(crate) fn with_long_records(path: PathBuf) -> Self {
        Self { long_records: true, ..Self::new(path) }
    }

    /// Hands the file's text to `use_text`; `None` where this machine has no such file. One that
    /// appears is seen at the sixteenth reading at the latest.
    pub(crate) fn read<T>(
        &mut self,
        use_text: impl FnOnce(&str) -> Result<T, Malformed>,
    ) -> Result<Option<T>, CollectError> {
        if self.absent > 0 {
            self.absent -= 1;
            return Ok(None);
        }
        // A kept handle may have died (a namespace or a device that is gone): then it is opened anew.
        let kept = self.file.take().and_then(|file| {
            let len = fill(&file, &mut self.buffer, self.long_records).ok()?;
            self.file = Some(file);
            Some(len)
        });
        let len = match kept {
            Some(len) => len,
            None => match self.open_and_fill() {
                Ok(len) => len,
                Err(error) if is_absent(&error) => {
                    self.absent = ABSENT_READINGS;
                    return Ok(None);
                }
                Err(error) => return Err(CollectError::read(&self.path, error)),
            },
        };
        use_text(&text_of(&self.buffer[..len]))
            .map(Some)
            .map_err(|malformed| malformed.in_file(&self.path))
    }

    fn open_and_fill(&mut self) -> io::Result<usize> {
        let file = File::open(&self.path)?;
        let len = fill(&file, &mut self.buffer, self.long_records)?;
        self.file = Some(file);
        Ok(len)
    }
}

/// The bytes as text. Nearly all are ASCII, for which the strict check is many times as fast.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Reads the whole file into the buffer, which grows as needed; returns how many bytes there are.
fn fill(file: &File, buffer: &mut Vec<u8>, long_records: bool) -> io::Result<usize> {
    let mut len = 0;
    loop {
        if len == buffer.len() {
            if len >= MAX_FILE {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            buffer.resize((len * 2).max(FIRST_BUFFER), 0);
        }
        match file.read_at(&mut buffer[len..], len as u64) {
            Ok(0) => return Ok(len),
            Ok(all) if len == 0 && all < SURELY_WHOLE && !long_records => return Ok(all),
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// An attribute of `/sys` that is read again and again, through one handle.
#[derive(Debug)]
pub(crate) struct HotAttribute {
    path: PathBuf,
    file: Option<File>,
}

impl HotAttribute {
    /// An attribute that is opened at the first reading.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Hands the attribute's text, trimmed, to `use_text`; `None` where there is none or its driver
    /// does not answer. Without `keep` the handle is closed afterwards.
    pub(crate) fn read<T>(&mut self, keep: bool, use_text: impl FnOnce(&str) -> T) -> Option<T> {
        let mut buffer = [0; MAX_HOT_ATTRIBUTE];
        let len = self.fill(&mut buffer);
        if !keep {
            self.file = None;
        }
        Some(use_text(text_of(&buffer[..len?]).trim()))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if let Some(file) = &self.file {
            match file.read_at(buffer, 0) {
                Ok(len) => return Some(len),
                // The device is gone, and another may have its name.
                Err(error) if is_absent(&error) => {}
                // The driver does not answer now: a device that is switched off has no carrier.
                Err(_) => return None,
            }
        }
        let file = self.file.insert(File::open(&self.path).ok()?);
        file.read_at(buffer, 0).ok()
    }
}

/// Whether the machine just does not have what the file would tell.
fn is_absent(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error();
    let codes = [Errno::NOENT, Errno::NOTDIR, Errno::NODEV, Errno::NXIO, Errno::OPNOTSUPP];
    codes.into_iter().any(|errno| code == Some(errno.raw_os_error()))
}

/// Hands a file's text to `use_text`, for files that are read seldom; `None` where there is none.
pub(crate) fn read<T>(
    path: &Path,
    use_text: impl FnOnce(&str) -> Result<T, Malformed>,
) -> Result<Option<T>, CollectError> {
    match fs::read(path) {
        Ok(bytes) => {
            use_text(&text_of(&bytes)).map(Some).map_err(|malformed| malformed.in_file(path))
        }
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(CollectError::read(path, error)),
    }
}

/// An attribute of `/sys`, trimmed; `None` where the device has none or its driver does not answer,
/// which drivers tell in a dozen ways.
pub(crate) fn attribute(path: &Path) -> Option<String> {
    let mut buffer = [0; MAX_ATTRIBUTE];
    // The kernel gives all of it at once, so neither its size nor its end has to be asked for.
    let len = File::open(path).ok()?.read(&mut buffer).ok()?;
    Some(text_of(&buffer[..len]).trim().to_owned())
}

/// A numeric attribute of `/sys`, decimal or `0x` hexadecimal.
pub(crate) fn number_attribute(path: &Path) -> Option<f64> {
    let text = attribute(path)?;
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|n| n as f64),
        None => number(&text),
    }
}

/// The names in a folder, sorted, so that series keep their order; none where there is no such folder.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// A decimal number; whole ones, which nearly all are, go the fast way.
pub(crate) fn number(word: &str) -> Option<f64> {
    match word.parse::<u64>() {
        Ok(whole) => Some(whole as f64),
        Err(_) => word.parse().ok(),
    }
}

/// Whether a text is decimal digits and nothing else, as the numbers in the kernel's names are.
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hot_file_sees_every_change_and_every_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat");
        let mut hot = HotFile::new(path.clone());
        let mut check = |expected: Option<usize>| {
            assert_eq!(hot.read(|text| Ok(text.len())).unwrap(), expected);
        };
        check(None);
        fs::write(&path, "x").unwrap();
        for _ in 0..ABSENT_READINGS {
            check(None);
        }
        let sizes = [0, 1, SURELY_WHOLE - 1, SURELY_WHOLE, FIRST_BUFFER, 3 * FIRST_BUFFER, 2];
        for size in sizes {
            fs::write(&path, "x".repeat(size)).unwrap();
            check(Some(size));
        }
    }

    #[test]
    fn a_hot_attribute_follows_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("carrier");
        let mut hot = HotAttribute::new(path.clone());
        let mut check = |keep, expected: Option<&str>| {
            assert_eq!(hot.read(keep, str::to_owned).as_deref(), expected);
        };
        check(true, None);
        for (keep, text) in [(true, "1\n"), (true, "down\n"), (false, ""), (true, " 10 \n")] {
            fs::write(&path, text).unwrap();
            check(keep, Some(text.trim()));
        }
    }

    #[test]
    fn a_folder_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut hot = HotFile::new(folder.path().into());
        let error = hot.read(|_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with(&folder.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_malformed_line_comes_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd");
        fs::write(&path, "odd\n").unwrap();
        let error = read(&path, |text| Err::<(), _>(Malformed::at(text.trim()))).unwrap_err();
        let expected = format!("{} holds a line that is not understood: \"odd\"", path.display());
        assert_eq!(error.to_string(), expected);
    }
}
