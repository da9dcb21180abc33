//! A stream of bytes under a passphrase: what goes in comes out whole, in order and to its end, or not at all.
//!
//! The bytes are docs/format/backup.md:
//! 1. A header names the version, what the key costs to derive, and a salt that no other file has.
//! 2. argon2id makes 64 bytes of passphrase and salt: the key, and a check by which a wrong passphrase is known at once.
//! 3. The stream is cut into chunks, each sealed with AES-256-GCM under a nonce of its number and of whether it is the last
//!    (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár), with the header as associated data. So chunks
//!    that are changed, swapped, repeated or missing are told, the last one too.

use std::io::{self, BufRead, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;

/// What every backup begins with.
const MAGIC: [u8; 8] = *b"MUSTERBK";
/// The version of the format.
const FORMAT_VERSION: u32 = 1;
/// Bytes of a whole header.
const HEADER_LEN: usize = MAGIC.len() + 4 * 4 + SALT_LEN + CHECK_LEN;
const SALT_LEN: usize = 16;
const CHECK_LEN: usize = 32;
const KEY_LEN: usize = 32;
/// Bytes of a chunk before it is sealed; only the last has fewer.
const CHUNK: usize = 64 << 10;
const TAG_LEN: usize = 16;
/// What a header may ask for: 1 GiB, 32 passes, 16 lanes. A forged one must not take the machine.
const MOST: Cost = Cost { memory_kib: 1 << 20, passes: 32, lanes: 16 };

/// What it costs to make the key of a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// The second recommendation of RFC 9106: 64 MiB, 3 passes, 4 lanes.
    pub(crate) const USUAL: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };
    /// For tests, which need no protection.
    #[cfg(test)]
    pub(crate) const LEAST: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };
}

/// Why a sealed stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("this is no backup that `muster backup` made")]
    NoBackup,
    #[error(
        "the backup has version {found} of the format and this program reads {FORMAT_VERSION}; restore it with the version of Muster that made it"
    )]
    Version { found: u32 },
    #[error(
        "the header of the backup is damaged: it asks for {memory_kib} KiB of memory, {passes} passes and {lanes} lanes to make the key; use another copy"
    )]
    Cost { memory_kib: u32, passes: u32, lanes: u32 },
    #[error(
        "the passphrase is wrong, or the first {HEADER_LEN} bytes of the backup are damaged; give the passphrase with which it was made"
    )]
    Passphrase,
    #[error("the backup is damaged at byte {offset}; use another copy")]
    Damaged { offset: u64 },
    #[error("the backup is cut short, or damaged near its end, at byte {offset}; use another copy")]
    CutShort { offset: u64 },
    #[error("the key cannot be made: {0}")]
    Key(String),
}

/// What a header says, and the key that it and the passphrase give.
struct Opened {
    header: [u8; HEADER_LEN],
    key: LessSafeKey,
}

impl Opened {
    fn new(passphrase: &str, cost: Cost, salt: [u8; SALT_LEN]) -> Result<Self, SealError> {
        let failed = |error: argon2::Error| SealError::Key(error.to_string());
        let len = KEY_LEN + CHECK_LEN;
        let params =
            Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(len)).map_err(failed)?;
        let mut made = [0; KEY_LEN + CHECK_LEN];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut made)
            .map_err(failed)?;
        let (key, check) = made.split_at(KEY_LEN);
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length");
        let mut header = Vec::with_capacity(HEADER_LEN);
        header.extend(MAGIC);
        for number in [FORMAT_VERSION, cost.memory_kib, cost.passes, cost.lanes] {
            header.extend(number.to_le_bytes());
        }
        header.extend(salt);
        header.extend(check);
        let header = header.try_into().expect("its parts add up to a header");
        Ok(Self { header, key: LessSafeKey::new(key) })
    }

    /// Reads a header and makes its key.
    fn read(input: &mut impl Read, passphrase: &str) -> anyhow::Result<Self> {
        let mut header = [0; HEADER_LEN];
        let mut filled = 0;
        while filled < HEADER_LEN {
            match input.read(&mut header[filled..])? {
                0 => break,
                len => filled += len,
            }
        }
        if header[..MAGIC.len()] != MAGIC {
            return Err(SealError::NoBackup.into());
        }
        if filled < HEADER_LEN {
            return Err(SealError::CutShort { offset: filled as u64 }.into());
        }
        let number = |index: usize| {
            let at = MAGIC.len() + 4 * index;
            u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"))
        };
        let (found, memory_kib, passes, lanes) = (number(0), number(1), number(2), number(3));
        if found != FORMAT_VERSION {
            return Err(SealError::Version { found }.into());
        }
        let is_sane = (1..=MOST.passes).contains(&passes)
            && (1..=MOST.lanes).contains(&lanes)
            && (8 * lanes..=MOST.memory_kib).contains(&memory_kib);
        if !is_sane {
            return Err(SealError::Cost { memory_kib, passes, lanes }.into());
        }
        let salt_at = MAGIC.len() + 4 * 4;
        let salt = header[salt_at..salt_at + SALT_LEN].try_into().expect("a salt");
        let opened = Self::new(passphrase, Cost { memory_kib, passes, lanes }, salt)?;
        let check_at = HEADER_LEN - CHECK_LEN;
        verify_slices_are_equal(&opened.header[check_at..], &header[check_at..])
            .map_err(|_| SealError::Passphrase)?;
        Ok(opened)
    }

    /// Numbers never repeat under a key, as every file has a salt, and so a key, of its own.
    fn nonce(number: u64, is_last: bool) -> Nonce {
        let mut bytes = [0; NONCE_LEN];
        bytes[3..11].copy_from_slice(&number.to_be_bytes());
        bytes[11] = u8::from(is_last);
        Nonce::assume_unique_for_key(bytes)
    }
}

