//! Cargo manifests: every crate takes the workspace's lints, and every version stands in the root's one table.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::{File, Findings};

const ROOT: &str = "Cargo.toml";

/// One crate's manifest.
pub(super) fn check_crate(file: &File, findings: &mut Findings) {
    let Some(manifest) = member(file) else { return };
    let path = &file.path;
    let Ok(manifest) = manifest.parse::<Table>() else {
        findings.error(format!("{path}: is no TOML"));
        return;
    };
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(Value::as_bool) != Some(true) {
        findings.error(format!("{path}: lacks `[lints] workspace = true`"));
    }
    for (name, dependency) in dependencies(&manifest) {
        if dependency.get("workspace").and_then(Value::as_bool) != Some(true) {
            findings.error(format!(
                "{path}: `{name}` must be `{{ workspace = true }}`, its version in the root's table"
            ));
        }
    }
}

/// The root's table holds nothing that no crate uses.
pub(super) fn check_root(files: &[File], findings: &mut Findings) {
    let used: BTreeSet<String> = files
        .iter()
        .filter_map(member)
        .filter_map(|text| text.parse::<Table>().ok())
        .flat_map(|manifest| {
            dependencies(&manifest).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        })
        .collect();
    let root = files.iter().find(|file| file.path == ROOT);
    let Some(Ok(root)) = root.map(|file| file.text.parse::<Table>()) else {
        findings.error(format!("{ROOT}: is missing or no TOML"));
        return;
    };
    let table = root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    for name in table.and_then(Value::as_table).into_iter().flat_map(Table::keys) {
        if !used.contains(name) {
            findings.error(format!("{ROOT}: no crate uses `{name}`; take it out of the table"));
        }
    }
}

/// The text of a member's manifest.
fn member(file: &File) -> Option<&str> {
    (file.path.ends_with("/Cargo.toml")).then_some(file.text.as_str())
}

/// All dependencies, of every kind and for every target.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|table| KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table()))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{expect_errors, file};
    use super::*;

    #[track_caller]
    fn check(text: &str, fragments: &[&str]) {
        expect_errors(
            |findings| check_crate(&file("crates/x/Cargo.toml", text), findings),
            fragments,
        );
    }

    #[test]
    fn lints_and_versions_come_from_the_workspace() {
        const LINTS: &str = "[lints]\nworkspace = true\n";
        check(
            &format!("{LINTS}[dependencies]\na = {{ workspace = true, features = [\"b\"] }}"),
            &[],
        );
        check("[dependencies]\n", &["lacks `[lints]"]);
        check(&format!("{LINTS}[dependencies]\nserde = \"1\""), &["`serde` must be"]);
        check(&format!("{LINTS}[dev-dependencies]\na = {{ path = \"../a\" }}"), &["`a` must be"]);
        check(
            &format!("{LINTS}[target.'cfg(unix)'.dependencies]\nlibc = {{ version = \"1\" }}"),
            &["`libc` must be"],
        );
        check("not toml", &["is no TOML"]);
    }

    #[test]
    fn a_version_nobody_uses_is_found() {
        let root = "[workspace.dependencies]\nused = \"1\"\nstale = \"2\"\n";
        let member = "[build-dependencies]\nused = { workspace = true }\n";
        let files = [file(ROOT, root), file("crates/x/Cargo.toml", member)];
        expect_errors(|findings| check_root(&files, findings), &["no crate uses `stale`"]);
        expect_errors(|findings| check_root(&[], findings), &["missing or no TOML"]);
    }
}
