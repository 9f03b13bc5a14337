//! Log-ins: what opens the door, and what closes it again.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac as _};
use lucid_device::{ClockTrust, Now};
use lucid_ports::{PasswordChange, Role};
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;

fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| BASE64URL_NOPAD.decode(part.as_bytes()).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

/// A token made outside the service, signed with `key`.
fn forged(header: &Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(claims));
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", BASE64URL_NOPAD.encode(&mac))
}

fn with(value: &Value, key: &str, new: Value) -> Value {
    let mut value = value.clone();
    value[key] = new;
    value
}

#[tokio::test]
async fn only_our_own_good_tokens_open() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    let key = std::fs::read(appliance.state.path().join("auth-service/jwt.secret")).unwrap();
    let (header, claims) = parts(&tokens.access_token);
    assert_eq!(header["alg"], "HS256");
    assert!(running.door.authenticate(&forged(&header, &claims, &key)).is_ok(), "the forger's tool works");

    let (signed, unsigned) = tokens.access_token.rsplit_once('.').map(|(message, mac)| (mac, message)).unwrap();
    let none = BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
    let payload = unsigned.split_once('.').unwrap().1;
    let mut flipped = tokens.access_token.clone().into_bytes();
    flipped[60] ^= 1;
    let in_seconds = |ms: u64| json!(ms / 1000);
    let table = [
        ("empty", String::new()),
        ("garbage", "garbage".to_owned()),
        ("dots", "...".to_owned()),
        ("not UTF-8 once decoded", format!("{}.{}.{signed}", "_w", "_w")),
        ("truncated", tokens.access_token[..tokens.access_token.len() - 2].to_owned()),
        ("no signature", format!("{unsigned}.")),
        ("one bit flipped", String::from_utf8_lossy(&flipped).into_owned()),
        ("oversized", format!("{}.{signed}", "A".repeat(100_000))),
        ("alg none", format!("{none}.{payload}.")),
        ("alg none with a signature", format!("{none}.{payload}.{signed}")),
        ("alg none, signed", forged(&with(&header, "alg", json!("none")), &claims, &key)),
        ("alg HS512 in name", forged(&with(&header, "alg", json!("HS512")), &claims, &key)),
        ("alg RS256 in name", forged(&with(&header, "alg", json!("RS256")), &claims, &key)),
        ("wrong key", forged(&header, &claims, b"another key")),
        ("no key", forged(&header, &claims, b"")),
        ("other key id", forged(&with(&header, "kid", json!("x")), &claims, &key)),
        ("no key id", forged(&json!({"alg": "HS256"}), &claims, &key)),
        ("other issuer", forged(&header, &with(&claims, "iss", json!("x")), &key)),
        ("no issuer", forged(&header, &with(&claims, "iss", Value::Null), &key)),
        ("for somebody else", forged(&header, &with(&claims, "aud", json!("x")), &key)),
        ("issued tomorrow", forged(&header, &with(&claims, "iat", in_seconds(NOW_MS + DAY_MS)), &key)),
        ("refresh token", tokens.refresh_token.clone()),
        ("no claims", forged(&header, &json!({}), &key)),
        ("claims of other types", forged(&header, &with(&claims, "exp", json!("soon")), &key)),
    ];
    for (what, token) in table {
        assert_eq!(running.door.authenticate(&token), Err(AuthError::Invalid), "{what}");
    }
    let table = [
        ("expired", "exp", in_seconds(NOW_MS - 10_000), AuthError::Expired),
        ("other token id", "jti", json!(uuid::Uuid::new_v4()), AuthError::Revoked),
        ("other family", "family", json!(uuid::Uuid::new_v4()), AuthError::Revoked),
        ("unknown account", "sub", json!("nobody"), AuthError::Revoked),
        ("other role", "role", json!("user"), AuthError::Revoked),
    ];
    for (what, claim, value, expected) in table {
        let token = forged(&header, &with(&claims, claim, value), &key);
        assert_eq!(running.door.authenticate(&token), Err(expected), "{what}");
    }
}

#[tokio::test]
async fn an_access_token_expires_and_is_renewed() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    appliance.clock.advance(900_000 - 1_000);
    assert!(running.who(&tokens).is_ok());
    appliance.clock.advance(10_000);
    assert_eq!(running.who(&tokens), Err(AuthError::Expired));
    let renewed = running.accounts.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(running.who(&renewed).unwrap().user, "admin");
    assert_eq!((renewed.expires_in_s, renewed.role), (900, Role::Admin));
    let wrong_kind = running.accounts.refresh(&renewed.access_token).await;
    assert!(matches!(wrong_kind, Err(AccountError::SessionEnded)));
}

