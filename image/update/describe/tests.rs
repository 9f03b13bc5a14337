use super::*;

#[test]
fn a_moment_has_a_zone_and_lies_after_1970() {
    assert_eq!(moment("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(moment("2025-10-08T00:00:00Z"), Some(1_759_881_600));
    assert_eq!(moment("2025-10-08T02:00:00+02:00"), Some(1_759_881_600));
    assert_eq!(date(1_759_881_600), "2025-10-08T00:00:00Z");
    for text in ["", "2025", "2025-10-08", "2025-10-08T00:00:00", "1969-12-31T23:59:59Z", "2025-13-01T00:00:00Z", "now"]
    {
        assert_eq!(moment(text), None, "{text}");
    }
    assert_eq!(date(u64::MAX), format!("second {}", u64::MAX));
}

/// What is said of a description, its causes included.
fn said<T>(result: Result<T, Error>) -> String {
    lucid_error::chain(&result.err().expect("it is refused"))
}

#[test]
fn a_key_list_is_read_and_what_is_wrong_with_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let good = format!(
        "version = 1\nroot_version = 1\n[[keys]]\nkey = \"{key}\"\nname = \"a\"\nnot_after = 2027-01-01T00:00:00Z\n\
         uses = [\"channel\", \"bundle\", \"channel\"]\n"
    );
    std::fs::write(&path, &good).unwrap();
    let list = key_list(&path).unwrap();
    assert_eq!((list.version, list.keys[0].not_after, &list.revoked), (1, 1_798_761_600, &vec![]));
    assert_eq!(list.keys[0].uses, [Use::Bundle, Use::Channel], "in the one order that the format has");
    for (from, to, wanted) in [
        ("version = 1\n", "", "version"),
        ("version = 1\n", "version = -1\n", "version"),
        ("name = \"a\"", "names = \"a\"", "names"),
        ("2027-01-01T00:00:00Z", "2027-01-01", "zone"),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00", "zone"),
        ("2027-01-01T00:00:00Z", "1798761600", "not_after"),
        ("\"channel\", \"bundle\"", "\"everything\"", "everything"),
        ("d75a", "D75A", "hexadecimal"),
        ("[[keys]]", "[[keys]", "TOML"),
    ] {
        std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let text = said(key_list(&path));
        assert!(text.contains(wanted), "{to}: {text}");
    }
    std::fs::write(&path, [0xff; 100]).unwrap();
    assert!(said(key_list(&path)).contains("not understood"));
    std::fs::write(&path, vec![b'#'; BYTES_MAX + 1]).unwrap();
    assert!(said(key_list(&path)).contains("more than"));
}
