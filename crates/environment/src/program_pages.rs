//! Memory that a process holds only because its start touched it: pages of its own program.
//!
//! A start runs through much code that is never needed again (the command line, keys, the handshake, the first look at
//! everything), and the kernel maps what lies around each page touched as well. Those pages stay resident until memory
//! is short, on a host that has better uses for it. Given back, they cost nothing; one that is needed after all is
//! mapped anew from the page cache.

use std::fs;
use std::io;
use std::ops::Range;

/// Gives back the resident pages of this process's own program. Returns over how many
/// bytes of addresses the program's pages were given back; 0 where the kernel refuses.
///
/// An error says that the kernel does not tell what is mapped; then nothing was done.
pub fn give_back_program_pages() -> io::Result<usize> {
    let program = fs::read_link("/proc/self/exe")?;
    let mappings = fs::read_to_string("/proc/self/smaps")?;
    let program = program.to_str().unwrap_or_default();
    let given =
        unmodified(&mappings, program).into_iter().filter(give_back).map(|range| range.len());
    let given = given.sum();
    Ok(given)
}

/// Where the file `program` is mapped privately, readable and not writable, without a page that differs from the file.
///
/// What the loader relocates and then protects looks the same but for its modified pages, which are anonymous or
/// swapped out; without them the program could not go on, and the file does not have them.
fn unmodified(smaps: &str, program: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut present = None;
    let mut anonymous = None;
    for line in smaps.lines() {
        if let Some(mapping) = Mapping::parse(line) {
            let is_code = matches!(mapping.permissions, "r-xp" | "r--p");
            present = (is_code && mapping.path == program).then_some(mapping.range);
            anonymous = None;
        } else if let Some(size) = line.strip_prefix("Anonymous:") {
            anonymous = Some(size.trim());
        } else if let Some(size) = line.strip_prefix("Swap:")
            && let Some(range) = present.take()
            && anonymous == Some("0 kB")
            && size.trim() == "0 kB"
        {
            found.push(range);
        }
    }
    found
}

/// The first line of a mapping.
struct Mapping<'a> {
    range: Range<usize>,
    permissions: &'a str,
    path: &'a str,
}

impl<'a> Mapping<'a> {
    /// `START-END PERMISSIONS OFFSET DEVICE INODE  PATH`; the lines that follow it begin with a name and a colon.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let range = address(start)?..address(end)?;
        let permissions = fields.next()?;
        let path = fields.nth(3)?.trim_start();
        Some(Self { range, permissions, path })
    }
}

/// Gives back one mapping of those that [`unmodified`] names. False if the kernel refuses, as it does for locked memory.
#[expect(unsafe_code, reason = "to change what is mapped has no safe wrapper")]
fn give_back(range: &Range<usize>) -> bool {
    let start = std::ptr::without_provenance_mut(range.start);
    // SAFETY: the range is a whole mapping of this process's own program, which stays mapped until the process ends. It is
    // private, cannot be written, and has no page that differs from the file, so whatever is read or run there
    // afterwards is read from the file again and is the same; no reference into it changes its meaning.
    unsafe { libc::madvise(start, range.len(), libc::MADV_DONTNEED) == 0 }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    static CONSTANTS: [u8; 4 << 20] = [7; 4 << 20];

    fn mapping(head: &str, anonymous: &str, swap: &str) -> String {
        format!(
            "{head}\nSize: 8 kB\nRss: 8 kB\nAnonymous:      {anonymous}\nSwap:     {swap}\nVmFlags: rd mr\n"
        )
    }

    #[track_caller]
    fn check(head: &str, anonymous: &str, swap: &str, found: bool) {
        let before = mapping("1000-2000 rw-p 00000000 fd:01 9 /bin/muster", "0 kB", "0 kB");
        let after = mapping("f000-f800 r--p 00000000 fd:01 9 /lib/libc.so.6", "0 kB", "0 kB");
        let text = before + &mapping(head, anonymous, swap) + &after;
        let expected = found.then_some(0x5000..0x7000);
        assert_eq!(unmodified(&text, "/bin/muster"), Vec::from_iter(expected));
    }

    #[test]
    fn only_what_equals_the_file_is_given_back() {
        check("5000-7000 r-xp 00001000 fd:01 9      /bin/muster", "0 kB", "0 kB", true);
        check("5000-7000 r--p 00001000 fd:01 9 /bin/muster", "0 kB", "0 kB", true);
        check("5000-7000 rw-p 00001000 fd:01 9 /bin/muster", "0 kB", "0 kB", false);
        check("5000-7000 r--s 00001000 fd:01 9 /bin/muster", "0 kB", "0 kB", false);
        check("5000-7000 r--p 00001000 fd:01 9 /bin/muster", "4 kB", "0 kB", false);
        check("5000-7000 r--p 00001000 fd:01 9 /bin/muster", "0 kB", "4 kB", false);
        check("5000-7000 r--p 00001000 fd:01 9 /bin/muster (deleted)", "0 kB", "0 kB", false);
        check("5000-7000 r--p 00000000 00:00 0", "0 kB", "0 kB", false);
        check("5000-7000 r--p 00000000 00:00 0 ", "0 kB", "0 kB", false);
        check("x-7000 r-xp 00001000 fd:01 9 /bin/muster", "0 kB", "0 kB", false);
        check("5000-7000 r-xp", "0 kB", "0 kB", false);
    }

    #[test]
    fn a_kernel_that_does_not_tell_all_is_not_trusted() {
        let head = "5000-7000 r-xp 00001000 fd:01 9 /bin/muster\n";
        for rest in ["", "Swap: 0 kB\n", "Anonymous: 0 kB\n", "Anonymous: x\nSwap: 0 kB\n"] {
            assert_eq!(unmodified(&format!("{head}{rest}"), "/bin/muster"), []);
        }
    }

    /// Pages of files that are resident in this process, in KiB.
    fn resident_kib() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn what_was_touched_is_given_back_and_is_the_same_afterwards() {
        let sum = || black_box(&CONSTANTS).iter().map(|&byte| u64::from(byte)).sum::<u64>();
        assert_eq!(sum(), 7 * (4 << 20));
        let before = resident_kib();
        assert!(give_back_program_pages().unwrap() >= CONSTANTS.len());
        let after = resident_kib();
        // Other tests run meanwhile, and the kernel counts in batches.
        assert!(after + 2048 < before, "{before} KiB before, {after} after");
        assert_eq!(sum(), 7 * (4 << 20));
    }
}
