//! Conditions on an alert's labels, as Alertmanager writes them: `{alertname="HostSilent",instance=~"web-.*"}`.
//!
//! Both of its notations are read: the classic one, and the newer one in which names may be any text in quotes.

use std::fmt;

use muster_series::{MatchOp, Matcher, MatcherError, is_legacy_label_name};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::posted::LabelMap;

/// The most matchers in one list.
const MAX_MATCHERS: usize = 100;

/// Why a list of matchers is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchersError {
    /// It is not written as matchers are.
    #[error("{text:?} is no list of matchers: {problem}")]
    Syntax {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// One of them makes no sense.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// There are too many.
    #[error("there are {0} matchers, and at most 100 are allowed")]
    TooMany(usize),
}

/// Conditions that must all hold; an empty list holds for every alert.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matchers(Vec<Matcher>);

impl Matchers {
    /// A list of matchers that are made already.
    pub fn new(matchers: Vec<Matcher>) -> Result<Self, MatchersError> {
        if matchers.len() > MAX_MATCHERS {
            return Err(MatchersError::TooMany(matchers.len()));
        }
        Ok(Self(matchers))
    }

    /// Reads a list, with or without braces around it: `a="b", c=~"d"`.
    pub fn parse(text: &str) -> Result<Self, MatchersError> {
        let refuse = |problem| MatchersError::Syntax { text: text.to_owned(), problem };
        let trimmed = text.trim();
        let inner = match (trimmed.strip_prefix('{'), trimmed.ends_with('}')) {
            (Some(rest), true) => &rest[..rest.len() - 1],
            (Some(_), false) => return Err(refuse("a closing brace is missing")),
            (None, _) => trimmed,
        };
        let mut reader = Reader { rest: inner };
        let mut matchers = Vec::new();
        while !reader.skip_space().is_empty() {
            matchers.push(reader.matcher().map_err(|why| match why {
                Refusal::Problem(problem) => refuse(problem),
                Refusal::Matcher(error) => error.into(),
            })?);
            if !reader.skip_space().is_empty() && !reader.take(",") {
                return Err(refuse("a comma is missing between two matchers"));
            }
        }
        Self::new(matchers)
    }

    /// Whether all of them hold for these labels.
    pub fn matches(&self, labels: &LabelMap) -> bool {
        self.0.iter().all(|one| one.matches(labels.get(one.name()).map_or("", String::as_str)))
    }

    /// Whether a label that is not there satisfies all of them: such a list matches every alert.
    pub fn match_everything(&self) -> bool {
        self.0.iter().all(Matcher::matches_absent)
    }

    /// The matchers, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Matcher> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same conditions in the order in which Alertmanager names a route by them: name, value, operator.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| {
            (a.name(), a.value(), rank(a.op())).cmp(&(b.name(), b.value(), rank(b.op())))
        });
        self
    }

    pub(super) fn push(&mut self, matcher: Matcher) {
        self.0.push(matcher);
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

fn rank(op: MatchOp) -> u8 {
    match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    }
}

fn symbol(op: MatchOp) -> &'static str {
    match op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    }
}

/// Writes `text` in double quotes, as Alertmanager does.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\""))
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, matcher) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let name = matcher.name();
            let name = if is_legacy_label_name(name) { name.to_owned() } else { quoted(name) };
            write!(f, "{comma}{name}{}{}", symbol(matcher.op()), quoted(matcher.value()))?;
        }
        f.write_str("}")
    }
}

impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matchers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Why one matcher cannot be read.
enum Refusal {
    Problem(&'static str),
    Matcher(MatcherError),
}

/// What is left to read.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn take(&mut self, token: &str) -> bool {
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn matcher(&mut self) -> Result<Matcher, Refusal> {
        let name = if self.rest.starts_with('"') {
            self.quoted().ok_or(Refusal::Problem("a quote is not closed"))?
        } else {
            let reserved = |c: char| c.is_whitespace() || "{}!=~,\\\"'`".contains(c);
            let end = self.rest.find(reserved).unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            name.to_owned()
        };
        if name.is_empty() {
            return Err(Refusal::Problem("a label's name is missing"));
        }
        self.skip_space();
        let ops = ["=~", "!~", "!=", "="];
        let op = ops.into_iter().find(|op| self.take(op));
        let op = op.ok_or(Refusal::Problem("write =, !=, =~ or !~ behind a label's name"))?;
        self.skip_space();
        let value = if self.rest.starts_with('"') {
            self.quoted().ok_or(Refusal::Problem("a quote is not closed"))?
        } else {
            let end = self.rest.find(',').unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            if value.contains('"') {
                return Err(Refusal::Problem(
                    "a quote within a value needs a backslash and quotes around all",
                ));
            }
            value.trim_end().to_owned()
        };
        Matcher::parse_pair(&name, op, &value).map_err(Refusal::Matcher)
    }

    /// A text in double quotes; a backslash that escapes nothing is itself, as regular expressions are full of them.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    same @ ('"' | '\\') => text.push(same),
                    other => text.extend(['\\', other]),
                },
                other => text.push(other),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let written = match Matchers::parse(text) {
            Ok(matchers) => matchers.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(written, expected, "{text}");
    }

    #[test]
    fn both_notations_are_read() {
        check("", "{}");
        check("{}", "{}");
        check("a=b", r#"{a="b"}"#);
        check(r#"{ a = "b" , c=~"d|e", }"#, r#"{a="b",c=~"d|e"}"#);
        check(r#"a!="",b!~x.y"#, r#"{a!="",b!~"x.y"}"#);
        check(r#""my label"="ü", 主机=~"web-\d+""#, r#"{"my label"="ü","主机"=~"web-\\d+"}"#);
        check(r#"a="say \"x\"\n\\""#, r#"{a="say \"x\"\n\\"}"#);
        check("a=b c", r#"{a="b c"}"#);
        check("a=~x{2}", r#"{a=~"x{2}"}"#);
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("{a=b", "\"{a=b\" is no list of matchers: a closing brace is missing");
        check("a", "\"a\" is no list of matchers: write =, !=, =~ or !~ behind a label's name");
        check("=b", "\"=b\" is no list of matchers: a label's name is missing");
        check("a=\"b", "\"a=\\\"b\" is no list of matchers: a quote is not closed");
        check(
            r#"a="b" c="d""#,
            r#""a=\"b\" c=\"d\"" is no list of matchers: a comma is missing between two matchers"#,
        );
        assert!(matches!(Matchers::parse("a=~("), Err(MatchersError::Matcher(_))));
        assert_eq!(Matchers::parse(&"a=b,".repeat(101)), Err(MatchersError::TooMany(101)));
    }

    #[test]
    fn a_label_that_is_not_there_is_empty() {
        let labels = LabelMap::from([("a".to_owned(), "b".to_owned())]);
        for (text, expected) in
            [("a=b", true), ("a=~b|c", true), ("a=~", false), ("x=\"\"", true), ("x!=\"\"", false)]
        {
            assert_eq!(Matchers::parse(text).unwrap().matches(&labels), expected, "{text}");
        }
    }
}
