//! One spelling only.

use super::SessionId;

#[test]
fn only_the_canonical_spelling_parses() {
    let id = SessionId::generate();
    assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
    for bad in [
        "",
        "..",
        "../../etc/passwd",
        &id.to_string().to_uppercase(),
        &format!("{{{id}}}"),
        &id.to_string().replace('-', ""),
    ] {
        assert!(bad.parse::<SessionId>().is_err(), "{bad:?} was taken for a session id");
    }
}

#[test]
fn bytes_and_text_are_the_same_id() {
    let id = SessionId::generate();
    assert_eq!(SessionId::from_bytes(id.bytes()), id);
}
