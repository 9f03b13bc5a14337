use super::*;

#[test]
fn a_code_is_read_as_it_was_written_but_for_white_space() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    assert!(read(&path).unwrap().is_none());
    fs::write(&path, "  K7QM-3XWT-9HBD\n").unwrap();
    assert_eq!(read(&path).unwrap().unwrap().as_str(), "K7QM-3XWT-9HBD");
}

#[test]
fn what_is_no_code_is_an_error_that_does_not_repeat_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    for content in [vec![b'A'; 1025], vec![0xff; 12]] {
        fs::write(&path, &content).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(!error.to_string().contains("AAA"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(read(&path).is_err(), "a directory is no code, and no absent one");
    assert!(destroy(&path).is_err());
}

#[test]
fn what_is_destroyed_is_overwritten_and_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other_name) = (dir.path().join(FILE), dir.path().join("other-name"));
    fs::write(&path, "K7QM-3XWT-9HBD").unwrap();
    fs::hard_link(&path, &other_name).unwrap();
    destroy(&path).unwrap();
    assert!(!path.exists());
    assert_eq!(fs::read(&other_name).unwrap(), [0; 14], "its bytes were overwritten before it was removed");
    destroy(&path).unwrap();
}
