//! A template's text in pieces: plain text and the tokens of its actions.

use super::TemplateError;

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Action(Vec<Token>),
}

/// A token of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, such as `if` or `humanize`.
    Word(String),
    /// `$name` with the fields after it.
    Variable(String, Vec<String>),
    /// `.` with the fields after it.
    Dot(Vec<String>),
    Text(String),
    Int(i64),
    Number(f64),
    /// `(`, `)`, `|`, `,`, `=` or, for `:=`, `:`.
    Sign(char),
}

fn syntax(problem: impl Into<String>) -> TemplateError {
    TemplateError::Syntax(problem.into())
}

/// The pieces, with the space taken away that `{{-` and `-}}` take.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let (plain, action) = match rest.split_once("{{") {
            Some((plain, action)) => (plain, Some(action)),
            None => (rest, None),
        };
        let mut plain = if trim_next { plain.trim_start() } else { plain };
        let trims_before = action.is_some_and(|action| {
            action.strip_prefix('-').is_some_and(|after| after.starts_with(char::is_whitespace))
        });
        if trims_before {
            plain = plain.trim_end();
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.to_owned()));
        }
        let Some(action) = action else { return Ok(pieces) };
        let action = if trims_before { &action[1..] } else { action };
        let (tokens, after, trims) = action_tokens(action)?;
        if let Some(tokens) = tokens {
            pieces.push(Piece::Action(tokens));
        }
        (rest, trim_next) = (after, trims);
    }
}

/// The tokens up to `}}`, what follows, and whether the space after it goes away; no tokens for a comment.
fn action_tokens(text: &str) -> Result<(Option<Vec<Token>>, &str, bool), TemplateError> {
    if let Some(comment) = text.trim_start().strip_prefix("/*") {
        let (_, after) = comment.split_once("*/").ok_or_else(|| syntax("unclosed comment"))?;
        let (after, trims) = end(after.trim_start())
            .or_else(|| end(after))
            .ok_or_else(|| syntax("a comment must end its action"))?;
        return Ok((None, after, trims));
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        if let Some((after, trims)) = end(rest) {
            return Ok((Some(tokens), after, trims));
        }
        let spaceless = rest.trim_start();
        if spaceless.len() < rest.len() && end(spaceless).is_none_or(|(_, trims)| !trims) {
            rest = spaceless;
            continue;
        }
        let (token, after) = token(rest)?;
        tokens.push(token);
        rest = after;
    }
}

/// What follows the end of an action, if it stands here, and whether it takes the space after it away.
fn end(text: &str) -> Option<(&str, bool)> {
    if let Some(after) = text.strip_prefix("}}") {
        return Some((after, false));
    }
    let trimmed = text.trim_start();
    let spaced = trimmed.len() < text.len();
    trimmed.strip_prefix("-}}").filter(|_| spaced).map(|after| (after, true))
}

fn token(text: &str) -> Result<(Token, &str), TemplateError> {
    let first = text.chars().next().ok_or_else(|| syntax("unclosed action"))?;
    match first {
        '"' => quoted(text),
        '`' => {
            let (raw, after) =
                text[1..].split_once('`').ok_or_else(|| syntax("unterminated raw text"))?;
            Ok((Token::Text(raw.to_owned()), after))
        }
        '\'' => character(text),
        '(' | ')' | '|' | ',' | '=' => Ok((Token::Sign(first), &text[1..])),
        ':' if text.starts_with(":=") => Ok((Token::Sign(':'), &text[2..])),
        '$' => {
            let (name, after) = word(&text[1..]);
            let (path, after) = fields(after);
            Ok((Token::Variable(name.to_owned(), path), after))
        }
        '.' if !text[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let (name, after) = word(&text[1..]);
            if name.is_empty() {
                return Ok((Token::Dot(Vec::new()), after));
            }
            let (path, after) = fields(after);
            let path = [vec![name.to_owned()], path].concat();
            Ok((Token::Dot(path), after))
        }
        c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => number(text),
        c if is_word(c) => {
            let (name, after) = word(text);
            Ok((Token::Word(name.to_owned()), after))
        }
        other => Err(syntax(format!("unexpected {other:?} in an action"))),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

/// The fields in `.a.b`, as far as it goes.
fn fields(mut text: &str) -> (Vec<String>, &str) {
    let mut path = Vec::new();
    while let Some(after) = text.strip_prefix('.') {
        let (name, after) = word(after);
        if name.is_empty() {
            break;
        }
        path.push(name.to_owned());
        text = after;
    }
    (path, text)
}

fn number(text: &str) -> Result<(Token, &str), TemplateError> {
    let mut len = 0;
    let mut before = ' ';
    for c in text.chars() {
        let signs = matches!(c, '+' | '-') && (len == 0 || matches!(before, 'e' | 'E'));
        if !(c.is_alphanumeric() || matches!(c, '.' | '_') || signs) {
            break;
        }
        (len, before) = (len + c.len_utf8(), c);
    }
    let (digits, after) = text.split_at(len);
    if let Ok(int) = digits.parse() {
        return Ok((Token::Int(int), after));
    }
    match digits.parse() {
        Ok(number) => Ok((Token::Number(number), after)),
        Err(_) => Err(syntax(format!("bad number {digits:?}"))),
    }
}

fn quoted(text: &str) -> Result<(Token, &str), TemplateError> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(value), &text[at + 1..])),
            '\n' => break,
            '\\' => value.push(escaped(&mut chars)?),
            c => value.push(c),
        }
    }
    Err(syntax("unterminated quoted text"))
}

fn character(text: &str) -> Result<(Token, &str), TemplateError> {
    let bad = || syntax("a character stands between two single quotes");
    let mut chars = text.char_indices().skip(1);
    let c = match chars.next().ok_or_else(bad)?.1 {
        '\\' => escaped(&mut chars)?,
        c => c,
    };
    match chars.next() {
        Some((at, '\'')) => Ok((Token::Int(i64::from(u32::from(c))), &text[at + 1..])),
        _ => Err(bad()),
    }
}

/// The character that an escape stands for; the backslash is read already.
fn escaped(chars: &mut impl Iterator<Item = (usize, char)>) -> Result<char, TemplateError> {
    let bad = || syntax("bad escape in a quoted text");
    let (_, c) = chars.next().ok_or_else(bad)?;
    let digits = match c {
        'n' => return Ok('\n'),
        't' => return Ok('\t'),
        'r' => return Ok('\r'),
        '\\' | '"' | '\'' => return Ok(c),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(bad()),
    };
    let mut code = 0_u32;
    for _ in 0..digits {
        let (_, digit) = chars.next().ok_or_else(bad)?;
        code = (code << 4) | digit.to_digit(16).ok_or_else(bad)?;
    }
    char::from_u32(code).ok_or_else(bad)
}
