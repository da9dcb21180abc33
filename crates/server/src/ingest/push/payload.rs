//! A request's body and how to read it: what it takes, and its bytes without compression.

use std::io::Read as _;

use axum::body::Bytes;
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

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Not at all.
    Identity,
    /// Snappy's block format.
    Snappy,
    /// gzip, one member.
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
    /// The length of the body without compression, as it says itself.
    fn plain_len(&self) -> Result<usize, PushError> {
        let length = match self.encoding {
            Encoding::Identity => self.body.len(),
            Encoding::Snappy => snap::raw::decompress_len(&self.body).map_err(|error| {
                PushError::Malformed(format!("the body is not in Snappy's block format: {error}"))
            })?,
            Encoding::Gzip => {
                let trailer = self.body.last_chunk().filter(|_| self.body.len() >= 18);
                let trailer = trailer.ok_or_else(|| not_gzip("it is too short"))?;
                u32::from_le_bytes(*trailer) as usize
            }
        };
        if length > MAX_PLAIN {
            return Err(PushError::TooLarge(format!(
                "the body has {length} bytes without compression, more than {MAX_PLAIN}; send less at once"
            )));
        }
        Ok(length)
    }

    /// The memory that working on it takes, besides its body.
    pub(super) fn work_bytes(&self) -> Result<usize, PushError> {
        let plain = self.plain_len()?;
        let samples = MAX_SAMPLES.min(plain / FEWEST_BYTES_OF_SAMPLE);
        let copy = if self.encoding == Encoding::Identity { 0 } else { plain };
        Ok(copy + samples * SAMPLE_BYTES)
    }

    /// The body without compression, in `buffer` if it was compressed.
    pub(super) fn decompress<'a>(&'a self, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], PushError> {
        let length = self.plain_len()?;
        if self.encoding == Encoding::Identity {
            return Ok(&self.body);
        }
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let plain = &mut buffer[..length];
        match self.encoding {
            Encoding::Identity => {}
            Encoding::Snappy => {
                snap::raw::Decoder::new().decompress(&self.body, plain).map_err(|error| {
                    PushError::Malformed(format!("the body is damaged: {error}"))
                })?;
            }
            Encoding::Gzip => {
                let mut decoder = flate2::bufread::GzDecoder::new(&self.body[..]);
                decoder.read_exact(plain).map_err(|error| not_gzip(&error.to_string()))?;
                // Reading to the end is what checks the checksum.
                match decoder.read(&mut [0]) {
                    Ok(0) => {}
                    Ok(_) => return Err(not_gzip("it is longer than its end says")),
                    Err(error) => return Err(not_gzip(&error.to_string())),
                }
            }
        }
        Ok(plain)
    }
}

fn not_gzip(reason: &str) -> PushError {
    PushError::Malformed(format!("the body is not one piece of gzip: {reason}"))
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
        let found = payload.decompress(&mut buffer).map_err(|error| error.to_string());
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
        check(Encoding::Gzip, lying, Err("gzip"));
    }

    #[test]
    fn a_bomb_is_refused_by_its_announcement() {
        let claims = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
        check(Encoding::Snappy, claims.to_vec(), Err("without compression"));
        let mut bomb = gzip(&[0; 1_000]);
        let at = bomb.len() - 4;
        bomb[at..].copy_from_slice(&u32::MAX.to_le_bytes());
        check(Encoding::Gzip, bomb, Err("without compression"));
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
