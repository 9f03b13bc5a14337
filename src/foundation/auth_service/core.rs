//! What all operations of auth-service stand on: the store, the door, the pool, and the one way to change an account.
//!
//! An operation that hashes a password runs beside the service, so that a slow one holds up nobody; what it decides it
//! decides again within its transaction, since the account may have changed meanwhile.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lucid_kit::{Class, Pool};
use lucid_ports::{AccountError, AuditEntry, Recovery};
use lucid_store::{Reader as _, Store, StoreError, WriteTx};
use zeroize::Zeroizing;

use super::code::Code;
use super::door::Door;
use super::failure::Failure;
use super::rows::{ACCOUNTS, AccountRow, SESSIONS};
use super::throttle::Throttle;
use super::token::FUTURE_MAX_S;
use super::{ACCOUNTS_MAX, SESSIONS_MAX, audit, password};

/// One incarnation's resources.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) door: Arc<Door>,
    pub(crate) pool: Pool,
    pub(crate) recovery: Arc<dyn Recovery>,
    pub(crate) throttle: Mutex<Throttle>,
    /// The one-time code, while there is one.
    pub(crate) code: Mutex<Option<Code>>,
    /// Where the code of the provisioning lies until the claim.
    pub(crate) code_file: PathBuf,
    /// Why nobody may claim the appliance.
    pub(crate) locked: Option<String>,
    /// Shows a code to the owner. May block.
    pub(crate) announce: Arc<dyn Fn(&str) + Send + Sync>,
    /// Held over a commit and the door's reload, so that the door ends up with the newest commit.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// Held over making a recovery key and committing what goes with it: of two the later one replaces the former.
    pub(crate) recovering: tokio::sync::Mutex<()>,
    /// Set when the door could not follow a commit: it is closed, and this incarnation must end.
    pub(crate) fault: OnceLock<StoreError>,
    pub(crate) access_token_s: u64,
    pub(crate) refresh_token_s: u64,
}

impl Core {
    /// Runs a write transaction about the account `name`, and lets the door know once it is on disk.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        name: &str,
        closure: impl Fn(&mut WriteTx<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let _turn = self.changing.lock().await;
        let result = self.store.try_write(closure).await;
        if let Err(error) = self.door.reload(name, &self.store) {
            self.door.close();
            return Err(self.fault.get_or_init(|| error).clone().into());
        }
        result
    }

    /// Why this incarnation can't go on.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.store.failure().or_else(|| self.fault.get().cloned())
    }

    /// Proves that `password` is that of `name`; slows guessing down and keeps the record. Nobody learns whether the
    /// name or the password was wrong, neither from the answer nor from the time it takes.
    pub(crate) async fn prove(
        &self,
        action: &'static str,
        name: &str,
        password: Zeroizing<String>,
        peer: IpAddr,
    ) -> Result<AccountRow, Failure> {
        if !self.door.is_claimed() {
            return Err(self.unclaimed().into());
        }
        // What can't be a name is one name for the throttle: it bounds what is kept.
        let name = if password::check_name(name).is_ok() { name } else { "" };
        let begun = self.throttle().begin(name, peer, self.door.time.monotonic_ms());
        begun.map_err(|retry_after_s| AccountError::Throttled { retry_after_s })?;
        let account = self.account(name)?;
        // No account has so long a password, nor an empty one.
        let password = if password::is_possible(&password) { password } else { Zeroizing::default() };
        let right = self.verify(password, account.as_ref().map(|row| row.password.clone())).await?;
        if let Some(account) = account.filter(|_| right) {
            self.throttle().succeeded(name, peer);
            return Ok(account);
        }
        metrics::counter!("lucid_auth_failures_total", "action" => action).increment(1);
        self.note(audit::entry(self.now_ms(), name, Some(peer), action, "refused: wrong name or password")).await?;
        Err(AccountError::WrongCredentials.into())
    }

    /// What to say to everybody while there is no account.
    pub(crate) fn unclaimed(&self) -> AccountError {
        match &self.locked {
            Some(reason) => AccountError::Locked { reason: reason.clone() },
            None => AccountError::Unclaimed,
        }
    }

    /// One account.
    pub(crate) fn account(&self, name: &str) -> Result<Option<AccountRow>, Failure> {
        self.store.read(|tx| Ok(tx.get(&ACCOUNTS, name)?))
    }

    /// Adds an entry to the audit log.
    pub(crate) async fn note(&self, entry: AuditEntry) -> Result<(), Failure> {
        Ok(self.store.write(move |tx| audit::append(tx, &entry, audit::ENTRIES_MAX)).await?)
    }

    /// The PHC string of a password.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Failure> {
        self.pool.run(Class::Interactive, move || password::hash(&password)).await?
    }

    async fn verify(&self, password: Zeroizing<String>, phc: Option<String>) -> Result<bool, Failure> {
        self.pool.run(Class::Interactive, move || password::verify(&password, phc.as_deref())).await?
    }

    /// A new recovery key. It touches the disk, so it goes through the pool.
    pub(crate) async fn issue_recovery(&self) -> Result<Zeroizing<String>, Failure> {
        let recovery = self.recovery.clone();
        let issued = self.pool.run(Class::Interactive, move || recovery.issue()).await?;
        issued.map_err(|error| AccountError::Recovery(error).into())
    }

    /// Drops the log-ins that have ended, and those begun in a future that has turned out not to be one.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        let _turn = self.changing.lock().await;
        let now_ms = self.now_ms();
        let future_ms = now_ms + FUTURE_MAX_S * 1000;
        let rows = self.store.read(|tx| tx.range(&SESSIONS, .., ACCOUNTS_MAX * SESSIONS_MAX))?;
        let over = rows.into_iter().filter(|(_, row)| row.expires_ms <= now_ms || row.used_ms > future_ms);
        let over: Vec<_> = over.map(|(key, _)| key).collect();
        if over.is_empty() {
            return Ok(());
        }
        tracing::debug!(log_ins = over.len(), "ended log-ins dropped");
        let remove = move |tx: &mut WriteTx<'_>| over.iter().try_for_each(|key| tx.remove(&SESSIONS, key).map(drop));
        self.store.write(remove).await?;
        self.door.load(&self.store)
    }

    /// Milliseconds of Unix time.
    pub(crate) fn now_ms(&self) -> u64 {
        self.door.time.now_ms()
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
