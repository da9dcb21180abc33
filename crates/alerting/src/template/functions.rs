//! The functions that a template may call: Go's and Prometheus's, one line each in [`FUNCTIONS`].

use std::cmp::Ordering;
use std::collections::BTreeMap;

use muster_series::parse_duration_ms;

use super::numbers;
use super::printf::printf;
use super::value::Value;
use super::{Context, TemplateError};

/// The longest expression that a template may compile, in bytes of its program.
const MAX_REGEX: usize = 1 << 20;

type Arguments<'a> = &'a [Value];
type Outcome = Result<Value, String>;

/// One function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    name: &'static str,
    call: fn(Arguments<'_>, &Context<'_>) -> Outcome,
}

const fn function(
    name: &'static str,
    call: fn(Arguments<'_>, &Context<'_>) -> Outcome,
) -> Function {
    Function { name, call }
}

const FUNCTIONS: [Function; 45] = [
    function("and", |a, _| first_where(a, |value| !value.is_true())),
    function("or", |a, _| first_where(a, Value::is_true)),
    function("not", |a, _| Ok(Value::Bool(!one(a)?.is_true()))),
    function("len", |a, _| length(one(a)?)),
    function("index", |a, _| index(a)),
    function("print", |a, _| Ok(text(print(a)))),
    function("println", |a, _| Ok(text(print_line(a)))),
    function("printf", |a, _| Ok(text(printf(a)?))),
    function("eq", |a, _| equal(a)),
    function("ne", |a, _| Ok(Value::Bool(compare(a)? != Some(Ordering::Equal)))),
    function("lt", |a, _| ordered(a, Ordering::is_lt)),
    function("le", |a, _| ordered(a, Ordering::is_le)),
    function("gt", |a, _| ordered(a, Ordering::is_gt)),
    function("ge", |a, _| ordered(a, Ordering::is_ge)),
    function("html", |a, _| Ok(text(escape_html(&print(a))))),
    function("js", |a, _| Ok(text(print(a).escape_default().to_string()))),
    function("urlquery", |a, _| Ok(text(escape_query(&print(a))))),
    function("safeHtml", |a, _| one(a).cloned()),
    function("query", query),
    function("first", |a, _| match one(a)? {
        Value::List(items) => {
            items.first().cloned().ok_or_else(|| "first() called on vector with no elements".into())
        }
        other => Err(format!("{} is no vector", other.print())),
    }),
    function("label", |a, _| {
        let [name, sample] = arguments(a)?;
        Ok(sample.field("Labels").field(&name.print()))
    }),
    function("value", |a, _| Ok(one(a)?.field("Value"))),
    function("strvalue", |a, _| Ok(one(a)?.field("Labels").field("__value__"))),
    function("sortByLabel", |a, _| sort_by_label(a)),
    function("args", |a, _| {
        let named = a.iter().enumerate().map(|(at, value)| (format!("arg{at}"), value.clone()));
        Ok(Value::Map(named.collect()))
    }),
    function("humanize", |a, _| Ok(text(numbers::humanize(one(a)?.number()?)))),
    function("humanize1024", |a, _| Ok(text(numbers::humanize_1024(one(a)?.number()?)))),
    function("humanizeDuration", |a, _| Ok(text(numbers::humanize_duration(one(a)?.number()?)))),
    function("humanizePercentage", |a, _| {
        Ok(text(format!("{}%", numbers::general(one(a)?.number()? * 100.0, Some(4)))))
    }),
    function("humanizeTimestamp", |a, _| Ok(text(numbers::humanize_timestamp(one(a)?.number()?)?))),
    function("toTime", |a, _| Ok(text(numbers::humanize_timestamp(one(a)?.number()?)?))),
    function("toDuration", |a, _| Ok(text(numbers::duration(one(a)?.number()?)))),
    function("parseDuration", |a, _| {
        let ms = parse_duration_ms(&one(a)?.print()).map_err(|error| error.to_string())?;
        Ok(Value::Number(ms as f64 / 1e3))
    }),
    function("title", |a, _| Ok(text(title(&one(a)?.print())))),
    function("toUpper", |a, _| Ok(text(one(a)?.print().to_uppercase()))),
    function("toLower", |a, _| Ok(text(one(a)?.print().to_lowercase()))),
    function("match", |a, _| {
        let [pattern, subject] = arguments(a)?;
        Ok(Value::Bool(regex(pattern)?.is_match(&subject.print())))
    }),
    function("reReplaceAll", |a, _| {
        let [pattern, replacement, subject] = arguments(a)?;
        let (replacement, subject) = (replacement.print(), subject.print());
        Ok(text(regex(pattern)?.replace_all(&subject, replacement.as_str())))
    }),
    function("stripPort", |a, _| Ok(text(split_port(&one(a)?.print()).0))),
    function("stripDomain", |a, _| Ok(text(strip_domain(&one(a)?.print())))),
    function("graphLink", |a, _| Ok(text(link(&one(a)?.print(), 0)))),
    function("tableLink", |a, _| Ok(text(link(&one(a)?.print(), 1)))),
    function("externalURL", |_, context| Ok(text(context.external_url.as_str()))),
    function("pathPrefix", |_, context| Ok(text(path_prefix(&context.external_url)))),
    function("slice", |a, _| slice(a)),
];

/// The function of that name.
pub(super) fn find(name: &str) -> Option<Function> {
    FUNCTIONS.into_iter().find(|function| function.name == name)
}

