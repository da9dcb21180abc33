//! Who sent an `Authorization` header in the last second: so that not every request asks the database for its token,
//! nor hashes a password.
//!
//! What was found is believed for [`BELIEVED_MS`], and no longer than until a token is made or revoked in this process;
//! commands beside the server change the database without a word, which is why it is no longer. A password that was
//! right is not hashed again while the account's hash is the same.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use muster_meta::Role;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::secrets::random_bytes;

/// How long what was found is believed.
const BELIEVED_MS: i64 = 1_000;
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

/// Somebody whose credentials were right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// Number of the account or token.
    pub(crate) id: Arc<str>,
    /// Name of the account or token.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// Until when the token is good; none if it has no end.
    pub(crate) expires_ms: Option<i64>,
    /// SHA-256 of the token; none for an account's password, which only lets push.
    pub(crate) token_hash: Option<[u8; 32]>,
}

/// What is known of credentials.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// They are right; this is whose they are.
    Bearer(Arc<Bearer>),
    /// They were right, and whether they still are is to be looked up.
    Perhaps(RightPassword),
    Nothing,
}

struct Known {
    bearer: Arc<Bearer>,
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

/// Remembers whose credentials were right. Times are milliseconds of a clock that never goes back.
pub(crate) struct Bearers {
    key: hmac::Key,
    memory: Mutex<Memory>,
    /// Held while a password is hashed: of many requests with one password the first does it for all.
    pub(crate) hashing: tokio::sync::Mutex<()>,
    pub(crate) waiting: Semaphore,
}

impl Bearers {
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
                Found::Bearer(Arc::clone(&known.bearer))
            }
            Some(Known { password: Some(password), hashed_ms, .. })
                if now_ms - hashed_ms < HASHED_MS =>
            {
                Found::Perhaps(password.clone())
            }
            _ => Found::Nothing,
        }
    }

    /// To be read before the database is asked, for [`Bearers::remember`].
    pub(crate) fn epoch(&self) -> u64 {
        self.memory.lock().epoch
    }

    /// Remembers whose these credentials are, as the database said in this epoch.
    pub(crate) fn remember(
        &self,
        proof: Proof,
        bearer: &Arc<Bearer>,
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
        let bearer = Arc::clone(bearer);
        memory.known.insert(proof, Known { bearer, asked_ms: now_ms, hashed_ms, password });
    }

    /// Believes nothing any more: somebody's rights have changed.
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

    fn bearer(name: &str) -> Arc<Bearer> {
        Arc::new(Bearer {
            id: "1".into(),
            name: name.into(),
            role: Role::Writer,
            expires_ms: None,
            token_hash: Some([0; 32]),
        })
    }

    #[test]
    fn a_token_is_believed_for_a_second_and_a_password_is_hashed_once_an_hour() {
        let (bearers, bearer) = (Bearers::new(), bearer("ada"));
        let (token, account) = (bearers.proof(b"Bearer x"), bearers.proof(b"Basic y"));
        assert_eq!(bearers.find(&token, 0), Found::Nothing);
        bearers.remember(token, &bearer, None, bearers.epoch(), 0);
        bearers.remember(account, &bearer, Some(password("1")), bearers.epoch(), 0);
        for proof in [token, account] {
            assert_eq!(bearers.find(&proof, BELIEVED_MS - 1), Found::Bearer(Arc::clone(&bearer)));
        }
        assert_eq!(bearers.find(&token, BELIEVED_MS), Found::Nothing);
        let right = password("1");
        assert_eq!(bearers.find(&account, BELIEVED_MS), Found::Perhaps(right));
        bearers.remember(account, &bearer, Some(password("1")), bearers.epoch(), HASHED_MS - 1);
        assert_eq!(bearers.find(&account, HASHED_MS - 1), Found::Bearer(Arc::clone(&bearer)));
        assert_eq!(bearers.find(&account, HASHED_MS + BELIEVED_MS), Found::Nothing);
        bearers.remember(account, &bearer, Some(password("2")), bearers.epoch(), HASHED_MS);
        assert!(matches!(bearers.find(&account, HASHED_MS + BELIEVED_MS), Found::Perhaps(_)));
    }

    #[test]
    fn what_was_asked_before_a_change_is_not_believed_after_it() {
        let (bearers, bearer) = (Bearers::new(), bearer("token"));
        let proof = bearers.proof(b"Bearer x");
        let epoch = bearers.epoch();
        bearers.remember(proof, &bearer, None, epoch, 0);
        bearers.forget();
        assert_eq!(bearers.find(&proof, 0), Found::Nothing);
        bearers.remember(proof, &bearer, None, epoch, 0);
        assert_eq!(bearers.find(&proof, 0), Found::Nothing);
    }

    #[test]
    fn memory_is_bounded() {
        let (bearers, bearer) = (Bearers::new(), bearer("token"));
        for n in 0..3 * MOST {
            let proof = bearers.proof(&n.to_le_bytes());
            bearers.remember(proof, &bearer, None, bearers.epoch(), 0);
        }
        assert!(bearers.memory.lock().known.len() <= MOST);
    }
}
