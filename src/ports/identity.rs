//! Who is calling, and what they may do.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::AccountId;

/// What a caller may do. Ordered: each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Records, lists and reads their own sessions.
    User,
    /// Reads all sessions, logs and metrics.
    Developer,
    /// Manages accounts, services and settings.
    Admin,
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The account: what owns things.
    pub account: AccountId,
    /// The account's name: for people, and for the audit log.
    pub user: String,
    /// What the account may do.
    pub role: Role,
    /// The token (`jti`) that proved it: what a log-out revokes.
    pub token_id: Uuid,
    /// Seconds since the password was given, as of when the token was looked at. A log-in that is refreshed goes on,
    /// and grows old: what changes the box for good takes a young one.
    pub auth_age_s: u64,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No administrator exists yet.
    #[error("this appliance is not claimed yet: open its dashboard and enter the one-time code")]
    Unclaimed,
    /// The token can't be read or its signature is wrong.
    #[error("the token is not valid: log in again")]
    Invalid,
    /// The token was good once.
    #[error("the token has expired: refresh it or log in again")]
    Expired,
    /// The token was revoked by a log-out, a password change or an administrator.
    #[error("the token was revoked: log in again")]
    Revoked,
    /// auth-service does not run at this moment.
    #[error("auth-service is not available: try again in a moment")]
    Unavailable,
}

/// Proves tokens. Cheap and synchronous: it is asked on every request.
pub trait Authenticator: Send + Sync {
    /// The caller that `bearer`, a compact JWT, stands for.
    fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError>;
}
