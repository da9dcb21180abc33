//! Who pushed in the last seconds: so that not every request asks the database for its token, nor hashes a password.
//!
//! What was found is believed for [`BELIEVED_MS`], and no longer than until a token is made or revoked in this process;
//! commands beside the server change the database without a word, which is why it is seconds. A password that was right
//! is not hashed again while the account's hash is the same.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::secrets::random_bytes;

/// How long what was found is believed.
const BELIEVED_MS: i64 = 5_000;
/// How long a password that was right is not hashed again.
const HASHED_MS: i64 = 3_600_000;
/// The most credentials remembered.
const MOST: usize = 4_096;
/// The most requests that wait for their password to be hashed.
const MOST_WAITING: usize = 256;

/// Credentials as they are remembered: a keyed hash of what a header says.
pub(crate) type Proof = [u8; 32];

/// An account whose password was right, and the hash it was right for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RightPassword {
    pub(crate) account: String,
    pub(crate) password_hash: String,
}

/// What is known of credentials.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// They may push; this is who they are.
    Pusher(Arc<str>),
    /// They were right, and whether they still are is to be looked up.
    Perhaps(RightPassword),
    Nothing,
}

struct Known {
    name: Arc<str>,
    asked_ms: i64,
    hashed_ms: i64,
    password: Option<RightPassword>,
}

#[derive(Default)]
struct Memory {
    /// Rises when everything is forgotten; what was asked before that is not remembered.
    epoch: u64,
    known: HashMap<Proof, Known>,
}

/// Remembers who may push. Times are milliseconds of a clock that never goes back.
pub(crate) struct Pushers {
    key: hmac::Key,
    memory: Mutex<Memory>,
    /// Held while a password is hashed: of many requests with one password the first does it for all.
    pub(crate) hashing: tokio::sync::Mutex<()>,
    pub(crate) waiting: Semaphore,
}

impl Pushers {
    pub(crate) fn new() -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &random_bytes::<32>()),
            memory: Mutex::default(),
            hashing: tokio::sync::Mutex::default(),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    /// What credentials are remembered by.
    pub(crate) fn proof(&self, credentials: &[u8]) -> Proof {
        let tag = hmac::sign(&self.key, credentials);
        tag.as_ref().try_into().expect("an HMAC-SHA256 has 32 bytes")
    }

    pub(crate) fn find(&self, proof: &Proof, now_ms: i64) -> Found {
        match self.memory.lock().known.get(proof) {
            Some(known) if now_ms - known.asked_ms < BELIEVED_MS => {
                Found::Pusher(Arc::clone(&known.name))
            }
            Some(Known { password: Some(password), hashed_ms, .. })
                if now_ms - hashed_ms < HASHED_MS =>
            {
                Found::Perhaps(password.clone())
            }
            _ => Found::Nothing,
        }
    }

    /// To be read before the database is asked, for [`Pushers::remember`].
    pub(crate) fn epoch(&self) -> u64 {
        self.memory.lock().epoch
    }

    /// Remembers that these credentials may push, as the database said in this epoch.
    pub(crate) fn remember(
        &self,
        proof: Proof,
        name: &Arc<str>,
        password: Option<RightPassword>,
        epoch: u64,
        now_ms: i64,
    ) {
        let mut memory = self.memory.lock();
        if memory.epoch != epoch {
            return;
        }
        if memory.known.len() >= MOST {
            memory.known.retain(|_, known| now_ms - known.asked_ms < BELIEVED_MS);
        }
        if memory.known.len() >= MOST {
            memory.known.clear();
        }
        let before = memory.known.get(&proof).filter(|before| before.password == password);
        let hashed_ms = before.map_or(now_ms, |before| before.hashed_ms);
        memory
            .known
            .insert(proof, Known { name: Arc::clone(name), asked_ms: now_ms, hashed_ms, password });
    }

    /// Believes nothing any more: somebody's right to push has changed.
    pub(crate) fn forget(&self) {
        let mut memory = self.memory.lock();
        memory.epoch += 1;
        memory.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(hash: &str) -> RightPassword {
        RightPassword { account: "ada".into(), password_hash: hash.into() }
    }

    #[test]
    fn a_token_is_believed_for_seconds_and_a_password_is_hashed_once_an_hour() {
        let (pushers, name) = (Pushers::new(), Arc::<str>::from("ada"));
        let (token, account) = (pushers.proof(b"Bearer x"), pushers.proof(b"Basic y"));
        assert_eq!(pushers.find(&token, 0), Found::Nothing);
        pushers.remember(token, &name, None, pushers.epoch(), 0);
        pushers.remember(account, &name, Some(password("1")), pushers.epoch(), 0);
        for proof in [token, account] {
            assert_eq!(pushers.find(&proof, BELIEVED_MS - 1), Found::Pusher(Arc::clone(&name)));
        }
        assert_eq!(pushers.find(&token, BELIEVED_MS), Found::Nothing);
        let right = password("1");
        assert_eq!(pushers.find(&account, BELIEVED_MS), Found::Perhaps(right));
        pushers.remember(account, &name, Some(password("1")), pushers.epoch(), HASHED_MS - 1);
        assert_eq!(pushers.find(&account, HASHED_MS - 1), Found::Pusher(Arc::clone(&name)));
        assert_eq!(pushers.find(&account, HASHED_MS + BELIEVED_MS), Found::Nothing);
        pushers.remember(account, &name, Some(password("2")), pushers.epoch(), HASHED_MS);
        assert!(matches!(pushers.find(&account, HASHED_MS + BELIEVED_MS), Found::Perhaps(_)));
    }

    #[test]
    fn what_was_asked_before_a_change_is_not_believed_after_it() {
        let (pushers, name) = (Pushers::new(), Arc::<str>::from("token"));
        let proof = pushers.proof(b"Bearer x");
        let epoch = pushers.epoch();
        pushers.remember(proof, &name, None, epoch, 0);
        pushers.forget();
        assert_eq!(pushers.find(&proof, 0), Found::Nothing);
        pushers.remember(proof, &name, None, epoch, 0);
        assert_eq!(pushers.find(&proof, 0), Found::Nothing);
    }

    #[test]
    fn memory_is_bounded() {
        let (pushers, name) = (Pushers::new(), Arc::<str>::from("token"));
        for n in 0..3 * MOST {
            let proof = pushers.proof(&n.to_le_bytes());
            pushers.remember(proof, &name, None, pushers.epoch(), 0);
        }
        assert!(pushers.memory.lock().known.len() <= MOST);
    }
}
