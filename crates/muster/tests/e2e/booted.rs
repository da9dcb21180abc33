//! A real systemd in name spaces of its own, whose changes to `/etc`, `/usr/local` and `/var/lib` are gone with it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::server::{text, wait_for};

/// A shell beside a systemd of its own; both end when this is dropped.
pub(crate) struct Booted {
    shell: Child,
    dir: tempfile::TempDir,
    commands: u32,
}

impl Booted {
    /// Boots; none, with the reason told, where that cannot be done.
    #[expect(clippy::print_stdout, reason = "what is skipped is said aloud")]
    pub(crate) fn start() -> Option<Self> {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/tools/with-systemd");
        if !tool.exists() {
            println!("skipped: there is no with-systemd here");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            println!("skipped: a systemd of its own needs root");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut shell = Command::new(tool)
            .arg("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(shell.stdin.as_mut().unwrap(), "echo booted >{}/booted", dir.path().display())
            .unwrap();
        wait_for("systemd", || {
            if let Some(status) = shell.try_wait().unwrap() {
                panic!("with-systemd ended with {status}");
            }
            dir.path().join("booted").exists().then_some(())
        });
        let mut booted = Self { shell, dir, commands: 0 };
        booted.run(
            "for d in /etc /usr/local /var/lib; do \
               mkdir -p /run/over$d/upper /run/over$d/work; \
               mount -t overlay overlay -o lowerdir=$d,upperdir=/run/over$d/upper,workdir=/run/over$d/work $d || exit 1; \
             done",
        );
        Some(booted)
    }

    /// A folder that both sides see.
    pub(crate) fn shared(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Runs a command to its end; whether it succeeded, and all that it printed.
    pub(crate) fn attempt(&mut self, command: &str) -> (bool, String) {
        self.commands += 1;
        let (dir, number) = (self.dir.path().to_owned(), self.commands);
        let at = |name: &str| dir.join(format!("{name}-{number}"));
        std::fs::write(at("command"), command).unwrap();
        writeln!(
            self.shell.stdin.as_mut().unwrap(),
            "sh {} >{} 2>&1 </dev/null; echo $? >{}; mv {} {}",
            at("command").display(),
            at("output").display(),
            at("status").display(),
            at("status").display(),
            at("done").display(),
        )
        .unwrap();
        let status = wait_for(&format!("the end of: {command}"), || std::fs::read(at("done")).ok());
        let output = text(&std::fs::read(at("output")).unwrap());
        (text(&status).trim() == "0", output)
    }

    /// Runs a command that must succeed; what it printed.
    #[track_caller]
    pub(crate) fn run(&mut self, command: &str) -> String {
        let (succeeded, output) = self.attempt(command);
        assert!(succeeded, "{command}\n{output}");
        output
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // At the end of its input the shell ends, and with it the systemd.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
