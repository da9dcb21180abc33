//! A host from the printed command to its removal, under a real systemd: install, restart, updates that work and updates
//! that do not, uninstall.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::HEXLOWER;
use muster_wire::{Release, SignedRelease};

use crate::booted::Booted;
use crate::server::{Server, binary, muster, text, wait_for};

/// What an installation may change, but for the copies that the account tools keep of their files.
const TREE: &str = "find /etc /usr/local /var/lib /run/systemd/system -xdev \
    ! -name '*-' ! -name '.pwd.lock' ! -path '/var/lib/systemd*' ! -path '/etc/systemd/system' ! -path '/etc' \
    -printf '%p %M %u %l\\n' | sort; cut -d: -f1 /etc/passwd /etc/group | sort";

/// Everything of a host with one agent, and the server it reports to.
struct Host {
    server: Server,
    booted: Booted,
    url: String,
    api_token: String,
    fingerprint: String,
    signer: Ed25519KeyPair,
}

impl Host {
    fn new(data_dir: &Path) -> Option<Self> {
        let booted = Booted::start()?;
        let server = Server::start("server", data_dir, "127.0.0.1:0", &["--tls", "auto"]);
        let url = format!("https://{}", server.address);
        let api_token = server.token(&["token", "create", "test", "--role", "admin"]);
        let told = server.beside(&["enroll-token", "--json"]);
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        let fingerprint = told["ca_fingerprint"].as_str().unwrap().to_owned();
        let signer = Ed25519KeyPair::generate().unwrap();
        Some(Self { server, booted, url, api_token, fingerprint, signer })
    }

    /// The line that `muster enroll-token` prints, with more for the script.
    fn install_line(&self, more: &str) -> String {
        let output = muster(&[
            "enroll-token",
            "--server",
            &self.url,
            "--api-token",
            &self.api_token,
            "--ca-fingerprint",
            &self.fingerprint,
        ]);
        let printed = text(&output.stdout);
        let line = printed.lines().find(|line| line.starts_with("s=\"$(curl")).expect(&printed);
        line.replace("; else echo", &format!(" {more}; else echo"))
    }

    /// The only agent, as the API tells of it.
    fn agent(&self) -> serde_json::Value {
        let output = Command::new("curl")
            .args(["-sk", "-H", &format!("Authorization: Bearer {}", self.api_token)])
            .arg(format!("{}/api/muster/v1/agents", self.url))
            .output()
            .unwrap();
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let agents = list["agents"].as_array().unwrap();
        assert_eq!(agents.len(), 1, "{list}");
        agents[0].clone()
    }

    /// Puts a release into the server's folder.
    fn release(&self, version: &str, program: &[u8], signer: &Ed25519KeyPair) {
        let architecture = std::env::consts::ARCH;
        let release = Release {
            version: version.parse().unwrap(),
            architecture: architecture.into(),
            size: program.len() as u64,
            sha256: digest(&SHA256, program).as_ref().try_into().unwrap(),
        };
        let signature = signer.sign(release.signed_text().as_bytes());
        let signature = signature.as_ref().try_into().unwrap();
        let dir = self.server.data_dir.join("downloads");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("muster-linux-{architecture}"));
        std::fs::write(path.with_extension("new"), program).unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
        let text = SignedRelease { release, signature }.to_text();
        std::fs::write(path.with_extension("sig"), text).unwrap();
    }

    /// Waits until the agent has told this of a release; what runs then.
    #[track_caller]
    fn wait_for_report(&mut self, version: &str, outcome: &str) -> String {
        let what = format!("{outcome} of {version}");
        let mut last = serde_json::Value::Null;
        let started = std::time::Instant::now();
        loop {
            let agent = self.agent();
            let update = &agent["update"];
            let told = update["version"] == version && update["outcome"] == outcome;
            if told && agent["connected"] == true {
                return agent["version"].as_str().unwrap().to_owned();
            }
            last.clone_from(&agent);
            if started.elapsed() > 3 * crate::server::PATIENCE {
                let log = self.booted.run("journalctl --no-pager -u muster-agent | tail -n 60");
                panic!("waited in vain for {what}: {last}\n{log}\n{}", self.server.log());
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }

    fn property(&mut self, name: &str) -> String {
        let told = self.booted.run(&format!("systemctl show -P {name} muster-agent"));
        told.trim().to_owned()
    }
}

/// A program that does nothing, for ever or at once.
#[expect(clippy::print_stdout, reason = "what is skipped is said aloud")]
fn broken_program(dir: &Path, source: &str) -> Option<Vec<u8>> {
    let (source_path, program) = (dir.join("broken.c"), dir.join("broken"));
    std::fs::write(&source_path, source).unwrap();
    let status = Command::new("cc").arg("-o").arg(&program).arg(&source_path).status();
    if !status.is_ok_and(|status| status.success()) {
        println!("skipped: there is no C compiler to make broken programs with");
        return None;
    }
    Some(std::fs::read(program).unwrap())
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_host_is_installed_updated_and_cleaned_by_the_printed_commands() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut host) = Host::new(dir.path()) else { return };
    let before = host.booted.run(TREE);
    installed_by_the_printed_line(&mut host);
    updated(&mut host);
    refused_and_rolled_back(&mut host);
    removed(&mut host, &before);
}

