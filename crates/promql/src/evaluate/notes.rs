//! Warnings and remarks that an evaluation collects, worded as Prometheus words them.

use crate::positions::line_and_column;
use crate::value::{Evaluated, Value};

/// The notes of one evaluation, each once, in order of appearance.
pub(crate) struct Notes<'a> {
    text: &'a str,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, warnings: Vec::new(), infos: Vec::new() }
    }

    /// A likely mistake at `offset` of the query's text.
    pub(crate) fn warn(&mut self, message: &str, offset: Option<usize>) {
        let note = self.place(format!("PromQL warning: {message}"), offset);
        if !self.warnings.contains(&note) {
            self.warnings.push(note);
        }
    }

    /// A possible mistake at `offset` of the query's text.
    pub(crate) fn info(&mut self, message: &str, offset: Option<usize>) {
        let note = self.place(format!("PromQL info: {message}"), offset);
        if !self.infos.contains(&note) {
            self.infos.push(note);
        }
    }

    /// Warns of a quantile that is none.
    pub(crate) fn check_quantile(&mut self, q: f64, offset: Option<usize>) {
        if !(0.0..=1.0).contains(&q) {
            let q = format_value(q);
            self.warn(&format!("quantile value should be between 0 and 1, got {q}"), offset);
        }
    }

    /// The value with all notes.
    pub(crate) fn finish(self, value: Value) -> Evaluated {
        Evaluated { value, warnings: self.warnings, infos: self.infos }
    }

    fn place(&self, message: String, offset: Option<usize>) -> String {
        match offset {
            Some(offset) => format!("{message} ({})", line_and_column(self.text, offset)),
            None => message,
        }
    }
}

/// A number as Prometheus writes it into messages and labels.
pub(crate) fn format_value(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".into()
    } else if value == f64::NEG_INFINITY {
        "-Inf".into()
    } else {
        value.to_string()
    }
}
