//! What a process is called: its program.
//!
//! The kernel's name (`comm`) says it, but for three kinds: an interpreter is known by the script that it
//! runs (`python3:manage.py`, `java:app.jar`), a name of 15 bytes is cut off and completed from the
//! command line, and what a process adds behind a colon (`gunicorn: worker`) tells of one process only.

use std::fs;
use std::path::Path;

/// Longest name of a program, in bytes.
const MAX_BYTES: usize = 64;
/// The kernel keeps this much of a name, in bytes.
const COMM_BYTES: usize = 15;

/// A program that runs others, and which of its options are followed by a value.
struct Interpreter {
    /// The kernel's name, without the version at its end.
    name: &'static str,
    /// Options whose next argument is not the script.
    with_value: &'static [&'static str],
    /// Options whose next argument is what is run: a module, an archive.
    runs: &'static [&'static str],
    /// Options after which comes code: then there is no script.
    code: &'static [&'static str],
}

const fn shell(name: &'static str) -> Interpreter {
    Interpreter { name, with_value: &["-o", "+o", "-O", "+O"], runs: &[], code: &["-c", "-s"] }
}

static INTERPRETERS: [Interpreter; 15] = [
    Interpreter { name: "python", with_value: &["-W", "-X"], runs: &["-m"], code: &["-c"] },
    Interpreter { name: "pypy", with_value: &["-W", "-X"], runs: &["-m"], code: &["-c"] },
    Interpreter {
        name: "java",
        with_value: &["-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules"],
        runs: &["-jar", "-m", "--module"],
        code: &[],
    },
    Interpreter {
        name: "node",
        with_value: &["-r", "--require", "--import", "--loader", "-C"],
        runs: &[],
        code: &["-e", "--eval", "-p", "--print", "-i"],
    },
    Interpreter { name: "bun", with_value: &[], runs: &["run"], code: &["-e"] },
    Interpreter { name: "deno", with_value: &[], runs: &[], code: &["eval"] },
    Interpreter { name: "ruby", with_value: &["-I", "-r"], runs: &[], code: &["-e"] },
    Interpreter { name: "perl", with_value: &["-I"], runs: &[], code: &["-e", "-E"] },
    Interpreter { name: "php", with_value: &["-d", "-c"], runs: &["-f"], code: &["-r"] },
    Interpreter { name: "dotnet", with_value: &[], runs: &["exec"], code: &[] },
    Interpreter { name: "mono", with_value: &[], runs: &[], code: &[] },
    shell("bash"),
    shell("sh"),
    shell("dash"),
    shell("zsh"),
];

/// Names that the runtimes of interpreters give to the first thread, and with it to the process.
const MAIN_THREADS: [&str; 2] = ["MainThread", "node-MainThread"];

/// Whether the command line is needed to name a process of this kernel's name.
pub(crate) fn needs_command_line(comm: &[u8]) -> bool {
    let text = String::from_utf8_lossy(comm);
    comm.len() >= COMM_BYTES || MAIN_THREADS.contains(&&*text) || interpreter(&text).is_some()
}

/// The name of the program that a single process runs; `?` where it has ended.
pub(crate) fn program_of(proc: &Path, pid: u32) -> String {
    let folder = proc.join(pid.to_string());
    let comm = fs::read(folder.join("comm")).unwrap_or_default();
    let comm = comm.trim_ascii_end();
    let is_needed = needs_command_line(comm);
    let command_line = is_needed.then(|| fs::read(folder.join("cmdline")).ok()).flatten();
    let command_line = command_line.unwrap_or_default();
    program_name(comm, &command_line)
}

/// The name of a program, never empty; `command_line` holds the arguments, each with a zero byte behind.
pub(crate) fn program_name(comm: &[u8], command_line: &[u8]) -> String {
    let comm = String::from_utf8_lossy(comm);
    let mut arguments = command_line.split(|byte| *byte == 0);
    let first = String::from_utf8_lossy(arguments.next().unwrap_or_default());
    let mut name = &*comm;
    let file = base_name(&first);
    let completes = comm.len() >= COMM_BYTES && file.starts_with(&*comm);
    if (completes || MAIN_THREADS.contains(&name)) && !file.is_empty() && !file.contains(' ') {
        name = file;
    }
    if let Some((before, _)) = name.split_once(':')
        && !before.is_empty()
    {
        name = before;
    }
    let Some(interpreter) = interpreter(name) else { return clean(name) };
    let rest = arguments.map(String::from_utf8_lossy);
    match script(interpreter, rest.map(std::borrow::Cow::into_owned)) {
        Some(script) => clean(&format!("{name}:{script}")),
        None => clean(name),
    }
}

