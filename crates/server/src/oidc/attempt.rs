//! One attempt to sign in at the provider, between the browser's leaving and its coming back.
//!
//! All of it is in a cookie of that browser: a secret of 256 bits, from which state, nonce and PKCE's verifier are derived,
//! when it ends, and where the browser wants to go. So the server keeps nothing, any of several servers can finish what
//! another began, and a code that was begun in one browser is worth nothing in another.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::secrets::random_bytes;

/// How long somebody may take at the provider, in milliseconds.
pub(crate) const LIFE_MS: i64 = 600_000;
/// The longest path to go back to.
const MAX_RETURN: usize = 1_024;

/// An attempt that goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    secret: [u8; 32],
    ends_ms: i64,
    /// The path to go to afterwards; always one of this server.
    pub(crate) return_to: String,
}

impl Attempt {
    /// A new one.
    pub(crate) fn begin(return_to: &str, now_ms: i64) -> Self {
        Self {
            secret: random_bytes(),
            ends_ms: now_ms + LIFE_MS,
            return_to: safe_return(return_to).to_owned(),
        }
    }

    /// The cookie's value.
    pub(crate) fn cookie(&self) -> String {
        let return_to = URL_SAFE_NO_PAD.encode(&self.return_to);
        format!("{}.{}.{return_to}", URL_SAFE_NO_PAD.encode(self.secret), self.ends_ms)
    }

    /// The attempt of a cookie; none if it is over or was never one.
    pub(crate) fn from_cookie(cookie: &str, now_ms: i64) -> Option<Self> {
        let mut parts = cookie.split('.');
        let secret = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
        let ends_ms: i64 = parts.next()?.parse().ok()?;
        let return_to = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        let return_to = safe_return(&return_to).to_owned();
        let lives = now_ms < ends_ms && ends_ms <= now_ms + LIFE_MS;
        (lives && parts.next().is_none()).then_some(Self { secret, ends_ms, return_to })
    }

    /// What ties the provider's answer to this browser.
    pub(crate) fn state(&self) -> String {
        self.derive("state")
    }

    /// What ties the ID token to this attempt.
    pub(crate) fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// What ties the code to this attempt (RFC 7636): shown only when the code is exchanged.
    pub(crate) fn verifier(&self) -> String {
        self.derive("verifier")
    }

    /// The SHA-256 of the verifier, which is shown beforehand.
    pub(crate) fn challenge(&self) -> String {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.verifier().as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }

    /// Whether the provider's answer belongs to this attempt.
    pub(crate) fn is_answered_by(&self, state: &str) -> bool {
        self.state().as_bytes().ct_eq(state.as_bytes()).into()
    }

    fn derive(&self, purpose: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, purpose.as_bytes()))
    }
}

/// The path, if it leads nowhere but into this server's page; else the start page. Browsers take a backslash for a slash,
/// and two slashes for another host; they leave out tabs and line breaks.
fn safe_return(path: &str) -> &str {
    let own = path.starts_with('/')
        && !path[1..].starts_with(['/', '\\'])
        && path.len() <= MAX_RETURN
        && path.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\')
        && !path.starts_with("/api/");
    if own { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    #[test]
    fn an_attempt_survives_its_cookie_and_ends() {
        let attempt = Attempt::begin("/hosts/web-1?range=1h", NOW_MS);
        let cookie = attempt.cookie();
        assert_eq!(Attempt::from_cookie(&cookie, NOW_MS + LIFE_MS - 1).as_ref(), Some(&attempt));
        assert_eq!(Attempt::from_cookie(&cookie, NOW_MS + LIFE_MS), None);
        let for_ever = cookie.replace(&attempt.ends_ms.to_string(), &i64::MAX.to_string());
        for bad in ["", "a.b.c", "..", &for_ever, &format!("{cookie}.x")] {
            assert_eq!(Attempt::from_cookie(bad, NOW_MS), None, "{bad}");
        }
    }

    #[test]
    fn what_is_derived_differs_and_tells_nothing_of_the_rest() {
        let (one, other) = (Attempt::begin("/", 0), Attempt::begin("/", 0));
        let derived = [one.state(), one.nonce(), one.verifier(), one.challenge(), other.state()];
        for (at, text) in derived.iter().enumerate() {
            assert_eq!(text.len(), 43);
            assert!(!derived[..at].contains(text));
        }
        assert!(one.is_answered_by(&one.state()));
        assert!(!one.is_answered_by(&other.state()));
        assert!(!one.is_answered_by(""));
    }

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        assert_eq!(URL_SAFE_NO_PAD.encode(digest), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        for own in ["/", "/hosts/web-1?range=1h&q=a%20b#x", "/a//b"] {
            assert_eq!(safe_return(own), own);
        }
        for other in [
            "",
            "hosts",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "https://evil.example",
            "/\t/evil.example",
            "/\n/evil",
            "/ /evil",
            "javascript:alert(1)",
            "/hosts\\..\\x",
            "/api/muster/v1/session",
            "/é",
        ] {
            assert_eq!(safe_return(other), "/", "{other:?}");
        }
    }
}
