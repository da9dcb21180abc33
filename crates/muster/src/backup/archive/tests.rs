//! What an archive gives back, and that nothing of one that is not whole is believed.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::backup::{bring_back, make_empty};

const PASSPHRASE: &str = "a passphrase of tests";

fn about(files: Vec<BackupFile>) -> Backup {
    Backup {
        format: FORMAT,
        muster: "1".into(),
        created: "2026-11-22T10:11:12Z".into(),
        block_samples: 3,
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        left_out: Vec::new(),
    }
}

/// Files as a data folder has them: an empty one, one of several chunks, and one with a long name.
fn contents() -> Vec<(String, Vec<u8>)> {
    vec![
        ("agent/key".into(), b"a key".to_vec()),
        (format!("metrics/blocks/{}", "b".repeat(150)), vec![7; 100_000]),
        ("metrics/wal/00000001".into(), Vec::new()),
        ("muster.db".into(), (0..=255).collect()),
    ]
}

fn folder(contents: &[(String, Vec<u8>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in contents {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

fn archive() -> (Backup, Vec<u8>) {
    let dir = folder(&contents());
    let mut writer = ArchiveWriter::new(Vec::new(), PASSPHRASE, Cost::LEAST).unwrap();
    writer.move_in(dir.path()).unwrap();
    assert!(!dir.path().join("muster.db").exists(), "its room is free");
    writer.finish(about).unwrap()
}

/// An archive of any entries, sealed as a real one.
fn forged(fill: impl FnOnce(&mut Builder<SealedWriter<Vec<u8>>>)) -> Vec<u8> {
    let sealed = SealedWriter::new(Vec::new(), PASSPHRASE, Cost::LEAST).unwrap();
    let mut tar = Builder::new(sealed);
    fill(&mut tar);
    tar.into_inner().unwrap().finish().unwrap()
}

/// Adds an entry whose name is not looked at.
fn add(tar: &mut Builder<SealedWriter<Vec<u8>>>, kind: EntryType, name: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn list_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let file = |(path, content): &(&str, &[u8])| {
        let mut hasher = Hasher::new();
        hasher.add(content);
        let (bytes, sha256) = hasher.finish();
        BackupFile { path: (*path).to_owned(), bytes, sha256 }
    };
    serde_json::to_vec(&about(files.iter().map(file).collect())).unwrap()
}

/// The archive is refused, by a check and by a restore, which leaves its folder empty.
#[track_caller]
fn check_refused(archive: &[u8], expected: &str) {
    let error = format!("{:#}", read_archive(archive, PASSPHRASE, None).unwrap_err());
    assert!(error.contains(expected), "{error}");
    let to = tempfile::tempdir().unwrap();
    let error = format!("{:#}", bring_back(archive, PASSPHRASE, to.path()).unwrap_err());
    assert!(error.contains(expected), "{error}");
    assert!(make_empty(to.path()).is_ok(), "something was left");
}

#[test]
fn what_comes_back_is_what_went_in_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (list, bytes) = archive();
    assert_eq!(list.files.len(), 4);
    assert_eq!(read_archive(&*bytes, PASSPHRASE, None).unwrap().files, list.files);
    let to = tempfile::tempdir().unwrap();
    let back = bring_back(&*bytes, PASSPHRASE, to.path()).unwrap();
    assert_eq!((back.files, back.block_samples), (list.files, 3));
    for (path, content) in contents() {
        let path = to.path().join(path);
        assert!(fs::read(&path).unwrap() == content, "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mut names: Vec<_> =
        fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["agent", "metrics", "muster.db"]);
}

#[test]
fn nothing_of_a_secret_stands_in_the_file() {
    let (_, bytes) = archive();
    for text in [&b"a key"[..], b"muster.db", b"backup.json", &[7; 32]] {
        assert!(!bytes.windows(text.len()).any(|window| window == text), "{text:?}");
    }
}

#[test]
fn a_file_that_is_cut_or_changed_is_refused() {
    let (_, bytes) = archive();
    for len in [10, 72, 5_000, bytes.len() / 2, bytes.len() - 1] {
        check_refused(&bytes[..len], "cut short");
    }
    for at in [100, 70_000, bytes.len() - 20] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        check_refused(&flipped, "use another copy");
    }
    let error = bring_back(&*bytes, "another", tempfile::tempdir().unwrap().path()).unwrap_err();
    assert!(error.to_string().contains("passphrase is wrong"), "{error}");
}

#[test]
fn entries_that_lead_out_of_the_folder_or_are_no_files_are_refused() {
    for name in ["../outside", "/etc/cron.d/x", "a/../../b", "..", "."] {
        check_refused(&forged(|tar| add(tar, EntryType::Regular, name, b"x")), "no place in");
    }
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Fifo,
        EntryType::Char,
        EntryType::Block,
    ] {
        check_refused(&forged(|tar| add(tar, kind, "name", b"")), "no plain file");
    }
}

#[test]
fn an_archive_that_differs_from_its_list_is_refused() {
    let plain = |tar: &mut Builder<_>, name, content| add(tar, EntryType::Regular, name, content);
    check_refused(&forged(|tar| plain(tar, "a", b"x")), "no whole backup");
    check_refused(&forged(|_| {}), "no whole backup");
    let list = list_of(&[("a", b"x"), ("b", b"y")]);
    check_refused(&forged(|tar| plain(tar, LIST_NAME, &list)), "a is missing; b is missing");
    let with = |entries: &[(&str, &[u8])]| {
        forged(|tar| {
            for (name, content) in entries {
                add(tar, EntryType::Regular, name, content);
            }
        })
    };
    let [a, b, end] = [("a", &b"x"[..]), ("b", &b"y"[..]), (LIST_NAME, &list[..])];
    assert!(read_archive(&*with(&[a, b, end]), PASSPHRASE, None).is_ok());
    check_refused(&with(&[a, ("b", b"z"), end]), "b is not what was written");
    check_refused(&with(&[a, b, ("c", b""), end]), "c is not listed");
    check_refused(&with(&[a, b, end, ("c", b"")]), "goes on after its list");
    check_refused(&with(&[a, ("c", b""), ("c", b""), b, end]), "c");
    check_refused(&with(&[a, b, (LIST_NAME, b"{}")]), "the list is damaged");
    let newer = String::from_utf8(list.clone()).unwrap().replace("\"format\":1", "\"format\":2");
    check_refused(&with(&[a, b, (LIST_NAME, newer.as_bytes())]), "has format 2");
}

#[test]
fn a_tar_that_claims_more_than_it_holds_is_refused() {
    let bomb = forged(|tar| {
        let mut header = Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_entry_type(EntryType::Regular);
        header.set_size(1 << 50);
        header.set_cksum();
        tar.get_mut().write_all(header.as_bytes()).unwrap();
        tar.get_mut().write_all(&[0; 4096]).unwrap();
    });
    check_refused(&bomb, "");
    let sparse = forged(|tar| add(tar, EntryType::GNUSparse, "a", b""));
    check_refused(&sparse, "");
}

#[test]
fn a_backup_of_version_1_is_read_for_ever() {
    let golden = &include_bytes!("../../../tests/golden/backup-v1")[..];
    let list = read_archive(golden, "golden passphrase", None).unwrap();
    let files: Vec<_> = list.files.iter().map(|file| (&*file.path, file.bytes)).collect();
    let long = format!("metrics/blocks/{}", "b".repeat(150));
    let expected =
        [("agent/key", 5), (&*long, 100_000), ("metrics/wal/00000001", 0), ("muster.db", 256)];
    assert_eq!(files, expected);
    assert_eq!(list.created, "2026-11-22T10:11:12Z");
}
