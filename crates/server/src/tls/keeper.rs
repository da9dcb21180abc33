//! Keeps the served certificate new while the server runs: new connections get it, those that are open stay as they are.
//!
//! [`Keeper::look`] is called every few seconds. An own certificate is renewed when it is time; certificate files that
//! somebody replaced are read again, checked, and served. A pair that cannot be used changes nothing and is told: not at
//! the first look, as certificate and key are two files and are replaced one after the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::own::{self, DAY_MS};
use super::pem::{Identity, fingerprint, identity, read};
use super::{TlsError, TlsMode};
use crate::app::App;
use crate::own_names::own_names;

/// How often to look.
const EVERY: Duration = Duration::from_secs(5);
/// How often to look at an own certificate and this machine's addresses, in milliseconds.
const OWN_EVERY_MS: i64 = 300_000;
/// From when on it is told that certificate files are about to expire.
const WARN_BEFORE_MS: i64 = 14 * DAY_MS;

/// The certificate for the next connection.
#[derive(Debug)]
pub(crate) struct Served(ArcSwap<Identity>);

impl Served {
    fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(identity)))
    }

    /// Until when the certificate is valid.
    pub(crate) fn not_after_ms(&self) -> i64 {
        self.0.load().not_after_ms
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}

/// What a look came to.
#[derive(Debug)]
pub(crate) enum Seen {
    /// Nothing is new.
    Same,
    /// Another certificate is served from now on.
    Renewed,
    /// What is there now cannot be used, and was not used before this look either.
    Unusable(TlsError),
    /// What is there now cannot be used; it may be half of a change.
    Unsettled,
}

enum Source {
    Own {
        dir: PathBuf,
        /// The address to listen on, beside the machine's own names.
        listen: String,
        looked_ms: i64,
    },
    Files {
        certificate: PathBuf,
        key: PathBuf,
        /// What is served.
        served: [u8; 32],
        refused: Option<Refused>,
    },
}

/// Files that cannot be used.
struct Refused {
    files: [u8; 32],
    told: bool,
}

/// Keeps one certificate new.
pub(crate) struct Keeper {
    source: Source,
    served: Arc<Served>,
    ca_fingerprint: Option<[u8; 32]>,
    /// The day on which it was told last that something is wrong.
    told_day: i64,
}

