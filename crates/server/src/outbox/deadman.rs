//! The dead-man's signal: somebody outside hears from this server every minute, and knows by its silence that alerts are not
//! told any more.
//!
//! The signal is sent only while alerts could be told: rules were evaluated and the outbox was looked at lately, what was
//! decided is written down, and not all channels fail. A process that merely runs is not enough.

use std::sync::Arc;
use std::time::Duration;

use muster_alerting::Timing;

use super::Figures;
use crate::app::App;
use crate::config::Deadman;

/// The outbox must have been looked at since, in milliseconds; it is looked at once a minute at least.
const LOOKED_MS: i64 = 150_000;
/// For so long what was decided may be unwritten, in milliseconds.
const UNWRITTEN_MS: i64 = 60_000;
/// How many turns of rules may be missed.
const TURNS: i64 = 3;

/// Sends the signal until the server stops.
pub(crate) async fn run(app: Arc<App>, deadman: Deadman) {
    let mut every = tokio::time::interval(Duration::from_millis(deadman.every_ms as u64));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = app.stopped() => return,
        }
        let judged = is_judged(&app);
        let now_ms = app.clock.monotonic_ms();
        let unwritten_ms = app.alarms.unwritten_since_ms().map(|since_ms| now_ms - since_ms);
        match why_silent(judged, unwritten_ms, &app.outbox.figures(), now_ms) {
            Some(reason) => tracing::warn!(reason, "the dead-man's signal is held back"),
            None => {
                if let Err(error) = app.outbox.surroundings.http().get(&deadman.url).await {
                    tracing::warn!(%error, "the dead-man's signal did not arrive");
                }
            }
        }
    }
}

/// Whether rules are evaluated: those of some group were lately.
fn is_judged(app: &App) -> bool {
    let (judge, now_ms) = (app.judging.judge.lock(), app.clock.now_ms());
    let groups = judge.groups();
    let lately = |timing: Timing| {
        let longest_ms = (timing.interval_ms * TURNS).max(LOOKED_MS);
        timing.last_ms.is_some_and(|at_ms| (-LOOKED_MS..=longest_ms).contains(&(now_ms - at_ms)))
    };
    groups.is_empty() || groups.iter().any(|group| lately(group.timing))
}

/// Why the signal must not be sent; none if all is well.
fn why_silent(
    judged: bool,
    unwritten_ms: Option<i64>,
    figures: &Figures,
    now_ms: i64,
) -> Option<&'static str> {
    if !judged {
        return Some("rules are not evaluated");
    }
    if unwritten_ms.is_some_and(|ms| ms > UNWRITTEN_MS) {
        return Some("what was decided about alerts cannot be written down");
    }
    let looked = figures.looked_ms.is_some_and(|at_ms| now_ms - at_ms <= LOOKED_MS);
    if !looked {
        return Some(
            "messages are not sent: the outbox does not work, or its database does not answer",
        );
    }
    let mut channels = figures.by_channel.values().peekable();
    if channels.peek().is_some() && channels.all(|channel| channel.failing) {
        return Some("no channel takes messages");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::ChannelFigures;

    #[track_caller]
    fn check(looked_ms: Option<i64>, failing: &[bool], sent: bool) {
        let channels = failing.iter().enumerate().map(|(number, &failing)| {
            (number.to_string(), ChannelFigures { failing, ..ChannelFigures::default() })
        });
        let figures = Figures { by_channel: channels.collect(), looked_ms };
        assert_eq!(why_silent(true, None, &figures, 1_000_000).is_none(), sent, "{figures:?}");
    }

    #[test]
    fn silence_is_the_signal() {
        check(Some(999_000), &[], true);
        check(Some(999_000), &[false], true);
        check(Some(999_000), &[true, false], true);
        check(Some(999_000), &[true, true], false);
        check(Some(849_000), &[false], false);
        check(None, &[false], false);
        let figures = Figures { looked_ms: Some(999_000), ..Figures::default() };
        assert!(why_silent(false, None, &figures, 1_000_000).is_some());
        assert!(why_silent(true, Some(59_000), &figures, 1_000_000).is_none());
        assert!(why_silent(true, Some(61_000), &figures, 1_000_000).is_some());
    }
}
