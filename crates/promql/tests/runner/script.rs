//! From the text of a script to its commands.

use muster_series::{SeriesColumns, parse_duration_ms};

use super::series::{Line, Value, number, parse_line, parse_string};

/// A command of a script.
pub(crate) enum Command {
    Clear,
    Load(Vec<SeriesColumns>),
    Eval(Box<Eval>),
}

/// A query, and what must come of it.
pub(crate) struct Eval {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) query: String,
    pub(crate) expected: Vec<Line>,
    pub(crate) scalar: Option<f64>,
    pub(crate) string: Option<String>,
    /// `from`, `step` of an expected range vector.
    pub(crate) range_vector: Option<(i64, i64)>,
    pub(crate) ordered: bool,
    pub(crate) fails: Option<Note>,
    /// `expect warn`, `no_warn`, `info`, `no_info`.
    pub(crate) warns: Option<Note>,
    pub(crate) no_warning: bool,
    pub(crate) informs: Option<Note>,
    pub(crate) no_info: bool,
}

/// When a query is evaluated, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Instant { at: i64 },
    Range { start: i64, end: i64, step: i64 },
}

/// What a message must be.
pub(crate) enum Note {
    Any,
    Exactly(String),
    Matching(String),
}

/// Parses a whole script.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, String> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .enumerate()
        .peekable();
    let mut commands = Vec::new();
    while let Some((at, line)) = lines.next() {
        let number = at + 1;
        let located = |error: String| format!("line {number}: {error}");
        let word = line.split_whitespace().next().unwrap_or("");
        if word.is_empty() {
            continue;
        }
        let mut block = Vec::new();
        if word != "clear" {
            while let Some((_, line)) = lines.next_if(|(_, line)| !line.is_empty()) {
                block.push(line);
            }
        }
        commands.push(match word {
            "clear" => Command::Clear,
            "load" | "load_with_nhcb" => {
                Command::Load(load(&line[word.len()..], &block).map_err(located)?)
            }
            _ if word.starts_with("eval") => {
                Command::Eval(Box::new(eval(number, line, &block).map_err(located)?))
            }
            _ => return Err(located(format!("{word:?} is no command"))),
        });
    }
    Ok(commands)
}

fn load(interval: &str, block: &[&str]) -> Result<Vec<SeriesColumns>, String> {
    let interval = duration(interval)?;
    let mut loads = Vec::new();
    for line in block {
        let Line { labels, values } = parse_line(line)?;
        let mut columns = SeriesColumns::new(labels);
        for (at, value) in values.into_iter().enumerate() {
            if let Value::Float(value) = value {
                columns.timestamps.push(interval * at as i64);
                columns.values.push(value);
            }
        }
        loads.push(columns);
    }
    Ok(loads)
}

fn eval(line: usize, text: &str, block: &[&str]) -> Result<Eval, String> {
    let bad = || format!("no eval: {text}");
    let (command, rest) = text.split_once(char::is_whitespace).ok_or_else(bad)?;
    let (kind, query) = match split_words(rest, 3) {
        Some((words, query)) if words[..2] == ["instant", "at"] => {
            (Kind::Instant { at: duration(words[2])? }, query)
        }
        _ => match split_words(rest, 7) {
            Some((words, query)) if words[..2] == ["range", "from"] => {
                let (start, end) = (duration(words[2])?, duration(words[4])?);
                (Kind::Range { start, end, step: duration(words[6])? }, query)
            }
            _ => return Err(bad()),
        },
    };
    let mut eval = Eval {
        line,
        kind,
        query: query.into(),
        expected: Vec::new(),
        scalar: None,
        string: None,
        range_vector: None,
        ordered: command == "eval_ordered",
        fails: (command == "eval_fail").then_some(Note::Any),
        warns: (command == "eval_warn").then_some(Note::Any),
        no_warning: false,
        informs: (command == "eval_info").then_some(Note::Any),
        no_info: false,
    };
    for line in block {
        if let Some(rest) = line.strip_prefix("expect ") {
            expect(&mut eval, rest.trim())?;
        } else if let Some(message) = line.strip_prefix("expected_fail_message ") {
            eval.fails = Some(Note::Exactly(message.trim().into()));
        } else if let Some(value) = number(line) {
            eval.scalar = Some(value);
        } else {
            eval.expected.push(parse_line(line)?);
        }
    }
    Ok(eval)
}

/// The first `count` words and the rest.
fn split_words(text: &str, count: usize) -> Option<(Vec<&str>, &str)> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    for _ in 0..count {
        let (word, after) = rest.split_once(char::is_whitespace)?;
        words.push(word);
        rest = after.trim_start();
    }
    Some((words, rest))
}

fn expect(eval: &mut Eval, text: &str) -> Result<(), String> {
    let (what, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match what {
        "fail" => eval.fails = Some(note(rest)),
        "warn" => eval.warns = Some(note(rest)),
        "info" => eval.informs = Some(note(rest)),
        "no_warn" => eval.no_warning = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.ordered = true,
        "string" => eval.string = Some(parse_string(rest.trim())?.0),
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let ["vector", "from", from, "to", _, "step", step] = words[..] else {
                return Err(format!("no expectation: {text}"));
            };
            eval.range_vector = Some((duration(from)?, duration(step)?));
        }
        _ => return Err(format!("no expectation: {text}")),
    }
    Ok(())
}

fn note(text: &str) -> Note {
    let text = text.trim();
    if let Some(message) = text.strip_prefix("msg:") {
        Note::Exactly(message.trim().into())
    } else if let Some(pattern) = text.strip_prefix("regex:") {
        Note::Matching(pattern.trim().into())
    } else {
        Note::Any
    }
}

fn duration(text: &str) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0) as i64);
    }
    parse_duration_ms(text).map_err(|error| error.to_string())
}
