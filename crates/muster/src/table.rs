//! Tables for the terminal.

use unicode_width::UnicodeWidthStr as _;

/// Rows under headings, each column as wide as it must be; numbers are the caller's to align.
pub(crate) fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].width());
            cells.chain([headings[column].width()]).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut row = String::new();
        for (cell, width) in cells.zip(&widths) {
            row.push_str(cell);
            row.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    };
    line(&mut headings.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// Prints to standard output; a closed pipe (as with `| head`) is no error.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "1".into()], vec!["long name".into(), "2".into()]];
        assert_eq!(render(&["NAME", "N"], &rows), "NAME       N\na          1\nlong name  2\n");
        let wide = [vec!["北京".into(), "1".into()]];
        assert_eq!(render(&["N", "V"], &wide), "N     V\n北京  1\n");
    }
}
