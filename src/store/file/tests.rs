use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::{MODE_SECRET, create_file, overwrite_in_place, write_file};
use crate::StoreError;

/// The names in a directory.
fn names(dir: &std::path::Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn writing_replaces_content_and_mode_and_leaves_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, "a longer former content").unwrap();
    write_file(&path, b"new", MODE_SECRET).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(dir.path()), ["key"]);
}

#[test]
fn creating_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create_file(&path, b"first", MODE_SECRET).unwrap();
    let second = create_file(&path, b"second", MODE_SECRET);
    assert!(matches!(second, Err(StoreError::Exists { .. })), "{second:?}");
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(dir.path()), ["key"], "the temporary file is gone");
}

#[test]
fn a_failure_names_the_file_and_keeps_the_former_one() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent/key");
    let error = write_file(&absent, b"x", MODE_SECRET).unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
    let taken = dir.path().join("taken");
    fs::create_dir(&taken).unwrap();
    assert!(write_file(&taken, b"x", MODE_SECRET).is_err());
    assert_eq!(names(dir.path()), ["taken"]);
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    let error = fs::write("/dev/full", b"x").unwrap_err();
    let error = StoreError::io("write", std::path::Path::new("/dev/full"), error);
    assert!(error.is_disk_full(), "{error:?}");
}

#[test]
fn overwriting_keeps_the_inode_and_insists_on_the_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slot");
    create_file(&path, &[7; 4096], MODE_SECRET).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    for length in [0, 4095, 4097] {
        let refused = overwrite_in_place(&path, &vec![0; length]);
        assert!(matches!(refused, Err(StoreError::WrongLength { .. })), "{refused:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), [7; 4096], "a refusal writes nothing");
    overwrite_in_place(&path, &[0; 4096]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [0; 4096]);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    let absent = overwrite_in_place(&dir.path().join("absent"), &[]);
    assert!(matches!(absent, Err(StoreError::NotFound { .. })), "{absent:?}");
}
