//! The database as a file: several handles, rights, damage, versions.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly, as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use muster_meta::{
    Actor, Location, Meta, MetaError, NewUser, Role, SealingKey, check_database, copy_database,
};

const NOW_MS: i64 = 1_760_000_000_000;

struct Place {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    // Characters that would need escaping in a URL must not matter in a path.
    let file = folder.path().join("数据 100%?#.db");
    Place { _folder: folder, file }
}

async fn open(file: &Path) -> Result<Meta, MetaError> {
    Meta::open(&Location::Sqlite(file.to_owned()), SealingKey::from_bytes([7; 32])).await
}

async fn add_user(meta: &Meta, name: &str) -> Result<(), MetaError> {
    let (name, password_hash) = (name.into(), "x".into());
    let new = NewUser { name, password_hash, role: Role::Viewer, identity: None };
    meta.create_user(&Actor::server(), new, NOW_MS).await.map(|_| ())
}

#[tokio::test]
async fn nobody_else_may_read_the_file_or_its_log() {
    let place = place();
    let meta = open(&place.file).await.unwrap();
    add_user(&meta, "ada").await.unwrap();
    let mut seen = Vec::new();
    for entry in fs::read_dir(place.file.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        seen.push(entry.file_name());
    }
    assert!(seen.len() > 1, "the log stands beside the file: {seen:?}");
}

#[tokio::test]
async fn two_handles_on_one_file_see_each_other() {
    let place = place();
    let server = open(&place.file).await.unwrap();
    let command = open(&place.file).await.unwrap();
    add_user(&command, "ada").await.unwrap();
    assert!(server.user_by_name("ada").await.unwrap().is_some());
    assert!(matches!(add_user(&server, "ada").await, Err(MetaError::NameTaken { .. })));
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_alone() {
    let place = place();
    let text = "this is a text, and no database of any kind\n".repeat(100);
    fs::write(&place.file, &text).unwrap();
    let error = open(&place.file).await.unwrap_err();
    assert!(matches!(error, MetaError::NotADatabase { .. }), "{error}");
    assert!(error.to_string().contains(place.file.to_str().unwrap()), "{error}");
    assert_eq!(fs::read_to_string(&place.file).unwrap(), text);
}

#[tokio::test]
async fn a_place_that_cannot_be_opened_is_told_with_its_path() {
    let place = place();
    let in_no_folder = place.file.with_file_name("absent").join("muster.db");
    let a_folder = place.file.parent().unwrap();
    for path in [in_no_folder.as_path(), a_folder] {
        let error = open(path).await.unwrap_err();
        assert!(matches!(error, MetaError::CannotOpen { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_copy_made_beside_an_open_database_holds_all_of_it() {
    let place = place();
    let meta = open(&place.file).await.unwrap();
    for number in 0..20 {
        add_user(&meta, &format!("user {number}")).await.unwrap();
    }
    let copy = place.file.with_file_name("it's a copy.db");
    copy_database(&place.file, &copy).await.unwrap();
    add_user(&meta, "later").await.unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(check_database(&copy).await.unwrap(), Vec::<String>::new());
    assert_eq!(check_database(&place.file).await.unwrap(), Vec::<String>::new());
    assert_eq!(open(&copy).await.unwrap().count_users().await.unwrap(), 20);
    let error = copy_database(&place.file, &copy).await.unwrap_err();
    assert!(error.to_string().contains("it is there already"), "{error}");
    meta.close().await.unwrap();
    copy_database(&place.file, &place.file.with_file_name("at rest")).await.unwrap();
}

#[tokio::test]
async fn a_damaged_or_missing_database_is_told_and_not_changed() {
    let place = place();
    let meta = open(&place.file).await.unwrap();
    for number in 0..200 {
        add_user(&meta, &format!("user {number}")).await.unwrap();
    }
    meta.close().await.unwrap();
    let mut bytes = fs::read(&place.file).unwrap();
    let len = bytes.len();
    bytes[4096..len - 4096].fill(0x5a);
    fs::write(&place.file, &bytes).unwrap();
    let told = match check_database(&place.file).await {
        Ok(faults) => faults.len(),
        Err(_) => 1,
    };
    assert!(told > 0);
    assert_eq!(fs::read(&place.file).unwrap(), bytes);
    let missing = place.file.with_file_name("none.db");
    assert!(matches!(check_database(&missing).await, Err(MetaError::CannotOpen { .. })));
    assert!(!missing.exists());
    let copy = place.file.with_file_name("copy.db");
    assert!(copy_database(&place.file, &copy).await.is_err());
}