fn interpreter(name: &str) -> Option<&'static Interpreter> {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.iter().find(|known| known.name == name)
}

/// What an interpreter was told to run.
fn script(
    interpreter: &Interpreter,
    mut arguments: impl Iterator<Item = String>,
) -> Option<String> {
    loop {
        let argument = arguments.next()?;
        let word = argument.as_str();
        if interpreter.code.contains(&word) {
            return None;
        }
        let found = if interpreter.runs.contains(&word) || word == "--" {
            arguments.next()?
        } else if interpreter.with_value.contains(&word) {
            arguments.next()?;
            continue;
        } else if word.starts_with(['-', '+']) || word.is_empty() {
            continue;
        } else {
            argument
        };
        // A file has no line breaks: what has is code, however it came here.
        let name = base_name(&found);
        return Some(name.to_owned()).filter(|name| !name.is_empty() && !found.contains('\n'));
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The name as a label: printable, not longer than [`MAX_BYTES`], not empty.
fn clean(name: &str) -> String {
    let printable = name.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut text = String::new();
    for c in printable {
        if text.len() + c.len_utf8() > MAX_BYTES {
            break;
        }
        text.push(c);
    }
    if text.is_empty() { "?".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(comm: &str, arguments: &[&str], expected: &str) {
        let command_line: String = arguments.iter().flat_map(|a| [a, "\0"]).collect();
        assert_eq!(program_name(comm.as_bytes(), command_line.as_bytes()), expected);
    }

    #[test]
    fn programs_are_what_the_kernel_calls_them() {
        check("nginx", &["nginx: worker process"], "nginx");
        check("", &[], "?");
        check("a\u{1}b", &[], "a?b");
        check("gunicorn: maste", &["gunicorn: master [app]"], "gunicorn");
        check("runc:[2:INIT]", &["runc", "init"], "runc");
        check("(sd-pam)", &["(sd-pam)"], "(sd-pam)");
    }

    #[test]
    fn a_name_that_was_cut_off_is_completed() {
        check("systemd-journal", &["/lib/systemd/systemd-journald"], "systemd-journald");
        check("systemd-journal", &["other"], "systemd-journal");
        check("systemd-journal", &[], "systemd-journal");
    }

    #[test]
    fn interpreters_are_known_by_their_script() {
        check("python3", &["python3", "-u", "/srv/manage.py", "run"], "python3:manage.py");
        check(
            "python3.11",
            &["python3.11", "-W", "ignore", "-m", "http.server"],
            "python3.11:http.server",
        );
        check("python3", &["python3", "-c", "print('secret')"], "python3");
        check(
            "java",
            &["java", "-Xmx1g", "-cp", "a:b", "org.example.Main", "x"],
            "java:org.example.Main",
        );
        check("java", &["java", "-jar", "/opt/app.jar"], "java:app.jar");
        check("node", &["node", "--require", "x.js", "server.js"], "node:server.js");
        check("MainThread", &["/usr/bin/node", "server.js"], "node:server.js");
        check("bash", &["-bash"], "bash");
        check("sh", &["sh", "-c", "mysql -psecret"], "sh");
        check("bash", &["bash", "/usr/local/bin/backup.sh"], "bash:backup.sh");
        check("perl", &["perl", "a\nb"], "perl");
    }

    #[test]
    fn the_command_line_is_read_only_where_it_helps() {
        for (comm, expected) in
            [("nginx", false), ("python3", true), ("systemd-journal", true), ("MainThread", true)]
        {
            assert_eq!(needs_command_line(comm.as_bytes()), expected, "{comm}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_short_printable_name(comm: Vec<u8>, command_line: Vec<u8>) {
            let name = program_name(&comm, &command_line);
            prop_assert!((1..=MAX_BYTES).contains(&name.len()));
            prop_assert!(!name.chars().any(char::is_control));
        }
    }
}
