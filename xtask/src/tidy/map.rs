//! The map that cannot drift: ARCHITECTURE.md's table of crates against the edges cargo knows.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;

/// The map.
pub(super) const FILE: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- crates -->";
const END: &str = "<!-- /crates -->";
/// Longer than this nobody reads it.
const MAX_LINES: usize = 300;

/// One line of the table: a crate, its row, and what it may use.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    name: String,
    row: u32,
    uses: BTreeSet<String>,
}

/// A crate's name without the prefix, and the names of the crates it uses.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// Compares the table in `architecture` with what `cargo metadata --no-deps` printed.
pub(super) fn compare(architecture: &str, metadata: &str, findings: &mut Findings) {
    if architecture.lines().count() > MAX_LINES {
        findings.error(format!("{FILE}: over {MAX_LINES} lines; shorten it"));
    }
    match (parse_table(architecture), parse_edges(metadata)) {
        (Ok(table), Some(edges)) => compare_edges(&table, &edges, findings),
        (Err(trouble), _) => findings.error(format!("{FILE}: {trouble}")),
        (_, None) => findings.error("cargo metadata printed something that is not its JSON"),
    }
}

fn compare_edges(table: &[Line], edges: &Edges, findings: &mut Findings) {
    let rows: BTreeMap<&str, u32> =
        table.iter().map(|line| (line.name.as_str(), line.row)).collect();
    for name in edges.keys().filter(|name| !rows.contains_key(name.as_str())) {
        findings.error(format!("{FILE}: the table lacks the crate `{name}`"));
    }
    for line in table {
        let name = &line.name;
        let Some(actual) = edges.get(name) else {
            findings.error(format!("{FILE}: the table has `{name}`, and the workspace does not"));
            continue;
        };
        for used in actual.difference(&line.uses) {
            findings
                .error(format!("{FILE}: `{name}` uses `{used}`, and the table does not allow it"));
        }
        for unused in line.uses.difference(actual) {
            findings.error(format!(
                "{FILE}: the table lets `{name}` use `{unused}`, and its Cargo.toml does not"
            ));
        }
        for used in actual {
            if rows.get(used.as_str()).is_some_and(|row| *row >= line.row) {
                findings.error(format!(
                    "{FILE}: `{name}` uses `{used}`, which does not stand on a lower row"
                ));
            }
        }
    }
}

/// The rows `| crate | row | may use | what |` between the markers.
fn parse_table(text: &str) -> Result<Vec<Line>, String> {
    let (_, after) = text.split_once(BEGIN).ok_or(format!("no line {BEGIN}"))?;
    let (table, _) = after.split_once(END).ok_or(format!("no line {END} after {BEGIN}"))?;
    let mut lines = Vec::new();
    for line in table.lines().filter(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, row, uses, _] = cells[..] else {
            return Err(format!("the row {line:?} has not four cells"));
        };
        let row = row.parse().map_err(|_| format!("{row:?} is no number of a row in {line:?}"))?;
        let uses = quoted(uses).map(Into::into).collect();
        let name = quoted(name).next().ok_or(format!("no `crate` in {line:?}"))?.to_string();
        lines.push(Line { name, row, uses });
    }
    Ok(lines)
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The edges between members by `[dependencies]`; those for tests and build scripts are free.
fn parse_edges(metadata: &str) -> Option<Edges> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    let packages = metadata["packages"].as_array()?;
    let short = |name: &str| name.strip_prefix("muster-").unwrap_or(name).to_string();
    let mut edges = Edges::new();
    for package in packages {
        let uses = package["dependencies"]
            .as_array()?
            .iter()
            .filter(|dependency| dependency["kind"].is_null() && dependency["path"].is_string());
        let uses = uses.filter_map(|dependency| dependency["name"].as_str()).map(short).collect();
        edges.insert(short(package["name"].as_str()?), uses);
    }
    Some(edges)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::expect_errors;
    use super::*;

    const METADATA: &str = r#"{"packages": [
        {"name": "muster-series", "dependencies": [{"name": "regex", "kind": null}]},
        {"name": "muster-tsdb", "dependencies": [
            {"name": "muster-series", "kind": null, "path": "/r/crates/series"},
            {"name": "muster-testkit", "kind": "dev", "path": "/r/crates/testkit"}]}]}"#;

    #[track_caller]
    fn check(rows: &str, fragments: &[&str]) {
        let text = format!(
            "# Map\n{BEGIN}\n\n| crate | row | may use | what |\n|---|---|---|---|\n{rows}\n{END}\n"
        );
        expect_errors(|findings| compare(&text, METADATA, findings), fragments);
    }

    #[test]
    fn a_true_table_is_accepted() {
        check("| `series` | 0 | – | words |\n| `tsdb` | 1 | `series` | engine |", &[]);
    }

    #[test]
    fn every_way_to_drift_is_found() {
        let series = "| `series` | 0 | – | words |";
        check(series, &["lacks the crate `tsdb`"]);
        check(&format!("{series}\n| `tsdb` | 1 | – | e |"), &["`tsdb` uses `series`"]);
        check(&format!("{series}\n| `tsdb` | 0 | `series` | e |"), &["not stand on a lower row"]);
        check(
            &format!("{series}\n| `tsdb` | 1 | `series`, `wire` | e |"),
            &["lets `tsdb` use `wire`"],
        );
        check(
            &format!("{series}\n| `tsdb` | 1 | `series` | e |\n| `wire` | 1 | – | e |"),
            &["has `wire`, and the workspace does not"],
        );
    }

    #[test]
    fn a_table_that_cannot_be_read_is_an_error() {
        check("| `series` | zero | – | words |", &["no number of a row"]);
        check("| `series` | 0 | – |", &["four cells"]);
        expect_errors(
            |findings| compare("# Map", METADATA, findings),
            &["no line <!-- crates -->"],
        );
        let long = format!("{BEGIN}\n{END}\n{}", "\n".repeat(MAX_LINES));
        expect_errors(
            |findings| compare(&long, r#"{"packages": []}"#, findings),
            &["over 300 lines"],
        );
    }
}
