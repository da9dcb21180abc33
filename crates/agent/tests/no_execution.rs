//! The agent has no way to execute what a server sends: the words by which a program is started stand in one file, the
//! launcher, which starts nothing that is not signed by a key that the server does not have (its own tests show that).

use std::fs;
use std::path::{Path, PathBuf};

/// What starts a program or loads code, in the standard library and in the crates that are usual for it.
const WORDS: [&str; 8] = [
    "process::Command",
    "CommandExt",
    "execve",
    "fexecve",
    "posix_spawn",
    "libloading",
    "dlopen",
    "wasmtime",
];
const LAUNCHER: &str = "agent/src/update/launcher.rs";

#[test]
fn only_the_launcher_starts_a_program() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for name in ["agent", "wire"] {
        collect(&crates.join(name).join("src"), &mut files);
    }
    assert!(files.len() > 30, "the sources are there");
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        if WORDS.iter().any(|word| text.contains(word)) {
            found.push(file.strip_prefix(crates).unwrap().to_owned());
        }
    }
    assert_eq!(found, [Path::new(LAUNCHER)]);
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of sources") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
