use super::{SessionKey, WrappedKey};
use crate::VaultError;
use crate::slots::WrappingKey;

#[test]
fn a_wrapped_key_is_bound_to_key_generation_and_bytes() {
    let (wrapping, key) = (WrappingKey::random(5).unwrap(), SessionKey::random().unwrap());
    let wrapped = WrappedKey::seal(&key, &wrapping).unwrap();
    assert_eq!(wrapped.open(&wrapping).unwrap().expose(), key.expose());
    assert_ne!(WrappedKey::seal(&key, &wrapping).unwrap().bytes, wrapped.bytes, "a fresh nonce each time");
    let refused = |wrapped: &WrappedKey, wrapping: &WrappingKey| {
        assert!(matches!(wrapped.open(wrapping), Err(VaultError::BadWrappedKey { .. })), "{wrapped:?}");
    };
    refused(&wrapped, &WrappingKey::random(5).unwrap());
    refused(&WrappedKey { generation: 6, ..wrapped.clone() }, &wrapping);
    for length in [0, 23, 24, 71] {
        refused(&WrappedKey { bytes: wrapped.bytes[..length].to_vec(), ..wrapped.clone() }, &wrapping);
    }
    for at in 0..wrapped.bytes.len() {
        let mut garbled = wrapped.clone();
        garbled.bytes[at] ^= 1;
        refused(&garbled, &wrapping);
    }
}

#[test]
fn its_json_is_short_and_strict() {
    let wrapped = WrappedKey::seal(&SessionKey::random().unwrap(), &WrappingKey::random(1).unwrap()).unwrap();
    let json = serde_json::to_string(&wrapped).unwrap();
    assert!(json.starts_with(r#"{"generation":1,"bytes":""#) && json.len() < 130, "{json}");
    assert_eq!(serde_json::from_str::<WrappedKey>(&json).unwrap(), wrapped);
    for bad in
        [r#"{"generation":1,"bytes":"AAAA"}"#, r#"{"generation":1,"bytes":"%"}"#, r#"{"generation":-1,"bytes":""}"#]
    {
        serde_json::from_str::<WrappedKey>(bad).unwrap_err();
    }
}
