//! A request's body and how to read it: what it takes, and its bytes without compression.

use std::io::{ErrorKind, Read as _};

use axum::body::Bytes;
use flate2::bufread::MultiGzDecoder;
use parking_lot::Mutex;

use super::PushError;
use super::gather::{Format, MAX_SAMPLES};

/// The most bytes of a body as it comes.
pub(crate) const MAX_BODY: usize = 32 << 20;
/// The most bytes of a body without compression.
const MAX_PLAIN: usize = 128 << 20;
/// What a sample takes on its way to the store, and the fewest bytes of a request that make one with a value and a time.
const SAMPLE_BYTES: usize = 24;
const FEWEST_BYTES_OF_SAMPLE: usize = 9;
/// The most that gzip makes of a byte.
const MOST_OF_GZIP: usize = 1_032;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Not at all.
    Identity,
    /// Snappy's block format.
    Snappy,
    /// gzip, of one member or several.
    Gzip,
}

/// A request that was received whole.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) format: Format,
    pub(crate) encoding: Encoding,
    pub(crate) body: Bytes,
}

impl Payload {
    /// The length of the body without compression, as it says itself. Of gzip this is a hint that may be too small: its
    /// end tells of the last member only, and 0 stands for what cannot be.
    fn plain_len(&self) -> Result<usize, PushError> {
        let length = match self.encoding {
            Encoding::Identity => self.body.len(),
            Encoding::Snappy => snap::raw::decompress_len(&self.body).map_err(|error| {
                PushError::Malformed(format!("the body is not in Snappy's block format: {error}"))
            })?,
            Encoding::Gzip => {
                let trailer = self.body.last_chunk().filter(|_| self.body.len() >= 18);
                let trailer = trailer.ok_or_else(|| not_gzip("it is too short"))?;
                let last = u32::from_le_bytes(*trailer) as usize;
                let most = MAX_PLAIN.min(self.body.len() * MOST_OF_GZIP);
                if last > most { 0 } else { last }
            }
        };
        if length > MAX_PLAIN {
            return Err(too_large());
        }
        Ok(length)
    }

    /// The memory that working on it takes by what it says itself, besides its body.
    pub(super) fn work_bytes(&self) -> Result<usize, PushError> {
        Ok(self.work_bytes_of(self.plain_len()?))
    }

    fn work_bytes_of(&self, plain: usize) -> usize {
        let samples = MAX_SAMPLES.min(plain / FEWEST_BYTES_OF_SAMPLE);
        let copy = if self.encoding == Encoding::Identity { 0 } else { plain };
        copy + samples * SAMPLE_BYTES
    }

    /// The body without compression, in `buffer` if it was compressed. If it takes more memory than `work_bytes` said,
    /// `cover` is asked before for how many bytes it takes in all.
    pub(super) fn decompress<'a>(
        &'a self,
        buffer: &'a mut Vec<u8>,
        cover: impl FnOnce(usize) -> Result<(), PushError>,
    ) -> Result<&'a [u8], PushError> {
        let mut length = self.plain_len()?;
        match self.encoding {
            Encoding::Identity => return Ok(&self.body),
            Encoding::Snappy => {
                let plain = room_for(length, buffer);
                snap::raw::Decoder::new().decompress(&self.body, plain).map_err(|error| {
                    PushError::Malformed(format!("the body is damaged: {error}"))
                })?;
            }
            Encoding::Gzip => {
                let mut decoder = MultiGzDecoder::new(&self.body[..]);
                length = fill(&mut decoder, room_for(length, buffer))?;
                // What goes beyond the hint is only counted, so that a bomb takes no memory.
                let beyond = count(&mut decoder, MAX_PLAIN - length)?;
                if beyond > 0 {
                    length += beyond;
                    cover(self.work_bytes_of(length))?;
                    let mut decoder = MultiGzDecoder::new(&self.body[..]);
                    fill(&mut decoder, room_for(length, buffer))?;
                }
            }
        }
        Ok(&buffer[..length])
    }
}

/// The first bytes of a buffer, which becomes as large if it is not.
fn room_for(length: usize, buffer: &mut Vec<u8>) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

