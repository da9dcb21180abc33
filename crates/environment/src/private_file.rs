//! Small files that only the user of the process may read, and that a crash never leaves half written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Makes `name` in `dir` hold exactly `bytes`: temporary name, sync, rename, sync of the folder. The
/// file has mode 0600; the folder is made with mode 0700 if it is not there.
pub fn replace_private_file(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = dir.join(format!("{name}.tmp"));
    // One that a crash left there may have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_private_and_whole_whatever_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let path = state.join("note");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        replace_private_file(&state, "note", b"first").unwrap();
        assert_eq!((mode(&state), mode(&path)), (0o700, 0o600));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(state.join("note.tmp"), "cut sh").unwrap();
        replace_private_file(&state, "note", b"second").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"second".into(), 0o600));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
    }
}