impl Keeper {
    /// Reads or makes the certificate; none without TLS.
    pub(crate) fn open(
        mode: &TlsMode,
        data_dir: &std::path::Path,
        listen: String,
        now_ms: i64,
    ) -> Result<Option<Self>, TlsError> {
        let (source, identity, ca_fingerprint) = match mode {
            TlsMode::Off => return Ok(None),
            TlsMode::Auto => {
                let dir = data_dir.join("tls");
                let own = own::prepare(&dir, &names(&listen), now_ms)?;
                (
                    Source::Own { dir, listen, looked_ms: now_ms },
                    own.identity,
                    Some(own.ca_fingerprint),
                )
            }
            TlsMode::Files { certificate, key } => {
                let (texts, served) = both(certificate, key)?;
                let identity = identity((certificate, &texts.0), (key, &texts.1))?;
                let (certificate, key) = (certificate.clone(), key.clone());
                (Source::Files { certificate, key, served, refused: None }, identity, None)
            }
        };
        let served = Served::new(identity);
        Ok(Some(Self { source, served, ca_fingerprint, told_day: i64::MIN }))
    }

    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served)
    }

    /// SHA-256 of the own CA's certificate, which agents pin; none with a certificate from files.
    pub(crate) fn ca_fingerprint(&self) -> Option<[u8; 32]> {
        self.ca_fingerprint
    }

    /// Looks whether another certificate is to be served, and serves it.
    pub(crate) fn look(&mut self, now_ms: i64) -> Seen {
        let found = match &mut self.source {
            Source::Own { dir, listen, looked_ms } => {
                // A table of routes may be long, and is read for the addresses.
                if (now_ms - *looked_ms).abs() < OWN_EVERY_MS {
                    return Seen::Same;
                }
                *looked_ms = now_ms;
                match own::prepare(dir, &names(listen), now_ms) {
                    Ok(own) if own.renewed => Ok(own.identity),
                    Ok(_) => return Seen::Same,
                    Err(error) => Err(Some(error)),
                }
            }
            Source::Files { certificate, key, served, refused } => {
                let (files, found) = match both(certificate, key) {
                    Ok((_, files)) if files == *served => {
                        *refused = None;
                        return Seen::Same;
                    }
                    Ok((texts, files)) => {
                        let found = identity((certificate, &texts.0), (key, &texts.1));
                        (files, found.and_then(|found| valid_at(found, now_ms)))
                    }
                    Err(error) => ([0; 32], Err(error)),
                };
                match found {
                    Ok(identity) => {
                        (*served, *refused) = (files, None);
                        Ok(identity)
                    }
                    Err(error) => Err(news(refused, files).then_some(error)),
                }
            }
        };
        match found {
            Ok(identity) => {
                self.served.0.store(Arc::new(identity));
                Seen::Renewed
            }
            Err(Some(error)) => Seen::Unusable(error),
            Err(None) => Seen::Unsettled,
        }
    }

    /// Looks and tells what it saw. What stays wrong is told once a day.
    fn attend(&mut self, now_ms: i64) {
        let day = now_ms.div_euclid(DAY_MS);
        let own = matches!(self.source, Source::Own { .. });
        match self.look(now_ms) {
            Seen::Renewed => tracing::info!("new connections get another certificate from now on"),
            Seen::Unusable(error) if !own || self.told_day != day => {
                self.told_day = day;
                tracing::error!(%error, "the new certificate cannot be used; the old one is served on");
            }
            Seen::Same if !own && self.told_day != day => {
                let left_ms = self.served.not_after_ms() - now_ms;
                if left_ms < WARN_BEFORE_MS {
                    self.told_day = day;
                    let days = left_ms.div_euclid(DAY_MS);
                    tracing::warn!(
                        days,
                        "the certificate is about to expire; replace its files, which are read again"
                    );
                }
            }
            _ => {}
        }
    }
}

/// Looks after the certificate until the server stops.
pub(crate) async fn run(keeper: Keeper, app: Arc<App>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut keeper = keeper;
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = app.stopped() => return,
        }
        let now_ms = app.clock.now_ms();
        let looking = tokio::task::spawn_blocking(move || {
            keeper.attend(now_ms);
            keeper
        });
        let Ok(looked) = looking.await else {
            tracing::error!(
                "looking after the certificate failed; restart the server before it expires"
            );
            return;
        };
        keeper = looked;
    }
}

fn names(listen: &str) -> Vec<String> {
    let mut names = own_names();
    names.push(listen.to_owned());
    names
}

type Texts = (Vec<u8>, Vec<u8>);

/// Certificate and key as they lie there, and a hash of both.
fn both(
    certificate: &std::path::Path,
    key: &std::path::Path,
) -> Result<(Texts, [u8; 32]), TlsError> {
    let texts = (read(certificate)?, read(key)?);
    let hashes = [fingerprint(&texts.0), fingerprint(&texts.1)];
    Ok((texts, fingerprint(&hashes.concat())))
}

/// Who replaces a certificate means one that is valid now.
fn valid_at(identity: Identity, now_ms: i64) -> Result<Identity, TlsError> {
    if (identity.not_before_ms..identity.not_after_ms).contains(&now_ms) {
        Ok(identity)
    } else {
        Err(TlsError::NotValidNow)
    }
}

/// Whether these unusable files are worth a word: they were there at the look before too, and nothing was said.
fn news(refused: &mut Option<Refused>, files: [u8; 32]) -> bool {
    match refused {
        Some(before) if before.files == files => !std::mem::replace(&mut before.told, true),
        _ => {
            *refused = Some(Refused { files, told: false });
            false
        }
    }
}
