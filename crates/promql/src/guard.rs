//! Refuses query texts that could exhaust the stack, before they are parsed.
//!
//! The parser and all that walks its tree recurse, and thousands of nested parentheses or chained
//! operators abort the process. So the length of a text and the number of its brackets and operators
//! are bounded here, by a scan that only knows strings and comments.

use std::borrow::Cow;

use crate::query::ParseError;

/// Longest query text, in bytes.
pub(crate) const MAX_TEXT_LEN: usize = 16 * 1024;
/// Most operators and opening brackets of a query text.
pub(crate) const MAX_OPERATORS: usize = 500;

/// The longest duration given as a bare number, in seconds: the parser panics at what it cannot hold.
const MAX_SECONDS: f64 = 1e12;

/// Checks the length of a text and counts its operators and brackets.
pub(crate) fn check_text(text: &str) -> Result<(), ParseError> {
    if text.len() > MAX_TEXT_LEN {
        return Err(ParseError {
            message: format!(
                "the query has {} bytes; shorten it to at most {MAX_TEXT_LEN}",
                text.len()
            ),
            position: None,
        });
    }
    let mut operators = 0;
    let mut duration_follows = false;
    for token in tokens(text) {
        if duration_follows && token.text.parse().is_ok_and(|seconds: f64| seconds > MAX_SECONDS) {
            return Err(ParseError {
                message: format!(
                    "{} seconds are too long; write a duration like 5m or 30d",
                    token.text
                ),
                position: Some(token.start),
            });
        }
        duration_follows = match token.text {
            "-" | "+" => duration_follows,
            "[" | ":" | "@" => true,
            word => word.eq_ignore_ascii_case("offset"),
        };
        let counts = match token.text {
            "and" | "or" | "unless" | "atan2" => true,
            other => matches!(
                other.as_bytes(),
                [b'('
                    | b'['
                    | b'{'
                    | b'+'
                    | b'-'
                    | b'*'
                    | b'/'
                    | b'%'
                    | b'^'
                    | b'='
                    | b'<'
                    | b'>'
                    | b'!']
            ),
        };
        operators += usize::from(counts);
        if operators > MAX_OPERATORS {
            return Err(ParseError {
                message: format!(
                    "the query has more than {MAX_OPERATORS} operators and brackets; split it with recording rules"
                ),
                position: Some(token.start),
            });
        }
    }
    Ok(())
}

/// A word or a single other character of a query text.
pub(crate) struct Token<'a> {
    /// Where it begins, in bytes.
    pub(crate) start: usize,
    /// The word in its own case, or the character.
    pub(crate) text: &'a str,
}

/// The words and single characters of a text outside spaces and comments; a string is one token.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &text[at..];
            let first = rest.chars().next()?;
            let len = match first {
                '#' => rest.find('\n').unwrap_or(rest.len()),
                '"' | '\'' | '`' => string_len(rest, first),
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                c => c.len_utf8(),
            };
            let start = at;
            at += len;
            if first != '#' && !first.is_whitespace() {
                return Some(Token { start, text: &text[start..at] });
            }
        }
    })
}

/// The text with its raw strings, those in backticks, as strings in double quotes: the parser would take a
/// backslash in a raw one for the beginning of an escape.
pub(crate) fn without_raw_strings(text: &str) -> Cow<'_, str> {
    if !text.contains('`') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut copied = 0;
    for token in tokens(text) {
        let inside = token.text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        if let Some(inside) = inside {
            plain.push_str(&text[copied..token.start]);
            plain.push('"');
            for c in inside.chars() {
                match c {
                    '\\' | '"' => plain.extend(['\\', c]),
                    '\n' => plain.push_str("\\n"),
                    c => plain.push(c),
                }
            }
            plain.push('"');
            copied = token.start + token.text.len();
        }
    }
    plain.push_str(&text[copied..]);
    Cow::Owned(plain)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')
}

/// Bytes of the string at the beginning of `rest`, its quotes included; an open one ends with the text.
fn string_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, accepted: bool) {
        assert_eq!(check_text(text).is_ok(), accepted);
    }

    #[test]
    fn length_and_operators_are_bounded() {
        check("sum(rate(node_cpu_seconds_total[5m]))", true);
        check(&"(".repeat(500), true);
        check(&"(".repeat(501), false);
        check(&"-".repeat(501), false);
        check(&vec!["a"; 502].join(" or "), false);
        check(&format!("x{{a=\"{}\"}}", "(".repeat(4000)), true);
        check(&format!("x # {}", "(".repeat(4000)), true);
        check(&"x".repeat(MAX_TEXT_LEN + 1), false);
    }

    #[test]
    fn raw_strings_become_plain_ones() {
        let check = |text: &str, expected: &str| assert_eq!(without_raw_strings(text), expected);
        check(r#"x{a="b\d"}"#, r#"x{a="b\d"}"#);
        check(r"x{a=~`\d+`} # `", r#"x{a=~"\\d+"} # `"#);
        check("f(`a\"\n`, \"`\", `é`)", "f(\"a\\\"\\n\", \"`\", \"é\")");
        check("`open", "`open");
    }

    #[test]
    fn strings_and_comments_are_skipped() {
        let words: Vec<&str> = tokens("a + \"b\\\"(\" # c\n sum:rate").map(|t| t.text).collect();
        assert_eq!(words, ["a", "+", "\"b\\\"(\"", "sum:rate"]);
        assert_eq!(tokens("\"open \\").count(), 1);
    }
}
