//! What may be set about collecting: which collectors run, what they leave out, which processes are looked for.
//!
//! Patterns are regular expressions that are compiled within a bound, and matched in time linear in the text.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

use crate::roots::Roots;

/// The most memory that a compiled pattern may take, in bytes.
const PATTERN_MEMORY: usize = 256 << 10;

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression.
    #[error("{pattern:?} is no regular expression: {reason}")]
    Syntax {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It would take too much memory.
    #[error(
        "{pattern:?} is too large a regular expression; make its repetitions or its lists shorter"
    )]
    TooLarge {
        /// As it was given.
        pattern: String,
    },
}

/// A regular expression.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// A pattern that must match a text as a whole.
    pub fn whole(pattern: &str) -> Result<Self, PatternError> {
        // Compiled alone first: `a)(b` must not become right by what is put around it.
        Self::anywhere(pattern)?;
        compile(pattern, &format!("^(?:{pattern})$"))
    }

    /// A pattern that must match some part of a text.
    pub fn anywhere(pattern: &str) -> Result<Self, PatternError> {
        compile(pattern, pattern)
    }

    /// Whether it matches.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

fn compile(given: &str, pattern: &str) -> Result<Pattern, PatternError> {
    let pattern_text = || given.to_owned();
    let built = RegexBuilder::new(pattern)
        .size_limit(PATTERN_MEMORY)
        .dfa_size_limit(PATTERN_MEMORY)
        .nest_limit(50)
        .build();
    built.map(Pattern).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge { pattern: pattern_text() },
        other => {
            // The library draws an arrow under the pattern; its last line says what is wrong.
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ").to_owned();
            PatternError::Syntax { pattern: pattern_text(), reason }
        }
    })
}

/// Which of the texts of a kind are looked at.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// If given, only what it matches.
    pub include: Option<Pattern>,
    /// If given, what it matches is left out.
    pub exclude: Option<Pattern>,
}

impl Choice {
    /// Whether the text is looked at; `by_default` says so where no pattern asks for it by name.
    pub fn takes(&self, text: &str, by_default: bool) -> bool {
        if self.exclude.as_ref().is_some_and(|exclude| exclude.matches(text)) {
            return false;
        }
        self.include.as_ref().map_or(by_default, |include| include.matches(text))
    }
}

/// Processes to look for.
#[derive(Debug, Clone)]
pub struct NamedPattern {
    /// The name under which they are reported.
    pub name: String,
    /// What their command matches in some part.
    pub pattern: Pattern,
}

/// Settings of the collectors; the default is what every agent does by itself.
#[derive(Debug, Clone, Default)]
pub struct CollectorSettings {
    /// Names of collectors that do not run.
    pub off: BTreeSet<String>,
    /// Mount points that are looked at.
    pub mount_points: Choice,
    /// Types of file systems that are looked at.
    pub fs_types: Choice,
    /// Network devices that are looked at.
    pub network_devices: Choice,
    /// Processes that are looked for.
    pub named_processes: Vec<NamedPattern>,
}

/// The names of all collectors, sorted: what may be switched off.
pub fn collector_names() -> Vec<&'static str> {
    let nowhere = std::path::Path::new("/nonexistent");
    let collectors = crate::all(&Roots::new(nowhere, nowhere, nowhere));
    let mut names: Vec<&'static str> =
        collectors.iter().map(|collector| collector.name()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, whole: bool, anywhere: bool) {
        assert_eq!(Pattern::whole(pattern).unwrap().matches(text), whole);
        assert_eq!(Pattern::anywhere(pattern).unwrap().matches(text), anywhere);
    }

    #[test]
    fn a_pattern_matches_a_whole_or_a_part() {
        check("/mnt", "/mnt/a", false, true);
        check("/mnt|/srv", "/srv", true, true);
        check("/mnt/.*", "/mnt/a", true, true);
    }

    #[test]
    fn a_pattern_that_is_wrong_or_too_large_is_refused() {
        let error = Pattern::whole("a)(b").unwrap_err();
        assert_eq!(error.to_string(), "\"a)(b\" is no regular expression: unopened group");
        let error = Pattern::whole("(.{1000}){1000}").unwrap_err();
        assert!(matches!(error, PatternError::TooLarge { .. }), "{error}");
        assert!(Pattern::whole(&"(".repeat(1_000)).is_err());
    }

    #[test]
    fn a_choice_takes_what_is_asked_for_and_not_left_out() {
        let pattern = |text| Some(Pattern::whole(text).unwrap());
        let choice = Choice { include: pattern("/srv.*"), exclude: pattern("/srv/tmp") };
        assert!(choice.takes("/srv/data", false), "asked for by name");
        assert!(!choice.takes("/srv/tmp", true), "left out by name");
        assert!(!choice.takes("/", true), "not asked for");
        assert!(Choice::default().takes("/", true));
        assert!(!Choice::default().takes("/proc", false));
    }

    #[test]
    fn every_collector_has_one_name() {
        let names = collector_names();
        let once: BTreeSet<_> = names.iter().collect();
        assert_eq!(once.len(), names.len());
        assert!(names.contains(&"filesystem"));
    }
}
