//! What can go wrong within auth-service, for the log; callers see [`AccountError`].

use lucid_error::chain;
use lucid_kit::PoolError;
use lucid_ports::AccountError;
use lucid_store::StoreError;

/// An operation was refused, or could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// By the rules: the caller's affair.
    #[error(transparent)]
    Refused(#[from] AccountError),
    /// The store.
    #[error("reading or writing the accounts failed")]
    Store(#[from] StoreError),
    /// The pool of computing threads.
    #[error("computing a password hash or a recovery key failed")]
    Pool(#[from] PoolError),
    /// Argon2. A hash on disk that it can't read, or no memory.
    #[error("the password hash could not be computed: {0}")]
    Hash(argon2::password_hash::Error),
    /// A token could not be signed.
    #[error("signing a token failed")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

impl Failure {
    /// What the caller is told. What is not the caller's affair is logged here, once, with its causes.
    pub(crate) fn tell(self, attempted: &'static str) -> AccountError {
        match self {
            Self::Refused(refusal) => {
                if let AccountError::Recovery(error) = &refusal {
                    tracing::error!(attempted, error = %chain(error), "no recovery key");
                }
                refusal
            }
            failure => {
                tracing::error!(attempted, error = %chain(&failure), "failed");
                AccountError::Unavailable
            }
        }
    }
}
