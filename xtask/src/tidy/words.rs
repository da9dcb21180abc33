//! Words that no tracked file may hold: unfinished work, folders of one person's machine, addresses a lock file must not fix.

use super::{File, Findings};

/// A word and why it is refused.
struct Banned {
    word: &'static str,
    why: &'static str,
}

const UNFINISHED: &str = "finish it, or leave it out";
const SILENCED: &str = "mend what it silences";
const ONE_MACHINE: &str = "a path of one machine; make it relative";
const ADDRESS: &str = "lock files must not fix where packages come from";

/// The table.
const BANNED: [Banned; 11] = [
    Banned { word: "todo!", why: UNFINISHED },
    Banned { word: "TODO", why: UNFINISHED },
    Banned { word: "FIXME", why: UNFINISHED },
    Banned { word: "XXX", why: UNFINISHED },
    Banned { word: "HACK", why: UNFINISHED },
    Banned { word: "unimplemented!", why: UNFINISHED },
    Banned { word: "@ts-ignore", why: SILENCED },
    Banned { word: "@ts-nocheck", why: SILENCED },
    Banned { word: "/work/", why: ONE_MACHINE },
    Banned { word: "registry.npmjs.org", why: ADDRESS },
    Banned { word: "\"resolved\":", why: ADDRESS },
];

/// Lock files hold checksums, in which any word may stand by chance; only addresses are looked for there.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "web/package-lock.json"];
/// This file, which must name the words.
const THIS_FILE: &str = "xtask/src/tidy/words.rs";

/// Looks for each word of the table, standing alone.
pub(super) fn check(file: &File, findings: &mut Findings) {
    if file.path == THIS_FILE {
        return;
    }
    let is_lock = LOCK_FILES.contains(&file.path.as_str());
    for Banned { word, why } in BANNED.iter().filter(|banned| !is_lock || banned.why == ADDRESS) {
        if let Some(at) = position(&file.text, word) {
            let line = file.text[..at].matches('\n').count() + 1;
            findings.error(format!("{}:{line}: holds {word:?}: {why}", file.path));
        }
    }
}

/// The first place where `word` is not a part of a longer word or path.
fn position(text: &str, word: &str) -> Option<usize> {
    let starts_path = word.starts_with('/');
    let ends_in_letter = word.ends_with(char::is_alphanumeric);
    text.match_indices(word).map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let continues_path = starts_path && before.is_some_and(|sign| ".}~$*".contains(sign));
        let ends = !ends_in_letter || !continues_word(after);
        ends && !continues_path && !continues_word(before)
    })
}

fn continues_word(sign: Option<char>) -> bool {
    sign.is_some_and(|sign| sign.is_alphanumeric() || sign == '_' || sign == '-')
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{expect_errors, file};
    use super::*;

    #[track_caller]
    fn run(path: &str, text: &str, fragments: &[&str]) {
        expect_errors(|findings| check(&file(path, text), findings), fragments);
    }

    #[test]
    fn each_word_of_the_table_is_found() {
        for Banned { word, why } in BANNED {
            run("src/a.rs", &format!("first\n say {word} here"), &["a.rs:2: holds"]);
            run("src/a.rs", &format!("{word} here"), &[why]);
        }
    }

    #[test]
    fn parts_of_longer_words_and_paths_are_not() {
        run("a.sh", "mktemp -d muster.XXXXXX HACKNEY", &[]);
        run("a.md", "the folder net/work/ and ../work/ and $HOME/work/", &[]);
        run("a.md", "cd /work/main", &["a.md:1: holds \"/work/\""]);
    }

    #[test]
    fn lock_files_are_searched_for_addresses_only() {
        run("web/package-lock.json", "\"integrity\": \"sha512-a+XXX/b\"", &[]);
        run(
            "web/package-lock.json",
            "\n\"resolved\": \"https://h/x.tgz\"",
            &["package-lock.json:2"],
        );
    }

    #[test]
    fn this_file_names_them_and_is_left_out() {
        run(THIS_FILE, "FIXME", &[]);
    }
}
