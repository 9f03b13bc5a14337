use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_file_is_replaced_whole_with_its_mode_whatever_a_cut_left_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings");
    fs::write(dir.path().join("settings.new"), "half a").unwrap();
    replace(&path, b"first", 0o600, |_| Ok(())).unwrap();
    replace(&path, b"second", 0o600, |file| file.set_permissions(fs::Permissions::from_mode(0o640))).unwrap();
    assert_eq!(read(&path, 6).unwrap().unwrap().as_slice(), b"second");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(!dir.path().join("settings.new").exists());
}

#[test]
fn what_fails_leaves_the_former_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings");
    fs::write(&path, "former").unwrap();
    replace(&path, b"new", 0o600, |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"former");
    fs::remove_file(dir.path().join("settings.new")).unwrap();
    fs::create_dir(dir.path().join("settings.new")).unwrap();
    replace(&path, b"new", 0o600, |_| Ok(())).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"former");
}

#[test]
fn a_file_is_read_up_to_its_bound_and_removed_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings");
    assert!(read(&path, 4).unwrap().is_none());
    fs::write(&path, "12345").unwrap();
    assert_eq!(read(&path, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
    remove(&path).unwrap();
    remove(&path).unwrap();
    remove(&dir.path().join("nowhere/settings")).unwrap();
    assert!(!path.exists());
}
