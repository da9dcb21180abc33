//! Go's `Sprintf` for the values of templates.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use super::numbers;
use super::value::Value;

/// The widest that is padded, in characters.
const MAX_WIDTH: usize = 1_000;

/// Go's `Sprintf`, as far as its verbs fit these values.
pub(super) fn printf(given: &[Value]) -> Result<String, String> {
    let (format, mut rest) = given.split_first().ok_or("it takes a format")?;
    let format = format.print();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '+' | '0' | ' ' | '#')) {
            flags.push(flag);
        }
        let width = digits(&mut chars).unwrap_or(0);
        let precision = chars.next_if_eq(&'.').map(|_| digits(&mut chars).unwrap_or(0));
        let verb = chars.next().ok_or("the format ends in a verb")?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some((value, others)) = rest.split_first() else {
            let _ = write!(out, "%!{verb}(MISSING)");
            continue;
        };
        rest = others;
        out.push_str(&pad(&verb_text(verb, value, precision, &flags), width, &flags));
    }
    Ok(out)
}

/// A number in the format, as far as it goes.
fn digits(chars: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut number = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        number.push(digit);
    }
    number.parse::<usize>().ok().map(|number| number.min(MAX_WIDTH))
}

fn verb_text(verb: char, value: &Value, precision: Option<usize>, flags: &str) -> String {
    let number = || value.number().ok().filter(|_| !matches!(value, Value::Text(_)));
    let made = match (verb, value) {
        ('v', _) => Some(value.print()),
        ('s', Value::Text(text)) => Some(match precision {
            Some(limit) => text.chars().take(limit).collect(),
            None => text.clone(),
        }),
        ('q', Value::Text(text)) => Some(format!("{text:?}")),
        ('t', Value::Bool(value)) => Some(value.to_string()),
        ('d', Value::Int(value)) => Some(value.to_string()),
        ('x', Value::Int(value)) => Some(format!("{value:x}")),
        ('f' | 'F', _) => number().map(|value| {
            if value.is_finite() {
                format!("{value:.*}", precision.unwrap_or(6))
            } else {
                numbers::general(value, None)
            }
        }),
        ('g', _) => number().map(|value| numbers::general(value, precision)),
        ('e', _) => number().map(|value| {
            let text = format!("{value:.*e}", precision.unwrap_or(6));
            match text.split_once('e') {
                Some((digits, exponent)) => {
                    let (sign, exponent) = match exponent.strip_prefix('-') {
                        Some(exponent) => ('-', exponent),
                        None => ('+', exponent),
                    };
                    format!("{digits}e{sign}{exponent:0>2}")
                }
                None => text,
            }
        }),
        _ => None,
    };
    match made {
        Some(text) if flags.contains('+') && number().is_some_and(|value| value >= 0.0) => {
            format!("+{text}")
        }
        Some(text) => text,
        None => format!("%!{verb}({}={})", go_type(value), value.print()),
    }
}

/// What Go calls the type of a value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Nothing => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Number(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) => "list",
        Value::Map(_) => "map",
    }
}

fn pad(text: &str, width: usize, flags: &str) -> String {
    let missing = width.saturating_sub(text.chars().count());
    if flags.contains('-') {
        return format!("{text}{}", " ".repeat(missing));
    }
    if flags.contains('0') {
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => text.split_at(text.len() - digits.len()),
            None => ("", text),
        };
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    format!("{}{text}", " ".repeat(missing))
}
