//! A letter as plain text.

use std::fmt::Write as _;

use crate::letter::Letter;
use crate::words::Words;

/// Lays a letter out as text; the first line is not part of it.
pub(crate) fn render(letter: &Letter, words: Words) -> String {
    let mut text = String::new();
    for line in &letter.before {
        let _ = writeln!(text, "{line}");
    }
    for item in &letter.items {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}[{}] {}", item.badge, item.title);
        if !item.description.is_empty() {
            let _ = writeln!(text, "{}", item.description);
        }
        if !item.action.is_empty() {
            let _ = writeln!(text, "{}{}{}", words.action(), words.colon(), item.action);
        }
        for (name, value) in &item.facts {
            let _ = writeln!(text, "{name}{}{value}", words.colon());
        }
        let _ = writeln!(text, "{}{}{}", words.details(), words.colon(), item.url);
    }
    if !letter.after.is_empty() {
        text.push('\n');
    }
    for line in &letter.after {
        let _ = writeln!(text, "{line}");
    }
    let (name, url) = &letter.link;
    let _ = writeln!(text, "\n{name}{}{url}", words.colon());
    let _ = writeln!(text, "-- \n{}", letter.signature);
    text
}
