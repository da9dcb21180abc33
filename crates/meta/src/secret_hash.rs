//! 32-byte hashes and keys as the text that the database holds.
//!
//! Text in a fixed form is the one column type that three databases index alike.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::MetaError;

/// 64 lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The 32 bytes behind what [`to_hex`] wrote; `column` names the place, should it hold something else.
pub(crate) fn from_hex(text: &str, column: &'static str) -> Result<[u8; 32], MetaError> {
    let bytes = bytes_from_hex(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| MetaError::Malformed { column, value: text.to_owned() })
}

/// The bytes behind what [`to_hex`] wrote.
pub(crate) fn bytes_from_hex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_comes_back_as_the_same_bytes() {
        let bytes: [u8; 32] = std::array::from_fn(|i| (i * 37 + 5) as u8);
        assert_eq!(to_hex(&[0x0f, 0xa0]), "0fa0");
        assert_eq!(from_hex(&to_hex(&bytes), "x").unwrap(), bytes);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "0f", &"g".repeat(64), &"é".repeat(64), &"0".repeat(66)] {
            let error = from_hex(text, "agents.public_key").unwrap_err();
            assert!(error.to_string().contains("agents.public_key"), "{error}");
        }
    }
}
