//! CSV as spreadsheets read it (RFC 4180).

/// Rows under a heading; a cell with a comma, a quote or a line break is quoted.
pub(crate) fn render(heading: &[String], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for row in std::iter::once(heading).chain(rows.iter().map(Vec::as_slice)) {
        let cells: Vec<String> = row.iter().map(|cell| quote(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_would_break_the_table_are_quoted() {
        let heading = ["a".to_owned(), "b".to_owned()];
        let rows = [vec!["x,y".to_owned(), "say \"hi\"".to_owned()]];
        assert_eq!(render(&heading, &rows), "a,b\r\n\"x,y\",\"say \"\"hi\"\"\"\r\n");
    }
}