/// What changes the box for good asks how old a log-in is: a renewal must not make it young.
#[tokio::test]
async fn a_log_in_grows_old_until_the_password_is_given_again() {
    let appliance = Appliance::new();
    let (running, claimed) = appliance.start_claimed().await;
    let age = |tokens: &Tokens| running.who(tokens).unwrap().auth_age_s;
    assert_eq!(age(&claimed), 0, "the claim sets a password");
    appliance.clock.advance(4 * MINUTE_MS);
    assert_eq!(age(&claimed), 240);
    let renewed = running.accounts.refresh(&claimed.refresh_token).await.unwrap();
    assert_eq!(age(&renewed), 240);
    appliance.clock.advance(MINUTE_MS);
    let again = running.accounts.refresh(&renewed.refresh_token).await.unwrap();
    let young = running.login("admin", PASSWORD).await.unwrap();
    assert_eq!((age(&again), age(&young)), (300, 0));
    appliance.clock.advance(MINUTE_MS);
    let (old, new) = (secret(PASSWORD), secret("another long password"));
    let change = PasswordChange { name: "admin".to_owned(), old, new, peer: peer("192.168.1.20") };
    assert_eq!(age(&running.accounts.change_password(change).await.unwrap()), 0);
}

#[tokio::test]
async fn a_token_that_does_not_say_how_old_its_log_in_is_counts_as_old() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    let key = std::fs::read(appliance.state.path().join("auth-service/jwt.secret")).unwrap();
    let (header, claims) = parts(&tokens.access_token);
    let mut former = claims.clone();
    former.as_object_mut().unwrap().remove("auth_time").unwrap();
    let of = |claims: &Value| running.door.authenticate(&forged(&header, claims, &key)).unwrap().auth_age_s;
    assert_eq!(of(&former), NOW_MS / 1000);
    let future = with(&claims, "auth_time", json!(NOW_MS / 1000 + 1));
    assert_eq!(of(&future), u64::MAX, "a time in the future is nobody's");
    assert_eq!(of(&claims), 0);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_log_in() {
    let appliance = Appliance::new();
    let (running, first) = appliance.start_claimed().await;
    let other = running.login("admin", PASSWORD).await.unwrap();
    let second = running.accounts.refresh(&first.refresh_token).await.unwrap();
    assert!(running.who(&first).is_ok(), "a request under way keeps its token");
    let third = running.accounts.refresh(&second.refresh_token).await.unwrap();
    assert_eq!(running.who(&first), Err(AuthError::Revoked), "but only over one renewal");

    assert!(matches!(running.accounts.refresh(&first.refresh_token).await, Err(AccountError::SessionEnded)));
    for tokens in [&first, &second, &third] {
        assert_eq!(running.who(tokens), Err(AuthError::Revoked));
        assert!(matches!(running.accounts.refresh(&tokens.refresh_token).await, Err(AccountError::SessionEnded)));
    }
    assert!(running.who(&other).is_ok(), "other log-ins are not touched");
    assert_eq!(running.audited().await[0], "admin refresh: refused: an old token was used again; log-in ended");
}

#[tokio::test]
async fn of_two_refreshes_at_the_same_time_one_at_most_goes_through() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    let refresh = || running.accounts.refresh(&tokens.refresh_token);
    let (one, two) = tokio::join!(refresh(), refresh());
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
    assert_eq!(running.who(&one.or(two).unwrap()), Err(AuthError::Revoked), "the other one looks like a theft");
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_over_a_restart() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    let kept = running.login("admin", PASSWORD).await.unwrap();
    let token_id = running.who(&tokens).unwrap().token_id;
    running.accounts.logout(token_id).await.unwrap();
    running.accounts.logout(token_id).await.unwrap();
    assert_eq!(running.who(&tokens), Err(AuthError::Revoked));
    let handle = running.handle.clone();
    running.stop().await;
    assert_eq!(TokenAuthenticator::new(handle).authenticate(&kept.access_token), Err(AuthError::Unavailable));

    let running = appliance.start().await;
    assert_eq!(running.who(&tokens), Err(AuthError::Revoked));
    assert!(matches!(running.accounts.refresh(&tokens.refresh_token).await, Err(AccountError::SessionEnded)));
    assert!(running.who(&kept).is_ok());
    running.accounts.refresh(&kept.refresh_token).await.unwrap();
}

