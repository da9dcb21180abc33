//! The public keys by which releases are known.

use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use data_encoding::HEXLOWER_PERMISSIVE;
use muster_wire::SignedRelease;

/// An Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseKey([u8; 32]);

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no key of releases; it must be the 64 hexadecimal digits of an Ed25519 public key"
)]
pub struct ReleaseKeyError(String);

impl FromStr for ReleaseKey {
    type Err = ReleaseKeyError;

    fn from_str(text: &str) -> Result<Self, ReleaseKeyError> {
        let key = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let key = key.and_then(|bytes| bytes.try_into().ok());
        key.map(Self).ok_or_else(|| ReleaseKeyError(text.into()))
    }
}

impl ReleaseKey {
    /// Whether this key's other half has signed the release.
    pub(crate) fn signed(&self, signed: &SignedRelease) -> bool {
        let text = signed.release.signed_text();
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(text.as_bytes(), &signed.signature).is_ok()
    }
}

/// The key of this program's makers, `MUSTER_RELEASE_KEY` when it was built; none in a build without one.
pub fn built_in_key() -> Option<Result<ReleaseKey, ReleaseKeyError>> {
    option_env!("MUSTER_RELEASE_KEY").filter(|key| !key.is_empty()).map(str::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_digits() {
        assert_eq!("0f".repeat(32).parse(), Ok(ReleaseKey([15; 32])));
        for text in ["", "0f", &"0g".repeat(32), &"é".repeat(32), &format!("{} ", "0f".repeat(32))]
        {
            assert!(text.parse::<ReleaseKey>().is_err(), "{text:?}");
        }
    }
}
