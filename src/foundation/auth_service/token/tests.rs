//! The key and the algorithm; the rest of a token's checks are tried through the service.

use data_encoding::BASE64URL_NOPAD;

use super::*;

fn keys() -> Keys {
    Keys::new(Zeroizing::new("x".repeat(SECRET_CHARS)))
}

fn claims(now_ms: u64) -> Claims {
    let descent = Descent { family: Uuid::from_u128(2), auth_time: now_ms / 1000 };
    Claims::new("zoe", Role::User, Kind::Access, Uuid::from_u128(1), descent, now_ms, 900)
}

/// The example of RFC 7515, appendix A.1: made by others, so it proves that our HS256 is everybody's.
#[test]
fn hs256_is_that_of_the_specification() {
    keys();
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                 eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                 dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let key = DecodingKey::from_secret(&BASE64URL_NOPAD.decode(key.as_bytes()).unwrap());
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    let read = |token: &str| jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation);
    assert_eq!(read(token).unwrap().claims["iss"], "joe");
    assert!(read(&token.replace("dBjf", "dBjg")).is_err());
}

#[test]
fn no_other_algorithm_reaches_the_key() {
    let keys = keys();
    for algorithm in [Algorithm::HS384, Algorithm::HS512, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let signed = jsonwebtoken::encode(&Header::new(algorithm), &claims(0), &keys.encoding);
        assert!(signed.is_err(), "{algorithm:?}");
        let mut validation = keys.validation.clone();
        validation.algorithms = vec![algorithm];
        let token = keys.sign(&claims(0)).unwrap();
        assert!(jsonwebtoken::decode::<Claims>(&token, &keys.decoding, &validation).is_err());
    }
}

#[test]
fn a_token_lives_from_its_issue_to_its_end() {
    let keys = keys();
    let token = keys.sign(&claims(1_000_000)).unwrap();
    assert!(token.len() < 500, "{} bytes", token.len());
    let table = [
        (1_000_000, Ok(())),
        (1_000_000 + 900_000 + 1_999, Ok(())),
        (1_000_000 + 900_000 + 2_000, Err(AuthError::Expired)),
        (u64::MAX, Err(AuthError::Expired)),
        (1_000_000 - 300_000, Ok(())),
        (1_000_000 - 301_000, Err(AuthError::Invalid)),
        (0, Err(AuthError::Invalid)),
    ];
    for (now_ms, expected) in table {
        assert_eq!(keys.read(&token, Kind::Access, now_ms).map(drop), expected, "{now_ms}");
    }
    assert_eq!(keys.read(&token, Kind::Access, 1_000_000).unwrap(), claims(1_000_000));
    assert_eq!(keys.read(&token, Kind::Refresh, 1_000_000), Err(AuthError::Invalid));
}

#[test]
fn hashes_for_different_purposes_differ() {
    let keys = keys();
    assert_ne!(keys.digest("a", "b"), keys.digest("a", "c"));
    assert_ne!(keys.digest("a", "b"), keys.digest("b", "b"));
    assert_ne!(keys.digest("ab", ""), keys.digest("a", "b"));
}