/// Seals what is written to it. Without [`SealedWriter::finish`] what it wrote cannot be read.
pub(crate) struct SealedWriter<W> {
    inner: W,
    opened: Opened,
    number: u64,
    /// What waits for its chunk to be full; a full one waits for a successor, as the last is sealed otherwise.
    waiting: Vec<u8>,
}

impl<W: Write> SealedWriter<W> {
    /// Writes a header with a new salt.
    pub(crate) fn new(inner: W, passphrase: &str, cost: Cost) -> anyhow::Result<Self> {
        let mut salt = [0; SALT_LEN];
        aws_lc_rs::rand::fill(&mut salt)
            .map_err(|_| SealError::Key("the system gives no random numbers".into()))?;
        Self::with_salt(inner, passphrase, cost, salt)
    }

    fn with_salt(
        mut inner: W,
        passphrase: &str,
        cost: Cost,
        salt: [u8; SALT_LEN],
    ) -> anyhow::Result<Self> {
        let opened = Opened::new(passphrase, cost, salt)?;
        inner.write_all(&opened.header)?;
        Ok(Self { inner, opened, number: 0, waiting: Vec::with_capacity(CHUNK + TAG_LEN) })
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let aad = Aad::from(&self.opened.header);
        self.opened
            .key
            .seal_in_place_append_tag(Opened::nonce(self.number, is_last), aad, &mut self.waiting)
            .map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
        self.inner.write_all(&self.waiting)?;
        self.waiting.clear();
        self.number += 1;
        Ok(())
    }

    /// Seals the last chunk.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let len = bytes.len().min(CHUNK - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    /// What waits for its chunk stays: a chunk that is not full is the last.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads what a [`SealedWriter`] wrote. It ends only where the whole stream was read and is as it was written.
pub(crate) struct SealedReader<R> {
    inner: R,
    opened: Opened,
    number: u64,
    /// Bytes read from `inner`.
    offset: u64,
    /// The present chunk, opened, and how much of it was given away.
    chunk: Vec<u8>,
    taken: usize,
    at_end: bool,
}

impl<R: BufRead> SealedReader<R> {
    /// Reads the header. An error if the passphrase is not the one.
    pub(crate) fn new(mut inner: R, passphrase: &str) -> anyhow::Result<Self> {
        let opened = Opened::read(&mut inner, passphrase)?;
        let offset = HEADER_LEN as u64;
        Ok(Self { inner, opened, number: 0, offset, chunk: Vec::new(), taken: 0, at_end: false })
    }