fn installed_by_the_printed_line(host: &mut Host) {
    let key = HEXLOWER.encode(host.signer.public_key().as_ref());
    let wrong = host.install_line("").replace(" ]; then", "0 ]; then");
    let (_, told) = host.booted.attempt(&wrong);
    assert!(told.contains("not the script that this command was made for"), "{told}");
    let (_, tree) = host.booted.attempt("ls /usr/local/bin/muster /etc/muster");
    assert!(tree.contains("No such file"), "nothing was done: {tree}");

    let line = host.install_line(&format!("--allow-updates --release-key {key} --instance web-1"));
    let token = line.split(' ').find(|word| word.starts_with("muster_e_")).unwrap();
    // In a file, as a command with it in its arguments would find itself.
    let token_file = host.booted.shared().join("token");
    std::fs::write(&token_file, token).unwrap();
    let told = host.booted.run(&line);
    assert!(told.contains("this host reports to"), "{told}");
    let up = wait_for("its samples", || host.server.query("node_load1").into_iter().next());
    assert_eq!(up.0["instance"], "web-1");
    let readonly = "node_filesystem_readonly{mountpoint=\"/\"}";
    let (_, readonly) =
        wait_for("a slow collector", || host.server.query(readonly).into_iter().next());
    assert_eq!(readonly, 0.0, "the unit's own view of the file systems is not the host's");

    let left = host.booted.run(&format!(
        "! grep -rsFf {0} /etc /var/lib/muster-agent /run/systemd /usr/local && \
         ! cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -qFf {0} && echo clean",
        token_file.display()
    ));
    assert_eq!(left.trim(), "clean", "the token is nowhere any more");
    let mode = host.booted.run(
        "stat -c '%U %a' /var/lib/muster-agent /usr/local/bin/muster; ps -o user= -p $(systemctl show -P MainPID muster-agent)",
    );
    assert_eq!(
        mode.replace("muster-+", "muster-agent"),
        "muster-agent 700\nroot 755\nmuster-agent\n"
    );
    let security = host.booted.run("systemd-analyze security --no-pager muster-agent | tail -n 1");
    let score = security.split("muster-agent.service: ").nth(1).expect(&security);
    let score: f64 = score.split(' ').next().unwrap().parse().unwrap();
    assert!(score < 3.0, "{security}");

    let settings = host.booted.run("cat /etc/muster/agent.env");
    let again = host.booted.run(&host.install_line(""));
    assert!(again.contains("this host reports to"), "{again}");
    assert_eq!(host.booted.run("cat /etc/muster/agent.env"), settings, "what was chosen stays");
    wait_for("the agent", || (host.agent()["connected"] == true).then_some(()));
    let status = host.property("StatusText");
    assert!(status.contains("connected to"), "{status}");
}

fn updated(host: &mut Host) {
    host.booted.run(
        "mkdir -p /etc/systemd/system/muster-agent.service.d && \
         printf '[Service]\\nEnvironment=MUSTER_UPDATE_SPREAD=0s\\nWatchdogSec=20\\nTimeoutStartSec=8\\nRestartSec=200ms\\n' \
           >/etc/systemd/system/muster-agent.service.d/test.conf && \
         systemctl daemon-reload && systemctl restart muster-agent",
    );
    let pid = host.property("MainPID");
    let mut program = std::fs::read(binary()).unwrap();
    program.extend_from_slice(b"another build");
    host.release("99.0.0", &program, &host.signer);
    assert_eq!(host.wait_for_report("99.0.0", "installed"), "99.0.0");
    assert_eq!(host.property("MainPID"), pid, "it is the same process");
    assert_eq!(host.property("NRestarts"), "0");
    let runs = host.booted.run(&format!("readlink /proc/{pid}/exe; cat /proc/{pid}/comm"));
    assert_eq!(runs, "/var/lib/muster-agent/update/program\nmuster\n");
    host.booted.run("systemctl restart muster-agent");
    assert_eq!(host.wait_for_report("99.0.0", "installed"), "99.0.0");
}

fn refused_and_rolled_back(host: &mut Host) {
    let dir = host.booted.shared();
    let stranger = Ed25519KeyPair::generate().unwrap();
    host.release("99.1.0", b"a program of somebody else", &stranger);
    assert_eq!(host.wait_for_report("99.1.0", "refused"), "99.0.0");
    let Some(exits) = broken_program(&dir, "int main(void) { return 1; }") else { return };
    host.release("99.2.0", &exits, &host.signer);
    assert_eq!(host.wait_for_report("99.2.0", "rolled_back"), "99.0.0", "what ran before");
    let hangs = "#include <unistd.h>\nint main(void) { for (;;) pause(); }";
    let Some(hangs) = broken_program(&dir, hangs) else { return };
    host.release("99.3.0", &hangs, &host.signer);
    assert_eq!(host.wait_for_report("99.3.0", "rolled_back"), "99.0.0");
    let other = host.booted.run("stat -c %U:%a /usr/local/bin/muster");
    assert_eq!(other.trim(), "root:755", "the installed program is as it was");
    let mode = std::fs::metadata(binary()).unwrap().permissions().mode();
    assert_ne!(mode & 0o111, 0);
}

fn removed(host: &mut Host, before: &str) {
    let url = &host.url;
    let told = host.booted.run("sh /usr/local/lib/muster/uninstall.sh");
    assert!(told.contains("removed"), "{told}");
    let after = host.booted.run(TREE);
    let lines =
        |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (before, after) = (lines(before), lines(&after));
    assert_eq!(
        after.symmetric_difference(&before).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "it is as it was before"
    );
    let (_, unit) = host.booted.attempt("systemctl status muster-agent");
    assert!(unit.contains("could not be found"), "{unit}");
    let again = host.booted.run(&format!("curl -fsSk {url}/install.sh | sh -s -- --uninstall"));
    assert!(again.contains("removed"), "a second time it finds nothing to do: {again}");
}
