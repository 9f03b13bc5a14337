//! Accounts: listing, adding, removing, changing.
//!
//! Whatever takes something away from an account ends its log-ins in the same transaction. There is always an
//! administrator once there was one: the rule is checked where it can't be raced, within the transaction.

use std::sync::Arc;

use lucid_ports::{Account, AccountError, AccountId, AuditEntry, Login, PasswordChange, Role, Tokens};
use lucid_store::{Reader as _, WriteTx};
use zeroize::Zeroizing;

use super::core::Core;
use super::failure::Failure;
use super::rows::{ACCOUNTS, AUDIT, AccountRow, SESSIONS, sessions_of};
use super::{ACCOUNTS_MAX, audit, password};

/// Most audit entries given at once: a page is enough, and a reply stays below half a megabyte.
const AUDIT_READ_MAX: usize = 1000;

impl Core {
    /// The accounts, by name.
    pub(crate) fn accounts(&self) -> Result<Vec<Account>, Failure> {
        let rows = self.store.read(|tx| tx.range(&ACCOUNTS, .., ACCOUNTS_MAX))?;
        let account = |(name, row): (String, AccountRow)| Account {
            id: row.id,
            name,
            role: row.role,
            created_ms: row.created_ms,
        };
        Ok(rows.into_iter().map(account).collect())
    }

