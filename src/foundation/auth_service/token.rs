//! Tokens: JSON Web Tokens (RFC 7519) signed with HS256 (RFC 7518, section 3.2).
//!
//! One algorithm, one issuer, one key, all named in the token and all checked: what asks for another is not valid.
//! Times are checked here, against the caller's time, and not by the library against the system's clock. A valid token
//! is not yet a good one: whether its log-in still stands is the door's to say.
//!
//! The library brings no cryptography of its own (see the workspace's manifest); the provider below is HMAC-SHA-256 and
//! nothing else, so that no token, whatever its header says, reaches any other code.

use std::path::Path;

use hmac::{Hmac, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use lucid_ports::{AuthError, Role};
use lucid_store::{MODE_SECRET, StoreError, create_file};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Error;

/// Who issues them.
const ISSUER: &str = "lucid";

/// Characters of the secret: base64url of 48 random bytes, more than the 32 that RFC 7518 asks for.
const SECRET_CHARS: usize = 64;
const SECRET_BYTES: usize = 48;

/// Longest token looked at, in bytes: ours have under 500.
const TOKEN_BYTES_MAX: usize = 2048;

/// How long after its end a token is still good, in seconds: issuer and verifier share one clock, so this only spares a
/// request that was under way.
const LEEWAY_S: u64 = 2;

/// How far in the future a token may have been issued, in seconds: the step of a clock that a time server corrects.
/// What lies further ahead was issued by a clock that was wrong, and would live too long.
pub(crate) const FUTURE_MAX_S: u64 = 300;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// For `Authorization: Bearer`.
    Access,
    /// For new tokens.
    Refresh,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    /// The account.
    pub(crate) sub: String,
    /// What it might do when the token was issued.
    pub(crate) role: Role,
    /// The token's own id.
    pub(crate) jti: Uuid,
    /// Issued at, in seconds of Unix time.
    pub(crate) iat: u64,
    /// Ends at, in seconds of Unix time.
    pub(crate) exp: u64,
    /// What it is for.
    pub(crate) kind: Kind,
    /// The log-in it descends from.
    pub(crate) family: Uuid,
    /// When the password was given for that log-in, in seconds of Unix time (OpenID Connect Core 1.0, section 2). A
    /// token of a release that did not say is as old as can be.
    #[serde(default)]
    pub(crate) auth_time: u64,
}

/// The log-in that a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descent {
    /// See [`Claims::family`].
    pub(crate) family: Uuid,
    /// See [`Claims::auth_time`].
    pub(crate) auth_time: u64,
}

impl Claims {
    /// What a token of this log-in says, for `lifetime_s` from `now_ms` on.
    pub(crate) fn new(
        sub: &str,
        role: Role,
        kind: Kind,
        jti: Uuid,
        Descent { family, auth_time }: Descent,
        now_ms: u64,
        lifetime_s: u64,
    ) -> Self {
        let (iss, sub, iat) = (ISSUER.to_owned(), sub.to_owned(), now_ms / 1000);
        Self { iss, sub, role, jti, iat, exp: iat + lifetime_s, kind, family, auth_time }
    }

    /// Seconds since the password was given. A time in the future is a mistake of the clock: then it is not known, and
    /// counts as long ago.
    pub(crate) fn auth_age_s(&self, now_ms: u64) -> u64 {
        (now_ms / 1000).checked_sub(self.auth_time).unwrap_or(u64::MAX)
    }
}

/// The key that signs and proves tokens. Has no `Debug`: it holds the secret.
pub(crate) struct Keys {
    header: Header,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    secret: Zeroizing<String>,
}

impl Keys {
    /// Reads the secret at `path`, or makes it where there is none. Blocking.
    ///
    /// A lost secret is replaced: that ends all log-ins and harms nothing else. A damaged one is an error, because it
    /// may be a sign of more.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let secret = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make_secret(path)?,
            Err(source) => return Err(Error::Secret { path: path.to_path_buf(), source }),
        };
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if secret.len() != SECRET_CHARS || !secret.bytes().all(sound) {
            return Err(Error::DamagedSecret { path: path.to_path_buf() });
        }
        Ok(Self::new(secret))
    }

    fn new(secret: Zeroizing<String>) -> Self {
        // Of several incarnations the first has installed it: it is the same for all.
        let _ = HS256.install_default();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(data_encoding::HEXLOWER.encode(&mac(secret.as_bytes(), b"kid")[..8]));
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.validate_exp = false;
        let encoding = EncodingKey::from_secret(secret.as_bytes());
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        Self { header, encoding, decoding, validation, secret }
    }

    /// The compact form of a token that says `claims`.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, JwtError> {
        jsonwebtoken::encode(&self.header, claims, &self.encoding)
    }

    /// What `token` says, if it is one of ours of this kind and its time has come and not passed.
    pub(crate) fn read(&self, token: &str, kind: Kind, now_ms: u64) -> Result<Claims, AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::Invalid);
        }
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation);
        let data = data.map_err(|_| AuthError::Invalid)?;
        let (claims, now_s) = (data.claims, now_ms / 1000);
        if data.header.kid != self.header.kid || claims.kind != kind || claims.iat > now_s + FUTURE_MAX_S {
            return Err(AuthError::Invalid);
        }
        if now_s >= claims.exp.saturating_add(LEEWAY_S) {
            return Err(AuthError::Expired);
        }
        Ok(claims)
    }

    /// A keyed hash of something that must not be kept itself.
    pub(crate) fn digest(&self, purpose: &str, text: &str) -> [u8; 32] {
        mac(self.secret.as_bytes(), format!("{purpose}\0{text}").as_bytes())
    }
}

/// Makes the secret, durably, before anything is signed with it.
fn make_secret(path: &Path) -> Result<Zeroizing<String>, Error> {
    let mut random = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(random.as_mut_slice()).map_err(Error::Random)?;
    let secret = Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(random.as_slice()));
    create_file(path, secret.as_bytes(), MODE_SECRET).map_err(|error: StoreError| Error::Store(error))?;
    tracing::info!("made the secret that signs tokens");
    Ok(secret)
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(message).finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// HMAC-SHA-256 for the library.
static HS256: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        let keyed = only_hs256(*algorithm).map(|()| keyed(key.as_bytes()))?;
        Ok(Box::new(Hs256(keyed)))
    },
    verifier_factory: |algorithm, key| {
        only_hs256(*algorithm)?;
        Ok(Box::new(Hs256(keyed(key.try_get_as_bytes()?))))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Hmac<Sha256>);

fn only_hs256(algorithm: Algorithm) -> Result<(), JwtError> {
    if algorithm == Algorithm::HS256 { Ok(()) } else { Err(ErrorKind::InvalidAlgorithm.into()) }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// Compares in constant time.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.0.clone().chain_update(message).verify_slice(signature).map_err(|_| SignatureError::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests;
