//! What can go wrong with keys, said so that the owner knows what to do.
//!
//! Must never carry a secret: paths, generations and causes only.

use std::io;
use std::path::PathBuf;

use lucid_store::StoreError;
use thiserror::Error;

/// Why a key could not be made, read or destroyed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Writing or destroying a key file failed.
    #[error(transparent)]
    File(#[from] StoreError),
    /// Reading a key file failed.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A key file is damaged. It is never replaced.
    #[error("key file `{}` is damaged ({detail}): keep it as it is, and restore it from a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The data disk had keys once, and they are gone.
    #[error(
        "the keys in `{}` are gone, but `{}` says that they existed: restore them from a backup; \
         to give up the recordings on this disk, delete that file", keys.display(), marker.display()
    )]
    KeysMissing {
        /// The key directory.
        keys: PathBuf,
        /// The marker beside it.
        marker: PathBuf,
    },
    /// The data disk belongs to another device secret: another appliance, or a new boot disk.
    #[error(
        "the keys in `{}` were made with another device secret: enter the recovery key on the dashboard's page \
         Storage, or, while the appliance is stopped, run `lucid recover`", path.display()
    )]
    NeedsRecovery {
        /// The key directory.
        path: PathBuf,
    },
    /// As `NeedsRecovery`, and no recovery key was ever issued.
    #[error(
        "the keys in `{}` were made with another device secret and no recovery key was issued: \
         restore the boot disk's state", path.display()
    )]
    Unrecoverable {
        /// The key directory.
        path: PathBuf,
    },
    /// The text is no recovery key.
    #[error("this is not a recovery key: it has the form AGE-SECRET-KEY-1 and 58 letters and digits")]
    BadRecoveryKey,
    /// The recovery key is one, but not the last one issued here.
    #[error("this recovery key does not open it: use the one that was issued last before it was made")]
    WrongRecoveryKey,
    /// The public half of the recovery key is not readable. It is no secret, and only a copy.
    #[error("`{}` does not hold the public half of a recovery key: issue a new recovery key, which replaces it", path.display())]
    BadRecipient {
        /// The file.
        path: PathBuf,
    },
    /// No recovery key was issued yet.
    #[error("no recovery key was issued yet: issue one first, and keep it away from the appliance")]
    NoRecovery,
    /// A rotation is under way or was interrupted.
    #[error("a key rotation from generation {from} to {to} is not finished: finish or settle it, then try again")]
    RotationPending {
        /// The generation before.
        from: u64,
        /// The generation after.
        to: u64,
    },
    /// The wrapping key of this generation was destroyed, on purpose: so is what it wrapped.
    #[error("the key of generation {generation} was destroyed: what it protected can't be read any more")]
    Destroyed {
        /// The generation asked for.
        generation: u64,
    },
    /// The store says that a generation is in force that no slot holds.
    #[error(
        "the wrapping key of generation {committed} is in no slot of `{}`: \
         restore the keys and the store of one backup together", path.display()
    )]
    GenerationLost {
        /// What the store committed.
        committed: u64,
        /// The key directory.
        path: PathBuf,
    },
    /// A wrapped session key was altered or truncated.
    #[error("a session key wrapped with generation {generation} was altered or truncated")]
    BadWrappedKey {
        /// Its generation.
        generation: u64,
    },
    /// The appliance had an identity once, and its key is gone.
    #[error(
        "the identity `{}` is gone, but `{}` says that it existed: restore it from a backup; \
         to take a new identity, delete that file", key.display(), marker.display()
    )]
    IdentityLost {
        /// The key file.
        key: PathBuf,
        /// The marker beside it.
        marker: PathBuf,
    },
    /// The state directory has an identity, or had one, and the data disk was written with another.
    #[error(
        "the identity `{}` is not the one that signed what is on the data disk: recover into an empty state directory, \
         or with `--replace-identity`, which keeps the present one aside as a file", key.display()
    )]
    OtherIdentity {
        /// The state directory's key file.
        key: PathBuf,
    },
    /// The identity was replaced since this program began to sign.
    #[error(
        "the appliance's identity was replaced since it started: restart the appliance, so that it signs with the new one"
    )]
    IdentityReplaced,
    /// The kernel gave no random bytes.
    #[error("the kernel gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// Encrypting to the recovery key failed.
    #[error("could not encrypt to the recovery key")]
    Encrypt(#[source] age::EncryptError),
    /// An encrypted stream is truncated, garbled or in no age format.
    #[error("could not read the encrypted stream")]
    Decrypt(#[source] age::DecryptError),
}

impl VaultError {
    /// Whether nothing but the owner helps: another disk, the recovery key, a backup. The disk is untouched.
    #[must_use]
    pub const fn awaits_owner(&self) -> bool {
        matches!(
            self,
            Self::KeysMissing { .. } | Self::NeedsRecovery { .. } | Self::Unrecoverable { .. } | Self::IdentityReplaced
        )
    }
}
