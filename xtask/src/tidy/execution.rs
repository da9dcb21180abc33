//! The agent holds no way to execute what a server sends: nothing of it, or of the crates it is made of, can run a program,
//! load code or become another program, but for places that are named here with their reason.

use super::{File, Findings};

/// The crates that an agent is made of.
const CRATES: [&str; 6] = ["agent", "collectors", "environment", "exposition", "series", "wire"];

/// Words that stand where something is executed or code is loaded.
const WORDS: [&str; 16] = [
    "process::Command",
    "process::{",
    "process::*",
    "Command::new",
    "CommandExt",
    "execv",
    "execl",
    "fexec",
    "posix_spawn",
    "fork(",
    "libc::system",
    "dlopen",
    "libloading",
    "nvml_wrapper",
    "memfd_create",
    "ptrace(",
];

/// Where one of the words may stand, and why no server decides what happens there.
const NAMED: [(&str, &str); 2] = [
    (
        "crates/agent/src/update/launcher.rs",
        "starts a release whose signature was verified with a key that this host trusts, where its administrator allowed it",
    ),
    (
        "crates/collectors/src/gpu/nvml.rs",
        "loads NVIDIA's library by its fixed name, as the system finds it",
    ),
];

/// No source of the agent can execute anything.
pub(super) fn check(file: &File, findings: &mut Findings) {
    let path = file.path.as_str();
    let concerns = CRATES.iter().any(|name| {
        let rest = path.strip_prefix("crates/").and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with("/src/") || rest == "/Cargo.toml")
    });
    let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
    if !concerns || is_test || NAMED.iter().any(|(named, _)| *named == path) {
        return;
    }
    for (number, line) in (1..).zip(file.text.lines()) {
        // What follows is compiled for tests alone.
        if line == "#[cfg(test)]" {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        for word in WORDS.iter().filter(|word| code.contains(**word)) {
            findings.error(format!(
                "{path}:{number}: {word:?} can execute something, and an agent must not; if no server decides what, name the file with \
                 its reason in xtask/src/tidy/execution.rs"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{expect_errors, file};
    use super::*;

    #[track_caller]
    fn check_text(path: &str, text: &str, fragments: &[&str]) {
        expect_errors(|findings| check(&file(path, text), findings), fragments);
    }

    #[test]
    fn what_could_execute_something_is_found() {
        let path = "crates/agent/src/told.rs";
        check_text(path, "let id = std::process::id();\n", &[]);
        check_text(
            path,
            "x\nstd::process::Command::new(text)",
            &[":2: \"process::Command\"", "Command::new"],
        );
        check_text(path, "use tokio::process::{Child};", &["process::{"]);
        check_text(path, "// never Command::new\n", &[]);
        check_text("crates/wire/src/a.rs", "unsafe { libc::dlopen(name) }", &["dlopen"]);
        check_text("crates/collectors/Cargo.toml", "libloading = \"0.8\"", &["libloading"]);
    }

    #[test]
    fn other_crates_tests_and_named_places_are_left_alone() {
        let line = "Command::new(x)";
        check_text("crates/muster/src/a.rs", line, &[]);
        check_text("crates/agent/tests/a.rs", line, &[]);
        check_text("crates/agent/src/queue/tests.rs", line, &[]);
        check_text("crates/agent/src/a.rs", &format!("#[cfg(test)]\nmod tests {{ {line} }}"), &[]);
        for (named, reason) in NAMED {
            check_text(named, line, &[]);
            assert!(!reason.is_empty());
        }
    }
}
