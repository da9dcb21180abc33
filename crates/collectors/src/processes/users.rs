//! The names of users, as `/etc/passwd` has them.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// Largest file of users that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The users of a host; the file is read again when it has changed.
#[derive(Debug)]
pub(crate) struct Users {
    path: PathBuf,
    changed: Option<SystemTime>,
    names: HashMap<u32, String>,
}

impl Users {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, changed: None, names: HashMap::new() }
    }

    /// Reads the file if it is another than at the last time.
    pub(crate) fn refresh(&mut self) {
        let metadata = fs::metadata(&self.path).ok().filter(|file| file.len() <= MAX_FILE);
        let changed = metadata.and_then(|file| file.modified().ok());
        if changed != self.changed {
            let text = changed.and_then(|_| fs::read(&self.path).ok()).unwrap_or_default();
            self.names = parse(&String::from_utf8_lossy(&text));
            self.changed = changed;
        }
    }

    /// The name of a user, or the number of one without a name.
    pub(crate) fn name(&self, user: u32) -> String {
        self.names.get(&user).cloned().unwrap_or_else(|| user.to_string())
    }
}

/// Lines of `name:password:number:…`; of two with one number, the first counts.
fn parse(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), _, Some(Ok(number))) =
            (fields.next(), fields.next(), fields.next().map(str::parse))
            && !name.is_empty()
        {
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwd");
        let mut users = Users::new(path.clone());
        users.refresh();
        assert_eq!(users.name(0), "0");
        fs::write(&path, "root:x:0:0::/root:/bin/sh\ntoor:x:0:0\nodd\n:x:7\nwww:x:33:33\n")
            .unwrap();
        users.refresh();
        assert_eq!([users.name(0), users.name(7), users.name(33)], ["root", "7", "www"]);
        fs::remove_file(&path).unwrap();
        users.refresh();
        assert_eq!(users.name(0), "0");
    }
}
