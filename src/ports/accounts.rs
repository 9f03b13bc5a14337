//! Accounts as auth-service keeps them, for the dashboard.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{AccountId, Role};

/// The first administrator's claim on an unclaimed appliance.
pub struct Claim {
    /// The one-time code that the appliance showed at its start.
    pub code: Zeroizing<String>,
    /// The administrator's account name.
    pub name: String,
    /// The administrator's password.
    pub password: Zeroizing<String>,
    /// Where the claim came from, for the audit log.
    pub peer: IpAddr,
}

/// What a claim gives.
pub struct Claimed {
    /// The administrator is logged in with these.
    pub tokens: Tokens,
    /// The recovery key. Shown to the owner once and kept nowhere.
    pub recovery_key: Zeroizing<String>,
}

/// A log-in.
pub struct Login {
    /// Account name.
    pub name: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// Where it came from, for throttling and the audit log.
    pub peer: IpAddr,
}

/// Somebody changes their own password.
pub struct PasswordChange {
    /// Account name.
    pub name: String,
    /// The password so far.
    pub old: Zeroizing<String>,
    /// The password from now on.
    pub new: Zeroizing<String>,
    /// Where it came from, for throttling and the audit log.
    pub peer: IpAddr,
}

/// What a log-in gives.
#[derive(Clone, Serialize)]
pub struct Tokens {
    /// JWT for `Authorization: Bearer`.
    pub access_token: String,
    /// JWT that gets new ones; single use.
    pub refresh_token: String,
    /// Lifetime of the access token in seconds.
    pub expires_in_s: u64,
    /// What the account may do.
    pub role: Role,
}

/// One account, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id: what owns recordings.
    pub id: AccountId,
    /// Account name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made, in milliseconds of Unix time.
    pub created_ms: u64,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, in milliseconds of Unix time.
    pub at_ms: u64,
    /// Who; empty where nobody was authenticated.
    pub user: String,
    /// From where; empty for what the appliance did itself.
    pub peer: String,
    /// What happened, for example `login` or `claim`.
    pub action: String,
    /// On what, and how it ended.
    pub detail: String,
}

/// Why an account operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The appliance has an administrator already.
    #[error("this appliance is claimed already: log in")]
    AlreadyClaimed,
    /// There is no administrator yet.
    #[error("this appliance is not claimed yet: open its dashboard and enter the one-time code")]
    Unclaimed,
    /// The appliance has, or may have, an owner whose accounts are lost: nobody may claim it.
    #[error("{reason}")]
    Locked {
        /// Why, and what the owner can do.
        reason: String,
    },
    /// The one-time code is wrong.
    #[error("the code is wrong; {tries_left} tries are left")]
    WrongCode {
        /// Tries until the code is void.
        tries_left: u32,
    },
    /// The one-time code was tried too often. One that the appliance made is replaced while it runs.
    #[error(
        "the code is void after too many tries: enter the new one that the appliance shows within two minutes, or, if \
         it came with a code of its own, restart it to be shown one"
    )]
    CodeVoid,
    /// Name or password is wrong: which of the two is not said.
    #[error("name or password is wrong")]
    WrongCredentials,
    /// Too many failed log-ins.
    #[error("too many failed attempts: try again in {retry_after_s} s")]
    Throttled {
        /// Seconds until the next attempt is looked at.
        retry_after_s: u64,
    },
    /// Name or password breaks a rule.
    #[error("{rule}")]
    Invalid {
        /// The rule, in words for the person at the form.
        rule: String,
    },
    /// The account exists already.
    #[error("there is an account `{name}` already")]
    Exists {
        /// Account name.
        name: String,
    },
    /// There is no such account.
    #[error("there is no account `{name}`")]
    Unknown {
        /// Account name.
        name: String,
    },
    /// The last administrator can't be removed or demoted.
    #[error("`{name}` is the last administrator: make another one first")]
    LastAdmin {
        /// Account name.
        name: String,
    },
    /// The refresh token is not, or no longer, good.
    #[error("the session has ended: log in again")]
    SessionEnded,
    /// Making or wrapping the recovery key failed.
    #[error("making the recovery key failed")]
    Recovery(#[source] RecoveryError),
    /// auth-service does not run, or its store failed.
    #[error("auth-service is not available: try again in a moment")]
    Unavailable,
}

/// What the dashboard asks of auth-service.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Whether an administrator exists. Fails while auth-service does not run, and with [`AccountError::Locked`] where
    /// none exists and none may be made.
    fn claimed(&self) -> Result<bool, AccountError>;
    /// Makes the first administrator; the code is consumed.
    async fn claim(&self, claim: Claim) -> Result<Claimed, AccountError>;
    /// Checks a password and issues tokens.
    async fn login(&self, login: Login) -> Result<Tokens, AccountError>;
    /// Gives new tokens for a refresh token, which is used up by that. Using one twice ends its log-in, because one of
    /// the two users has stolen it: callers must not refresh the same log-in in parallel.
    async fn refresh(&self, refresh_token: &str) -> Result<Tokens, AccountError>;
    /// Revokes a token and its refresh family. A token that is not known any more is no error.
    async fn logout(&self, token_id: Uuid) -> Result<(), AccountError>;
    /// The accounts, by name.
    async fn accounts(&self) -> Result<Vec<Account>, AccountError>;
    /// Adds an account. `by` is the administrator who does it.
    async fn add(&self, by: &str, name: String, password: Zeroizing<String>, role: Role) -> Result<(), AccountError>;
    /// Removes an account and revokes its tokens. Its recordings stay and keep it as their owner: developers and
    /// administrators read them, administrators delete them, and no later account of the same name gets them.
    async fn remove(&self, by: &str, name: &str) -> Result<(), AccountError>;
    /// Gives an account another role and revokes its tokens.
    async fn set_role(&self, by: &str, name: &str, role: Role) -> Result<(), AccountError>;
    /// Changes one's own password, revokes all tokens of the account and gives the caller new ones.
    async fn change_password(&self, change: PasswordChange) -> Result<Tokens, AccountError>;
    /// Sets the password of somebody who has forgotten theirs, and revokes the account's tokens.
    async fn reset_password(&self, by: &str, name: &str, password: Zeroizing<String>) -> Result<(), AccountError>;
    /// Checks the password of somebody who is logged in once more, before they do what can't be undone. `action` says
    /// what that is, for the audit log.
    async fn prove(&self, action: &'static str, login: Login) -> Result<(), AccountError>;
    /// Makes a new recovery key in place of the former one, for an administrator who proves their password again: for
    /// the owner who lost it, or whom the reply to the claim never reached.
    async fn new_recovery_key(&self, login: Login) -> Result<Zeroizing<String>, AccountError>;
    /// The newest `limit` audit entries, newest first; at most 1000.
    async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, AccountError>;
    /// Adds a line to the audit log for what a sibling group did on somebody's behalf.
    async fn note(&self, entry: AuditEntry) -> Result<(), AccountError>;
}

/// Making the recovery key failed.
#[derive(Debug, thiserror::Error)]
#[error("wrapping the master key for the recovery key failed")]
pub struct RecoveryError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Makes recovery keys; behind it stands the vault.
pub trait Recovery: Send + Sync {
    /// Makes a new recovery key, wraps the master key for it and forgets it. Blocking; replaces the former one.
    fn issue(&self) -> Result<Zeroizing<String>, RecoveryError>;
}
