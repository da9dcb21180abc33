//! A letter as HTML for mail programs: no images, no scripts, styles in place, everything from outside escaped.

use std::fmt::Write as _;

use crate::letter::{Letter, Tone};
use crate::words::Words;

/// Lays a letter out as a page of HTML.
pub(crate) fn render(letter: &Letter, words: Words) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font-family:system-ui,sans-serif;font-size:15px;line-height:1.5;color:#1f2328;max-width:640px\">\n",
        words.tag(),
        escape(&letter.subject),
    );
    for line in &letter.before {
        let _ = writeln!(page, "<p>{}</p>", escape(line));
    }
    for item in &letter.items {
        let colour = colour(item.tone);
        let _ = writeln!(
            page,
            "<div style=\"border-left:4px solid {colour};padding:2px 0 2px 12px;margin:16px 0\">\n\
             <p style=\"margin:0;font-weight:600\"><span style=\"color:{colour}\">{}</span> {}</p>",
            escape(&item.badge),
            escape(&item.title),
        );
        if !item.description.is_empty() {
            let _ = writeln!(page, "<p style=\"margin:6px 0\">{}</p>", lines(&item.description));
        }
        if !item.action.is_empty() {
            let (name, action) = (words.action(), lines(&item.action));
            let _ = writeln!(page, "<p style=\"margin:6px 0\"><b>{name}</b><br>{action}</p>");
        }
        let facts = item.facts.iter().map(|(name, value)| {
            let value = escape(value);
            format!("<span style=\"color:#59636e\">{name}</span> {value}")
        });
        let facts = facts.collect::<Vec<_>>().join(" &nbsp; ");
        let (details, url) = (words.details(), escape(&item.url));
        let _ = writeln!(
            page,
            "<p style=\"margin:6px 0;font-size:13px\">{facts}</p>\n\
             <p style=\"margin:6px 0\"><a href=\"{url}\">{details}</a></p>\n</div>"
        );
    }
    for line in &letter.after {
        let _ = writeln!(page, "<p>{}</p>", escape(line));
    }
    let (name, url) = (escape(&letter.link.0), escape(&letter.link.1));
    let _ = writeln!(
        page,
        "<p><a href=\"{url}\">{name}</a></p>\n<p style=\"color:#59636e;font-size:13px\">{}</p>\n</body></html>",
        escape(&letter.signature),
    );
    page
}

fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Critical => "#c2272d",
        Tone::Warning => "#9a6700",
        Tone::Info => "#0b67c2",
        Tone::Resolved => "#1a7f37",
    }
}

/// A text of several lines.
fn lines(text: &str) -> String {
    escape(text).replace('\n', "<br>")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push('\n'),
            // What is no character to be seen has no place in HTML.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
