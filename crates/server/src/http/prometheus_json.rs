//! Samples, series and labels as Prometheus's JSON, written a piece at a time.
//!
//! Sample values are text; they are written as Prometheus writes them (shortest decimal that reads back the same,
//! an exponent below 1e-6 and from 1e21 on).

use std::io::Write as _;
use std::vec;

use muster_promql::InstantSample;
use muster_series::{Labels, SeriesColumns};

use super::answer::{AnswerError, PIECE, Rest};

/// The items of a list, between its brackets.
pub(super) struct Items<T> {
    left: vec::IntoIter<T>,
    begun: bool,
    write: fn(&mut Vec<u8>, &T),
    held: fn(&T) -> usize,
}

impl<T> Items<T> {
    /// Items that `write` writes; `held` says how many bytes one holds besides its own size.
    pub(super) fn new(items: Vec<T>, write: fn(&mut Vec<u8>, &T), held: fn(&T) -> usize) -> Self {
        Self { left: items.into_iter(), begun: false, write, held }
    }
}

impl<T: Send + 'static> Rest for Items<T> {
    fn write(&mut self, out: &mut Vec<u8>) -> Result<bool, AnswerError> {
        while out.len() < PIECE {
            let Some(item) = self.left.next() else { return Ok(false) };
            if self.begun {
                out.push(b',');
            }
            self.begun = true;
            (self.write)(out, &item);
        }
        Ok(true)
    }

    fn held(&self) -> usize {
        self.left.as_slice().iter().map(|item| size_of::<T>() + (self.held)(item)).sum()
    }
}

/// The series of a matrix, between its brackets.
pub(super) struct Matrix {
    left: vec::IntoIter<SeriesColumns>,
    begun: bool,
    /// The series that is being written, and how many of its samples have been.
    open: Option<(SeriesColumns, usize)>,
}

impl Matrix {
    pub(super) fn new(series: Vec<SeriesColumns>) -> Self {
        Self { left: series.into_iter(), begun: false, open: None }
    }
}

impl Rest for Matrix {
    fn write(&mut self, out: &mut Vec<u8>) -> Result<bool, AnswerError> {
        while out.len() < PIECE {
            if let Some((series, written)) = &mut self.open {
                while out.len() < PIECE && *written < series.len() {
                    if *written > 0 {
                        out.push(b',');
                    }
                    write_point(out, series.timestamps[*written], series.values[*written]);
                    *written += 1;
                }
                if *written == series.len() {
                    out.extend_from_slice(b"]}");
                    self.open = None;
                }
                continue;
            }
            let Some(series) = self.left.next() else { return Ok(false) };
            let opening: &[u8] = if self.begun { b",{\"metric\":" } else { b"{\"metric\":" };
            self.begun = true;
            out.extend_from_slice(opening);
            write_labels(out, &series.labels);
            out.extend_from_slice(b",\"values\":[");
            self.open = Some((series, 0));
        }
        Ok(true)
    }

    fn held(&self) -> usize {
        let open = self.open.iter().map(|(series, _)| series);
        open.chain(self.left.as_slice()).map(series_held).sum()
    }
}

/// About how many bytes a series holds.
pub(super) fn series_held(series: &SeriesColumns) -> usize {
    size_of::<SeriesColumns>() + labels_held(&series.labels) + 16 * series.len()
}

/// About how many bytes a label set holds.
pub(super) fn labels_held(labels: &Labels) -> usize {
    /// Two pointers with lengths, and what the allocator keeps of each.
    const OF_A_LABEL: usize = 64;
    labels.iter().map(|(name, value)| name.len() + value.len() + OF_A_LABEL).sum()
}

/// A sample of a vector.
pub(super) fn write_sample(out: &mut Vec<u8>, sample: &InstantSample) {
    out.extend_from_slice(b"{\"metric\":");
    write_labels(out, &sample.labels);
    out.extend_from_slice(b",\"value\":");
    write_point(out, sample.timestamp_ms, sample.value);
    out.push(b'}');
}

