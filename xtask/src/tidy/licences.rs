//! Licences, banned crates and sources of everything that is built, by the rules in deny.toml.
//!
//! The same file serves cargo-deny, which needs its own installation; this part of its work takes a second and nothing else.

use anyhow::Context as _;
use toml::{Table, Value};

use super::Findings;

/// The rules' file.
pub(super) const FILE: &str = "deny.toml";
/// Lists each package that is built for Linux, as `name vVERSION …<tab>licence expression`.
pub(super) const TREE: [&str; 10] = [
    "tree",
    "--workspace",
    "--edges",
    "normal,build,dev",
    "--target",
    "x86_64-unknown-linux-gnu",
    "--prefix",
    "none",
    "--format",
    "{p}\t{l}",
];

/// What deny.toml says.
pub(super) struct Rules {
    allowed: Vec<String>,
    /// A crate and the licences that only it may have.
    exceptions: Vec<(String, Vec<String>)>,
    banned: Vec<String>,
    registries: Vec<String>,
}

impl Rules {
    /// Reads the parts of deny.toml that are checked here.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let table: Table = text.parse().with_context(|| format!("{FILE} is no TOML"))?;
        let value = |section: &str, key: &str| table.get(section)?.get(key).cloned();
        let entries = |section: &str, key: &str| -> Vec<Value> {
            value(section, key).and_then(|list| list.as_array().cloned()).unwrap_or_default()
        };
        let name = |entry: &Value| -> anyhow::Result<String> {
            let name = entry.get("crate").and_then(Value::as_str);
            Ok(name.with_context(|| format!("{FILE}: {entry} names no crate"))?.to_string())
        };
        let exception = |entry: &Value| Ok((name(entry)?, strings(entry.get("allow"))));
        Ok(Self {
            allowed: strings(value("licenses", "allow").as_ref()),
            exceptions: entries("licenses", "exceptions")
                .iter()
                .map(exception)
                .collect::<anyhow::Result<_>>()?,
            banned: entries("bans", "deny").iter().map(name).collect::<anyhow::Result<_>>()?,
            registries: strings(value("sources", "allow-registry").as_ref()),
        })
    }

    /// Checks the lines `cargo tree` printed.
    pub(super) fn check_packages(&self, tree: &str, findings: &mut Findings) {
        let mut lines: Vec<&str> = tree
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .filter(|line| !line.is_empty())
            .collect();
        lines.sort_unstable();
        lines.dedup();
        for line in lines {
            let (package, expression) = line.split_once('\t').unwrap_or((line, ""));
            let name = package.split(' ').next().unwrap_or(package);
            if self.banned.iter().any(|banned| banned == name) {
                findings.error(format!(
                    "{FILE} bans {package}; `cargo tree -i {name}` tells who wants it"
                ));
            }
            let permits = |licence: &str| self.permits(name, licence);
            if holds(expression, &permits) != Some(true) {
                findings.error(format!(
                    "{FILE} does not allow the licence {expression:?} of {package}"
                ));
            }
        }
    }

    /// Checks that every package of Cargo.lock comes from a registry that is allowed.
    pub(super) fn check_lock(&self, lock: &str, findings: &mut Findings) {
        let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
        for source in sources.map(|source| source.trim_matches('"')) {
            let registry = source.strip_prefix("registry+");
            if !registry
                .is_some_and(|registry| self.registries.iter().any(|known| known == registry))
            {
                findings.error(format!("Cargo.lock: {source} is no source that {FILE} allows"));
            }
        }
    }

    fn permits(&self, name: &str, licence: &str) -> bool {
        let exceptions = self.exceptions.iter().filter(|(excepted, _)| excepted == name);
        let excepted = exceptions.flat_map(|(_, licences)| licences);
        self.allowed.iter().chain(excepted).any(|allowed| allowed == licence)
    }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(Into::into).collect()
}

