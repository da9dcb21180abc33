//! Line charts for the terminal: at most 80 columns of plain characters, whatever script the labels are in.

use std::cmp::Ordering;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns of a chart.
pub(crate) const WIDTH: usize = 80;
/// The rows of the plot.
const HEIGHT: usize = 16;
/// What the series are drawn with; there is no room for more of them.
const MARKS: [char; 8] = ['*', 'o', '+', 'x', '#', '@', '%', '&'];
/// Points that are further apart, in columns, are not connected: there was nothing between them.
const MAX_GAP: usize = 4;
/// Every so many rows the axis is labelled.
const ROWS_PER_LABEL: usize = 5;

/// A line: its name, and its points, by time in milliseconds.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(i64, f64)>,
}

/// The chart of the lines from `start_ms` to `end_ms`, with their names below it.
pub(crate) fn draw(lines: &[Line], start_ms: i64, end_ms: i64) -> String {
    let drawn = &lines[..lines.len().min(MARKS.len())];
    let finite = drawn.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    let (low, high) = finite
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return "there is nothing to draw\n".into();
    }
    let scale = Scale::new(low, high);
    let labels: Vec<String> = (0..HEIGHT)
        .map(
            |row| if row % ROWS_PER_LABEL == 0 { compact(scale.value(row)) } else { String::new() },
        )
        .collect();
    let margin = labels.iter().map(String::len).max().unwrap_or(0);
    let columns = WIDTH - margin - 2;
    let mut canvas = vec![vec![' '; columns]; HEIGHT];
    for (line, mark) in drawn.iter().zip(MARKS).rev() {
        plot(&mut canvas, &line.points, mark, &scale, (start_ms, end_ms));
    }
    let mut text = String::new();
    for (label, row) in labels.iter().zip(&canvas) {
        let axis = if label.is_empty() { '|' } else { '+' };
        let row: String = row.iter().collect();
        let _ = writeln!(text, "{label:>margin$} {axis}{}", row.trim_end());
    }
    let _ = writeln!(text, "{:margin$} +{}", "", "-".repeat(columns));
    text.push_str(&time_axis(start_ms, end_ms, margin + 1, columns + 1));
    for (line, mark) in drawn.iter().zip(MARKS) {
        let _ = writeln!(text, "{mark} {}", shorten(&line.name, WIDTH - 2));
    }
    if lines.len() > drawn.len() {
        let more = lines.len() - drawn.len();
        let _ = writeln!(
            text,
            "and {more} more series, which are not drawn; choose fewer, as with topk(8, …)"
        );
    }
    text
}

/// Where values stand in the plot.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn new(low: f64, high: f64) -> Self {
        if low < high {
            return Self { low, high };
        }
        // One value only stands in the middle.
        let room = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
        Self { low: low - room, high: high + room }
    }

    /// The row of a value, 0 at the top.
    fn row(&self, value: f64) -> usize {
        // Each side is divided first, as their difference may be more than a float holds.
        let span = self.high / 2.0 - self.low / 2.0;
        let share = (value / 2.0 - self.low / 2.0) / span;
        let from_bottom = (share * (HEIGHT - 1) as f64).round().clamp(0.0, (HEIGHT - 1) as f64);
        HEIGHT - 1 - from_bottom as usize
    }

    fn value(&self, row: usize) -> f64 {
        let share = (HEIGHT - 1 - row) as f64 / (HEIGHT - 1) as f64;
        self.low * (1.0 - share) + self.high * share
    }
}

fn plot(
    canvas: &mut [Vec<char>],
    points: &[(i64, f64)],
    mark: char,
    scale: &Scale,
    (start_ms, end_ms): (i64, i64),
) {
    let columns = canvas[0].len();
    let span_ms = (end_ms - start_ms).max(1) as f64;
    let mut before: Option<(usize, usize)> = None;
    for &(at_ms, value) in points {
        if !value.is_finite() {
            before = None;
            continue;
        }
        let share = ((at_ms - start_ms) as f64 / span_ms).clamp(0.0, 1.0);
        let column = (share * (columns - 1) as f64).round() as usize;
        let row = scale.row(value);
        let near = before.filter(|(last_column, _)| column <= last_column + MAX_GAP);
        connect(canvas, near.unwrap_or((column, row)), (column, row), mark);
        before = Some((column, row));
    }
}

/// Draws from one cell to another, so that the eye can follow: level steps, and steep ones filled.
fn connect(canvas: &mut [Vec<char>], from: (usize, usize), to: (usize, usize), mark: char) {
    let across = (to.0 - from.0).max(1) as f64;
    let mut last_row = from.1;
    for column in from.0..=to.0 {
        let share = (column - from.0) as f64 / across;
        let row = if column == to.0 {
            to.1
        } else {
            (from.1 as f64 + share * (to.1 as f64 - from.1 as f64)).round() as usize
        };
        let rows = match last_row.cmp(&row) {
            Ordering::Less => last_row + 1..row + 1,
            Ordering::Equal => row..row + 1,
            Ordering::Greater => row..last_row,
        };
        for line in &mut canvas[rows] {
            line[column] = mark;
        }
        last_row = row;
    }
}

