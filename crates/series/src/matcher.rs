//! Matchers: what selects series by label.

use std::fmt;

use regex::Regex;

/// Longest regular expression accepted, in bytes.
const MAX_REGEX_LEN: usize = 4096;
/// Largest compiled program of a regular expression, in bytes.
const MAX_REGEX_SIZE: usize = 1 << 20;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Regex,
    /// `!~`, anchored at both ends
    NotRegex,
}

/// Why a matcher was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The text between name and value is no match operator.
    #[error("{0:?} is no match operator; use =, !=, =~ or !~")]
    Operator(String),
    /// The regular expression is malformed or too large.
    #[error("the regular expression {pattern:?} is refused: {reason}")]
    Regex {
        /// The expression as given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// One condition on one label. A label that a series lacks has the value "".
#[derive(Clone)]
pub struct Matcher {
    name: Box<str>,
    op: MatchOp,
    value: Box<str>,
    regex: Option<Regex>,
}

impl Matcher {
    /// A matcher on `name`; a regular expression is compiled here, so a valid matcher never fails later.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(compile(value)?),
        };
        Ok(Self { name: name.into(), op, value: value.into(), regex })
    }

    /// A matcher whose operator is given as text, as in `instance=~"web.*"`.
    pub fn parse_pair(name: &str, op: &str, value: &str) -> Result<Self, MatcherError> {
        let op = match op {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            other => return Err(MatcherError::Operator(other.into())),
        };
        Self::new(name, op, value)
    }

    /// `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or regular expression as given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label of this value ("" if absent) passes.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::NotEqual, _) => *self.value != *value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            _ => *self.value == *value,
        }
    }

    /// Whether a series without the label passes; such a matcher alone selects nothing by index.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }
}

/// Anchors and compiles a regular expression; `.` matches line breaks, as in Prometheus.
fn compile(pattern: &str) -> Result<Regex, MatcherError> {
    let refuse = |reason: String| MatcherError::Regex { pattern: pattern.into(), reason };
    if pattern.len() > MAX_REGEX_LEN {
        return Err(refuse(format!("it is longer than {MAX_REGEX_LEN} bytes")));
    }
    // Compiled alone first, so that unbalanced groups cannot escape the anchors.
    regex::RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_SIZE)
        .build()
        .and_then(|_| {
            regex::RegexBuilder::new(&format!("^(?s:{pattern})$"))
                .size_limit(MAX_REGEX_SIZE)
                .build()
        })
        .map_err(|error| refuse(error.to_string()))
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{}{:?}", self.name, op, self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(op: &str, pattern: &str, value: &str, expected: bool) {
        assert_eq!(Matcher::parse_pair("l", op, pattern).unwrap().matches(value), expected);
    }

    #[test]
    fn operators() {
        check("=", "a", "a", true);
        check("=", "a", "b", false);
        check("!=", "a", "", true);
        check("=~", "web", "web-1", false);
        check("=~", "web.*", "web-1", true);
        check("=~", "a|b", "ab", false);
        check("=~", "a.b", "a\nb", true);
        check("!~", "a|b", "c", true);
        check("=~", "", "", true);
    }

    #[test]
    fn refusals_say_why() {
        assert!(Matcher::parse_pair("l", "=~", "a)(b").is_err());
        assert!(Matcher::parse_pair("l", "==", "a").is_err());
        assert!(Matcher::parse_pair("l", "=~", &"x".repeat(5000)).is_err());
    }
}
