//! Secrets that must be read again, such as those of second factors, sealed with a key that is not in the database.
//!
//! Whoever has the database alone, a backup of it or a replica's disk, learns none of them. The key is a file beside the
//! server's other keys; every server on one database has the same. What is sealed is text: `v1.KEY.NONCE+BOX`, in
//! hexadecimal digits, where KEY tells the key (4 bytes of its hash) and the box is AES-256-GCM with the place of the
//! secret as its associated data, so that one row's secret is worth nothing in another.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};

use crate::MetaError;
use crate::secret_hash::{bytes_from_hex, to_hex};

/// What the text of a sealed secret begins with.
const VERSION: &str = "v1";

/// The key with which secrets in the database are sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey([u8; 32]);

impl SealingKey {
    /// The usual name of its file.
    pub const FILE_NAME: &'static str = "metadata.key";

    /// A key of these bytes, which should be random.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the key in the folder `dir`, which must exist, or makes one, readable by its owner only (0600). Of two
    /// processes that make one at once, both get the same.
    pub fn load_or_create(dir: &Path) -> Result<Self, MetaError> {
        let path = dir.join(Self::FILE_NAME);
        let refused =
            |reason: String| MetaError::KeyFile { path: path.display().to_string(), reason };
        match fs::read_to_string(&path) {
            Ok(text) => return Self::parse(&text).ok_or_else(|| refused("it is no key".into())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error.to_string())),
        }
        let mut bytes = [0; 32];
        random(&mut bytes)?;
        let mut name = [0; 8];
        random(&mut name)?;
        // A link to a whole file appears at once, and does not replace one that another process made.
        let own = dir.join(format!(".{}.{}", Self::FILE_NAME, to_hex(&name)));
        let linked = write_private(&own, &format!("{}\n", to_hex(&bytes)))
            .and_then(|()| fs::hard_link(&own, &path))
            .and_then(|()| fs::File::open(dir)?.sync_all());
        let removed = fs::remove_file(&own);
        match linked.and(removed) {
            Ok(()) => Ok(Self(bytes)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::load_or_create(dir),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = bytes_from_hex(text.trim())?.try_into().ok()?;
        Some(Self(bytes))
    }

    /// Seals a secret that belongs at `place`.
    pub(crate) fn seal(&self, secret: &[u8], place: &str) -> String {
        let mut sealed = secret.to_vec();
        let nonce = self
            .cipher()
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed)
            .expect("a secret of a few bytes can be sealed");
        format!("{VERSION}.{}.{}{}", self.id(), to_hex(nonce.as_ref()), to_hex(&sealed))
    }

    /// The secret that was sealed for `place`.
    pub(crate) fn open(&self, sealed: &str, place: &str) -> Result<Vec<u8>, MetaError> {
        self.try_open(sealed, place).ok_or(MetaError::WrongKey { file: Self::FILE_NAME })
    }

    fn try_open(&self, sealed: &str, place: &str) -> Option<Vec<u8>> {
        let mut parts = sealed.split('.');
        let (version, key, text) = (parts.next()?, parts.next()?, parts.next()?);
        if version != VERSION || key != self.id() {
            return None;
        }
        let mut bytes = bytes_from_hex(text)?;
        if bytes.len() < NONCE_LEN {
            return None;
        }
        let mut boxed = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).ok()?;
        let aad = Aad::from(place.as_bytes());
        Some(self.cipher().open_in_place(nonce, aad, &mut boxed).ok()?.to_vec())
    }

    fn cipher(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).expect("the key has the cipher's length")
    }

    fn id(&self) -> String {
        to_hex(&digest(&SHA256, &self.0).as_ref()[..4])
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id())
    }
}

fn random(bytes: &mut [u8]) -> Result<(), MetaError> {
    getrandom::fill(bytes).map_err(|error| MetaError::NoRandomness(error.to_string()))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_opens_at_its_place_with_its_key_only() {
        let (key, other) = (SealingKey([7; 32]), SealingKey([8; 32]));
        let sealed = key.seal(b"secret", "users/1");
        assert_ne!(sealed, key.seal(b"secret", "users/1"));
        assert_eq!(key.open(&sealed, "users/1").unwrap(), b"secret");
        assert!(key.open(&sealed, "users/2").is_err());
        assert!(matches!(other.open(&sealed, "users/1"), Err(MetaError::WrongKey { .. })));
        assert!(!format!("{key:?}").contains("0707"));
    }

    #[test]
    fn no_byte_of_a_sealed_secret_can_be_changed() {
        let key = SealingKey([7; 32]);
        let sealed = key.seal(b"secret", "x");
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(key.open(&changed, "x").is_err(), "{changed}");
            assert!(key.open(&sealed[..at], "x").is_err());
        }
    }

    #[test]
    fn the_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let makers: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || SealingKey::load_or_create(&path).unwrap())
            })
            .collect();
        let keys: Vec<_> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
        let file = path.join(SealingKey::FILE_NAME);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        fs::write(&file, "0707").unwrap();
        let error = SealingKey::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("it is no key"), "{error}");
    }
}
