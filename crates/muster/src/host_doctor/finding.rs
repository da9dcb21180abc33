//! What was found, and how it is told.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Fine,
    /// This machine does not have it; nothing is to be done.
    Absent,
    /// It could be there, and a person may want to do something.
    Missing,
    /// The agent does not do its work as long as it is so.
    Wrong,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Absent => "absent",
            Self::Missing => "missing",
            Self::Wrong => "wrong",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) area: &'static str,
    pub(super) state: State,
    pub(super) what: String,
    /// What to do; empty where nothing is to be done.
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn fine(area: &'static str, what: String) -> Self {
        Self { area, state: State::Fine, what, advice: String::new() }
    }

    pub(super) fn absent(area: &'static str, what: String) -> Self {
        Self { area, state: State::Absent, what, advice: String::new() }
    }

    pub(super) fn missing(area: &'static str, what: String, advice: &str) -> Self {
        Self { area, state: State::Missing, what, advice: advice.into() }
    }

    pub(super) fn wrong(area: &'static str, what: String, advice: &str) -> Self {
        Self { area, state: State::Wrong, what, advice: advice.into() }
    }

    pub(super) fn json(&self) -> Value {
        let advice = Some(&self.advice).filter(|advice| !advice.is_empty());
        json!({ "area": self.area, "state": self.state.word(), "what": self.what, "advice": advice })
    }
}

/// A line for each, what to do indented below it.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Finding { area, state, what, advice } = finding;
        let _ = writeln!(text, "{:8} {area:12} {what}", state.word());
        if !advice.is_empty() {
            let _ = writeln!(text, "{:21} → {advice}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below_what_was_found() {
        let findings = [
            Finding::fine("clock", "it is synchronized".into()),
            Finding::missing("docker", "no access".into(), "allow it"),
        ];
        let expected = "ok       clock        it is synchronized\n\
                        missing  docker       no access\n                      → allow it\n";
        assert_eq!(text(&findings), expected);
        assert_eq!(findings[0].json()["advice"], Value::Null);
        assert_eq!(findings[1].json()["state"], "missing");
    }
}
