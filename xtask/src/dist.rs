//! `cargo xtask dist`: the files of a release, as a server's folder `downloads` takes them.
//!
//! With a private key the release is signed, and the program is built with the public half: its agents take later releases
//! of the same key. The key stays on the machine that makes releases; a server only passes the signature on. Signing is
//! left to openssl, so the key is a PEM file like any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail, ensure};
use data_encoding::HEXLOWER;

use crate::workspace::Workspace;
use crate::{page, process};

/// The DER form of an Ed25519 public key is this many bytes of header, then the key.
const DER_HEADER: usize = 12;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    key: Option<PathBuf>,
    out: Option<PathBuf>,
}

/// `cargo xtask dist [--key FILE] [--out DIR]`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let wanted = wanted(arguments)?;
    let public = wanted.key.as_deref().map(public_key).transpose()?;
    page::build(workspace, "[1/3] ")?;
    eprintln!("[2/3] building muster (cargo, release) …");
    let mut build = workspace.cargo(["build", "--release", "--package", "muster"]);
    build.env("MUSTER_RELEASE_KEY", public.as_deref().unwrap_or_default());
    process::watch("release build", &mut build)?.or_error("the release build")?;

    let out = wanted.out.unwrap_or_else(|| workspace.target.join("dist"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let architecture = std::env::consts::ARCH;
    let name = format!("muster-linux-{architecture}");
    let program = out.join(&name);
    fs::copy(workspace.binary("muster"), &program)
        .with_context(|| format!("cannot write {}", program.display()))?;
    let sha256 = sha256_of(&program)?;
    fs::write(out.join(format!("{name}.sha256")), format!("{sha256}  {name}\n"))?;
    println!("{}", program.display());
    let Some(key) = wanted.key else {
        eprintln!(
            "[3/3] not signed: agents install it, but none takes it as an update; give --key FILE"
        );
        return Ok(ExitCode::SUCCESS);
    };
    eprintln!("[3/3] signing …");
    let told = process::text_of(Command::new(&program).arg("--version"))?;
    let version = told.trim().strip_prefix("muster ").context("the program told no version")?;
    let text = signed_text(version, architecture, fs::metadata(&program)?.len(), &sha256);
    let signature = sign(&key, &text)?;
    let path = out.join(format!("{name}.sig"));
    fs::write(&path, format!("{text}signature {signature}\n"))?;
    println!("{}", path.display());
    println!("key of these releases: {}", public.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

fn wanted(arguments: &[String]) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted::default();
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let place = match flag.as_str() {
            "--key" => &mut wanted.key,
            "--out" => &mut wanted.out,
            unknown => bail!("`cargo xtask dist` knows no `{unknown}`; see `cargo xtask help`"),
        };
        *place = Some(rest.next().with_context(|| format!("{flag} needs a path"))?.into());
    }
    Ok(wanted)
}

/// What is signed: docs/format/wire.md, "Releases".
fn signed_text(version: &str, architecture: &str, size: u64, sha256: &str) -> String {
    format!(
        "muster release 1\nname muster\nversion {version}\narchitecture {architecture}\nsize {size}\nsha256 {sha256}\n"
    )
}

/// The public half of a private key, in hexadecimal digits.
fn public_key(key: &Path) -> anyhow::Result<String> {
    let der = openssl(["pkey", "-pubout", "-outform", "DER", "-in"], key)?;
    ensure!(
        der.len() == DER_HEADER + 32,
        "{} is no Ed25519 key; make one with: openssl genpkey -algorithm ed25519 -out FILE",
        key.display()
    );
    Ok(HEXLOWER.encode(&der[DER_HEADER..]))
}

fn sign(key: &Path, text: &str) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let message = dir.path().join("message");
    fs::write(&message, text)?;
    let path = message.to_str().context("a temporary folder has a plain name")?;
    let signature = openssl(["pkeyutl", "-sign", "-rawin", "-in", path, "-inkey"], key)?;
    ensure!(signature.len() == 64, "openssl made no Ed25519 signature");
    Ok(HEXLOWER.encode(&signature))
}

/// What openssl prints; the key is the last argument.
fn openssl<const N: usize>(arguments: [&str; N], key: &Path) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(arguments).arg(key);
    let output = command.output().context("cannot start openssl; install it (3.0 or newer)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "openssl cannot use {}: {}", key.display(), said.trim());
    Ok(output.stdout)
}

fn sha256_of(path: &Path) -> anyhow::Result<String> {
    let told = process::text_of(Command::new("sha256sum").arg("--").arg(path))?;
    let digits = told.split_whitespace().next().unwrap_or_default().trim_start_matches('\\');
    ensure!(digits.len() == 64, "sha256sum printed {told:?}");
    Ok(digits.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], expected: Result<Wanted, &str>) {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        match (wanted(&arguments), expected) {
            (Ok(wanted), Ok(expected)) => assert_eq!(wanted, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (told, expected) => panic!("{told:?}, not {expected:?}"),
        }
    }

    #[test]
    fn the_command_line() {
        check(&[], Ok(Wanted::default()));
        let both = Wanted { key: Some("k".into()), out: Some("d".into()) };
        check(&["--out", "d", "--key", "k"], Ok(both));
        check(&["--key"], Err("needs a path"));
        check(&["--sign"], Err("knows no"));
    }

    #[test]
    fn the_text_that_is_signed_is_the_one_that_agents_verify() {
        let sha256 = "ab".repeat(32);
        assert_eq!(
            signed_text("1.20.3", "x86_64", 5, &sha256),
            format!(
                "muster release 1\nname muster\nversion 1.20.3\narchitecture x86_64\nsize 5\nsha256 {sha256}\n"
            ),
        );
    }

    #[test]
    fn openssl_signs_with_a_key_that_it_made() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key.pem");
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "ed25519", "-out"])
            .arg(&key)
            .output();
        if !made.is_ok_and(|output| output.status.success()) {
            println!("skipped: there is no openssl that makes Ed25519 keys");
            return;
        }
        assert_eq!(public_key(&key).unwrap().len(), 64);
        let signature = sign(&key, "text").unwrap();
        assert_eq!(signature.len(), 128);
        assert_eq!(signature, sign(&key, "text").unwrap());
        assert_ne!(signature, sign(&key, "other").unwrap());
        fs::write(&key, "no key").unwrap();
        assert!(sign(&key, "text").unwrap_err().to_string().contains("openssl cannot use"));
    }
}
