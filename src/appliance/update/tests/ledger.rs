//! Who calls, and the audit log. Nothing else is asked of accounts here.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lucid_ports::{
    Account, AccountError, AccountId, Accounts, AuditEntry, AuthError, Authenticator, Claim, Claimed, Identity, Login,
    PasswordChange, Role, Tokens,
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A token is `ROLE:AGE`: `admin:12` is an administrator who gave the password 12 s ago.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) notes: Arc<Mutex<Vec<AuditEntry>>>,
    pub(crate) revoked: Arc<Mutex<bool>>,
}

impl Ledger {
    /// Action and detail of every entry.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.notes.lock().unwrap().iter().map(|note| format!("{}: {}", note.action, note.detail)).collect()
    }
}

impl Authenticator for Ledger {
    fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError> {
        if *self.revoked.lock().unwrap() {
            return Err(AuthError::Revoked);
        }
        let (role, age) = bearer.split_once(':').ok_or(AuthError::Invalid)?;
        let role = match role {
            "user" => Role::User,
            "developer" => Role::Developer,
            "admin" => Role::Admin,
            _ => return Err(AuthError::Invalid),
        };
        let (account, token_id) = (AccountId::from_bytes([1; 16]), Uuid::nil());
        let auth_age_s = age.parse().map_err(|_| AuthError::Invalid)?;
        Ok(Identity { account, user: "ada".to_owned(), role, token_id, auth_age_s })
    }
}

#[async_trait]
impl Accounts for Ledger {
    fn claimed(&self) -> Result<bool, AccountError> {
        Ok(true)
    }
    async fn claim(&self, _claim: Claim) -> Result<Claimed, AccountError> {
        unreachable!("updates claim nothing")
    }
    async fn login(&self, _login: Login) -> Result<Tokens, AccountError> {
        unreachable!("updates log nobody in")
    }
    async fn refresh(&self, _token: &str) -> Result<Tokens, AccountError> {
        unreachable!("updates refresh nothing")
    }
    async fn logout(&self, _token_id: Uuid) -> Result<(), AccountError> {
        unreachable!("updates log nobody out")
    }
    async fn accounts(&self) -> Result<Vec<Account>, AccountError> {
        unreachable!("updates list no accounts")
    }
    async fn add(&self, _by: &str, _: String, _: Zeroizing<String>, _: Role) -> Result<(), AccountError> {
        unreachable!("updates add nobody")
    }
    async fn remove(&self, _by: &str, _name: &str) -> Result<(), AccountError> {
        unreachable!("updates remove nobody")
    }
    async fn set_role(&self, _by: &str, _name: &str, _role: Role) -> Result<(), AccountError> {
        unreachable!("updates change no role")
    }
    async fn change_password(&self, _change: PasswordChange) -> Result<Tokens, AccountError> {
        unreachable!("updates change no password")
    }
    async fn reset_password(&self, _by: &str, _name: &str, _: Zeroizing<String>) -> Result<(), AccountError> {
        unreachable!("updates set no password")
    }
    async fn prove(&self, _action: &'static str, _login: Login) -> Result<(), AccountError> {
        unreachable!("the age of the log-in proves enough here")
    }
    async fn new_recovery_key(&self, _login: Login) -> Result<Zeroizing<String>, AccountError> {
        unreachable!("updates make no key")
    }
    async fn audit(&self, _limit: usize) -> Result<Vec<AuditEntry>, AccountError> {
        Ok(self.notes.lock().unwrap().clone())
    }
    async fn note(&self, entry: AuditEntry) -> Result<(), AccountError> {
        self.notes.lock().unwrap().push(entry);
        Ok(())
    }
}
