//! Runs other programs: their output is kept, a line of progress is shown, and what they printed appears only when they fail.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How often a wait ends to look whether the program is still there, and to redraw the progress line.
const TICK: Duration = Duration::from_millis(250);
/// Progress without a terminal: a line this often shows that something still happens.
const HEARTBEAT: Duration = Duration::from_mins(1);
/// How long to read on after the program ended: a child it left behind may hold the pipe open for ever.
const GRACE: Duration = Duration::from_secs(2);
/// From when on a program that prints nothing counts as hung: longer than the longest test or crate takes on a slow machine.
const SILENCE: Duration = Duration::from_mins(20);
/// From when on a crate counts as one that takes long.
const SLOW: Duration = Duration::from_secs(20);

/// What a program left behind.
pub(crate) struct Outcome {
    /// Whether it exited with status 0.
    pub(crate) success: bool,
    /// Both of its output streams, line by line as they came.
    pub(crate) lines: Vec<String>,
}

impl Outcome {
    /// Of what was not run because its result is there already.
    pub(crate) fn nothing_to_do() -> Self {
        Self { success: true, lines: Vec::new() }
    }

    /// Fails with everything the program printed when it failed.
    pub(crate) fn or_error(self, what: &str) -> anyhow::Result<Self> {
        if !self.success {
            eprintln!("{}", self.lines.join("\n"));
            anyhow::bail!("{what} failed; its output is above");
        }
        Ok(self)
    }
}

/// The cargo that runs us, without the variables it set for us: build scripts that watch one of them
/// (`CARGO_MANIFEST_DIR`, `CARGO_PKG_NAME`) would otherwise rebuild whenever commands alternate.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if is_set_for_us(&name) {
            command.env_remove(name);
        }
    }
    command
}

fn is_set_for_us(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
        || matches!(name.as_ref(), "CARGO_CRATE_NAME" | "CARGO_BIN_NAME" | "OUT_DIR")
}

/// The standard output of a short program, which must succeed.
pub(crate) fn text_of(command: &mut Command) -> anyhow::Result<String> {
    let name = name_of(command);
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!("{name} failed ({}): {}", output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no UTF-8"))
}

/// Runs a program to its end, its output kept, with `label` and what it does now as progress.
/// One that is silent for twenty minutes is ended, with all it started.
pub(crate) fn watch(label: &str, command: &mut Command) -> anyhow::Result<Outcome> {
    watch_for(label, command, SILENCE)
}

fn watch_for(label: &str, command: &mut Command, silence: Duration) -> anyhow::Result<Outcome> {
    let name = name_of(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let (sender, lines) = channel();
    forward(child.stdout.take().expect("the pipe was asked for"), sender.clone());
    forward(child.stderr.take().expect("the pipe was asked for"), sender);
    let mut progress = Progress::new(label);
    let lines = collect(&mut child, &lines, &mut progress, silence)?;
    progress.finish();
    let success = child.wait().with_context(|| format!("cannot wait for {name}"))?.success();
    Ok(Outcome { success, lines })
}

fn name_of(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|word| word.to_string_lossy()));
    format!("`{}`", words.join(" "))
}

/// Ends a program and everything it started: what it leaves behind would disturb the steps that follow.
fn end_with_descendants(child: &mut Child) -> anyhow::Result<()> {
    let parents = parents()?;
    let mut family = vec![child.id()];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        next += 1;
    }
    let mut kill = Command::new("kill");
    kill.arg("-KILL").args(family.iter().map(ToString::to_string));
    // Some may have ended meanwhile, which `kill` complains of and which is as good.
    kill.stderr(Stdio::null()).status().context("cannot run `kill`")?;
    Ok(())
}

/// Each process of the machine with its parent.
fn parents() -> anyhow::Result<Vec<(u32, u32)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot list /proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name in parentheses may hold spaces and parentheses; state and parent follow the last one.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        all.extend(parent.and_then(|parent| parent.parse().ok()).map(|parent| (process, parent)));
    }
    Ok(all)
}

