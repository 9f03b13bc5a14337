use std::fs;

use tempfile::TempDir;

use super::*;

fn format() -> Format {
    let disk = "S4EWNX0R123456".parse().unwrap();
    Format { disk, has_serial: true, model: None, partition: Some(7), uuid: "8095fee0".to_owned() }
}

#[test]
fn what_is_kept_is_read_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("ssd.json");
    assert_eq!(Intent::read(&path).unwrap(), Intent::None);
    for intent in [Intent::Format(format()), Intent::Use(format().adopted()), Intent::None] {
        intent.keep(&path).unwrap();
        assert_eq!(Intent::read(&path).unwrap(), intent);
    }
}

#[test]
fn damage_is_never_taken_for_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("ssd.json");
    Intent::Use(format().adopted()).keep(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert!(Intent::read(&path).is_err(), "cut at {end}");
    }
    fs::write(&path, vec![b' '; 5000]).unwrap();
    assert!(matches!(Intent::read(&path), Err(IntentError::Read { .. })));
}

#[test]
fn a_folder_that_can_not_be_written_is_an_error() {
    let dir = TempDir::new().unwrap();
    let error = Intent::None.keep(&dir.path().join("gone/ssd.json")).unwrap_err();
    assert!(matches!(error, IntentError::Write { .. }), "{error}");
}
