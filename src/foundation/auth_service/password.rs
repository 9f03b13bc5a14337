//! Names and passwords: their rules, and how passwords are kept.
//!
//! Passwords are hashed with Argon2id (RFC 9106) at the parameters that OWASP's Password Storage Cheat Sheet asks for,
//! 19 MiB, two passes, one lane, and kept as PHC strings. Hashing takes a core for some tens of milliseconds: callers go
//! through the pool. A check against an account that does not exist costs the same time.
//!
//! Names are ASCII and in lower case, so neither SASLprep (RFC 4013) nor PRECIS is needed for them. Passwords are taken
//! as the bytes that came (UTF-8): no SASLprep, no NFC. Forms and command line send what was typed; somebody who types
//! `é` composed on one keyboard and decomposed on another has two passwords.

use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use lucid_ports::AccountError;

use super::failure::Failure;

/// Shortest password in characters. Length is the only rule: rules about kinds of characters make passwords worse
/// (NIST SP 800-63B, section 5.1.1.2).
const PASSWORD_CHARS_MIN: usize = 12;

/// Longest password in characters: room for any pass phrase, and a bound on what is hashed.
const PASSWORD_CHARS_MAX: usize = 1024;

/// Longest account name in bytes.
const NAME_BYTES_MAX: usize = 32;

/// Memory of one hash in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;

/// What a password for an unknown account is checked against: the same parameters, a hash of nothing known.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bHVjaWQtbm8tYWNjb3VudA$4cP0k1eUuFzqVnW7yT9mGJ2sXbLrQd5aHiOo8wEKf6M";

/// Refuses a name that is not `[a-z0-9][a-z0-9._-]{0,31}`.
pub(crate) fn check_name(name: &str) -> Result<(), AccountError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if first && name.len() <= NAME_BYTES_MAX && name.bytes().all(inner) {
        return Ok(());
    }
    let rule = format!(
        "a name has 1 to {NAME_BYTES_MAX} characters: a-z, 0-9, `.`, `_` and `-`, beginning with a letter or a digit"
    );
    Err(AccountError::Invalid { rule })
}

/// Refuses a password that is too short, too long, or the name.
pub(crate) fn check_password(name: &str, password: &str) -> Result<(), AccountError> {
    // Counting stops early: the text may be as long as a request body.
    let chars = password.chars().take(PASSWORD_CHARS_MAX + 1).count();
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        let rule = format!("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters");
        return Err(AccountError::Invalid { rule });
    }
    if password.eq_ignore_ascii_case(name) {
        return Err(AccountError::Invalid { rule: "the password must not be the name".to_owned() });
    }
    Ok(())
}

/// Whether an account can have this password: a bound on what is hashed at a log-in.
pub(crate) fn is_possible(password: &str) -> bool {
    password.chars().take(PASSWORD_CHARS_MAX + 1).count() <= PASSWORD_CHARS_MAX
}

/// The PHC string of `password`, with a fresh salt.
pub(crate) fn hash(password: &str) -> Result<String, Failure> {
    let hash = argon2().hash_password(password.as_bytes()).map_err(Failure::Hash)?;
    Ok(hash.to_string())
}

/// Whether `password` is the one behind `phc`; with no `phc` no password is, at the same cost.
pub(crate) fn verify(password: &str, phc: Option<&str>) -> Result<bool, Failure> {
    let parsed =
        PasswordHash::new(phc.unwrap_or(NOBODY)).map_err(|_| Failure::Hash(password_hash::Error::EncodingInvalid))?;
    match argon2().verify_password(password.as_bytes(), &parsed) {
        Ok(()) => Ok(phc.is_some()),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(Failure::Hash(error)),
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests;
