//! Where calls and aggregations stand in the text, for warnings that point at them.
//!
//! The parser's tree has no positions. But calls and aggregations come in the same order in the text
//! and in a walk of the tree that visits parents first, so the two are simply read side by side.

use crate::guard::{Token, tokens};

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallPosition {
    /// Byte offset of its name.
    pub(crate) name: usize,
    /// Byte offset of its first argument.
    pub(crate) argument: usize,
    /// Byte offsets of its next arguments, as far as it has them.
    pub(crate) next: [Option<usize>; 2],
}

impl CallPosition {
    /// Byte offset of the argument `at`, from 0; that of the first one beyond the third.
    pub(crate) fn argument_at(&self, at: usize) -> usize {
        let next = at.checked_sub(1).and_then(|at| self.next.get(at).copied().flatten());
        next.unwrap_or(self.argument)
    }
}

/// The calls of a text that were not claimed yet, last one first.
pub(crate) struct Positions<'a>(Vec<(&'a str, CallPosition)>);

impl<'a> Positions<'a> {
    /// Finds all calls of `text`.
    pub(crate) fn scan(text: &'a str) -> Self {
        let tokens: Vec<_> = tokens(text).collect();
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let is_at = |n: usize, text: &str| tokens.get(n).is_some_and(|t| t.text == text);
            let after_at = at > 0 && is_at(at - 1, "@");
            if !is_name(token.text) || after_at {
                continue;
            }
            let mut open = at + 1;
            let clause = tokens.get(open).is_some_and(|t| is_clause(t.text));
            if clause && is_at(open + 1, "(") {
                while open < tokens.len() && !is_at(open, ")") {
                    open += 1;
                }
                open += 1;
            }
            if let (true, Some(argument)) = (is_at(open, "("), tokens.get(open + 1)) {
                let next = next_arguments(&tokens[open + 1..]);
                let position = CallPosition { name: token.start, argument: argument.start, next };
                found.push((token.text, position));
            }
        }
        found.reverse();
        Self(found)
    }

    /// The position of the next call, if it is one of `name`.
    pub(crate) fn claim(&mut self, name: &str) -> Option<CallPosition> {
        let (found, position) = self.0.pop()?;
        found.eq_ignore_ascii_case(name).then_some(position)
    }
}

/// Where the second and the third argument begin, in the tokens after the bracket of a call.
fn next_arguments(tokens: &[Token<'_>]) -> [Option<usize>; 2] {
    let mut starts = [None; 2];
    let (mut found, mut depth) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => break,
            ")" | "]" | "}" => depth -= 1,
            "," if depth == 0 && found < starts.len() => {
                starts[found] = tokens.get(at + 1).map(|token| token.start);
                found += 1;
            }
            _ => {}
        }
    }
    starts
}

fn is_name(word: &str) -> bool {
    let keyword = [
        "and",
        "or",
        "unless",
        "atan2",
        "bool",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "by",
        "without",
        "offset",
        "fill",
        "fill_left",
        "fill_right",
    ];
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !keyword.iter().any(|k| word.eq_ignore_ascii_case(k))
}

fn is_clause(word: &str) -> bool {
    word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without")
}

/// A byte offset as `line:column`, both from 1, as Prometheus writes it.
pub(crate) fn line_and_column(text: &str, offset: usize) -> String {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_in_order() {
        let text = "sum by (a, b) (rate(x[5m] @ start())) * on (c) abs(y)";
        let mut positions = Positions::scan(text);
        let mut check = |name: &str, expected: (usize, usize)| {
            let position = positions.claim(name).unwrap();
            assert_eq!((position.name, position.argument), expected);
        };
        check("sum", (0, 15));
        check("rate", (15, 20));
        check("abs", (47, 51));
        assert_eq!(positions.claim("abs"), None);
    }

    #[test]
    fn arguments_are_found() {
        let text = "f(a{b=\"1\", c=\"2\"}, g(1, 2)[5m:1m], 3, 4) + h(5)";
        let position = Positions::scan(text).claim("f").unwrap();
        let at = |argument: usize| &text[position.argument_at(argument)..][..1];
        assert_eq!((at(0), at(1), at(2), at(3)), ("a", "g", "3", "a"));
    }

    #[test]
    fn columns_count_from_one() {
        assert_eq!(line_and_column("ab\ncd", 4), "2:2");
        assert_eq!(line_and_column("ab", 0), "1:1");
    }
}