/// Beginning, middle and end, in UTC.
fn time_axis(start_ms: i64, end_ms: i64, margin: usize, columns: usize) -> String {
    const TWO_DAYS_MS: i64 = 2 * 86_400_000;
    let format = if end_ms - start_ms > TWO_DAYS_MS { "%Y-%m-%d %H:%M" } else { "%H:%M:%S" };
    let time = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms)
            .map_or_else(|_| String::new(), |time| time.strftime(format).to_string())
    };
    let (first, last) = (time(start_ms), format!("{} UTC", time(end_ms)));
    let middle = time(start_ms + (end_ms - start_ms) / 2);
    let gaps = columns.saturating_sub(first.len() + middle.len() + last.len());
    let (left, right) = (gaps / 2, gaps - gaps / 2);
    format!("{:margin$}{first}{:left$}{middle}{:right$}{last}\n", "", "", "")
}

/// A number in few characters: three or four digits and a prefix.
fn compact(value: f64) -> String {
    const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    let mut size = value.abs();
    if size != 0.0 && !(1e-3..1e18).contains(&size) {
        return format!("{value:.1e}");
    }
    let mut prefix = 0;
    while size >= 1_000.0 && prefix + 1 < PREFIXES.len() {
        size /= 1_000.0;
        prefix += 1;
    }
    let decimals = match size {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let digits = format!("{size:.decimals$}");
    let digits = match digits.split_once('.') {
        Some(_) => digits.trim_end_matches('0').trim_end_matches('.'),
        None => &digits,
    };
    format!("{}{digits}{}", if value < 0.0 { "-" } else { "" }, PREFIXES[prefix])
}

/// As much of a text as fits into so many columns.
fn shorten(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut left = columns - "...".len();
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    text.chars().take_while(fits).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, values: &[f64]) -> Line {
        Line {
            name: name.into(),
            points: values
                .iter()
                .enumerate()
                .map(|(at, value)| (at as i64 * 60_000, *value))
                .collect(),
        }
    }

    #[test]
    fn a_ramp_climbs_from_corner_to_corner() {
        let values: Vec<f64> = (0..=60).map(f64::from).collect();
        let chart = draw(&[line("ramp", &values)], 0, 3_600_000);
        let rows: Vec<&str> = chart.lines().collect();
        assert!(rows[0].starts_with("60 +") && rows[0].ends_with('*'), "{chart}");
        assert!(rows[HEIGHT - 1].starts_with(" 0 +*"), "{chart}");
        assert_eq!(
            rows[HEIGHT + 1].split_whitespace().collect::<Vec<_>>(),
            ["00:00:00", "00:30:00", "01:00:00", "UTC"]
        );
        assert_eq!(rows[HEIGHT + 2], "* ramp");
    }

    #[test]
    fn every_row_fits_whatever_is_drawn() {
        let hosts = "主机".repeat(60);
        for values in [
            vec![1e300, -1e300, 0.0],
            vec![f64::NAN, f64::INFINITY, 5.0],
            vec![1e-9, 2e-9],
            vec![0.0; 3],
            vec![123_456_789.0, 123_456_790.0],
        ] {
            let lines: Vec<Line> = (0..10).map(|_| line(&hosts, &values)).collect();
            for end_ms in [0, 120_000, 400 * 86_400_000] {
                let chart = draw(&lines, 0, end_ms);
                for row in chart.lines().take_while(|row| !row.starts_with("and ")) {
                    assert!(row.width() <= WIDTH, "{} columns: {row}", row.width());
                }
                assert!(chart.contains("and 2 more series"), "{chart}");
            }
        }
    }

    #[test]
    fn a_gap_stays_a_gap_and_a_step_is_filled() {
        let mut values = vec![0.0; 61];
        values[40..].fill(1.0);
        let mut points = line("", &values).points;
        points.drain(10..20);
        let chart = draw(&[Line { name: "step".into(), points }], 0, 3_600_000);
        let rows: Vec<&str> = chart.lines().collect();
        let plotted = |row: usize| rows[row].split_once('+').expect("the axis is labelled").1;
        let (top, bottom) = (plotted(0), plotted(HEIGHT - 1));
        assert_eq!(top.trim().chars().filter(|&c| c != '*').count(), 0, "{chart}");
        assert_eq!(bottom.split_whitespace().count(), 2, "{chart}");
        assert!(rows[1..HEIGHT - 1].iter().all(|row| row.contains('*')), "{chart}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(draw(&[], 0, 1), "there is nothing to draw\n");
        assert_eq!(draw(&[line("a", &[f64::NAN])], 0, 1), "there is nothing to draw\n");
    }

    #[test]
    fn numbers_are_compact() {
        for (value, expected) in [
            (0.0, "0"),
            (-1_536.0, "-1.54k"),
            (12.5, "12.5"),
            (0.25, "0.25"),
            (2e9, "2G"),
            (1e21, "1.0e21"),
            (1e-5, "1.0e-5"),
        ] {
            assert_eq!(compact(value), expected);
        }
    }
}
