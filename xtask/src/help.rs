//! What each command is and takes: asked for help, a command answers at once and builds nothing.

/// What `cargo xtask help` prints: each command with an example.
pub(crate) const HELP: &str = "\
cargo xtask COMMAND

  up [-- ARGS]    build what changed, then run `muster up ARGS`: server, page and an agent for this machine
                    cargo xtask up
                    cargo xtask up -- --listen 0.0.0.0:6868 --data-dir /tmp/muster
  build           the page and the release binaries only; prints where they are
  demo [--hosts N] a server with N simulated hosts (50) and a day of their past, until Ctrl+C
                    cargo xtask demo --hosts 200
  dist [--key FILE] [--out DIR]
                  the files of a release, signed with an Ed25519 key if one is given; a server passes them on from the
                  folder `downloads` of its data folder
                    cargo xtask dist --key ../release.pem --out /var/lib/muster/downloads
  check           format, tidy, lints, unit tests, the page's checks: run it while working
  test            everything: installs what tests need, check, release build, end-to-end tests (CI runs this)
  bench tsdb|queries|parts [OPTIONS]
                  Muster beside VictoriaMetrics and Prometheus, which it installs: ingest, bytes, memory, start,
                  or answers; or the parts alone. --quick, --rounds N, --only NAME, --peers none
                    cargo xtask bench tsdb --quick --only day
  fuzz [SECONDS]  each fuzz target for so long (60), where there is a nightly compiler
                    cargo xtask fuzz 10
  databases COMMAND…
                  a command with MariaDB and PostgreSQL at hand, on scratch data, where they are installed
                    cargo xtask databases cargo test -p muster-meta
  tidy [--bless]  the rules of this repository that no other tool checks, in a second or two;
                  --bless lowers the limits in xtask/tidy-ratchet.toml to what files have now
  help            this text; `cargo xtask COMMAND --help` tells of one command
";

/// What else is to be known of a command.
const MORE: [(&str, &str); 5] = [
    (
        "up",
        "ARGS are those of `muster up`; the common ones:
  --listen ADDRESS:PORT   where to listen (127.0.0.1:6868)
  --data-dir DIR          where everything is kept (/var/lib/muster as root, else ~/.local/state/muster)
  --tls off|auto|CERT,KEY TLS (off on loopback, else auto: an own CA)
  --retention 400d        how long samples are kept
All of them, once it is built: target/release/muster up --help

It needs Node.js 20.19 or newer with npm for the page. Where they are missing, root on Debian or Ubuntu gets them by
apt-get; anybody else is told what to install. npm brings the page's tools into web/node_modules, cargo brings crates.
Nothing else is installed. The first build takes five to ten minutes.",
    ),
    (
        "build",
        "It needs what `cargo xtask up` needs; see `cargo xtask up --help`.",
    ),
    (
        "test",
        "Root on Debian or Ubuntu gets by apt-get what is missing of: chromium, prometheus, prometheus-node-exporter, prometheus-alertmanager, mariadb-server, postgresql; their services are
stopped, as only the programs are wanted. What cannot be installed is told, and its tests are skipped aloud.",
    ),
    (
        "bench",
        "  tsdb       ingest, bytes a sample, memory, start
  queries    how long answers take
  parts      the parts through their public functions, by Criterion, whose options it takes

Options of tsdb and queries:
  --quick            a short look: one round, an eighth of the data
  --rounds N         rounds; the medians are told (3, or 1 with --quick)
  --only NAME        only the measurement whose name holds this
  --peers WHICH      all, none, victoria-metrics or prometheus
  --without-muster   the peers alone

Root on Debian or Ubuntu gets the packages prometheus and victoria-metrics by apt-get, where they are missing and wanted.
The whole takes most of an hour, with --quick some minutes.",
    ),
    (
        "fuzz",
        "It needs a nightly compiler (rustup toolchain install nightly) and cargo-fuzz (cargo install cargo-fuzz); without them it is skipped aloud.",
    ),
];

/// Whether the arguments of a command ask for help. What stands after `--` is for another program.
pub(crate) fn is_wanted(arguments: &[String]) -> bool {
    let own = arguments.iter().take_while(|argument| *argument != "--");
    own.into_iter().any(|argument| matches!(argument.as_str(), "--help" | "-h"))
}

/// The help of one command; none if there is no such command.
pub(crate) fn of(command: &str) -> Option<String> {
    let starts = |line: &&str| line.strip_prefix("  ").is_some_and(|rest| !rest.starts_with(' '));
    let names = |line: &&str| line.split_whitespace().next() == Some(command);
    let mut lines = HELP.lines().skip_while(|line| !(starts(line) && names(line)));
    let first = lines.next()?;
    let mut text = format!("cargo xtask {}\n", first.trim_start());
    for line in lines.take_while(|line| !starts(line)) {
        text.push_str(line);
        text.push('\n');
    }
    if let Some((_, more)) = MORE.iter().find(|(name, _)| *name == command) {
        text = format!("{text}\n{more}\n");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(command: &str, first: &str, other: &str) {
        let text = of(command).expect("there is such a command");
        assert!(text.starts_with(first) && text.contains(other), "{text}");
    }

    #[test]
    fn every_command_has_help_of_its_own() {
        check("up", "cargo xtask up [-- ARGS] ", "--listen 0.0.0.0:6868");
        check("build", "cargo xtask build ", "needs what");
        check("demo", "cargo xtask demo [--hosts N] ", "demo --hosts 200");
        check("check", "cargo xtask check ", "while working\n");
        check("test", "cargo xtask test ", "chromium");
        check("bench", "cargo xtask bench tsdb|queries|parts [OPTIONS]", "--without-muster");
        check("dist", "cargo xtask dist [--key FILE] [--out DIR]", "release.pem");
        check("fuzz", "cargo xtask fuzz [SECONDS] ", "fuzz 10");
        check("tidy", "cargo xtask tidy [--bless] ", "tidy-ratchet");
        check("help", "cargo xtask help ", "this text");
        assert_eq!(of("COMMAND"), None);
        assert_eq!(of("cargo"), None);
    }

    #[test]
    fn what_is_for_another_program_is_left_to_it() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(Into::into).collect() };
        assert!(is_wanted(&words("--help")));
        assert!(is_wanted(&words("tsdb -h")));
        assert!(!is_wanted(&words("-- --help")));
        assert!(!is_wanted(&[]));
    }
}
