//! Secrets: how they are made, shown, compared and kept.
//!
//! A secret is 256 random bits. It is shown once, as text with a prefix that says what it is for;
//! the database keeps its SHA-256, which is enough for random secrets. Passwords, which people
//! choose, are kept as argon2id hashes.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a secret is for; its text begins with the prefix, so that a leaked one is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// The session cookie of a browser.
    Session,
    /// An API token.
    ApiToken,
    /// A token with which agents join.
    EnrollToken,
}

impl SecretKind {
    /// The text that every secret of this kind begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Session => "muster_s_",
            Self::ApiToken => "muster_t_",
            Self::EnrollToken => "muster_e_",
        }
    }
}

/// A secret just made; its text goes to the person, its hash to the database.
pub struct Secret {
    text: String,
}

impl Secret {
    /// 256 bits from the operating system.
    pub fn generate(kind: SecretKind) -> Self {
        let bytes = random_bytes::<32>();
        Self { text: format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)) }
    }

    /// The text to show, once.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the database keeps.
    pub fn hash(&self) -> [u8; 32] {
        hash_secret(&self.text)
    }
}

/// The SHA-256 of a secret's text, by which the database finds it.
pub fn hash_secret(text: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

/// `N` bytes from the operating system's random source.
///
/// # Panics
/// If the operating system has no randomness to give, as nothing safe can be done then.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A password that a person can type: 4 groups of 5 letters and digits, about 98 bits.
pub fn generate_password() -> String {
    // Neither 0, 1, i, l, o nor u, which are misread; 30 letters, so bytes of 240 and above are thrown away.
    const ALPHABET: &[u8; 30] = b"abcdefghjkmnpqrstvwxyz23456789";
    let mut password = String::with_capacity(23);
    while password.len() < 23 {
        let [byte] = random_bytes::<1>();
        if byte >= 240 {
            continue;
        }
        if password.len() % 6 == 5 {
            password.push('-');
        }
        password.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    }
    password
}

/// argon2id with OWASP's minimum: 19 MiB, 2 passes, 1 lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are in argon2's range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The argon2id hash of a password, in PHC's text form. Takes tens of milliseconds.
pub fn hash_password(password: &str) -> String {
    argon2()
        .hash_password(password.as_bytes())
        .expect("argon2 hashes any password with a fresh salt")
        .to_string()
}

/// Whether `password` is the one that was hashed. Takes tens of milliseconds whatever the answer.
pub fn verify_password(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognised_and_only_it() {
        let hash = hash_password("correct horse");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_password("correct horse", &hash));
        assert!(!verify_password("correct horsf", &hash));
        assert!(!verify_password("correct horse", "not a hash"));
    }

    #[test]
    fn generated_secrets_differ_and_hash_to_what_is_looked_up() {
        let (one, other) =
            (Secret::generate(SecretKind::ApiToken), Secret::generate(SecretKind::ApiToken));
        assert_ne!(one.text(), other.text());
        assert!(one.text().starts_with("muster_t_"));
        assert_eq!(one.text().len(), "muster_t_".len() + 43);
        assert_eq!(hash_secret(one.text()), one.hash());
    }

    #[test]
    fn generated_passwords_have_four_groups_of_five() {
        let password = generate_password();
        let groups: Vec<usize> = password.split('-').map(str::len).collect();
        assert_eq!(groups, [5, 5, 5, 5], "{password}");
    }
}
