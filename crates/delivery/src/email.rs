//! Mail over SMTP: text and HTML, threaded by incident, encrypted unless the administrator says otherwise.
//!
//! All messages of an incident refer to one number that is made from the incident, so mail programs show them as one
//! conversation. A message that is sent again has the same `Message-ID`, by which many mail servers drop the second.

use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use xxhash_rust::xxh3::xxh3_128;

use crate::channel::{Channel, Given, Sending, SpecError, Surroundings};
use crate::email_settings::{EmailSettings, Security};
use crate::http_client::chain;
use crate::letter::{Letter, one_line};
use crate::message::Message;
use crate::retry::SendError;
use crate::words::Words;
use crate::{html, plain};

/// How long one step of the conversation with the mail server may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(40);
/// How much of an answer is kept, in characters.
const KEPT: usize = 200;

/// A mail server and those who are written to.
pub(crate) struct Email {
    settings: EmailSettings,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Email {
    pub(crate) fn new(given: &Given<'_>, surroundings: &Surroundings) -> Result<Self, SpecError> {
        let settings = EmailSettings::parse(given)?;
        let failed = |error: lettre::transport::smtp::Error| SpecError::Tls(chain(&error));
        let parameters = || {
            let mut builder = TlsParameters::builder(settings.host.clone());
            for pem in &surroundings.extra_roots {
                builder = builder.add_root_certificate(Certificate::from_pem(pem)?);
            }
            builder.build_rustls()
        };
        let tls = match settings.security {
            Security::StartTls => Tls::Required(parameters().map_err(failed)?),
            Security::Tls => Tls::Wrapper(parameters().map_err(failed)?),
            Security::Off => Tls::None,
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
                .port(settings.port)
                .tls(tls)
                .timeout(Some(STEP_TIMEOUT))
                .hello_name(ClientId::Domain(settings.from.email.domain().to_owned()));
        if let Some((user, password)) = settings.credentials.clone() {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self { transport: builder.build(), settings })
    }

    async fn deliver(&self, message: &Message<'_>) -> Result<String, SendError> {
        let mail = compose(message, &self.settings)
            .map_err(|error| SendError::give_up(format!("the mail cannot be written: {error}")))?;
        let all: Vec<Address> = self.settings.to.iter().map(|to| to.email.clone()).collect();
        let first = self.send_to(all.clone(), &mail).await;
        match first {
            // One address that the server does not take must not keep the others from being told.
            Err(error) if error.then == crate::Then::GiveUp && all.len() > 1 => {
                self.send_one_by_one(all, &mail, error).await
            }
            other => other,
        }
    }

    async fn send_one_by_one(
        &self,
        all: Vec<Address>,
        mail: &[u8],
        first: SendError,
    ) -> Result<String, SendError> {
        let (mut taken, mut refused) = (None, Vec::new());
        for address in all {
            match self.send_to(vec![address.clone()], mail).await {
                Ok(receipt) => taken = Some(receipt),
                Err(error) => refused.push(format!("{address}: {error}")),
            }
        }
        match taken {
            Some(receipt) if refused.is_empty() => Ok(receipt),
            Some(receipt) => Ok(format!("{receipt}; but not by {}", refused.join("; "))),
            None => Err(first),
        }
    }

    async fn send_to(&self, to: Vec<Address>, mail: &[u8]) -> Result<String, SendError> {
        let envelope = Envelope::new(Some(self.settings.from.email.clone()), to)
            .map_err(|error| SendError::give_up(error.to_string()))?;
        match tokio::time::timeout(TIMEOUT, self.transport.send_raw(&envelope, mail)).await {
            Ok(Ok(response)) => Ok(receipt(&response)),
            Ok(Err(error)) => Err(judged(&error)),
            Err(_) => Err(SendError::retry("no answer in time from the mail server")),
        }
    }
}

impl Channel for Email {
    fn send<'a>(&'a self, message: &'a Message<'a>) -> Sending<'a> {
        Box::pin(self.deliver(message))
    }
}

fn receipt(response: &Response) -> String {
    let text: Vec<&str> = response.message().collect();
    one_line(&format!("{} {}", response.code(), text.join(" ")), KEPT)
}

/// What becomes of a mail after this error. A permanent refusal is one unless it is about signing in (RFC 4954,
/// section 6), which an administrator can mend.
fn judged(error: &lettre::transport::smtp::Error) -> SendError {
    let text = one_line(&chain(error), KEPT);
    let code = error.status().map_or(0, u16::from);
    match code {
        530 | 534 | 535 | 538 => {
            SendError::retry(format!("{text}; check the channel's user and password"))
        }
        _ if error.is_permanent() => SendError::give_up(text),
        _ if error.is_tls() => SendError::retry(format!("{text}; check the channel's tls setting")),
        _ => SendError::retry(text),
    }
}

/// Writes a message as a mail.
fn compose(
    message: &Message<'_>,
    settings: &EmailSettings,
) -> Result<Vec<u8>, lettre::error::Error> {
    let words = Words(message.language);
    let letter = Letter::write(message);
    let domain = settings.from.email.domain();
    let number = |text: &str| format!("{:032x}", xxh3_128(text.as_bytes()));
    let root = format!("<incident.{}@{domain}>", number(&message.notification.incident));
    let sent_ms = u64::try_from(message.notification.at_ms).unwrap_or_default();
    let mut builder = lettre::Message::builder()
        .from(settings.from.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(sent_ms))
        .message_id(Some(format!("<{}@{domain}>", number(message.id))))
        .in_reply_to(root.clone())
        .references(root)
        .subject(letter.subject.clone())
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .raw_header(header("Muster-Message-Id", &one_line(message.id, KEPT)));
    for to in &settings.to {
        builder = builder.to(Mailbox::clone(to));
    }
    let part = |kind: ContentType, text: String| SinglePart::builder().header(kind).body(text);
    let parts = MultiPart::alternative()
        .boundary(format!("muster-{}", number(message.id)))
        .singlepart(part(ContentType::TEXT_PLAIN, plain::render(&letter, words)))
        .singlepart(part(ContentType::TEXT_HTML, html::render(&letter, words)));
    Ok(builder.multipart(parts)?.formatted())
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