    fn open_next(&mut self) -> io::Result<()> {
        self.chunk.clear();
        self.taken = 0;
        let most = (CHUNK + TAG_LEN) as u64;
        let offset = self.offset;
        self.offset += self.inner.by_ref().take(most).read_to_end(&mut self.chunk)? as u64;
        self.at_end = self.inner.fill_buf()?.is_empty();
        let aad = Aad::from(&self.opened.header);
        let nonce = Opened::nonce(self.number, self.at_end);
        let Ok(opened) = self.opened.key.open_in_place(nonce, aad, &mut self.chunk) else {
            let error = if self.at_end {
                SealError::CutShort { offset }
            } else {
                SealError::Damaged { offset }
            };
            return Err(io::Error::other(error));
        };
        let len = opened.len();
        self.chunk.truncate(len);
        self.number += 1;
        Ok(())
    }
}

impl<R: BufRead> Read for SealedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.chunk.len() {
            if self.at_end {
                return Ok(0);
            }
            self.open_next()?;
        }
        let len = buffer.len().min(self.chunk.len() - self.taken);
        buffer[..len].copy_from_slice(&self.chunk[self.taken..self.taken + len]);
        self.taken += len;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "a passphrase of tests";

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut writer = SealedWriter::new(Vec::new(), PASSPHRASE, Cost::LEAST).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    fn open(bytes: &[u8], passphrase: &str) -> anyhow::Result<Vec<u8>> {
        let mut content = Vec::new();
        SealedReader::new(bytes, passphrase)?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], expected: &str) {
        let error = format!("{:#}", open(bytes, PASSPHRASE).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_sealed_comes_back_at_every_length_around_a_chunk() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17] {
            let content: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let bytes = sealed(&content);
            let chunks = len.div_ceil(CHUNK).max(1);
            assert_eq!(bytes.len(), HEADER_LEN + len + chunks * TAG_LEN);
            assert!(open(&bytes, PASSPHRASE).unwrap() == content, "{len}");
        }
        assert_ne!(sealed(b"the same"), sealed(b"the same"), "every file has a key of its own");
    }

    #[test]
    fn a_wrong_passphrase_and_a_foreign_file_are_told() {
        let bytes = sealed(b"content");
        let error = open(&bytes, "another").unwrap_err().to_string();
        assert!(error.contains("the passphrase is wrong"), "{error}");
        check_refused(b"", "no backup");
        check_refused(b"PK\x03\x04 and so on", "no backup");
        check_refused(&bytes[..HEADER_LEN - 1], "cut short");
    }

    #[test]
    fn a_header_that_asks_for_too_much_is_refused_before_it_costs_anything() {
        let bytes = sealed(b"content");
        for (at, expected) in [(8, "version"), (12, "KiB"), (16, "passes"), (20, "lanes")] {
            let mut forged = bytes.clone();
            forged[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            check_refused(&forged, expected);
            forged[at..at + 4].fill(0);
            check_refused(&forged, expected);
        }
    }

    #[test]
    fn a_flipped_byte_anywhere_is_told() {
        let bytes = sealed(&vec![7; CHUNK + 100]);
        let places = (0..HEADER_LEN).chain((HEADER_LEN..bytes.len()).step_by(997));
        for at in places.chain([bytes.len() - 1]) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert!(open(&flipped, PASSPHRASE).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_end_that_is_missing_or_not_the_end_is_told() {
        let whole = CHUNK + TAG_LEN;
        let bytes = sealed(&vec![7; 3 * CHUNK]);
        for len in [HEADER_LEN, HEADER_LEN + whole, HEADER_LEN + 2 * whole, bytes.len() - 1] {
            check_refused(&bytes[..len], "cut short");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        check_refused(&longer, "damaged");
        // Two chunks change places, and one comes twice.
        let (first, second) = (HEADER_LEN, HEADER_LEN + whole);
        let mut swapped = bytes.clone();
        swapped[first..second].copy_from_slice(&bytes[second..second + whole]);
        swapped[second..second + whole].copy_from_slice(&bytes[first..second]);
        check_refused(&swapped, "damaged at byte 72");
        let mut twice = bytes[..second].to_vec();
        twice.extend(&bytes[first..]);
        check_refused(&twice, "damaged");
    }

    #[test]
    fn a_file_of_version_1_is_read_for_ever() {
        let golden = include_bytes!("../../tests/golden/backup-v1");
        let content = open(golden, "golden passphrase").unwrap();
        assert!(content.len() > CHUNK, "it has more than one chunk");
        // The same salt gives the same bytes: the writer is of the same version.
        let salt = golden[24..24 + SALT_LEN].try_into().unwrap();
        let mut writer =
            SealedWriter::with_salt(Vec::new(), "golden passphrase", Cost::LEAST, salt).unwrap();
        writer.write_all(&content).unwrap();
        assert!(writer.finish().unwrap() == golden, "the bytes changed");
    }
}
