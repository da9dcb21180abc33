//! `/proc/PID/stat` and `/proc/PID/io`: one process in numbers.
//!
//! The line is read as bytes: a process may call itself anything, parentheses and line breaks included,
//! so its name reaches from the first `(` to the last `)`.

/// The kernel counts CPU time and starts in hundredths of a second here, whatever its own tick is.
pub(crate) const TICKS_PER_SECOND: f64 = 100.0;
/// The kernel's mark of its own threads in the field of flags.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// What the kernel says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat<'a> {
    pub(crate) pid: u32,
    /// The name of its program, at most 15 bytes, which it may have changed.
    pub(crate) comm: &'a [u8],
    /// The letter of its state.
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) flags: u32,
    /// Pages that it had to wait for, since its start.
    pub(crate) major_faults: u64,
    /// CPU time of all its threads since its start, in [`TICKS_PER_SECOND`].
    pub(crate) cpu_ticks: u64,
    pub(crate) threads: u32,
    /// Its start after the host's, in [`TICKS_PER_SECOND`].
    pub(crate) start_ticks: u64,
    pub(crate) resident_pages: u64,
}

impl ProcessStat<'_> {
    /// Whether it is a thread of the kernel, which has no program.
    pub(crate) fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }
}

/// Reads the line; `None` where it is no such line.
pub(crate) fn parse_stat(line: &[u8]) -> Option<ProcessStat<'_>> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let comm = line.get(open + 1..close)?;
    let pid = number(line[..open].trim_ascii())?;
    let mut words = line[close + 1..].trim_ascii().split(|byte| *byte == b' ');
    let state = *words.next()?.first()?;
    let parent = number(words.next()?)?;
    // The numbers in the names are the fields' in proc_pid_stat(5), which counts from 1.
    let mut numbers = words.map(number);
    let flags_9 = numbers.nth(4)??;
    let major_faults_12 = numbers.nth(2)??;
    let user_14 = numbers.nth(1)??;
    let system_15 = numbers.next()??;
    let threads_20 = numbers.nth(4)??;
    let start_22 = numbers.nth(1)??;
    let resident_24 = numbers.nth(1)??;
    Some(ProcessStat {
        pid: pid as u32,
        comm,
        state,
        parent: parent as u32,
        flags: flags_9 as u32,
        major_faults: major_faults_12,
        cpu_ticks: user_14.saturating_add(system_15),
        threads: threads_20 as u32,
        start_ticks: start_22,
        resident_pages: resident_24,
    })
}

/// A whole number; one below zero, as the terminal of a daemon, counts as 0.
fn number(digits: &[u8]) -> Option<u64> {
    if let [b'-', rest @ ..] = digits {
        return number(rest).map(|_| 0);
    }
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'9' => Some(value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))),
        _ => None,
    })
}

/// What a process, or a group of them, moved between memory and disks, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Io {
    pub(crate) read: u64,
    pub(crate) written: u64,
}

impl Io {
    /// What has been moved since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            read: self.read.saturating_sub(before.read),
            written: self.written.saturating_sub(before.written),
        }
    }

    /// Adds what others moved.
    pub(crate) fn add(&mut self, more: Self) {
        self.read = self.read.saturating_add(more.read);
        self.written = self.written.saturating_add(more.written);
    }

    /// Both directions together.
    pub(crate) fn total(self) -> u64 {
        self.read.saturating_add(self.written)
    }
}

/// Reads `/proc/PID/io`; `None` where it does not tell both directions.
pub(crate) fn parse_io(text: &[u8]) -> Option<Io> {
    let mut read = None;
    let mut written = None;
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(rest) = line.strip_prefix(b"read_bytes: ") {
            read = number(rest);
        } else if let Some(rest) = line.strip_prefix(b"write_bytes: ") {
            written = number(rest);
        }
    }
    Some(Io { read: read?, written: written? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_comm(line: &str, expected: Option<&str>) {
        let comm = parse_stat(line.as_bytes()).map(|stat| stat.comm.to_owned());
        assert_eq!(comm.as_deref(), expected.map(str::as_bytes), "{line}");
    }

    const REST: &str = "S 1 7 7 0 -1 4194560 5 6 7 8 300 20 9 9 20 0 3 0 4242 1000 55 18446744 1";

    #[test]
    fn fields() {
        let line = format!("7 (a b) {REST}");
        let expected = ProcessStat {
            pid: 7,
            comm: b"a b",
            state: b'S',
            parent: 1,
            flags: 4_194_560,
            major_faults: 7,
            cpu_ticks: 320,
            threads: 3,
            start_ticks: 4242,
            resident_pages: 55,
        };
        assert_eq!(parse_stat(line.as_bytes()), Some(expected));
        assert!(!expected.is_kernel_thread());
        assert!(ProcessStat { flags: 0x0020_8040, ..expected }.is_kernel_thread());
    }

    #[test]
    fn a_name_may_hold_anything() {
        check_comm(&format!("7 (x) S (y) {REST}"), Some("x) S (y"));
        check_comm(&format!("7 () {REST}"), Some(""));
        check_comm(&format!("7 (a\nb) {REST}"), Some("a\nb"));
        check_comm("7 (short) S 1 2", None);
        check_comm(&format!("7 )( {REST}"), None);
        check_comm("", None);
    }

    #[test]
    fn io_in_both_directions() {
        let text =
            b"rchar: 9\nwchar: 9\nread_bytes: 4096\nwrite_bytes: 17\ncancelled_write_bytes: 3\n";
        assert_eq!(parse_io(text), Some(Io { read: 4096, written: 17 }));
        assert_eq!(parse_io(b"read_bytes: 4096\n"), None);
        assert_eq!(parse_io(b"read_bytes: x\nwrite_bytes: 1\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, at in 0_usize..90, byte: u8) {
            let _ = (parse_stat(&bytes), parse_io(&bytes));
            let mut line = format!("7 (a b) {REST}").into_bytes();
            let at = at % line.len();
            line[at] = byte;
            let _ = parse_stat(&line);
        }
    }
}