    /// The newest audit entries, newest first.
    pub(crate) fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, Failure> {
        let rows = self.store.read(|tx| tx.range_rev(&AUDIT, .., limit.min(AUDIT_READ_MAX)))?;
        Ok(rows.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Adds an account.
    pub(crate) async fn add(
        self: Arc<Self>,
        by: String,
        name: String,
        password: Zeroizing<String>,
        role: Role,
    ) -> Result<(), Failure> {
        password::check_name(&name)?;
        password::check_password(&name, &password)?;
        let password = self.hash(password).await?;
        let account = AccountRow { id: AccountId::generate(), role, created_ms: self.now_ms(), password };
        let entry = self.entry(&by, "account added", &format!("`{name}` as {}", word(role)));
        let user = name.clone();
        let add = self.change(&name, move |tx| {
            match tx.len(&ACCOUNTS)? {
                // Only a claim makes the first one.
                0 => return Err(AccountError::Unclaimed.into()),
                accounts if accounts >= ACCOUNTS_MAX as u64 => return Err(too_many().into()),
                _ if tx.contains(&ACCOUNTS, &user)? => return Err(AccountError::Exists { name: user.clone() }.into()),
                _ => tx.put(&ACCOUNTS, &user, &account)?,
            }
            Ok(audit::append(tx, &entry, audit::ENTRIES_MAX)?)
        });
        add.await
    }

    /// Removes an account and ends its log-ins. What it recorded stays, and is nobody's: its id dies with it.
    pub(crate) async fn remove(&self, by: &str, name: String) -> Result<(), Failure> {
        let entry = self.entry(by, "account removed", &format!("`{name}`; its recordings stay"));
        let user = name.clone();
        let remove = self.change(&name, move |tx| {
            let account = existing(tx, &user)?;
            keep_an_admin(tx, &user, account.role)?;
            tx.remove(&ACCOUNTS, &user)?;
            tx.remove_range(&SESSIONS, sessions_of(&user))?;
            Ok(audit::append(tx, &entry, audit::ENTRIES_MAX)?)
        });
        remove.await
    }

    /// Gives an account another role and ends its log-ins. The role it has already changes nothing.
    pub(crate) async fn set_role(&self, by: &str, name: String, role: Role) -> Result<(), Failure> {
        let entry = self.entry(by, "role changed", &format!("`{name}` to {}", word(role)));
        let user = name.clone();
        let set = self.change(&name, move |tx| {
            let account = existing(tx, &user)?;
            if account.role == role {
                return Ok(());
            }
            keep_an_admin(tx, &user, account.role)?;
            tx.put(&ACCOUNTS, &user, &AccountRow { role, ..account })?;
            tx.remove_range(&SESSIONS, sessions_of(&user))?;
            Ok(audit::append(tx, &entry, audit::ENTRIES_MAX)?)
        });
        set.await
    }

    /// Sets somebody's password and ends their log-ins.
    pub(crate) async fn reset_password(
        self: Arc<Self>,
        by: String,
        name: String,
        password: Zeroizing<String>,
    ) -> Result<(), Failure> {
        password::check_password(&name, &password)?;
        let password = self.hash(password).await?;
        let entry = self.entry(&by, "password reset", &format!("of `{name}`"));
        let user = name.clone();
        let reset = self.change(&name, move |tx| {
            let account = AccountRow { password: password.clone(), ..existing(tx, &user)? };
            tx.put(&ACCOUNTS, &user, &account)?;
            tx.remove_range(&SESSIONS, sessions_of(&user))?;
            Ok(audit::append(tx, &entry, audit::ENTRIES_MAX)?)
        });
        reset.await
    }

    /// Changes one's own password, ends all log-ins of the account and begins a new one.
    pub(crate) async fn change_password(self: Arc<Self>, change: PasswordChange) -> Result<Tokens, Failure> {
        let PasswordChange { name, old, new, peer } = change;
        password::check_password(&name, &new)?;
        let proved = self.prove("password", &name, old, peer).await?;
        let password = self.hash(new).await?;
        let issue = self.new_login();
        let entry = audit::entry(issue.now_ms, &name, Some(peer), "password", "changed");
        let user = name.clone();
        let set = self.change(&name, move |tx| {
            // The account may have changed while the passwords were hashed.
            let account = tx.get(&ACCOUNTS, &user)?.filter(|row| row.password == proved.password);
            let account = AccountRow { password: password.clone(), ..account.ok_or(AccountError::WrongCredentials)? };
            tx.put(&ACCOUNTS, &user, &account)?;
            tx.remove_range(&SESSIONS, sessions_of(&user))?;
            issue.begin(tx, &user)?;
            audit::append(tx, &entry, audit::ENTRIES_MAX)?;
            Ok(account.role)
        });
        let role = set.await?;
        self.tokens(&issue, &name, role)
    }

    /// A new recovery key, for an administrator who proves their password again.
    pub(crate) async fn new_recovery_key(self: Arc<Self>, login: Login) -> Result<Zeroizing<String>, Failure> {
        let account = self.prove("recovery key", &login.name, login.password, login.peer).await?;
        if account.role != Role::Admin {
            return Err(AccountError::Invalid { rule: "only an administrator gets a recovery key".to_owned() }.into());
        }
        let _turn = self.recovering.lock().await;
        let key = self.issue_recovery().await?;
        // The former key opens nothing any more: from here on nothing may keep the owner from seeing this one.
        let entry = audit::entry(self.now_ms(), &login.name, Some(login.peer), "recovery key", "made a new one");
        if let Err(failure) = self.note(entry).await {
            let error: &dyn std::error::Error = &failure;
            tracing::error!(user = login.name, error, "a new recovery key was made, and is not in the audit log");
        }
        Ok(key)
    }

    /// Adds what a sibling noted. Its time is taken as it is, but not from the future.
    pub(crate) async fn note_from_outside(&self, entry: AuditEntry) -> Result<(), Failure> {
        let at_ms = entry.at_ms.min(self.now_ms());
        self.note(AuditEntry { at_ms, ..entry }).await
    }

    fn entry(&self, by: &str, action: &str, detail: &str) -> AuditEntry {
        audit::entry(self.now_ms(), by, None, action, detail)
    }
}

/// The account, or a refusal.
fn existing(tx: &WriteTx<'_>, name: &str) -> Result<AccountRow, Failure> {
    tx.get(&ACCOUNTS, name)?.ok_or_else(|| AccountError::Unknown { name: name.to_owned() }.into())
}

/// Refuses to take the last administrator away.
fn keep_an_admin(tx: &WriteTx<'_>, name: &str, role: Role) -> Result<(), Failure> {
    if role != Role::Admin {
        return Ok(());
    }
    let others = tx.range(&ACCOUNTS, .., ACCOUNTS_MAX)?;
    if others.iter().any(|(other, row)| other != name && row.role == Role::Admin) {
        return Ok(());
    }
    Err(AccountError::LastAdmin { name: name.to_owned() }.into())
}

fn too_many() -> AccountError {
    AccountError::Invalid {
        rule: format!("there are {ACCOUNTS_MAX} accounts, the most that are kept: remove one first"),
    }
}

/// The word for a role in the audit log, the same as in tokens.
fn word(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Developer => "developer",
        Role::Admin => "admin",
    }
}
