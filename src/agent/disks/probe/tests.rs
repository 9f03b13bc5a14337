use std::io::Write;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;

fn file(bytes: u64, at: u64, content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.as_file().set_len(bytes).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(content).unwrap();
    file
}

#[test]
fn only_zeros_are_empty() {
    const SIZE: u64 = 8 * 1024 * 1024;
    assert_eq!(content(file(SIZE, 0, b"").path()), Content::Empty);
    for at in [0, 1024 * 1024 - 1, SIZE - 1, SIZE - 1024 * 1024] {
        assert_eq!(content(file(SIZE, at, b"x").path()), Content::Unknown, "{at}");
    }
    assert_eq!(content(file(512, 511, b"x").path()), Content::Unknown);
}

#[test]
fn what_can_not_be_read_is_never_empty() {
    let unreadable = |path: &Path| matches!(content(path), Content::Unreadable { .. });
    assert!(unreadable(Path::new("/dev/nothing-here")) && unreadable(file(0, 0, b"").path()));
    assert!(unreadable(Path::new("/dev")));
}

#[test]
fn lines_become_contents() {
    let signature = |label: Option<&str>, uuid: Option<&str>| {
        let (label, uuid) = (label.map(str::to_owned), uuid.map(str::to_owned));
        Some(Content::Signature { kind: "ext4".to_owned(), label, uuid })
    };
    let table = Content::PartitionTable { kind: "gpt".to_owned(), uuid: Some("4760".to_owned()) };
    for (lines, expected) in [
        ("", None),
        ("DEVNAME=/dev/sda1\nPART_ENTRY_SCHEME=gpt\nPART_ENTRY_NUMBER=1\n", None),
        ("LABEL=lucid-data\nUUID=8095\nTYPE=ext4\nUSAGE=filesystem\n", signature(Some("lucid-data"), Some("8095"))),
        ("TYPE=ext4\n", signature(None, None)),
        ("LABEL=my\\ disk\\\\\\$x\nTYPE=ext4\n", signature(Some("my disk\\$x"), None)),
        ("PTUUID=4760\nPTTYPE=gpt\n", Some(table)),
        ("TYPE=ext4\nPTTYPE=dos\n", Some(Content::Ambiguous)),
    ] {
        assert_eq!(found(lines), expected, "{lines}");
    }
}

proptest! {
    #[test]
    fn labels_are_bounded_and_harmless(label in ".{0,400}") {
        let found = found(&format!("LABEL={label}\nTYPE=ext4\n"));
        if let Some(Content::Signature { label: Some(label), .. }) = found {
            prop_assert!(label.chars().count() <= VALUE_CHARS_MAX && !label.chars().any(char::is_control));
        }
    }
}