/// Decompresses until the room is full or the body ends; how many bytes that gave.
fn fill(decoder: &mut MultiGzDecoder<&[u8]>, room: &mut [u8]) -> Result<usize, PushError> {
    let mut filled = 0;
    while filled < room.len() {
        match decoder.read(&mut room[filled..]).map_err(|error| broken_gzip(&error))? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

/// Decompresses to the body's end, which also checks its checksums, and keeps nothing; how many bytes that gave.
fn count(decoder: &mut MultiGzDecoder<&[u8]>, most: usize) -> Result<usize, PushError> {
    let mut passed = vec![0; 16 << 10];
    let mut counted = 0;
    loop {
        match fill(decoder, &mut passed)? {
            0 => return Ok(counted),
            more => counted += more,
        }
        if counted > most {
            return Err(too_large());
        }
    }
}

fn too_large() -> PushError {
    PushError::TooLarge(format!(
        "the body has more than {MAX_PLAIN} bytes without compression; send less at once"
    ))
}

fn broken_gzip(error: &std::io::Error) -> PushError {
    match error.kind() {
        ErrorKind::UnexpectedEof => not_gzip("it was cut, or has other bytes after its end"),
        _ => not_gzip(&error.to_string()),
    }
}

fn not_gzip(reason: &str) -> PushError {
    PushError::Malformed(format!("the body is not gzip from start to end: {reason}"))
}

/// Buffers of bodies without compression, kept for the next request: large fresh memory costs more than reading it.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// The most buffers that are kept, and the largest.
    const MOST: usize = 8;
    const LARGEST: usize = 2 << 20;

    /// Lends a buffer, which may hold anything.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut buffer = self.idle.lock().pop().unwrap_or_default();
        let result = work(&mut buffer);
        let mut idle = self.idle.lock();
        if idle.len() < Self::MOST && buffer.len() <= Self::LARGEST {
            idle.push(buffer);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn payload(encoding: Encoding, body: Vec<u8>) -> Payload {
        Payload { format: Format::RemoteWrite1, encoding, body: body.into() }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn check(encoding: Encoding, body: Vec<u8>, expected: Result<&[u8], &str>) {
        // What an earlier and longer body left behind must not show.
        let mut buffer = vec![7; 100];
        let payload = payload(encoding, body);
        let found = payload.decompress(&mut buffer, |_| Ok(())).map_err(|error| error.to_string());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn bodies_are_decompressed_or_refused() {
        let text = b"some text some text some text";
        let snappy = snap::raw::Encoder::new().compress_vec(text).unwrap();
        check(Encoding::Identity, text.to_vec(), Ok(text));
        check(Encoding::Snappy, snappy.clone(), Ok(text));
        check(Encoding::Gzip, gzip(text), Ok(text));
        check(Encoding::Snappy, text.to_vec(), Err("damaged"));
        check(Encoding::Snappy, vec![0xff; 20], Err("Snappy's block format"));
        check(Encoding::Snappy, snappy[..snappy.len() - 1].to_vec(), Err("damaged"));
        check(Encoding::Gzip, vec![0; 10], Err("too short"));
        check(Encoding::Gzip, vec![0; 30], Err("gzip"));
        let mut lying = gzip(text);
        let at = lying.len() - 4;
        lying[at] -= 1;
        check(Encoding::Gzip, lying, Err("checksum"));
    }

    #[test]
    fn every_member_of_gzip_counts_and_nothing_else_may_follow() {
        let text = b"some text some text some text";
        let one = gzip(text);
        check(Encoding::Gzip, [gzip(b"a"), one.clone()].concat(), Ok(&[b"a", &text[..]].concat()));
        check(Encoding::Gzip, [one.clone(), gzip(b"a")].concat(), Ok(&[text, &b"a"[..]].concat()));
        check(Encoding::Gzip, [one.clone(), gzip(b"")].concat(), Ok(text));
        check(Encoding::Gzip, gzip(b""), Ok(b""));
        check(Encoding::Gzip, [&one[..], b"more"].concat(), Err("other bytes after its end"));
        check(Encoding::Gzip, [&one[..], &[b'x'; 50]].concat(), Err("invalid gzip header"));
        check(Encoding::Gzip, [one.clone(), vec![0; 50]].concat(), Err("invalid gzip header"));
        for length in 18..one.len() {
            check(Encoding::Gzip, one[..length].to_vec(), Err("it was cut"));
        }
        let two = [one.clone(), gzip(b"a")].concat();
        check(Encoding::Gzip, two[..two.len() - 1].to_vec(), Err("it was cut"));
    }

    #[test]
    fn more_than_gzip_said_is_covered_before_it_is_kept() {
        let two = payload(Encoding::Gzip, [gzip(&[1; 5_000]), gzip(&[2; 10])].concat());
        assert_eq!(two.work_bytes().unwrap(), 10 + SAMPLE_BYTES);
        let (mut buffer, mut asked) = (Vec::new(), 0);
        let cover = |bytes| {
            asked = bytes;
            Err(PushError::NoMemory)
        };
        let refused = two.decompress(&mut buffer, cover).map(<[u8]>::len);
        assert!(matches!(refused, Err(PushError::NoMemory)));
        assert_eq!((asked, buffer.len()), (5_010 + 556 * SAMPLE_BYTES, 10));
        let one = payload(Encoding::Gzip, gzip(&[1; 5_000]));
        let found = one.decompress(&mut buffer, |_| Err(PushError::NoMemory)).unwrap();
        assert_eq!(found.len(), 5_000, "what was said is covered before");
    }

    #[test]
    fn a_bomb_of_gzip_takes_no_memory() {
        let piece = 1 << 20;
        let member = gzip(&vec![0; piece]);
        let bomb = payload(Encoding::Gzip, member.repeat(MAX_PLAIN / piece + 1));
        let mut buffer = Vec::new();
        let refused = bomb.decompress(&mut buffer, |_| panic!("it is too large")).map(<[u8]>::len);
        assert!(matches!(refused, Err(PushError::TooLarge(_))));
        assert_eq!(buffer.len(), piece, "the last member's length is the hint");
    }

    #[test]
    fn a_bomb_is_refused_by_its_announcement() {
        let claims = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
        check(Encoding::Snappy, claims.to_vec(), Err("without compression"));
        let mut lying = gzip(&[0; 1_000]);
        let at = lying.len() - 4;
        lying[at..].copy_from_slice(&(100_u32 << 20).to_le_bytes());
        assert_eq!(
            payload(Encoding::Gzip, lying).work_bytes().unwrap(),
            0,
            "nothing that cannot be"
        );
        let honest = payload(Encoding::Snappy, vec![0x80, 0x80, 0x80, 0x40]);
        let largest = MAX_PLAIN + MAX_SAMPLES * SAMPLE_BYTES;
        assert_eq!(honest.work_bytes().unwrap(), largest, "an announced length is reserved");
    }

    #[test]
    fn few_and_small_buffers_are_kept() {
        let buffers = Buffers::default();
        buffers.with(|buffer| buffer.resize(100, 1));
        buffers.with(|buffer| assert_eq!(buffer.len(), 100));
        buffers.with(|buffer| buffer.resize(Buffers::LARGEST + 1, 1));
        buffers.with(|buffer| assert!(buffer.is_empty()));
    }
}
