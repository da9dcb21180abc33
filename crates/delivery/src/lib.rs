//! The ways out: what a message says in each language, and the channels that carry it.
//!
//! Rendering is pure: a [`muster_alerting::Notification`] and a [`Place`] in, text out. A [`Channel`] sends one message
//! once and says what came of it; who calls it keeps what is unsent and tries again, as [`next_try_ms`] says.
//!
//! ```
//! use muster_api::{ChannelKind, ChannelSpec, MessageLanguage};
//! use muster_delivery::{Surroundings, open};
//!
//! let spec = ChannelSpec {
//!     name: "on-call".into(),
//!     kind: ChannelKind::Webhook,
//!     enabled: true,
//!     language: MessageLanguage::English,
//!     send_resolved: true,
//!     settings: [("url".to_owned(), "https://chat.example/hook".to_owned())].into(),
//!     secrets: Default::default(),
//! };
//! let channel = open(&spec, &Default::default(), &Surroundings::new()?)?;
//! # drop(channel);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod channel;
#[cfg(test)]
mod golden;
mod message;
mod retry;

mod figure;
mod html;
mod letter;
mod plain;
mod words;

mod alertmanager;
mod email;
mod email_settings;
mod http_client;
mod webhook;

pub use channel::{Channel, Sending, SpecError, Surroundings, open};
pub use http_client::{HttpClient, check_url};
pub use letter::subject;
pub use message::{Message, Place, for_channel, sample_notification};
pub use retry::{SendError, Then, WAITS_FOR_MS, next_try_ms};
