//! Codes by time (TOTP, RFC 6238): what a person's device shows as a second factor.
//!
//! Both sides have a secret and a clock. Time is cut into steps of 30 seconds, and the code of a step is six digits of the
//! HMAC-SHA-1 of its number (RFC 4226). SHA-1 is what every device can; its known weakness is not one of HMAC. A code
//! of the step before or after is taken as well, as clocks differ and people type slowly.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq as _;

use crate::secrets::random_bytes;

/// The length of a step, in milliseconds.
const STEP_MS: i64 = 30_000;
/// How many digits a code has.
const DIGITS: usize = 6;
/// How far the device's clock may be off, in steps.
const TOLERANCE: i64 = 1;

/// A new secret: 160 bits, as RFC 4226 recommends.
pub(crate) fn generate_secret() -> [u8; 20] {
    random_bytes()
}

/// The step whose code this is, of those that are near `now_ms`; none if the code is wrong. The caller sees to it that no
/// step is used twice.
pub(crate) fn step_of(code: &str, secret: &[u8], now_ms: i64) -> Option<i64> {
    let now = now_ms.div_euclid(STEP_MS);
    let mut found = None;
    // All are compared, so that the time taken tells nothing.
    for step in now - TOLERANCE..=now + TOLERANCE {
        let expected = format!("{:0DIGITS$}", truncated(secret, step) % 1_000_000);
        if bool::from(expected.as_bytes().ct_eq(code.as_bytes())) {
            found = Some(step);
        }
    }
    found
}

/// Whether this text looks like a code.
pub(crate) fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

/// The 31 bits that RFC 4226 takes of the HMAC of a step's number.
fn truncated(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let digest = tag.as_ref();
    let offset = usize::from(digest[digest.len() - 1] & 0xf);
    let four =
        digest[offset..offset + 4].try_into().expect("the offset is 15 at most, of 20 bytes");
    u32::from_be_bytes(four) & 0x7fff_ffff
}

/// The secret in base32 (RFC 4648) without padding, as people type it.
pub(crate) fn base32(secret: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    for five in secret.chunks(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let bits = bits << (40 - 8 * five.len());
        let letters = (five.len() * 8).div_ceil(5);
        for letter in 0..letters {
            let index = bits >> (35 - 5 * letter) & 31;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// The address that devices read from a QR code; `account` is shown there.
pub(crate) fn uri(account: &str, secret: &[u8]) -> String {
    let mut name = String::new();
    for byte in account.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            name.push(char::from(byte));
        } else {
            write!(name, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    let secret = base32(secret);
    format!(
        "otpauth://totp/Muster:{name}?secret={secret}&issuer=Muster&algorithm=SHA1&digits=6&period=30"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238's test vectors.
    const SECRET: &[u8] = b"12345678901234567890";

    #[track_caller]
    fn check(seconds: i64, eight_digits: u32) {
        let now_ms = seconds * 1_000;
        assert_eq!(truncated(SECRET, now_ms.div_euclid(STEP_MS)) % 100_000_000, eight_digits);
        let code = format!("{:06}", eight_digits % 1_000_000);
        let step = now_ms.div_euclid(STEP_MS);
        assert_eq!(step_of(&code, SECRET, now_ms), Some(step));
        for (late_ms, found) in
            [(-STEP_MS, true), (STEP_MS, true), (-2 * STEP_MS, false), (2 * STEP_MS, false)]
        {
            assert_eq!(step_of(&code, SECRET, now_ms + late_ms).is_some(), found, "{late_ms}");
        }
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, SHA-1.
        check(59, 94_287_082);
        check(1_111_111_109, 7_081_804);
        check(1_111_111_111, 14_050_471);
        check(1_234_567_890, 89_005_924);
        check(2_000_000_000, 69_279_037);
        check(20_000_000_000, 65_353_130);
    }

    #[test]
    fn what_is_no_code_is_none() {
        for text in ["", "12345", "1234567", "12345a", "１２３４５６", " 23456"] {
            assert!(!is_code(text), "{text}");
            assert_eq!(step_of(text, SECRET, 59_000), None);
        }
        assert!(is_code("000000"));
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        // RFC 4648, section 10, without padding.
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn any_account_name_fits_into_the_address() {
        let uri = uri("Ada & 王?", b"foobar");
        assert!(
            uri.starts_with("otpauth://totp/Muster:Ada%20%26%20%E7%8E%8B%3F?secret=MZXW6YTBOI&"),
            "{uri}"
        );
    }
}