#[tokio::test]
async fn what_is_taken_from_an_account_ends_its_log_ins() {
    let appliance = Appliance::new();
    let (running, admin) = appliance.start_claimed().await;
    let add = |name: &str| running.accounts.add("admin", name.to_owned(), secret(PASSWORD), Role::User);
    for name in ["removed", "promoted", "reset", "changed"] {
        add(name).await.unwrap();
    }
    let mut tokens = Vec::new();
    for name in ["removed", "promoted", "reset", "changed"] {
        tokens.push(running.login_from(name, PASSWORD, "10.0.0.1").await.unwrap());
    }
    running.accounts.remove("admin", "removed").await.unwrap();
    running.accounts.set_role("admin", "promoted", Role::Developer).await.unwrap();
    running.accounts.reset_password("admin", "reset", secret("another password")).await.unwrap();
    let (name, peer) = ("changed".to_owned(), peer("10.0.0.1"));
    let change = PasswordChange { name, old: secret(PASSWORD), new: secret("another password"), peer };
    let changed = running.accounts.change_password(change).await.unwrap();
    for tokens in &tokens {
        assert_eq!(running.who(tokens), Err(AuthError::Revoked));
        assert!(matches!(running.accounts.refresh(&tokens.refresh_token).await, Err(AccountError::SessionEnded)));
    }
    assert_eq!(running.who(&changed).unwrap().user, "changed");
    assert!(running.who(&admin).is_ok());
    for name in ["removed", "reset", "changed"] {
        assert!(matches!(running.login(name, PASSWORD).await, Err(AccountError::WrongCredentials)), "{name}");
    }
    running.login("reset", "another password").await.unwrap();
    assert_eq!(running.login("promoted", PASSWORD).await.unwrap().role, Role::Developer);
    add("removed").await.unwrap();
    assert_eq!(running.who(&tokens[0]), Err(AuthError::Revoked), "a new account of the same name inherits nothing");
}

#[tokio::test]
async fn a_clock_set_back_brings_nothing_back_to_life() {
    let appliance = Appliance::new();
    let (running, tokens) = appliance.start_claimed().await;
    appliance.clock.advance(DAY_MS);
    assert_eq!(running.who(&tokens), Err(AuthError::Expired));
    running.login("admin", PASSWORD).await.unwrap();

    appliance.clock.step_to(Now { unix_ms: NOW_MS, trust: ClockTrust::Unsynchronized });
    assert_eq!(running.who(&tokens), Err(AuthError::Expired));
    let fresh = running.login("admin", PASSWORD).await.unwrap();
    assert!(running.who(&fresh).is_ok());
    running.stop().await;

    let running = appliance.start().await;
    assert_eq!(running.who(&tokens), Err(AuthError::Expired), "the store remembers how late it was");
    assert!(running.who(&fresh).is_ok());
    appliance.clock.advance(900_000 + 10_000);
    assert_eq!(running.who(&fresh), Err(AuthError::Expired), "time goes on while the clock is behind");
}

#[tokio::test]
async fn log_ins_made_by_a_clock_far_ahead_end_when_it_is_corrected() {
    let appliance = Appliance::new();
    appliance.clock.step_to(Now { unix_ms: NOW_MS + 5000 * DAY_MS, trust: ClockTrust::Unsynchronized });
    let (running, tokens) = appliance.start_claimed().await;
    appliance.clock.step_to(Now { unix_ms: NOW_MS, trust: ClockTrust::Synchronized });
    assert_eq!(running.who(&tokens), Err(AuthError::Invalid));
    assert!(matches!(running.accounts.refresh(&tokens.refresh_token).await, Err(AccountError::SessionEnded)));
    let fresh = running.login("admin", PASSWORD).await.unwrap();
    assert!(running.who(&fresh).is_ok());
}

#[tokio::test]
async fn an_account_has_so_many_log_ins_and_ended_ones_are_dropped() {
    let appliance = Appliance::new();
    let (running, oldest) = appliance.start_claimed().await;
    let mut newest = None;
    for _ in 0..SESSIONS_MAX {
        appliance.clock.advance(1_000);
        newest = Some(running.login("admin", PASSWORD).await.unwrap());
    }
    assert_eq!(running.who(&oldest), Err(AuthError::Revoked));
    assert!(running.who(newest.as_ref().unwrap()).is_ok());
    let status = serde_json::to_value(&*running.handle.status().unwrap()).unwrap();
    assert_eq!(status, json!({"claimed": true, "accounts": 1, "sessions": SESSIONS_MAX, "locked": null}));
    running.stop().await;

    appliance.clock.advance(7 * DAY_MS + 1);
    let running = appliance.start().await;
    let door = running.handle.status().unwrap().door.clone().unwrap();
    while door.counts() != (1, 0) {
        tokio::task::yield_now().await;
    }
}
