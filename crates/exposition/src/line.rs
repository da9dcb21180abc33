//! One line of the format: a cursor over its bytes and what may stand on it.

use std::borrow::Cow;

use muster_series::{Labels, METRIC_NAME};

use crate::family::{Kind, Point};
use crate::parse::Problem;

/// What a line says.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    /// Nothing: empty, or a comment.
    Blank,
    /// `# HELP name text`
    Help(Cow<'a, str>, Cow<'a, str>),
    /// `# TYPE name kind`
    Type(Cow<'a, str>, Kind),
    /// A point.
    Point(Point),
}

/// Reads one line, given without its line break.
pub(crate) fn parse_line(line: &str) -> Result<Line<'_>, Problem> {
    let mut cursor = Cursor::new(line);
    cursor.skip_blanks();
    if cursor.rest.is_empty() {
        return Ok(Line::Blank);
    }
    if let Some(comment) = cursor.rest.strip_prefix('#') {
        return parse_comment(comment);
    }
    parse_point(cursor).map(Line::Point)
}

fn parse_comment(comment: &str) -> Result<Line<'_>, Problem> {
    let mut cursor = Cursor::new(comment);
    cursor.skip_blanks();
    let keyword = cursor.word();
    if !matches!(keyword, "HELP" | "TYPE") {
        return Ok(Line::Blank);
    }
    cursor.skip_blanks();
    let name = if cursor.rest.starts_with('"') {
        cursor.quoted()?
    } else {
        Cow::Borrowed(cursor.name(true).ok_or(Problem::NoName)?)
    };
    cursor.skip_blanks();
    if keyword == "HELP" {
        return Ok(Line::Help(name, unescape_help(cursor.rest)));
    }
    let word = cursor.rest.trim_end();
    let kind = Kind::from_word(word).ok_or_else(|| Problem::UnknownKind(word.into()))?;
    Ok(Line::Type(name, kind))
}

fn parse_point(mut cursor: Cursor<'_>) -> Result<Point, Problem> {
    let labels = parse_series_labels(&mut cursor)?;
    cursor.skip_blanks();
    let value = cursor.value()?;
    cursor.skip_blanks();
    let word = cursor.word();
    let timestamp_ms = match word {
        "" => None,
        word => Some(word.parse().map_err(|_| Problem::Timestamp(word.into()))?),
    };
    cursor.skip_blanks();
    cursor.expect_end()?;
    Ok(Point { labels, value, timestamp_ms })
}

/// The name and the labels that a line begins with.
pub(crate) fn parse_series_labels(cursor: &mut Cursor<'_>) -> Result<Labels, Problem> {
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    if !cursor.rest.starts_with('{') {
        let name = cursor.name(true).ok_or(Problem::NoName)?;
        pairs.push((METRIC_NAME.into(), name.into()));
        cursor.skip_blanks();
    }
    if cursor.take('{') {
        parse_labels(cursor, &mut pairs)?;
    }
    if !pairs.iter().any(|(name, value)| name == METRIC_NAME && !value.is_empty()) {
        return Err(Problem::NoName);
    }
    Ok(Labels::from_pairs(pairs)?)
}

/// Labels up to and with the closing brace; a quoted text without `=` is the metric name.
fn parse_labels<'a>(
    cursor: &mut Cursor<'a>,
    pairs: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>,
) -> Result<(), Problem> {
    loop {
        cursor.skip_blanks();
        if cursor.take('}') {
            return Ok(());
        }
        let quoted = cursor.rest.starts_with('"');
        let name = if quoted {
            cursor.quoted()?
        } else {
            cursor.name(false).ok_or(Problem::LabelName)?.into()
        };
        cursor.skip_blanks();
        if cursor.take('=') {
            cursor.skip_blanks();
            pairs.push((name, cursor.quoted()?));
        } else if quoted {
            pairs.push((METRIC_NAME.into(), name));
        } else {
            return Err(Problem::NoEquals(name.into_owned()));
        }
        cursor.skip_blanks();
        if !cursor.take(',') && !cursor.rest.starts_with('}') {
            return Err(Problem::Unclosed);
        }
    }
}

/// What of a line was not read yet.
pub(crate) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn split_at(&mut self, at: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(at);
        self.rest = rest;
        taken
    }

    /// Everything up to the next blank.
    pub(crate) fn word(&mut self) -> &'a str {
        self.split_at(self.rest.find([' ', '\t']).unwrap_or(self.rest.len()))
    }

    /// A number, up to the next blank.
    pub(crate) fn value(&mut self) -> Result<f64, Problem> {
        let word = self.word();
        word.parse().map_err(|_| Problem::Value(word.into()))
    }

    /// Nothing may be left.
    pub(crate) fn expect_end(&self) -> Result<(), Problem> {
        if self.rest.is_empty() { Ok(()) } else { Err(Problem::Trailing(self.rest.into())) }
    }

    /// Passes over labels in braces, whatever they are; a brace in a quoted text is no end.
    pub(crate) fn skip_braces(&mut self) -> Result<(), Problem> {
        let (mut quoted, mut escaped) = (false, false);
        for (at, b) in self.rest.bytes().enumerate() {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b'}' if !quoted => {
                    self.split_at(at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(if quoted { Problem::NoQuote } else { Problem::Unclosed })
    }

    /// A bare name; colons only in names of metrics.
    pub(crate) fn name(&mut self, colons: bool) -> Option<&'a str> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':');
        let end = self.rest.bytes().take_while(|&b| fits(b)).count();
        if end == 0 || self.rest.as_bytes()[0].is_ascii_digit() {
            return None;
        }
        Some(self.split_at(end))
    }

    /// A text in double quotes.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Problem> {
        if !self.take('"') {
            return Err(Problem::NoQuote);
        }
        let mut escaped = false;
        for (at, b) in self.rest.bytes().enumerate() {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let inner = self.split_at(at);
                    self.take('"');
                    return unescape(inner);
                }
                _ => {}
            }
        }
        Err(Problem::NoQuote)
    }
}

/// `\\`, `\n` and `\"` to what they stand for; another escape is an error.
fn unescape(text: &str) -> Result<Cow<'_, str>, Problem> {
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some(c @ ('\\' | '"')) => plain.push(c),
            other => return Err(Problem::Escape(other.map(String::from).unwrap_or_default())),
        }
    }
    Ok(Cow::Owned(plain))
}

/// `\\` and `\n` of a help text. Nothing depends on it, so another backslash just stands for itself.
fn unescape_help(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = chars.next_if(|next| c == '\\' && matches!(next, 'n' | '\\'));
        plain.push(match escaped {
            Some('n') => '\n',
            Some(other) => other,
            None => c,
        });
    }
    Cow::Owned(plain)
}
