use super::*;
use crate::fixture::{key, signer};

/// The example of Go's `golang.org/x/mod/sumdb/note`, which the specification took over.
const EXAMPLE_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const EXAMPLE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn a_note_of_another_implementation_opens() {
    let key = VerifierKey::parse(EXAMPLE_KEY).unwrap();
    assert_eq!(key.to_string(), EXAMPLE_KEY);
    let opened = open(EXAMPLE, std::slice::from_ref(&key)).unwrap();
    assert!(opened.text.ends_with("what your problem is.\n"));
    assert_eq!(opened.verified_by, [key]);
}

#[test]
fn signed_notes_open_and_unknown_signers_are_counted() {
    let (alice, bob, carol) = (signer("alice", 1), signer("bob", 2), signer("carol", 3));
    let note = sign("one\n\ntwo\n", &[&alice, &bob, &carol]).unwrap();
    let opened = open(&note, &[carol.verifier().clone(), alice.verifier().clone()]).unwrap();
    assert_eq!(opened.text, "one\n\ntwo\n");
    assert_eq!(opened.verified_by, [alice.verifier().clone(), carol.verifier().clone()]);
    assert_eq!(opened.unknown, ["bob"]);
    let stranger = signer("alice", 9);
    assert_eq!(open(&note, &[stranger.verifier().clone()]), Err(NoteError::NoKnownKey));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let alice = signer("alice", 1);
    let note = sign("text of a note\nwith two lines\n", &[&alice]).unwrap().into_bytes();
    for bit in 0..note.len() * 8 {
        let mut flipped = note.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = String::from_utf8(flipped) {
            open(&flipped, &[alice.verifier().clone()]).unwrap_err();
        }
    }
}

#[test]
fn garbled_notes_are_refused() {
    let alice = signer("alice", 1);
    let good = sign("text\n", &[&alice]).unwrap();
    let line = good.split_once("\n\n").unwrap().1;
    let mut many = good.clone();
    for _ in 0..SIGNATURES_MAX {
        many += line;
    }
    let table = [
        ("empty", String::new()),
        ("no signature", "text\n".to_owned()),
        ("no blank line", good.replace("\n\n", "\n")),
        ("no text", format!("\n\n{line}")[1..].to_owned()),
        ("no last newline", good.trim_end().to_owned()),
        ("an empty line at the end", format!("{good}\n")),
        ("a line twice", format!("{good}{line}")),
        ("too many lines", many),
        ("a hyphen for the dash", good.replace('\u{2014}', "-")),
        ("two spaces", good.replace("alice ", "alice  ")),
        ("a plus in the name", good.replace("alice", "al+ice")),
        ("a carriage return", good.replace("text\n", "text\r\n")),
        ("base64 without padding", good.replace("=\n", "\n")),
        ("a garbled line after a good one", format!("{good}\u{2014} bob !!!\n")),
        ("a short signature of a stranger", format!("{good}\u{2014} bob AAAA\n")),
        ("too large", format!("{}{good}", "x".repeat(NOTE_BYTES_MAX))),
    ];
    for (what, note) in table {
        assert!(open(&note, &[alice.verifier().clone()]).is_err(), "{what}");
    }
}

#[test]
fn malleable_signatures_are_refused() {
    // The order of the curve, little-endian: s + order would satisfy the plain equation too.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let alice = signer("alice", 1);
    let note = sign("text\n", &[&alice]).unwrap();
    let base64 = note.trim_end().rsplit(' ').next().unwrap();
    let mut bytes = BASE64.decode(base64.as_bytes()).unwrap();
    let mut carry = 0;
    for (byte, order) in bytes[36..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    let note = note.replace(base64, &BASE64.encode(&bytes));
    let error = open(&note, &[alice.verifier().clone()]).unwrap_err();
    assert_eq!(error, NoteError::Signature { name: "alice".to_owned() });
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // The neutral element as key and as first half, zero as second half: the plain equation holds for every text.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let key = VerifierKey::from_bytes("nobody", &neutral).unwrap();
    let mut bytes = key.id().to_vec();
    bytes.extend([neutral, [0; 32]].concat());
    let note = format!("anything\n\n{LINE_START}nobody {}\n", BASE64.encode(&bytes));
    let error = open(&note, &[key]).unwrap_err();
    assert_eq!(error, NoteError::Signature { name: "nobody".to_owned() });
}

#[test]
fn texts_and_names_that_break_rules_are_not_signed() {
    let alice = signer("alice", 1);
    for text in ["", "no newline", "tab\tinside\n", "zero\0inside\n", "return\r\n"] {
        assert!(matches!(sign(text, &[&alice]), Err(NoteError::Text { .. })), "{text:?}");
    }
    assert_eq!(sign("text\n", &[]), Err(NoteError::Unsigned));
    let size = sign(&("x".repeat(NOTE_BYTES_MAX) + "\n"), &[&alice]);
    assert!(matches!(size, Err(NoteError::TooLarge { .. })));
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", "a\u{7f}b", &"x".repeat(256)] {
        assert!(matches!(Signer::new(name, key(1)), Err(NoteError::Name { .. })), "{name:?}");
    }
}

#[test]
fn verifier_keys_are_read_strictly() {
    let good = signer("alice", 1).verifier().to_string();
    assert_eq!(VerifierKey::parse(&good).unwrap().to_string(), good);
    let table = [
        String::new(),
        "alice".to_owned(),
        "alice+00000000".to_owned(),
        good.replace("alice", "bob"),
        good.replace("alice", ""),
        good.replace("+A", "+B"),
        good.to_uppercase(),
        format!("{good}="),
        format!("{good}\n"),
        good[..good.len() - 4].to_owned(),
    ];
    for text in table {
        assert!(VerifierKey::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn debug_output_has_no_private_key() {
    let text = format!("{:?}", signer("alice", 0xab));
    assert!(text.contains("alice"));
    // Neither in decimal nor in hexadecimal.
    assert!(!text.contains("171, 171") && !text.to_lowercase().contains("abab"), "{text}");
}
