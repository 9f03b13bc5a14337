//! Directories as the kernel sees them, on whatever filesystem holds the temporary directory.

use std::fs;
use std::path::Path;

use super::{DiskError, free_space, identity, is_read_only, same_filesystem};

#[test]
fn space_is_plausible() {
    let dir = tempfile::tempdir().unwrap();
    let space = free_space(dir.path()).unwrap();
    assert!(space.size_bytes > 0);
    assert!(space.free_bytes <= space.size_bytes);
    assert!(!is_read_only(dir.path()).unwrap());
}

#[test]
fn a_missing_path_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    for error in [free_space(&gone).unwrap_err(), is_read_only(&gone).unwrap_err(), identity(&gone).unwrap_err()] {
        assert!(error.to_string().contains("gone"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn identity_survives_content_and_not_replacement() {
    let dir = tempfile::tempdir().unwrap();
    let (data, aside) = (dir.path().join("data"), dir.path().join("aside"));
    fs::create_dir(&data).unwrap();
    let before = identity(&data).unwrap();
    fs::write(data.join("file"), "content").unwrap();
    assert_eq!(identity(&data).unwrap(), before);

    fs::rename(&data, &aside).unwrap();
    fs::create_dir(&data).unwrap();
    assert_ne!(identity(&data).unwrap(), before, "another directory stands in its place");
    assert_eq!(identity(&aside).unwrap(), before, "the directory itself only moved");
}

#[test]
fn the_birth_time_is_that_of_the_filesystem() {
    let dir = tempfile::tempdir().unwrap();
    let expected = dir.path().metadata().unwrap().created().ok().map(|created| {
        let since_epoch = created.duration_since(std::time::UNIX_EPOCH).unwrap();
        (i64::try_from(since_epoch.as_secs()).unwrap(), since_epoch.subsec_nanos())
    });
    assert_eq!(identity(dir.path()).unwrap().born, expected);
}

#[test]
fn a_file_is_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(identity(&file), Err(DiskError::NotADirectory { .. })));
}

#[test]
fn filesystems_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("below");
    fs::create_dir(&below).unwrap();
    assert!(same_filesystem(dir.path(), &below).unwrap());
    assert!(!same_filesystem(dir.path(), Path::new("/proc")).unwrap());
}
