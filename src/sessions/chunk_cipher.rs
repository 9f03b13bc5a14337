//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): HChaCha20 makes a key for one nonce, ChaCha20-Poly1305 (RFC 8439)
//! does the rest.
//!
//! The rest is ring's, which the TLS of the box uses already: its assembly takes cipher and authenticator in one pass,
//! on the Pi's cores, too, and of a recording that does not compress this is the slowest step. ring keeps its copy of
//! the one-nonce key on the stack and does not zero it; the session's key never gets there.

use chacha20::{cipher::consts::U10, hchacha};
use lucid_vault::SessionKey;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
};
use zeroize::Zeroizing;

/// Bytes of the nonce. 24 random bytes can be drawn for ever without a repetition worth fearing.
pub(crate) const NONCE_BYTES: usize = 24;
/// Bytes of the Poly1305 tag.
pub(crate) const TAG_BYTES: usize = 16;

/// More bytes than one nonce can encrypt (256 GiB), or a tag that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not what this key sealed, or are too many for one nonce")]
pub struct Refused;

impl From<Unspecified> for Refused {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// Encrypts `bytes` in place and gives their tag. No nonce may come twice under one key.
///
/// # Errors
/// More bytes than one nonce can encrypt.
pub fn encrypt(
    key: &SessionKey,
    nonce: &[u8; NONCE_BYTES],
    additional: &[u8],
    bytes: &mut [u8],
) -> Result<[u8; TAG_BYTES], Refused> {
    let (key, nonce) = for_nonce(key, nonce)?;
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(additional), bytes)?;
    tag.as_ref().try_into().map_err(|_| Refused)
}

/// Decrypts `sealed`, which is ciphertext and tag, in place and gives the plaintext.
///
/// # Errors
/// Unless every byte is as it was sealed. What is in `sealed` then is nobody's business.
pub(crate) fn decrypt<'a>(
    key: &SessionKey,
    nonce: &[u8; NONCE_BYTES],
    additional: &[u8],
    sealed: &'a mut [u8],
) -> Result<&'a mut [u8], Refused> {
    let (key, nonce) = for_nonce(key, nonce)?;
    Ok(key.open_in_place(nonce, Aad::from(additional), sealed)?)
}

/// The key and the nonce of ChaCha20-Poly1305 that stand for these of XChaCha20-Poly1305 (section 2.3 of the draft).
fn for_nonce(key: &SessionKey, nonce: &[u8; NONCE_BYTES]) -> Result<(LessSafeKey, Nonce), Refused> {
    let (first, rest) = nonce.split_at(16);
    let subkey = Zeroizing::new(<[u8; 32]>::from(hchacha::<U10>(key.expose().into(), first.into())));
    let mut short = [0; 12];
    short[4..].copy_from_slice(rest);
    let key = UnboundKey::new(&CHACHA20_POLY1305, &*subkey)?;
    Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key(short)))
}

#[cfg(test)]
mod tests;
