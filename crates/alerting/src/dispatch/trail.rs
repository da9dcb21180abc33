//! The paper trail: one line for each step of an alert, and what it answers to "why was I not told?".

use serde::{Deserialize, Serialize};

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrailKind {
    /// The rule's expression yielded it for the first time.
    Pending,
    /// It fires.
    Firing,
    /// It does not hold any more.
    Resolved,
    /// It went away before it fired.
    Dropped,
    /// It was put into a group of a route.
    Grouped,
    /// A silence or maintenance window hides it.
    Silenced,
    /// Another alert explains it.
    Inhibited,
    /// Its route is muted at this time.
    Muted,
    /// It fires and resolves again and again.
    Flapping,
    /// What hid it ended.
    Unhushed,
    /// A message about it was decided and queued.
    Queued,
    /// A channel took the message.
    Sent,
    /// A channel did not take the message; it is tried again.
    Failed,
    /// A message was given up.
    GivenUp,
    /// It was told together with many others.
    SummedUp,
    /// Somebody acknowledged it, or took that back.
    Acknowledged,
    /// It was given to somebody.
    Assigned,
    /// Nobody acknowledged it in time.
    Escalated,
    /// No receiver is to hear of it.
    NoReceiver,
    /// Nothing was sent as nothing had changed since the last message.
    Unchanged,
}

/// One step of one alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrailLine {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The alert's fingerprint, as it is written.
    pub alert: String,
    /// What.
    pub kind: TrailKind,
    /// The receiver it is about, if one.
    pub receiver: Option<String>,
    /// The message it is about, if one.
    pub message: Option<String>,
    /// The silence, the explaining alert, the person, the route …: what `kind` is about.
    pub subject: Option<String>,
    /// The value at that moment.
    pub value: Option<f64>,
    /// What happened, in English words.
    pub text: String,
}

/// Answers, from the trail of one alert, why a person was told of it or not at a moment: a word and a sentence.
///
/// `trail` is in order of time; what is after `at_ms` tells only whether it was told later. The words are those of the
/// API: `told`, `silenced`, `inhibited`, `muted`, `flapping`, `no_receiver`, `pending`, `not_firing`, `waiting`,
/// `failed`, `unchanged`. What no trail can know, such as a rule that does not exist, is for the caller to say.
pub fn why(trail: &[TrailLine], at_ms: i64) -> (&'static str, String) {
    let mut answer = Answer::default();
    for line in trail.iter().take_while(|line| line.at_ms <= at_ms) {
        answer.follow(line);
    }
    let later = trail.iter().filter(|line| line.at_ms > at_ms);
    answer.say(later)
}

/// What is known at one moment.
#[derive(Default)]
struct Answer<'a> {
    /// The last of pending, firing, resolved, dropped.
    state: Option<&'a TrailLine>,
    /// What hides it.
    hush: Option<&'a TrailLine>,
    /// The last that happened to a message about it since it fires.
    message: Option<&'a TrailLine>,
    /// Whether the last look at its groups found nothing new.
    unchanged: Option<&'a TrailLine>,
}

impl<'a> Answer<'a> {
    fn follow(&mut self, line: &'a TrailLine) {
        match line.kind {
            TrailKind::Firing | TrailKind::Pending => {
                // A message that told of an earlier firing says nothing of this one.
                (self.message, self.unchanged) = (None, None);
                self.state = Some(line);
            }
            TrailKind::Resolved | TrailKind::Dropped => self.state = Some(line),
            TrailKind::Silenced
            | TrailKind::Inhibited
            | TrailKind::Muted
            | TrailKind::Flapping
            | TrailKind::NoReceiver => self.hush = Some(line),
            TrailKind::Unhushed => self.hush = None,
            TrailKind::Queued
            | TrailKind::SummedUp
            | TrailKind::Escalated
            | TrailKind::Sent
            | TrailKind::Failed
            | TrailKind::GivenUp => self.message = Some(line),
            TrailKind::Unchanged => self.unchanged = Some(line),
            TrailKind::Grouped | TrailKind::Acknowledged | TrailKind::Assigned => {}
        }
    }