/// Sends a stream's lines from a thread of its own, until the stream ends.
fn forward(stream: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_string();
            bytes.clear();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

fn collect(
    child: &mut Child,
    incoming: &Receiver<String>,
    progress: &mut Progress,
    silence: Duration,
) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut ended: Option<Instant> = None;
    let mut heard = Instant::now();
    loop {
        match incoming.recv_timeout(TICK) {
            Ok(line) => {
                heard = Instant::now();
                progress.line(&line);
                lines.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(lines),
            Err(RecvTimeoutError::Timeout) => {
                progress.tick();
                if child.try_wait().context("cannot ask for a program's state")?.is_some()
                    && ended.get_or_insert_with(Instant::now).elapsed() > GRACE
                {
                    return Ok(lines);
                }
                if heard.elapsed() > silence && ended.is_none() {
                    lines.push(format!("ended: it printed nothing for {} s", silence.as_secs()));
                    end_with_descendants(child)?;
                    heard = Instant::now();
                }
            }
        }
    }
}

/// The one line that says what goes on: redrawn on a terminal, now and then repeated elsewhere.
struct Progress<'a> {
    label: &'a str,
    started: Instant,
    compiled: usize,
    doing: String,
    /// When it began that.
    since: Instant,
    shown: Instant,
    terminal: bool,
}

impl<'a> Progress<'a> {
    fn new(label: &'a str) -> Self {
        let started = Instant::now();
        let terminal = std::io::stderr().is_terminal();
        let (compiled, doing) = (0, String::new());
        Self { label, started, compiled, doing, since: started, shown: started, terminal }
    }

    fn line(&mut self, line: &str) {
        if let Some(doing) = doing(line) {
            self.compiled += usize::from(line.trim_start().starts_with("Compiling "));
            self.doing = doing;
            self.since = Instant::now();
        }
        self.tick();
    }

    fn tick(&mut self) {
        if self.shown.elapsed() < if self.terminal { TICK } else { HEARTBEAT } {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.started.elapsed().as_secs();
        let crates = match self.compiled {
            0 => String::new(),
            count => format!(", {count} crates"),
        };
        let slow = if self.compiled > 0 { slow(self.since.elapsed()) } else { "" };
        let text = format!("  … {} ({seconds} s{crates}) {}{slow}", self.label, self.doing);
        if self.terminal {
            let text: String = text.chars().take(100).collect();
            eprint!("\r\x1b[K{text}");
            // A progress line that cannot be drawn is no reason to stop.
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{}", text.trim_end());
        }
    }

    fn finish(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

/// A word on a crate that takes long: the last one, into which all is linked, takes minutes and says nothing.
fn slow(since: Duration) -> &'static str {
    if since > SLOW { ", which takes some minutes: it works" } else { "" }
}

/// What a line of cargo's says it is doing.
fn doing(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    match (words.next()?, words.next()) {
        ("Compiling" | "Checking" | "Running" | "Doc-tests", Some(what)) => Some(what.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Outcome {
        watch("a test", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn both_streams_and_the_status_come_back() {
        let outcome = shell("echo out; echo err >&2; exit 3");
        assert!(!outcome.success);
        let mut lines = outcome.lines;
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
        assert!(shell("exit 0").success);
    }

    #[test]
    fn a_child_left_behind_does_not_hold_us() {
        let started = Instant::now();
        let outcome = shell("sleep 120 & echo done");
        assert!(outcome.success && started.elapsed() < Duration::from_secs(100));
        assert_eq!(outcome.lines, ["done"]);
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "(sleep 12345 & echo $!; wait) & wait"]);
        let outcome = watch_for("a test", &mut command, Duration::from_millis(600)).unwrap();
        assert!(!outcome.success);
        let [grandchild, told] = &outcome.lines[..] else { panic!("{:?}", outcome.lines) };
        assert!(told.contains("it printed nothing"), "{told}");
        let stat = std::path::PathBuf::from(format!("/proc/{grandchild}/stat"));
        let deadline = Instant::now() + Duration::from_mins(1);
        // One that nobody has waited for yet stays as a zombie.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "{grandchild} still runs");
            std::thread::sleep(TICK);
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = watch("a test", &mut Command::new("no-such-program-here")).err().unwrap();
        assert!(format!("{error:#}").contains("no-such-program-here"), "{error:#}");
    }

    #[test]
    fn cargo_variables_made_for_us_are_told_from_those_of_the_user() {
        for (name, expected) in [
            ("CARGO_PKG_NAME", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_TARGET_DIR", false),
            ("CARGO_HOME", false),
            ("CARGO_PROFILE_RELEASE_LTO", false),
        ] {
            assert_eq!(is_set_for_us(&name.into()), expected, "{name}");
        }
    }

    #[test]
    fn progress_names_the_crate() {
        assert_eq!(doing("   Compiling libc v0.2.1"), Some("libc".into()));
        assert_eq!(doing("warning: unused"), None);
        assert_eq!(slow(SLOW), "");
        assert!(slow(2 * SLOW).contains("some minutes"));
    }
}
