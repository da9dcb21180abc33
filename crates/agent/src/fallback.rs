//! The fallback: an agent that reaches no server for long tells people directly, by a webhook set on its host.
//!
//! When to say what is decided by [`Watch`], which is pure. The address comes from the host's own settings, never from
//! the server: a server cannot make agents send anything anywhere.

mod post;

use std::sync::Arc;

use tokio::task::JoinHandle;

pub use post::AddressError;
pub(crate) use post::{Address, body};

use crate::config::AgentConfig;
use crate::tasks;

/// Agents that lost their server together speak up over the fifth part of the wait, or this time, in milliseconds.
const LONGEST_SPREAD_MS: i64 = 60_000;
/// How long after a failed try the next one comes, in milliseconds.
const AGAIN_MS: i64 = 60_000;

/// Where an agent speaks up when it reaches no server, and after how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackConfig {
    /// `http://host[:port]/path` or `https://…`, which gets Alertmanager's body.
    pub url: String,
    /// How long no server was reached before anything is said, in milliseconds.
    pub after_ms: i64,
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// No server is reached.
    Lost,
    /// One is reached again.
    Back,
}

/// When to say what.
#[derive(Debug)]
pub(crate) struct Watch {
    wait_ms: i64,
    /// Since when no server is reached, by the clock that never goes back.
    lost_since_ms: Option<i64>,
    /// Since when the last silence lasted, once it was told.
    told: Option<i64>,
    next_try_ms: i64,
}

impl Watch {
    /// Waits `after_ms`, and a little longer, which depends on the host's name.
    pub(crate) fn new(after_ms: i64, instance: &str, now_ms: i64) -> Self {
        let hash = crc32fast::hash(instance.as_bytes());
        let spread_ms = (after_ms / 5).clamp(1, LONGEST_SPREAD_MS);
        let wait_ms = after_ms + i64::from(hash) % spread_ms;
        Self { wait_ms, lost_since_ms: Some(now_ms), told: None, next_try_ms: now_ms }
    }

    /// What is to be said now, and since when it is so.
    pub(crate) fn poll(&mut self, connected: bool, now_ms: i64) -> Option<(Word, i64)> {
        if connected {
            self.lost_since_ms = None;
            let since_ms = self.told?;
            return (now_ms >= self.next_try_ms).then_some((Word::Back, since_ms));
        }
        let since_ms = *self.lost_since_ms.get_or_insert(now_ms);
        let is_due = now_ms - since_ms >= self.wait_ms && now_ms >= self.next_try_ms;
        (self.told.is_none() && is_due).then_some((Word::Lost, since_ms))
    }

    /// It was said, or could not be.
    pub(crate) fn said(&mut self, word: Word, since_ms: i64, arrived: bool, now_ms: i64) {
        match (arrived, word) {
            (true, Word::Lost) => self.told = Some(since_ms),
            (true, Word::Back) => self.told = None,
            (false, _) => self.next_try_ms = now_ms + AGAIN_MS,
        }
    }
}

/// The watch, and the message on its way.
#[derive(Debug)]
pub(crate) struct Fallback {
    address: Arc<Address>,
    instance: String,
    server: String,
    watch: Watch,
    saying: Option<(Word, i64, JoinHandle<bool>)>,
}

impl Fallback {
    /// None if the host has no fallback: then it costs nothing.
    pub(crate) fn new(
        config: &AgentConfig,
        instance: &str,
        now_ms: i64,
    ) -> Result<Option<Self>, AddressError> {
        let Some(fallback) = &config.fallback else { return Ok(None) };
        Ok(Some(Self {
            address: Arc::new(Address::parse(&fallback.url)?),
            instance: instance.to_owned(),
            server: config.server_url.clone(),
            watch: Watch::new(fallback.after_ms, instance, now_ms),
            saying: None,
        }))
    }

    /// Does what is due. `connected` says whether a server has let this agent in.
    pub(crate) async fn tend(&mut self, connected: bool, wall_ms: i64, now_ms: i64) {
        if let Some((word, since_ms, saying)) = &mut self.saying {
            if !saying.is_finished() {
                return;
            }
            let arrived = saying.await.unwrap_or(false);
            self.watch.said(*word, *since_ms, arrived, now_ms);
            self.saying = None;
        }
        if let Some((word, since_ms)) = self.watch.poll(connected, now_ms) {
            let started_ms = wall_ms - (now_ms - since_ms);
            let body = body(word, &self.instance, &self.server, started_ms, wall_ms);
            let saying = tasks::say(Arc::clone(&self.address), body);
            self.saying = Some((word, since_ms, saying));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a minute: `+` connected, `-` not, `x` not and the webhook does not answer. What comes out is `L` and `B`
    /// for what arrived, `?` for what did not.
    #[track_caller]
    fn check(minutes: &str, expected: &str) {
        let mut watch = Watch { wait_ms: 3 * 60_000, ..Watch::new(0, "", 0) };
        let said = minutes.chars().zip(0..).map(|(minute, at)| {
            let now_ms = at * 60_000;
            let Some((word, since_ms)) = watch.poll(minute == '+', now_ms) else { return '.' };
            watch.said(word, since_ms, minute != 'x', now_ms);
            match word {
                _ if minute == 'x' => '?',
                Word::Lost => 'L',
                Word::Back => 'B',
            }
        });
        assert_eq!(said.collect::<String>(), expected, "{minutes}");
    }

    #[test]
    fn a_long_silence_is_told_once_and_its_end_once() {
        check("++++++", "......");
        check("+-------+++", "....L...B..");
        check("+--+--+--+", "..........");
        check("-------", "...L...");
        check("+-----+----+", "....L.B...LB");
    }

    #[test]
    fn what_does_not_arrive_is_tried_again_and_nothing_is_taken_back_that_was_not_said() {
        check("+---xx-+", "....??LB");
        check("+---x++", "....?..");
    }

    #[test]
    fn a_fleet_does_not_speak_up_at_once() {
        let waits = (0..1_000).map(|n| Watch::new(300_000, &format!("web-{n}"), 0).wait_ms);
        let mut seconds = [0; 60];
        for wait in waits {
            seconds[((wait - 300_000) / 1_000) as usize] += 1;
        }
        assert!(seconds.iter().all(|&count| count < 50), "{seconds:?}");
    }
}
