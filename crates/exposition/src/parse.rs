//! Text to families.

use std::collections::HashMap;

use muster_series::LabelError;

use crate::family::{Family, Kind, Point};
use crate::line::{Line, parse_line};

/// Why a text was refused, and at which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// The first line is 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A line that should name a metric does not.
    #[error("a metric name is expected")]
    NoName,
    /// A label's name is expected.
    #[error("a label name or }} is expected")]
    LabelName,
    /// A label without a value.
    #[error("label {0:?} is not followed by =")]
    NoEquals(String),
    /// A text that does not begin or end with a double quote.
    #[error("a text in double quotes is expected")]
    NoQuote,
    /// Neither a comma nor a brace after a label.
    #[error("a comma or }} is expected after a label")]
    Unclosed,
    /// An escape other than `\\`, `\n`, `\"`.
    #[error("\\{0} is no escape; write \\\\, \\n or \\\"")]
    Escape(String),
    /// The value is no number.
    #[error("{0:?} is no value")]
    Value(String),
    /// The timestamp is no whole number.
    #[error("{0:?} is no timestamp in milliseconds")]
    Timestamp(String),
    /// A line of other bytes than text.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// Something after the timestamp.
    #[error("{0:?} is too much")]
    Trailing(String),
    /// A `# TYPE` line with an unknown word.
    #[error("{0:?} is no metric type")]
    UnknownKind(String),
    /// A second `# TYPE` line for a metric, or one after its points.
    #[error("the type of {0:?} is given twice or after its points")]
    LateType(String),
    /// The label set is not one.
    #[error(transparent)]
    Labels(#[from] LabelError),
}

/// Reads a whole exposition. Points without a `# TYPE` line make untyped families; families come in
/// the order of their first mention, those without points included.
pub fn parse(text: &str) -> Result<Vec<Family>, ParseError> {
    let mut families = Families::default();
    for (at, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        parse_line(line)
            .and_then(|line| families.add(line))
            .map_err(|problem| ParseError { line: at + 1, problem })?;
    }
    Ok(families.list)
}

#[derive(Default)]
struct Families {
    list: Vec<Family>,
    typed: Vec<bool>,
    by_name: HashMap<String, usize>,
}

impl Families {
    fn add(&mut self, line: Line<'_>) -> Result<(), Problem> {
        match line {
            Line::Blank => {}
            Line::Help(name, help) => {
                let at = self.entry(&name);
                self.list[at].help = help.into_owned();
            }
            Line::Type(name, kind) => {
                let at = self.entry(&name);
                if self.typed[at] || !self.list[at].points.is_empty() {
                    return Err(Problem::LateType(name.into_owned()));
                }
                self.typed[at] = true;
                self.list[at].kind = kind;
            }
            Line::Point(point) => {
                let at = self.family_of(&point);
                self.list[at].points.push(point);
            }
        }
        Ok(())
    }

    /// The family a point belongs to: that of its name, or of its name without a histogram's suffix.
    fn family_of(&mut self, point: &Point) -> usize {
        let name = point.labels.metric_name().unwrap_or_default();
        if let Some(&at) = self.by_name.get(name) {
            return at;
        }
        for suffix in Kind::Histogram.suffixes() {
            let family = name.strip_suffix(suffix).and_then(|base| self.by_name.get(base));
            if let Some(&at) = family
                && self.list[at].kind.suffixes().contains(suffix)
            {
                return at;
            }
        }
        let name = name.to_owned();
        self.entry(&name)
    }

    fn entry(&mut self, name: &str) -> usize {
        if let Some(&at) = self.by_name.get(name) {
            return at;
        }
        self.list.push(Family::new(name, Kind::Untyped, ""));
        self.typed.push(false);
        self.by_name.insert(name.into(), self.list.len() - 1);
        self.list.len() - 1
    }
}