/// What a function makes of its arguments.
pub(super) fn call(
    function: Function,
    arguments: &[Value],
    context: &Context<'_>,
) -> Result<Value, TemplateError> {
    let Function { name, call } = function;
    call(arguments, context).map_err(|problem| TemplateError::Call { function: name, problem })
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn arguments<const N: usize>(given: Arguments<'_>) -> Result<&[Value; N], String> {
    given.try_into().map_err(|_| format!("it takes {N} arguments, and got {}", given.len()))
}

fn one(given: Arguments<'_>) -> Result<&Value, String> {
    arguments::<1>(given).map(|[value]| value)
}

/// The first argument that passes, or the last one.
fn first_where(given: Arguments<'_>, passes: impl Fn(&Value) -> bool) -> Outcome {
    let found = given.iter().find(|value| passes(value)).or(given.last());
    found.cloned().ok_or_else(|| "it takes at least one argument".into())
}

fn length(value: &Value) -> Outcome {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("{} has no length", other.print())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(given: Arguments<'_>) -> Outcome {
    let (value, keys) = given.split_first().ok_or("it takes a value and keys")?;
    keys.iter().try_fold(value.clone(), |value, key| match (&value, key) {
        (Value::Map(_), key) => Ok(value.field(&key.print())),
        (Value::List(items), Value::Int(at)) => {
            let item = usize::try_from(*at).ok().and_then(|at| items.get(at));
            item.cloned().ok_or_else(|| format!("index out of range: {at}"))
        }
        _ => Err(format!("{} has no part {}", value.print(), key.print())),
    })
}

fn slice(given: Arguments<'_>) -> Outcome {
    let (value, bounds) = given.split_first().ok_or("it takes a text and bounds")?;
    let whole = value.print();
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Some(default),
        Some(Value::Int(bound)) => usize::try_from(*bound).ok(),
        Some(_) => None,
    };
    let part = bound(0, 0).zip(bound(1, whole.len())).and_then(|(from, to)| whole.get(from..to));
    part.map(text).ok_or_else(|| "bounds out of range".into())
}

/// As Go's `Sprint`: a space between two values if neither is a text.
fn print(given: Arguments<'_>) -> String {
    let mut out = String::new();
    for (at, value) in given.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if at > 0 && !is_text(value) && !is_text(&given[at - 1]) {
            out.push(' ');
        }
        out.push_str(&value.print());
    }
    out
}

fn print_line(given: Arguments<'_>) -> String {
    let words: Vec<String> = given.iter().map(Value::print).collect();
    words.join(" ") + "\n"
}

/// How two values compare; none if they are of different kinds.
fn compare(given: Arguments<'_>) -> Result<Option<Ordering>, String> {
    let [left, right] = arguments(given)?;
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Some(left.cmp(right))),
        (Value::Int(_) | Value::Number(_), Value::Int(_) | Value::Number(_)) => {
            Ok(left.number()?.partial_cmp(&right.number()?))
        }
        (Value::Text(left), Value::Text(right)) => Ok(Some(left.cmp(right))),
        (Value::Bool(left), Value::Bool(right)) => Ok(Some(left.cmp(right))),
        _ => Err("incompatible types for comparison".into()),
    }
}

fn ordered(given: Arguments<'_>, holds: impl Fn(Ordering) -> bool) -> Outcome {
    Ok(Value::Bool(compare(given)?.is_some_and(holds)))
}

/// Whether the first argument is equal to any other.
fn equal(given: Arguments<'_>) -> Outcome {
    let (first, others) = given.split_first().ok_or("missing argument for comparison")?;
    for other in others {
        if compare(&[first.clone(), other.clone()])? == Some(Ordering::Equal) {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn query(given: Arguments<'_>, context: &Context<'_>) -> Outcome {
    let ask = context.query.as_ref().ok_or("nothing can be queried here")?;
    let samples = ask(&one(given)?.print())?;
    let of = |sample: crate::alerts::Sample| {
        let labels = sample.labels.iter().map(|(name, value)| (name.to_owned(), text(value)));
        Value::Map(BTreeMap::from([
            ("Labels".to_owned(), Value::Map(labels.collect())),
            ("Value".to_owned(), Value::Number(sample.value)),
        ]))
    };
    Ok(Value::List(samples.into_iter().map(of).collect()))
}

fn sort_by_label(given: Arguments<'_>) -> Outcome {
    let [name, list] = arguments(given)?;
    let Value::List(items) = list else {
        return Err(format!("{} is no vector", list.print()));
    };
    let (name, mut items) = (name.print(), items.clone());
    items.sort_by_cached_key(|sample| sample.field("Labels").field(&name).print());
    Ok(Value::List(items))
}

fn regex(pattern: &Value) -> Result<regex::Regex, String> {
    let built = regex::RegexBuilder::new(&pattern.print()).size_limit(MAX_REGEX).build();
    built.map_err(|error| error.to_string())
}

/// Every word with a capital letter.
fn title(words: &str) -> String {
    let mut out = String::new();
    let mut begins = true;
    for c in words.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        begins = !(c.is_alphanumeric() || matches!(c, '_' | '\''));
    }
    out
}

/// A host and its `:port`, which may be empty.
fn split_port(address: &str) -> (&str, &str) {
    match address.rfind(':') {
        Some(at) if address[at + 1..].bytes().all(|b| b.is_ascii_digit()) => {
            let host = &address[..at];
            let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            match plain {
                Some(plain) => (plain, &address[at..]),
                // More colons make it an IPv6 address without a port.
                None if host.contains(':') => (address, ""),
                None => (host, &address[at..]),
            }
        }
        _ => (address, ""),
    }
}

fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    format!("{}{port}", host.split('.').next().unwrap_or(host))
}

fn link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", escape_query(expression))
}

fn path_prefix(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find('/').map_or("", |at| &after_scheme[at..]).trim_end_matches('/')
}

fn escape_query(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(char::from(b)),
            b => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    out
}

fn escape_html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
