//! The agent's identity: an Ed25519 key pair, made on its host, that never leaves it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use muster_environment::replace_private_file;

const FILE: &str = "identity.key";

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file or its folder cannot be read or written.
    #[error("cannot use the agent's key {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read the key.
    #[error("the agent's key {} may be read by others (mode {mode:04o}); run chmod 600 on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no key.
    #[error("the agent's key {} is damaged; restore it, or remove it and join again with a new token", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("a key cannot be made: the system gives no random numbers")]
    Random,
}

/// The key pair of this agent.
#[derive(Debug)]
pub struct AgentKey {
    pair: Ed25519KeyPair,
}

impl AgentKey {
    /// The key in `state_dir`; the folder (mode 0700) and the key (mode 0600) are made if they are not there.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, KeyError> {
        let path = state_dir.join(FILE);
        let io = |source| KeyError::Io { path: path.clone(), source };
        match fs::read(&path) {
            Ok(bytes) => {
                let mode = fs::metadata(&path).map_err(io)?.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(KeyError::Exposed { path, mode });
                }
                let pair = Ed25519KeyPair::from_pkcs8(&bytes);
                Ok(Self { pair: pair.map_err(|_| KeyError::Damaged { path })? })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?;
                let document = pair.to_pkcs8().map_err(|_| KeyError::Random)?;
                replace_private_file(state_dir, FILE, document.as_ref()).map_err(io)?;
                Ok(Self { pair })
            }
            Err(error) => Err(io(error)),
        }
    }

    /// The public half, by which the server knows this agent.
    pub fn public_key(&self) -> [u8; 32] {
        let bytes = self.pair.public_key().as_ref();
        bytes.try_into().expect("an Ed25519 public key has 32 bytes")
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_signs() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let key = AgentKey::load_or_create(&state).unwrap();
        let again = AgentKey::load_or_create(&state).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        let public = UnparsedPublicKey::new(&ED25519, key.public_key());
        assert!(public.verify(b"hello", &again.sign(b"hello")).is_ok());
        assert!(public.verify(b"other", &again.sign(b"hello")).is_err());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    }

    #[test]
    fn a_bad_key_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        AgentKey::load_or_create(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, b"not a key").unwrap();
        assert!(matches!(AgentKey::load_or_create(dir.path()), Err(KeyError::Damaged { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = AgentKey::load_or_create(dir.path()).unwrap_err();
        assert!(error.to_string().contains("mode 0644"), "{error}");
    }
}
