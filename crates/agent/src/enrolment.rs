//! What the state folder knows about the server: whether it has let this agent in.

use std::io;
use std::path::Path;

use muster_environment::{Disk, read_all, replace_file};
use serde::{Deserialize, Serialize};

const FILE: &str = "enrolled.json";

/// Where whoever installs the agent leaves the join token, so that no other account sees it.
const TOKEN_FILE: &str = "join-token";

/// The token that was left in the state folder, if there is one.
pub(crate) fn left_token(state_dir: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(state_dir.join(TOKEN_FILE)) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes that token: the agent has been let in and needs it no more.
pub(crate) fn remove_left_token(state_dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(state_dir.join(TOKEN_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Written after the first welcome; from then on no token is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enrolment {
    /// The server's address at that time.
    pub(crate) server_url: String,
    /// The name that the server gave to this host.
    pub(crate) instance: String,
}

impl Enrolment {
    /// What is on record; a file that cannot be understood counts as none, and the token decides.
    pub(crate) fn load(disk: &dyn Disk, state_dir: &Path) -> io::Result<Option<Self>> {
        let path = state_dir.join(FILE);
        if !disk.exists(&path)? {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&read_all(disk, &path)?).ok())
    }

    /// Puts it on record.
    pub(crate) fn save(&self, disk: &dyn Disk, state_dir: &Path) -> io::Result<()> {
        replace_file(disk, state_dir, FILE, &serde_json::to_vec(self)?)
    }
}

#[cfg(test)]
mod tests {
    use muster_environment::MemoryDisk;

    use super::*;

    #[test]
    fn a_token_that_was_left_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(left_token(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join(TOKEN_FILE), "a-token\n").unwrap();
        assert_eq!(left_token(dir.path()).unwrap().as_deref(), Some("a-token"));
        remove_left_token(dir.path()).unwrap();
        assert_eq!(left_token(dir.path()).unwrap(), None);
        remove_left_token(dir.path()).unwrap();
    }

    #[test]
    fn it_is_remembered_and_damage_is_no_enrolment() {
        let disk = MemoryDisk::new();
        let dir = Path::new("/state");
        disk.create_dir_all(dir).unwrap();
        assert_eq!(Enrolment::load(&disk, dir).unwrap(), None);
        let enrolment = Enrolment { server_url: "https://srv".into(), instance: "web-1".into() };
        enrolment.save(&disk, dir).unwrap();
        assert_eq!(Enrolment::load(&disk, dir).unwrap(), Some(enrolment));
        disk.corrupt(&dir.join(FILE), |bytes| bytes.truncate(5)).unwrap();
        assert_eq!(Enrolment::load(&disk, dir).unwrap(), None);
    }
}