pub(super) fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_text(out, value);
    }
    out.push(b'}');
}

pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text is JSON, and memory takes it");
}

pub(super) fn write_point(out: &mut Vec<u8>, timestamp_ms: i64, value: f64) {
    out.push(b'[');
    write_seconds(out, timestamp_ms);
    out.extend_from_slice(b",\"");
    write_number(out, value);
    out.extend_from_slice(b"\"]");
}

pub(super) fn write_seconds(out: &mut Vec<u8>, ms: i64) {
    let sign = if ms < 0 { "-" } else { "" };
    let (seconds, rest) = (ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000);
    let _ = match rest {
        0 => write!(out, "{sign}{seconds}"),
        rest => write!(out, "{sign}{seconds}.{rest:03}"),
    };
}

fn write_number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    let _ = if value.is_nan() {
        write!(out, "NaN")
    } else if value.is_infinite() {
        write!(out, "{}Inf", if value > 0.0 { '+' } else { '-' })
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        match text.split_once("e-") {
            Some((digits, exponent)) => write!(out, "{digits}e-{exponent:0>2}"),
            None => write!(out, "{}", text.replace('e', "e+")),
        }
    } else {
        write!(out, "{value}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_number(value: f64, expected: &str) {
        let mut text = Vec::new();
        write_number(&mut text, value);
        assert_eq!(text, expected.as_bytes());
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        check_number(0.0, "0");
        check_number(1.5, "1.5");
        check_number(1e20, "100000000000000000000");
        check_number(1e21, "1e+21");
        check_number(-1.5e-7, "-1.5e-07");
        check_number(1e-12, "1e-12");
        check_number(f64::NAN, "NaN");
        check_number(f64::NEG_INFINITY, "-Inf");
        check_number(f64::INFINITY, "+Inf");
    }

    #[test]
    fn a_label_cannot_break_out_of_the_json() {
        let labels = Labels::from_pairs([("a", "x\"},{\u{1}</script>")]).unwrap();
        let mut text = Vec::new();
        write_sample(&mut text, &InstantSample { labels, timestamp_ms: 1_500, value: 2.0 });
        let parsed: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(parsed["metric"]["a"], "x\"},{\u{1}</script>");
        assert_eq!(parsed["value"], serde_json::json!([1.5, "2"]));
    }

    #[test]
    fn seconds_keep_their_milliseconds() {
        for (ms, expected) in [(0, "0"), (1_000, "1"), (1_005, "1.005"), (-1_500, "-1.500")] {
            let mut text = Vec::new();
            write_seconds(&mut text, ms);
            assert_eq!(text, expected.as_bytes());
        }
    }

    #[test]
    fn a_matrix_is_written_in_pieces_and_let_go_as_it_is() {
        let count = 100_000;
        let series = |name: &str| SeriesColumns {
            labels: Labels::from_pairs([("name", name)]).unwrap(),
            timestamps: (0..count).collect(),
            values: vec![0.5; count as usize],
        };
        let mut matrix = Matrix::new(vec![series("a"), series("b")]);
        let (mut text, mut held) = (b"[".to_vec(), matrix.held());
        assert!(held > 2 * 16 * count as usize);
        loop {
            let mut piece = Vec::new();
            let more = matrix.write(&mut piece).unwrap();
            assert!(piece.len() < PIECE + 1_000 && matrix.held() <= held);
            held = matrix.held();
            text.append(&mut piece);
            if !more {
                break;
            }
        }
        assert_eq!(held, 0);
        text.push(b']');
        let parsed: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for (at, name) in ["a", "b"].iter().enumerate() {
            assert_eq!(parsed[at]["metric"]["name"], *name);
            assert_eq!(parsed[at]["values"].as_array().unwrap().len(), count as usize);
            assert_eq!(parsed[at]["values"][1_001], serde_json::json!([1.001, "0.5"]));
        }
    }
}
