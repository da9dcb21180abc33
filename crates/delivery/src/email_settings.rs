//! What an e-mail channel is told: who, from whom, through which server, and how that is reached.

use lettre::message::{Mailbox, Mailboxes};

use crate::channel::{Given, SpecError};

/// How the connection to the mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// It begins in the clear and must turn to TLS before anything is said.
    StartTls,
    /// It is TLS from the first byte.
    Tls,
    /// It stays in the clear.
    Off,
}

/// The settings of an e-mail channel.
#[derive(Debug, Clone)]
pub(crate) struct EmailSettings {
    pub(crate) to: Vec<Mailbox>,
    pub(crate) from: Mailbox,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    /// User and password.
    pub(crate) credentials: Option<(String, String)>,
}

impl EmailSettings {
    pub(crate) fn parse(given: &Given<'_>) -> Result<Self, SpecError> {
        let needed = |name, what| {
            given.setting(name).ok_or(SpecError::Missing { kind: "e-mail", name, what })
        };
        let to = needed("to", "whom to write to, such as ops@example.com, boss@example.com")?;
        let from = needed("from", "the sender, such as Muster <muster@example.com>")?;
        let server =
            needed("server", "the mail server as HOST:PORT, such as mail.example.com:587")?;
        let (host, port) = host_and_port(server)?;
        let security = security(given.setting("tls"), port)?;
        let credentials = match (given.setting("user"), given.secret("password")) {
            (Some(user), Some(password)) => Some((user.to_owned(), password.to_owned())),
            (Some(_), None) => {
                let what = "the password of this user, as a secret";
                return Err(SpecError::Missing {
                    kind: "e-mail with a user",
                    name: "password",
                    what,
                });
            }
            (None, _) => None,
        };
        let own = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if security == Security::Off && credentials.is_some() && !own {
            return Err(SpecError::Bad {
                name: "tls",
                value: "off".into(),
                why: "would send the password in the clear; use starttls or tls, or leave out the user".into(),
            });
        }
        let to: Mailboxes = to.parse().map_err(|_| bad_address("to", to))?;
        let to: Vec<Mailbox> = to.into_iter().collect();
        if to.is_empty() {
            return Err(bad_address("to", ""));
        }
        let from = from.parse().map_err(|_| bad_address("from", from))?;
        Ok(Self { to, from, host, port, security, credentials })
    }
}

fn bad_address(name: &'static str, value: &str) -> SpecError {
    let why = "is no address; give one such as ops@example.com or Ops <ops@example.com>".into();
    SpecError::Bad { name, value: value.into(), why }
}

/// The parts of `HOST:PORT`; an IPv6 address stands in brackets.
fn host_and_port(text: &str) -> Result<(String, u16), SpecError> {
    let bad = || SpecError::Bad {
        name: "server",
        value: text.into(),
        why: "is no HOST:PORT; give both, such as mail.example.com:587".into(),
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(bad)?,
        None => host,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(bad());
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(bad()),
        Ok(port) => Ok((host.to_owned(), port)),
    }
}

fn security(text: Option<&str>, port: u16) -> Result<Security, SpecError> {
    match text {
        None if port == 465 => Ok(Security::Tls),
        None | Some("starttls") => Ok(Security::StartTls),
        Some("tls") => Ok(Security::Tls),
        Some("off") => Ok(Security::Off),
        Some(other) => Err(SpecError::Bad {
            name: "tls",
            value: other.into(),
            why: "is neither starttls, tls nor off".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        let read = |text: &str| host_and_port(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(read("mail.example:587").as_deref(), Ok("mail.example 587"));
        assert_eq!(read("[::1]:25").as_deref(), Ok("::1 25"));
        for bad in ["mail", "mail:", ":25", "mail:0", "mail:70000", "a b:25", "[::1:25", "m\r\n:25"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn connections_are_encrypted_unless_somebody_says_no() {
        assert_eq!(security(None, 587), Ok(Security::StartTls));
        assert_eq!(security(None, 25), Ok(Security::StartTls));
        assert_eq!(security(None, 465), Ok(Security::Tls));
        assert_eq!(security(Some("off"), 25), Ok(Security::Off));
        assert!(security(Some("none"), 25).is_err());
    }
}
