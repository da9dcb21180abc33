//! A release of the agent's program: what it is, and the signature that makes it one.
//!
//! What is signed is a short text, line by line (docs/format/wire.md, "Releases"), so that it can be made and checked by
//! hand as well. The server passes releases on and cannot make one: the private key is never there.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::model::codes;

/// The first line of what is signed, which no other text of Muster's begins with.
const DOMAIN: &str = "muster release 1";
/// The only program that is released so far; the name is signed, so that another one's release is none of this.
const NAME: &str = "muster";
/// No program of ours is that large; a receiver makes no room for more.
pub const MAX_RELEASE_BYTES: u64 = 256 << 20;

/// Three numbers, compared one after the other. Versions with a suffix (`1.2.0-rc.1`) are no releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u32; 3]);

impl FromStr for Version {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let wrong = || ReleaseError::Version(text.chars().take(64).collect());
        let mut numbers = [0; 3];
        let mut parts = text.split('.');
        for number in &mut numbers {
            let part = parts.next().ok_or_else(wrong)?;
            let plain = !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
            let padded = part.len() > 1 && part.starts_with('0');
            if !plain || padded {
                return Err(wrong());
            }
            *number = part.parse().map_err(|_| wrong())?;
        }
        parts.next().is_none().then_some(Self(numbers)).ok_or_else(wrong)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Why a text describes no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The version is not three numbers.
    #[error("{0:?} is no version of a release; it must be three numbers like 1.2.0")]
    Version(String),
    /// The architecture is no word.
    #[error("the architecture is no word of small letters, digits and underscores")]
    Architecture,
    /// A line is not there, not in its place, or not as it must be.
    #[error("the line of the release's {0} is missing or malformed")]
    Line(&'static str),
    /// The program is larger than any of ours.
    #[error("a program of {0} bytes is larger than the {MAX_RELEASE_BYTES} that one may have")]
    Size(u64),
}

/// What is released: one program for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// As `uname -m` calls it, such as `x86_64`.
    pub architecture: String,
    /// Bytes of the program.
    pub size: u64,
    /// SHA-256 of the program.
    pub sha256: [u8; 32],
}

impl Release {
    /// Checks what does not follow from the types.
    pub fn check(&self) -> Result<(), ReleaseError> {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=32).contains(&self.architecture.len()) || !self.architecture.bytes().all(word) {
            return Err(ReleaseError::Architecture);
        }
        if self.size == 0 || self.size > MAX_RELEASE_BYTES {
            return Err(ReleaseError::Size(self.size));
        }
        Ok(())
    }

    /// The text that is signed with Ed25519.
    pub fn signed_text(&self) -> String {
        let Self { version, architecture, size, sha256 } = self;
        let sha256 = HEXLOWER.encode(sha256);
        format!(
            "{DOMAIN}\nname {NAME}\nversion {version}\narchitecture {architecture}\nsize {size}\nsha256 {sha256}\n"
        )
    }
}

/// A release with a signature, which whoever uses it has to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRelease {
    /// What is released.
    pub release: Release,
    /// The Ed25519 signature of [`Release::signed_text`].
    pub signature: [u8; 64],
}

impl SignedRelease {
    /// The content of a `.sig` file: the signed text, then the signature.
    pub fn to_text(&self) -> String {
        format!("{}signature {}\n", self.release.signed_text(), HEXLOWER.encode(&self.signature))
    }

    /// Reads a `.sig` file; nothing but what [`SignedRelease::to_text`] writes is read.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let mut lines = text.lines();
        let mut value = |key: &'static str| {
            let line = lines.next().ok_or(ReleaseError::Line(key))?;
            let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(' '));
            value.ok_or(ReleaseError::Line(key))
        };
        if value("muster")? != "release 1" {
            return Err(ReleaseError::Line("format"));
        }
        if value("name")? != NAME {
            return Err(ReleaseError::Line("name"));
        }
        let release = Release {
            version: value("version")?.parse()?,
            architecture: value("architecture")?.to_owned(),
            size: value("size")?.parse().map_err(|_| ReleaseError::Line("size"))?,
            sha256: unhex(value("sha256")?).ok_or(ReleaseError::Line("sha256"))?,
        };
        let signature = unhex(value("signature")?).ok_or(ReleaseError::Line("signature"))?;
        release.check()?;
        let signed = Self { release, signature };
        if signed.to_text() != text {
            return Err(ReleaseError::Line("end"));
        }
        Ok(signed)
    }
}

/// Where a release lies, and what it is: the server's offer to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Path on the server's port, from its root.
    pub path: String,
    /// What is offered; the signature is not verified yet.
    pub signed: SignedRelease,
}

/// What became of an offered release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateReport {
    /// The release's version.
    pub version: String,
    /// What became of it.
    pub outcome: UpdateOutcome,
    /// Why, for people; may be empty.
    pub message: String,
}

codes! {
    /// What became of a release on a host.
    UpdateOutcome {
        /// Something that this version has no name for.
        Other = 0,
        /// It runs, and this server has welcomed it.
        Installed = 1,
        /// It did not come up; the former program runs again.
        RolledBack = 2,
        /// It is not to be trusted: signature, version, size or hash.
        Refused = 3,
        /// The host's administrator has not allowed updates.
        NotAllowed = 4,
        /// It could not be fetched or stored.
        Failed = 5,
    }
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> SignedRelease {
        SignedRelease {
            release: Release {
                version: "1.20.3".parse().unwrap(),
                architecture: "x86_64".into(),
                size: 5,
                sha256: [0xab; 32],
            },
            signature: [7; 64],
        }
    }

    #[track_caller]
    fn check_version(text: &str, valid: bool) {
        assert_eq!(text.parse::<Version>().is_ok(), valid, "{text:?}");
    }

    #[test]
    fn versions_are_three_numbers() {
        check_version("0.1.0", true);
        check_version("10.0.200", true);
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.2.x",
            "1.2.3-rc.1",
            "01.2.3",
            "1..2",
            "1.2.99999999999",
            "+1.2.3",
        ] {
            check_version(text, false);
        }
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("0.10.0") > version("0.9.9"));
        assert!(version("1.0.0") > version("0.99.99"));
        assert_eq!(version("1.2.3").to_string(), "1.2.3");
    }

    #[test]
    fn a_release_comes_back_from_its_text_and_from_no_other() {
        let text = signed().to_text();
        assert_eq!(SignedRelease::parse(&text), Ok(signed()));
        for (from, to) in [
            ("release 1", "release 2"),
            ("name muster", "name other"),
            ("1.20.3", "1.20"),
            ("x86_64", "../x"),
            ("size 5", "size 0"),
            ("size 5", "size 999999999999"),
            ("size 5", "size  5"),
            ("abab", "abAB"),
            ("0707\n", "07\n"),
            ("0707\n", "0707\nmore\n"),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text, "{from} occurs");
            assert!(SignedRelease::parse(&bad).is_err(), "{bad}");
        }
        for end in 0..text.len() {
            assert!(SignedRelease::parse(&text[..end]).is_err());
        }
    }

    #[test]
    fn every_fact_is_signed() {
        let text = signed().release.signed_text();
        let mut others = [signed().release, signed().release, signed().release, signed().release];
        others[0].version = "1.20.4".parse().unwrap();
        others[1].architecture = "aarch64".into();
        others[2].size = 6;
        others[3].sha256[31] = 0;
        assert!(others.iter().all(|other| other.signed_text() != text));
    }
}
