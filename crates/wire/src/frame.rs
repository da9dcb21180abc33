//! Frames: a flag byte and a payload, compressed where that helps (docs/format/wire.md, "Frames").

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::WireError;

/// The payload is one zstd frame.
const FLAG_ZSTD: u8 = 1;
/// Below this size compression costs more than it saves.
const COMPRESS_FROM_BYTES: usize = 192;
const LEVEL: i32 = 1;
/// Larger payloads are packed with a compressor of their own, as a kept one keeps the memory of its largest work.
const KEPT_COMPRESSOR_BYTES: usize = 16 << 10;

thread_local! {
    /// Making one costs more than packing a small frame with it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    /// Making one costs more than unpacking a frame with it.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The frame that carries `payload`.
pub(crate) fn encode(payload: &[u8]) -> Vec<u8> {
    if payload.len() >= COMPRESS_FROM_BYTES
        && let Ok(compressed) = pack(payload)
        && compressed.len() < payload.len()
    {
        return with_flags(FLAG_ZSTD, &compressed);
    }
    with_flags(0, payload)
}

fn pack(payload: &[u8]) -> std::io::Result<Vec<u8>> {
    if payload.len() > KEPT_COMPRESSOR_BYTES {
        return zstd::bulk::compress(payload, LEVEL);
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(LEVEL)?),
        };
        compressor.compress(payload)
    })
}

fn with_flags(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 1);
    frame.push(flags);
    frame.extend_from_slice(payload);
    frame
}

/// The payload of `frame`; neither may have more than `limit` bytes, and no more than that is ever allocated.
pub(crate) fn decode(frame: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
    let (&flags, payload) = frame.split_first().ok_or(WireError::EmptyFrame)?;
    if frame.len() > limit {
        return Err(WireError::FrameTooLarge { limit });
    }
    match flags {
        0 => Ok(payload.to_vec()),
        FLAG_ZSTD => decompress(payload, limit),
        unknown => Err(WireError::UnknownFlags(unknown)),
    }
}

/// The size is in the header of each frame that we write; one without it is refused, so that
/// a frame of a few bytes cannot ask for the whole limit without even claiming to fill it.
fn decompress(payload: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
    match zstd::zstd_safe::get_frame_content_size(payload) {
        Ok(Some(size)) if size <= limit as u64 => {
            unpack(payload, size as usize).map_err(|error| WireError::Decompress(error.to_string()))
        }
        Ok(Some(_)) => Err(WireError::FrameTooLarge { limit }),
        Ok(None) => Err(WireError::Decompress("it does not say its size".into())),
        Err(_) => Err(WireError::Decompress("it is no zstd frame".into())),
    }
}

fn unpack(payload: &[u8], size: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress(payload, size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    #[test]
    fn payloads_come_back() {
        for payload in [vec![], vec![1, 2, 3], vec![7; 5_000], (0..=255).collect()] {
            let frame = encode(&payload);
            assert!(frame.len() <= payload.len() + 1);
            assert_eq!(decode(&frame, LIMIT), Ok(payload));
        }
        assert!(encode(&[7; 5_000]).len() < 50);
    }

    #[test]
    fn a_kept_compressor_packs_like_a_new_one() {
        let noise = |len: u32| (0..len).map(|at| (at.wrapping_mul(at) >> 5) as u8 & 0x1f).collect();
        for len in [300, 16 << 10, 200, 40_000, 5_000, 193] {
            let payload: Vec<u8> = noise(len);
            assert_eq!(pack(&payload).unwrap(), zstd::bulk::compress(&payload, LEVEL).unwrap());
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_claim() {
        let bomb = encode(&vec![0; LIMIT + 1]);
        assert!(bomb.len() < 1_000);
        assert_eq!(decode(&bomb, LIMIT), Err(WireError::FrameTooLarge { limit: LIMIT }));
    }

    #[test]
    fn a_bomb_that_hides_its_size_is_refused() {
        let hidden = zstd::stream::encode_all(&vec![0; LIMIT * 2][..], LEVEL).unwrap();
        let error = decode(&with_flags(FLAG_ZSTD, &hidden), LIMIT).unwrap_err();
        assert!(matches!(error, WireError::Decompress(_) | WireError::FrameTooLarge { .. }));
    }

    #[test]
    fn refusals() {
        assert_eq!(decode(&[], LIMIT), Err(WireError::EmptyFrame));
        assert_eq!(decode(&[2, 1], LIMIT), Err(WireError::UnknownFlags(2)));
        assert_eq!(decode(&[0; 11], 10), Err(WireError::FrameTooLarge { limit: 10 }));
        assert!(matches!(decode(&[1, 2, 3], LIMIT), Err(WireError::Decompress(_))));
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let frame = encode(&[7; 5_000]);
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut bad = frame.clone();
                bad[at] ^= 1 << bit;
                if let Ok(payload) = decode(&bad, LIMIT) {
                    assert!(payload.len() <= LIMIT);
                }
            }
        }
    }
}
