use std::fs;

use super::*;

const FILE: &str = "board = \"100000001c4d3b62\"\naddress = \"192.168.1.20\"\nhost_name = \"lucid-3b62.local\"\n\
                    fingerprint = \"FINGERPRINT\"\naccount = \"owner\"\npassword = \"a long one\"\n";

fn given(text: &str, mode: u32) -> Result<Target, TargetError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.toml");
    fs::write(&path, text.replace("FINGERPRINT", &["0a"; 32].join(":"))).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    Target::read(&path)
}

#[test]
fn a_board_is_named_by_everything_that_it_is_known_by() {
    let target = given(FILE, 0o600).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(target.board, 0x1000_0000_1c4d_3b62);
    assert_eq!(target.fingerprint, ["0A"; 32].join(":"));
    assert_eq!((target.port(443), target.is_forwarded()), (443, false));
    assert!(target.serial_line.is_none() && target.code.is_none());
    let forwarded =
        given(&format!("{FILE}forwarded = [[443, 8443]]\n"), 0o600).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((forwarded.port(443), forwarded.port(80), forwarded.is_forwarded()), (8443, 80, true));
}

#[test]
fn a_file_that_leaves_something_open_is_refused() {
    for line in FILE.lines() {
        let without = FILE.replace(&format!("{line}\n"), "");
        assert!(matches!(given(&without, 0o600).err(), Some(TargetError::Content { .. })), "{line}");
        let (name, _) = line.split_once(" = ").unwrap();
        let empty = FILE.replace(line, &format!("{name} = \"\""));
        assert!(matches!(given(&empty, 0o600).err(), Some(TargetError::Content { .. })), "{name} is empty");
    }
    let wrong = [
        ("100000001c4d3b62", "0"),
        ("100000001c4d3b62", "no number"),
        ("100000001c4d3b62", "1100000001c4d3b62"),
        ("192.168.1.20", "192.168.1.20:443"),
        ("192.168.1.20", "https://lucid.local"),
        ("FINGERPRINT", "0a:0b"),
        ("password", "pass"),
        ("owner\"", "owner\"\nunknown = 1"),
    ];
    for (from, to) in wrong {
        let found = given(&FILE.replace(from, to), 0o600).err();
        assert!(matches!(found, Some(TargetError::Content { .. })), "{from} -> {to}: {found:?}");
    }
    assert!(matches!(given(&"#".repeat(20_000), 0o600).err(), Some(TargetError::Content { .. })));
}

#[test]
fn a_password_that_others_can_read_is_refused() {
    for mode in [0o644, 0o640, 0o604, 0o620] {
        assert!(matches!(given(FILE, mode).err(), Some(TargetError::Open(_))), "{mode:o}");
    }
    assert!(matches!(Target::read(Path::new("/nowhere/board.toml")).err(), Some(TargetError::File { .. })));
}

#[test]
fn only_words_that_are_known_allow_something() {
    assert_eq!(words("").unwrap(), BTreeSet::new());
    assert_eq!(words("restart").unwrap(), BTreeSet::from([Word::Restart]));
    assert_eq!(words("claim, restart").unwrap(), BTreeSet::from([Word::Claim, Word::Restart]));
    for text in ["all", "claim restart", "Claim"] {
        assert!(matches!(words(text).err(), Some(TargetError::Word(_))), "{text}");
    }
}
