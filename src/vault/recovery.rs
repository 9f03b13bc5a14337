//! The recovery key: an age identity (age-encryption.org/v1, X25519) that only the owner has.
//!
//! What is encrypted to it opens with any age tool, without this code and without the appliance. Must never be stored:
//! it is shown once, and what stays is its public half.

use std::fmt;
use std::io::{self, Read, Write};

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use zeroize::Zeroizing;

use crate::error::VaultError;

/// A recovery key, to be shown to the owner once. Wiped when dropped, not printed by `Debug`.
pub struct RecoveryKey(Zeroizing<String>);

impl RecoveryKey {
    pub(crate) fn of(identity: &Identity) -> Self {
        Self(Zeroizing::new(identity.to_string().expose_secret().to_owned()))
    }

    /// The text to write down: `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text, still wiped when dropped.
    #[must_use]
    pub fn into_text(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryKey(..)")
    }
}

/// Encrypts what is written to it. [`RecoveryWriter::finish`] must be called: without it the stream counts as
/// truncated.
pub struct RecoveryWriter<W: Write> {
    stream: age::stream::StreamWriter<W>,
    recipient: String,
}

impl<W: Write> RecoveryWriter<W> {
    pub(crate) fn new(recipient: &str, writer: W) -> Result<Self, VaultError> {
        let parsed: age::x25519::Recipient = recipient.parse().map_err(|_| VaultError::NoRecovery)?;
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&parsed as &dyn age::Recipient));
        let encryptor = encryptor.map_err(VaultError::Encrypt)?;
        let stream =
            encryptor.wrap_output(writer).map_err(|error| VaultError::Encrypt(age::EncryptError::Io(error)))?;
        Ok(Self { stream, recipient: recipient.to_owned() })
    }

    /// The public half of the recovery key that opens what is written (`age1…`).
    #[must_use]
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    /// Writes the last piece and gives the writer back; the caller syncs it.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(self) -> io::Result<W> {
        self.stream.finish()
    }
}

impl<W: Write> Write for RecoveryWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Decrypts a stream that was encrypted to a recovery key. Needs no vault and no appliance.
///
/// The reader gives an error in place of bytes that were altered, and one at the end of a truncated stream: nothing may
/// be put into force before it has been read to its end.
///
/// # Errors
/// `BadRecoveryKey`, `WrongRecoveryKey`; `Decrypt` if the stream does not begin as an age file does.
pub fn decrypt_with_recovery<R: Read>(reader: R, recovery_key: &str) -> Result<impl Read + use<R>, VaultError> {
    let identity = parse(recovery_key)?;
    let decryptor = age::Decryptor::new(reader).map_err(VaultError::Decrypt)?;
    let stream = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity));
    stream.map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => VaultError::WrongRecoveryKey,
        error => VaultError::Decrypt(error),
    })
}

/// The identity that the owner typed; spaces around it and lower case are forgiven.
pub(crate) fn parse(recovery_key: &str) -> Result<Identity, VaultError> {
    let text = Zeroizing::new(recovery_key.trim().to_ascii_uppercase());
    text.parse().map_err(|_| VaultError::BadRecoveryKey)
}

#[cfg(test)]
mod tests;
