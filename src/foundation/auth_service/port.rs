//! auth-service as its siblings see it.

use async_trait::async_trait;
use lucid_kit::{Handle, Reply};
use lucid_ports::{
    Account, AccountError, AccountId, AccountLookup, AccountState, Accounts, AuditEntry, Claim, Claimed, Login,
    PasswordChange, Role, Tokens,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Answer, AuthService, Request};

/// [`Accounts`] over a handle. Every method answers [`AccountError::Unavailable`] while the service does not run.
#[derive(Clone)]
pub struct AccountsPort(Handle<AuthService>);

impl AccountsPort {
    /// The accounts that the service behind `handle` keeps.
    pub fn new(handle: Handle<AuthService>) -> Self {
        Self(handle)
    }

    async fn ask<T>(&self, make: impl FnOnce(Reply<Answer<T>>) -> Request) -> Answer<T> {
        self.0.ask(make).await.map_err(|_| AccountError::Unavailable)?
    }
}

#[async_trait]
impl Accounts for AccountsPort {
    fn claimed(&self) -> Result<bool, AccountError> {
        let status = self.0.status().ok_or(AccountError::Unavailable)?;
        if let Some(reason) = status.lock() {
            return Err(AccountError::Locked { reason: reason.to_owned() });
        }
        status.door.as_ref().map(|door| door.is_claimed()).ok_or(AccountError::Unavailable)
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed, AccountError> {
        self.ask(|reply| Request::Claim(claim, reply)).await
    }

    async fn login(&self, login: Login) -> Result<Tokens, AccountError> {
        self.ask(|reply| Request::Login(login, reply)).await
    }

    async fn refresh(&self, refresh_token: &str) -> Result<Tokens, AccountError> {
        let token = Zeroizing::new(refresh_token.to_owned());
        self.ask(|reply| Request::Refresh(token, reply)).await
    }

    async fn logout(&self, token_id: Uuid) -> Result<(), AccountError> {
        self.ask(|reply| Request::Logout(token_id, reply)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, AccountError> {
        self.ask(Request::Accounts).await
    }

    async fn add(&self, by: &str, name: String, password: Zeroizing<String>, role: Role) -> Result<(), AccountError> {
        let by = by.to_owned();
        self.ask(|reply| Request::Add { by, name, password, role, reply }).await
    }

    async fn remove(&self, by: &str, name: &str) -> Result<(), AccountError> {
        let (by, name) = (by.to_owned(), name.to_owned());
        self.ask(|reply| Request::Remove { by, name, reply }).await
    }

    async fn set_role(&self, by: &str, name: &str, role: Role) -> Result<(), AccountError> {
        let (by, name) = (by.to_owned(), name.to_owned());
        self.ask(|reply| Request::SetRole { by, name, role, reply }).await
    }

    async fn change_password(&self, change: PasswordChange) -> Result<Tokens, AccountError> {
        self.ask(|reply| Request::ChangePassword(change, reply)).await
    }

    async fn reset_password(&self, by: &str, name: &str, password: Zeroizing<String>) -> Result<(), AccountError> {
        let (by, name) = (by.to_owned(), name.to_owned());
        self.ask(|reply| Request::ResetPassword { by, name, password, reply }).await
    }

    async fn prove(&self, action: &'static str, login: Login) -> Result<(), AccountError> {
        self.ask(|reply| Request::Prove { action, login, reply }).await
    }

    async fn new_recovery_key(&self, login: Login) -> Result<Zeroizing<String>, AccountError> {
        self.ask(|reply| Request::NewRecoveryKey(login, reply)).await
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, AccountError> {
        self.ask(|reply| Request::Audit(limit, reply)).await
    }

    async fn note(&self, entry: AuditEntry) -> Result<(), AccountError> {
        self.ask(|reply| Request::Note(entry, reply)).await
    }
}

impl AccountLookup for AccountsPort {
    fn account_state(&self, account: AccountId) -> AccountState {
        match self.0.status().as_ref().and_then(|status| status.door.as_ref()) {
            None => AccountState::Unknown,
            Some(door) if door.knows(account) => AccountState::Present,
            Some(_) => AccountState::Removed,
        }
    }
}
