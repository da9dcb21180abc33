//! The script with which hosts install the agent, made for what this server has to give.
//!
//! It holds no secret and no address, so it is the same for everybody, and its SHA-256 can stand in the command that the
//! page shows: whoever compares it needs to trust neither the network nor this server's certificate. The programs' hashes
//! stand in the script in turn (docs/decisions/0010-the-install-command-carries-a-hash.md).

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

const SCRIPT: &str = include_str!("../../../packaging/install.sh");
const UNIT: &str = include_str!("../../../packaging/muster-agent.service");
const UNINSTALL: &str = include_str!("../../../packaging/uninstall.sh");

/// A script, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) text: String,
    /// SHA-256 of the text, in hexadecimal digits.
    pub(crate) sha256: String,
}

/// The script that installs one of `programs`: of each architecture the SHA-256.
pub(crate) fn script(version: &str, programs: &BTreeMap<String, [u8; 32]>) -> Script {
    let lines: Vec<String> = programs
        .iter()
        .map(|(name, sha256)| format!("{name} {}", HEXLOWER.encode(sha256)))
        .collect();
    let text = SCRIPT
        .replace("@VERSION@", version)
        .replace("@BINARIES@", &lines.join("\n"))
        .replace("@UNIT@", UNIT.trim_end())
        .replace("@UNINSTALL@", UNINSTALL.trim_end());
    let sha256 = HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref());
    Script { text, sha256 }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn made() -> Script {
        let programs =
            BTreeMap::from([("aarch64".to_owned(), [1; 32]), ("x86_64".to_owned(), [2; 32])]);
        script("0.1.0", &programs)
    }

    #[test]
    fn it_holds_the_hashes_and_the_unit_and_nothing_is_left_to_fill_in() {
        let text = made().text;
        assert!(text.contains(&format!(
            "\nbinaries='aarch64 {}\nx86_64 {}'\n",
            "01".repeat(32),
            "02".repeat(32)
        )));
        assert!(text.contains("\nUser=muster-agent\n") && text.contains("\nType=notify\n"));
        for placeholder in ["@VERSION@", "@BINARIES@", "@UNIT@", "@UNINSTALL@"] {
            assert!(!text.contains(placeholder), "{placeholder}");
        }
    }

    /// The command on the page compares the script as the shell's `$(…)` gives it, which takes the line feeds off its end.
    #[test]
    fn it_ends_with_one_line_feed() {
        let text = made().text;
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
    }

    #[test]
    fn a_shell_and_its_critic_find_nothing_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("install.sh");
        std::fs::write(&path, made().text).unwrap();
        for critic in [["sh", "-n"], ["shellcheck", "--shell=sh"]] {
            let Ok(output) = Command::new(critic[0]).arg(critic[1]).arg(&path).output() else {
                println!("skipped: there is no {} here", critic[0]);
                continue;
            };
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{critic:?}: {said}");
        }
    }

    #[test]
    fn the_guides_show_the_servers_unit_as_it_is() {
        let unit = include_str!("../../../packaging/muster.service");
        for guide in [
            include_str!("../../../docs/guide.en.md"),
            include_str!("../../../docs/guide.zh-CN.md"),
        ] {
            assert!(guide.contains(unit), "packaging/muster.service and the guides differ");
        }
    }

    /// A here-document in single quotes ends at its word, and nothing in it is expanded.
    #[test]
    fn neither_unit_nor_remover_can_end_its_own_document() {
        assert!(UNIT.lines().all(|line| line != "UNIT"));
        assert!(UNINSTALL.lines().all(|line| line != "UNINSTALL"));
    }
}
