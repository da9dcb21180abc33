//! The seam: a channel sends one message once. And the list of channels, by kind.

use std::collections::BTreeMap;
use std::pin::Pin;

use muster_api::{ChannelKind, ChannelSpec};

use crate::alertmanager::Alertmanager;
use crate::email::Email;
use crate::http_client::{HttpClient, check_url};
use crate::message::Message;
use crate::retry::SendError;
use crate::webhook::Webhook;

/// A message on its way: the receipt in the other side's words, or why there is none.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<String, SendError>> + Send + 'a>>;

/// A way out.
///
/// Sending ends within a minute, whatever the other side does. When it fails the message may have arrived all the same;
/// sent again it bears the same number, so that the other side can tell.
pub trait Channel: Send + Sync {
    /// Sends a message once.
    fn send<'a>(&'a self, message: &'a Message<'a>) -> Sending<'a>;
}

/// Why a channel cannot be set up as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A setting that the kind needs is not there.
    #[error("{kind} needs {name}: {what}")]
    Missing {
        /// The channel's kind.
        kind: &'static str,
        /// The setting.
        name: &'static str,
        /// What to give.
        what: &'static str,
    },
    /// A setting has a value that cannot be used.
    #[error("{name} = {value:?} {why}")]
    Bad {
        /// The setting.
        name: &'static str,
        /// What was given; empty for a secret.
        value: String,
        /// What is wrong with it, and what to give.
        why: String,
    },
    /// A setting that the kind does not have.
    #[error("{kind} has no {name:?}; it has {known}")]
    Unknown {
        /// The channel's kind.
        kind: &'static str,
        /// The setting.
        name: String,
        /// What there is.
        known: String,
    },
    /// The certificates to trust cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// What channels share: certificates and the connections of a server.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub(crate) http: HttpClient,
    /// Certificates that are trusted besides those of the system, as PEM.
    pub(crate) extra_roots: Vec<Vec<u8>>,
}

impl Surroundings {
    /// Trusts what the system trusts: `SSL_CERT_FILE` names another list.
    pub fn new() -> Result<Self, SpecError> {
        Self::trusting(Vec::new())
    }

    /// Trusts these certificates too, each as PEM.
    pub fn trusting(extra_roots: Vec<Vec<u8>>) -> Result<Self, SpecError> {
        Ok(Self { http: HttpClient::new(&extra_roots)?, extra_roots })
    }

    /// What sends requests.
    pub fn http(&self) -> &HttpClient {
        &self.http
    }
}

/// A channel, set up; its secrets are given besides, as they are kept elsewhere. What is wrong is told as it is to be
/// mended.
pub fn open(
    spec: &ChannelSpec,
    secrets: &BTreeMap<String, String>,
    surroundings: &Surroundings,
) -> Result<Box<dyn Channel>, SpecError> {
    let given = Given { spec, secrets };
    match spec.kind {
        ChannelKind::Webhook => {
            given.knows("a webhook", &["url"], &["authorization", "url"])?;
            let url = check_url(
                "url",
                given.url("a webhook", "where to POST, such as https://chat.example/hook")?,
            )?;
            Ok(Box::new(Webhook::new(surroundings.http.clone(), url, given.authorization()?)))
        }
        ChannelKind::Alertmanager => {
            given.knows("an Alertmanager", &["url"], &["authorization", "url"])?;
            let url =
                given.url("an Alertmanager", "its address, such as http://alertmanager:9093")?;
            let base = check_url("url", url)?;
            Ok(Box::new(Alertmanager::new(
                surroundings.http.clone(),
                &base,
                given.authorization()?,
            )))
        }
        ChannelKind::Email => {
            given.knows("e-mail", &["to", "from", "server", "tls", "user"], &["password"])?;
            Ok(Box::new(Email::new(&given, surroundings)?))
        }
    }
}

/// What was given for a channel.
pub(crate) struct Given<'a> {
    spec: &'a ChannelSpec,
    secrets: &'a BTreeMap<String, String>,
}

impl<'a> Given<'a> {
    /// A setting; none if it is absent or empty.
    pub(crate) fn setting(&self, name: &str) -> Option<&'a str> {
        self.spec.settings.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// A secret; none if it is absent or empty.
    pub(crate) fn secret(&self, name: &str) -> Option<&'a str> {
        self.secrets.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn url(&self, kind: &'static str, what: &'static str) -> Result<&'a str, SpecError> {
        let url = self.secret("url").or_else(|| self.setting("url"));
        url.ok_or(SpecError::Missing { kind, name: "url", what })
    }

    /// The value of the header `Authorization`.
    fn authorization(&self) -> Result<Option<&'a str>, SpecError> {
        let value = self.secret("authorization");
        let is_header = |text: &str| text.bytes().all(|byte| (32..127).contains(&byte));
        match value {
            Some(text) if !is_header(text) => Err(SpecError::Bad {
                name: "authorization",
                value: String::new(),
                why: "holds characters that no header may hold; give it as it is sent, such as Bearer TOKEN".into(),
            }),
            value => Ok(value),
        }
    }

    /// Refuses what the kind does not have.
    fn knows(
        &self,
        kind: &'static str,
        settings: &[&str],
        secrets: &[&str],
    ) -> Result<(), SpecError> {
        let unknown = |given: &BTreeMap<String, String>, known: &[&str], what: &str| {
            let name = given.keys().find(|name| !known.contains(&name.as_str()))?;
            let known = format!("the {what} {}", known.join(", "));
            Some(SpecError::Unknown { kind, name: name.clone(), known })
        };
        let found = unknown(&self.spec.settings, settings, "settings")
            .or_else(|| unknown(&self.spec.secrets, secrets, "secrets"));
        found.map_or(Ok(()), Err)
    }
}