    fn say(&self, mut later: impl Iterator<Item = &'a TrailLine>) -> (&'static str, String) {
        let Some(state) = self.state else {
            return ("not_firing", "The alert was not there at that moment.".to_owned());
        };
        if matches!(state.kind, TrailKind::Resolved | TrailKind::Dropped) {
            return (
                "not_firing",
                format!("The alert did not fire at that moment: {}.", state.text),
            );
        }
        if state.kind == TrailKind::Pending {
            return (
                "pending",
                format!("The alert did not hold for long enough yet: {}.", state.text),
            );
        }
        // What hides it since the last message says why nothing more was told.
        let hidden_since = self.hush.filter(|hush| {
            self.message.is_none_or(|message| {
                message.at_ms < hush.at_ms && hush.kind != TrailKind::NoReceiver
            })
        });
        if let Some(message) = self.message.filter(|_| hidden_since.is_none()) {
            return match message.kind {
                TrailKind::Failed | TrailKind::GivenUp => {
                    ("failed", format!("A message did not arrive: {}.", message.text))
                }
                _ => ("told", format!("A message told of it: {}.", message.text)),
            };
        }
        if let Some(hush) = self.hush {
            let code = match hush.kind {
                TrailKind::Silenced => "silenced",
                TrailKind::Inhibited => "inhibited",
                TrailKind::Muted => "muted",
                TrailKind::Flapping => "flapping",
                _ => "no_receiver",
            };
            let before = self.message.map_or("", |_| " It had been told before that.");
            return (code, format!("Nobody was told: {}.{before}", hush.text));
        }
        if let Some(unchanged) = self.unchanged {
            return ("unchanged", format!("Nothing new was to be told: {}.", unchanged.text));
        }
        let told = later.find(|line| matches!(line.kind, TrailKind::Queued | TrailKind::SummedUp));
        let then = told.map_or_else(String::new, |line| {
            format!(" It was told {} ms later.", line.at_ms - state.at_ms)
        });
        ("waiting", format!("The alert fired and waited for its group to be told.{then}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `trail` is words such as `5 firing`; the answer is asked for at `at_ms`.
    #[track_caller]
    fn check(trail: &str, at_ms: i64, expected: &str) {
        let line = |words: &str| {
            let (at, kind) = words.trim().split_once(' ').unwrap();
            TrailLine {
                at_ms: at.parse().unwrap(),
                alert: "a".into(),
                kind: serde_json::from_str(&format!("{kind:?}")).unwrap(),
                receiver: None,
                message: None,
                subject: None,
                value: None,
                text: kind.into(),
            }
        };
        let lines: Vec<TrailLine> = trail.split(',').map(line).collect();
        let (code, sentence) = why(&lines, at_ms);
        assert_eq!(code, expected, "{trail} at {at_ms}: {sentence}");
    }

    #[test]
    fn the_trail_answers_why_somebody_was_not_told() {
        check("5 firing", 4, "not_firing");
        check("5 pending, 9 firing", 6, "pending");
        check("5 firing, 6 grouped", 6, "waiting");
        check("5 firing, 6 grouped, 7 queued", 7, "told");
        check("5 firing, 6 queued, 7 sent, 8 silenced", 9, "silenced");
        check("5 firing, 6 queued, 7 sent, 8 silenced, 9 unhushed", 9, "told");
        check("5 firing, 6 queued, 7 failed", 7, "failed");
        check("5 firing, 6 queued, 7 failed, 8 sent", 8, "told");
        check("5 firing, 5 silenced", 8, "silenced");
        check("5 firing, 5 inhibited, 7 unhushed", 8, "waiting");
        check("5 firing, 5 muted", 8, "muted");
        check("5 firing, 5 no_receiver", 8, "no_receiver");
        check("1 firing, 2 queued, 5 resolved", 8, "not_firing");
        check("1 firing, 2 queued, 5 resolved, 6 firing, 6 flapping", 8, "flapping");
        check("1 firing, 2 queued, 5 resolved, 6 firing, 9 unchanged", 9, "unchanged");
        check("5 pending, 6 dropped", 8, "not_firing");
    }
}