/// Whether an SPDX expression can be met by permitted licences; `None` where it is none.
/// The old `MIT/Apache-2.0` means `OR`. <https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>
fn holds(expression: &str, permits: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let result = any_of(&mut rest, permits)?;
    rest.is_empty().then_some(result)
}

fn any_of(rest: &mut &[&str], permits: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = all_of(rest, permits)?;
    while take(rest, "OR") {
        result |= all_of(rest, permits)?;
    }
    Some(result)
}

fn all_of(rest: &mut &[&str], permits: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = one(rest, permits)?;
    while take(rest, "AND") {
        result &= one(rest, permits)?;
    }
    Some(result)
}

fn one(rest: &mut &[&str], permits: &dyn Fn(&str) -> bool) -> Option<bool> {
    if take(rest, "(") {
        let result = any_of(rest, permits)?;
        return take(rest, ")").then_some(result);
    }
    let (licence, after) = rest.split_first()?;
    if matches!(*licence, "OR" | "AND" | "WITH" | ")") {
        return None;
    }
    *rest = after;
    if take(rest, "WITH") {
        let (exception, after) = rest.split_first()?;
        *rest = after;
        return Some(permits(&format!("{licence} WITH {exception}")));
    }
    Some(permits(licence))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let found = rest.first() == Some(&word);
    if found {
        *rest = &rest[1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::fixture::expect_errors;
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: Option<bool>) {
        let permits = |licence: &str| matches!(licence, "MIT" | "ISC" | "A WITH B");
        assert_eq!(holds(expression, &permits), expected, "{expression}");
    }

    #[test]
    fn expressions_are_evaluated() {
        check("MIT", Some(true));
        check("GPL-3.0", Some(false));
        check("GPL-3.0 OR MIT", Some(true));
        check("GPL-3.0/MIT", Some(true));
        check("MIT AND GPL-3.0", Some(false));
        check("MIT AND (GPL-3.0 OR ISC)", Some(true));
        check("GPL-3.0 AND MIT OR ISC", Some(true));
        check("A WITH B", Some(true));
        check("A", Some(false));
    }

    #[test]
    fn what_is_no_expression_is_never_allowed() {
        for text in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "OR MIT", "A WITH"] {
            check(text, None);
        }
    }

    const RULES: &str = r#"
[licenses]
allow = ["MIT"]
exceptions = [{ crate = "odd", allow = ["MPL-2.0"] }]
[bans]
deny = [{ crate = "openssl-sys", reason = "rustls" }]
[sources]
allow-registry = ["https://a/index"]
"#;

    #[track_caller]
    fn packages(tree: &str, fragments: &[&str]) {
        let rules = Rules::parse(RULES).unwrap();
        expect_errors(|findings| rules.check_packages(tree, findings), fragments);
    }

    #[test]
    fn packages_are_held_against_the_rules() {
        packages("a v1.0.0\tMIT\nodd v1.0.0 (proc-macro)\tMPL-2.0\n\na v1.0.0\tMIT (*)\n", &[]);
        packages("b v1.0.0\tMPL-2.0", &["the licence \"MPL-2.0\" of b v1.0.0"]);
        packages("c v1.0.0\t", &["the licence \"\" of c v1.0.0"]);
        packages("openssl-sys v0.9.0\tMIT", &["bans openssl-sys v0.9.0"]);
    }

    #[test]
    fn sources_other_than_the_registry_are_refused() {
        let rules = Rules::parse(RULES).unwrap();
        let check = |lock: &str, fragments: &[&str]| {
            expect_errors(|findings| rules.check_lock(lock, findings), fragments);
        };
        check("name = \"a\"\nsource = \"registry+https://a/index\"\n", &[]);
        check("source = \"git+https://a/x\"\n", &["git+https://a/x"]);
        check("source = \"registry+https://b/index\"\n", &["https://b/index"]);
    }

    #[test]
    fn broken_rules_are_an_error() {
        assert!(Rules::parse("[licenses").is_err());
        assert!(Rules::parse("[bans]\ndeny = [{ name = \"x\" }]").is_err());
    }
}
