//! The script that installs the agent, run as root in name spaces of its own, where what it changes is gone with them.
//! Its server is a `curl` that copies a file; no systemd is there, and the program is a script.

#![expect(clippy::unwrap_used, reason = "a test's preparations must succeed")]
#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

const SCRIPT: &str = include_str!("../../../packaging/install.sh");
const UNIT: &str = include_str!("../../../packaging/muster-agent.service");
const UNINSTALL: &str = include_str!("../../../packaging/uninstall.sh");
const PROGRAM: &str = "#!/bin/sh\necho muster\n";

/// One at a time: a child that another test starts holds our open files for a moment, and a program open for writing
/// cannot be run.
static ALONE: Mutex<()> = Mutex::new(());

/// A throw-away `/etc`, `/usr/local` and `/var/lib`, and no `/run`. `$d` is the test's folder.
const PRELUDE: &str = "set -eu
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
for at in /etc /usr/local /var/lib; do
  mkdir -p /run/over$at/upper /run/over$at/work
  mount -t overlay overlay -o lowerdir=$at,upperdir=/run/over$at/upper,workdir=/run/over$at/work $at
done
rm -rf /usr/local/bin/muster /usr/local/lib/muster /etc/muster /var/lib/muster-agent
export PATH=\"$d/bin:$PATH\"
state=/var/lib/muster-agent
install() { MUSTER_TOKEN=T sh \"$d/install.sh\" --server http://m:1 \"$@\"; }
fail() { echo \"FAILED: $*\"; exit 1; }
";

fn write_program(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs `steps` after the prelude; they must succeed.
#[track_caller]
fn check(steps: &str) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: an installation needs root");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let sha256 = digest(&SHA256, PROGRAM.as_bytes());
    let sha256 = HEXLOWER.encode(sha256.as_ref());
    let script = SCRIPT
        .replace("@BINARIES@", &format!("{} {sha256}", std::env::consts::ARCH))
        .replace("@UNIT@", UNIT.trim_end())
        .replace("@UNINSTALL@", UNINSTALL.trim_end());
    std::fs::write(dir.path().join("install.sh"), script).unwrap();
    std::fs::create_dir(dir.path().join("bin")).unwrap();
    write_program(&dir.path().join("program"), PROGRAM);
    let curl =
        "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nexec \"$(dirname \"$0\")/../get\" \"$1\"\n";
    write_program(&dir.path().join("bin/curl"), curl);
    write_program(&dir.path().join("get"), "#!/bin/sh\ncp \"${0%get}program\" \"$1\"\n");
    let probe = "mkdir -p /run/p/u /run/p/w && mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/p/u,workdir=/run/p/w /etc";
    let probe = format!("mount --make-rprivate / && mount -t tmpfs tmpfs /run && {probe}");
    let able = Command::new("unshare").args(["--mount", "sh", "-c", &probe]).output();
    if !able.is_ok_and(|output| output.status.success()) {
        println!("skipped: there are no name spaces with overlays here");
        return;
    }
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "sh", "-c", &format!("{PRELUDE}{steps}")])
        .env("d", dir.path())
        .env_remove("MUSTER_TOKEN")
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}

#[test]
fn root_follows_no_link_in_the_agents_folder() {
    check(
        "install
echo mine >/etc/victim; chmod 644 /etc/victim; before=$(stat -c '%U %a %s' /etc/victim)
for name in join-token.new join-token; do
  ln -sfn /etc/victim $state/$name; chown -h muster-agent $state/$name
  install
  [ \"$(stat -c '%U %a %s' /etc/victim)\" = \"$before\" ] || fail \"$name: $(ls -l /etc/victim)\"
  [ \"$(stat -c '%U %a %F' $state/join-token)\" = 'muster-agent 600 regular file' ] || fail \"$(ls -l $state)\"
  [ \"$(cat $state/join-token)\" = T ] || fail 'another token'
done
rm $state/join-token; mkdir /etc/folder; ln -s /etc/folder $state/folder
sh /usr/local/lib/muster/uninstall.sh
[ -d /etc/folder ] && [ -e /etc/victim ] && [ ! -e $state ] || fail 'it removed more, or less'",
    );
}

#[test]
fn the_host_removes_the_agent_by_itself() {
    check(
        "find /etc /usr/local /var/lib -xdev ! -name '*-' ! -name .pwd.lock -printf '%p %m %u\\n' | sort >/run/before
install | grep -q 'sudo sh /usr/local/lib/muster/uninstall.sh' || fail 'it does not say how to remove it'
[ \"$(stat -c %U:%a /usr/local/lib/muster/uninstall.sh)\" = root:644 ] || fail 'others can change it'
printf '#!/bin/sh\\nexit 1\\n' >\"$d/get\"
sh /usr/local/lib/muster/uninstall.sh
find /etc /usr/local /var/lib -xdev ! -name '*-' ! -name .pwd.lock -printf '%p %m %u\\n' | sort >/run/after
diff /run/before /run/after || fail 'something is left'
sh \"$d/install.sh\" --uninstall",
    );
}

#[test]
fn settings_of_others_stay_as_they_are() {
    check(
        "install --instance web-1
printf '# mine\\nHTTPS_PROXY=http://p:3128\\nMUSTER_INTERVAL=30s' >>/etc/muster/agent.env; chmod 600 /etc/muster/agent.env
install --instance web-2; install --with none
cat >/run/expected <<'END'
# Settings of the Muster agent; after a change: systemctl restart muster-agent
MUSTER_SERVER=http://m:1
MUSTER_INSTANCE=web-2
# with=
# mine
HTTPS_PROXY=http://p:3128
MUSTER_INTERVAL=30s
END
diff /run/expected /etc/muster/agent.env || fail 'not the settings'
[ \"$(stat -c %a /etc/muster/agent.env)\" = 600 ] || fail 'others can read them'",
    );
}

#[test]
fn an_installation_that_was_cut_off_can_be_made_again_and_removed() {
    check(
        "cp \"$d/get\" /run/get
printf '#!/bin/sh\\necho half >$1; kill -TERM $(cat /run/pid); sleep 0.2\\n' >\"$d/get\"
(MUSTER_TOKEN=T exec sh -c 'echo $$ >/run/pid; . \"$d/install.sh\"' install.sh --server http://m:1) && fail 'it went on'
[ -z \"$(ls /usr/local/bin/muster* 2>/dev/null)\" ] || fail \"left: $(ls /usr/local/bin)\"
cp /run/get \"$d/get\"
printf '#!/bin/sh\\nexit 1\\n' >\"$d/bin/mktemp\"; cp \"$d/bin/mktemp\" \"$d/bin/useradd\"; rm \"$d/bin/mktemp\"; chmod 755 \"$d/bin/useradd\"
install && fail 'no account was made'
rm \"$d/bin/useradd\"
install
grep -q keep-binary /etc/muster/agent.env && fail 'the program is taken for one of somebody else'
sh /usr/local/lib/muster/uninstall.sh
[ ! -e /usr/local/bin/muster ] || fail 'the program is left'",
    );
}

#[test]
fn what_was_there_before_stays() {
    check(
        "echo old >/usr/local/bin/muster; groupadd --system muster-agent
install; install
[ \"$(id -gn muster-agent)\" = muster-agent ] || fail 'not its group'
sh /usr/local/lib/muster/uninstall.sh
[ -e /usr/local/bin/muster ] || fail 'the program of somebody else is gone'",
    );
}
