use super::*;
use crate::fixture::{public, secret};

#[test]
fn a_key_file_is_read_as_it_was_written() {
    for role in [Role::Root, Role::Release] {
        let key = secret(role, 9);
        let text = key.to_text();
        assert_eq!(*text, format!("lucid-key-1 {role} key-9 {}\n", "09".repeat(32)));
        let again = SecretKey::parse(&text).unwrap();
        assert_eq!((again.role(), again.name(), again.public()), (role, "key-9", public(9)));
        assert_eq!(SecretKey::parse(text.trim_end()).unwrap().public(), key.public());
    }
}

#[test]
fn what_is_no_key_file_is_refused_and_not_repeated() {
    let digits = "0a".repeat(32);
    for text in [
        String::new(),
        "\n".to_owned(),
        format!("lucid-key-2 root a {digits}\n"),
        format!("lucid-key-1 admin a {digits}\n"),
        format!("lucid-key-1 root a {digits}\n\n"),
        format!("lucid-key-1 root  a {digits}\n"),
        format!("lucid-key-1 root a {digits} b\n"),
        format!("lucid-key-1 root {digits}\n"),
        format!("lucid-key-1 root a {}\n", digits.to_uppercase()),
        format!("lucid-key-1 root a {}\n", &digits[1..]),
        format!("lucid-key-1 root a {}\n", &digits[2..]),
        format!("lucid-key-1 root a {digits}00\n"),
        format!("lucid-key-1 root {} {digits}\n", "a".repeat(KEY_FILE_BYTES_MAX)),
    ] {
        let Err(error) = SecretKey::parse(&text) else { panic!("{text:?} was taken for a key") };
        assert_eq!(error, KeyError::NotAKeyFile, "{text:?}");
        assert!(!error.to_string().contains("0a0a"));
    }
    let Err(error) = SecretKey::parse(&format!("lucid-key-1 root ä {digits}")) else {
        panic!("an odd name was taken")
    };
    assert_eq!(error, KeyError::Name);
}

#[test]
fn a_key_signs_only_for_its_role() {
    for (role, kind, may) in [
        (Role::Root, DocumentKind::Root, true),
        (Role::Root, DocumentKind::Keys, true),
        (Role::Root, DocumentKind::Manifest, false),
        (Role::Root, DocumentKind::Channel, false),
        (Role::Release, DocumentKind::Root, false),
        (Role::Release, DocumentKind::Keys, false),
        (Role::Release, DocumentKind::Manifest, true),
        (Role::Release, DocumentKind::Channel, true),
    ] {
        let signature = secret(role, 9).sign(kind, b"bytes");
        assert_eq!(signature.is_ok(), may, "{role} {kind}");
        if !may {
            assert_eq!(signature, Err(KeyError::WrongRole { role, kind }));
        }
    }
}

#[test]
fn a_public_key_has_one_text() {
    let text = public(9).to_string();
    assert_eq!(text.parse(), Ok(public(9)));
    for wrong in [text.to_uppercase(), text[1..].to_owned(), text[2..].to_owned(), format!("{text}00"), String::new()] {
        assert_eq!(wrong.parse::<PublicKey>(), Err(KeyError::NotHex), "{wrong}");
    }
}

/// The neutral element and other points of small order: a signature under them can be valid for every message.
#[test]
fn weak_keys_and_no_points_are_no_keys() {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    // y = 2 is on no point of the curve.
    let mut nowhere = [0; 32];
    nowhere[0] = 2;
    for bytes in [[0; 32], one, minus_one, nowhere] {
        assert!(PublicKey(bytes).verifying().is_none(), "{:?}", PublicKey(bytes));
    }
    assert!(public(9).verifying().is_some());
}
