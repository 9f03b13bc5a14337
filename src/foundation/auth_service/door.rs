//! The door: who is let in, asked on every request.
//!
//! A picture in memory of the accounts and their log-ins, made from the store at start and renewed, one account at a
//! time, after each commit. A token is good only if it stands here, so a log-out, a removed account or a changed
//! password holds from the moment its answer is given, and over every restart. Must never be ahead of the store, and
//! never hold it open: requests that are under way keep a door for longer than its service runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lucid_kit::Handle;
use lucid_ports::{AccountId, AuthError, Authenticator, Identity, Role};
use lucid_store::{Reader, Store, StoreError};
use uuid::Uuid;

use super::rows::{ACCOUNTS, SESSIONS, sessions_of};
use super::time::Time;
use super::token::{Keys, Kind};
use super::{ACCOUNTS_MAX, AuthService, SESSIONS_MAX};

/// What proves tokens.
pub(crate) struct Door {
    pub(crate) keys: Keys,
    pub(crate) time: Time,
    accounts: RwLock<HashMap<String, Known>>,
    closed: AtomicBool,
}

/// One account as the door knows it.
struct Known {
    id: AccountId,
    role: Role,
    sessions: Vec<KnownSession>,
}

/// One of its log-ins.
struct KnownSession {
    family: Uuid,
    access_ids: Vec<Uuid>,
}

impl Door {
    /// A door that knows nobody yet.
    pub(crate) fn new(keys: Keys, time: Time) -> Self {
        Self { keys, time, accounts: RwLock::default(), closed: AtomicBool::new(false) }
    }

    /// Learns all accounts.
    pub(crate) fn load(&self, store: &Store) -> Result<(), StoreError> {
        let known = store.read(|tx| {
            let rows = tx.range(&ACCOUNTS, .., ACCOUNTS_MAX)?;
            rows.into_iter().map(|(name, _)| Ok(known(tx, &name)?.map(|known| (name, known)))).collect()
        })?;
        let known: Vec<Option<(String, Known)>> = known;
        *self.write() = known.into_iter().flatten().collect();
        Ok(())
    }

    /// Learns anew what the store says about one account.
    pub(crate) fn reload(&self, name: &str, store: &Store) -> Result<(), StoreError> {
        match store.read(|tx| known(tx, name))? {
            Some(known) => self.write().insert(name.to_owned(), known),
            None => self.write().remove(name),
        };
        Ok(())
    }

    /// Lets nobody in any more: for when the store can't be followed.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether there is an administrator: the first account is one, and the last one can't be removed.
    pub(crate) fn is_claimed(&self) -> bool {
        !self.read().is_empty()
    }

    /// Accounts and log-ins.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let accounts = self.read();
        (accounts.len(), accounts.values().map(|known| known.sessions.len()).sum())
    }

    /// Whether the account is there.
    pub(crate) fn knows(&self, account: AccountId) -> bool {
        self.read().values().any(|known| known.id == account)
    }

    /// Whose log-in an access token belongs to.
    pub(crate) fn session_of(&self, token_id: Uuid) -> Option<(String, Uuid)> {
        let accounts = self.read();
        accounts.iter().find_map(|(name, known)| {
            let session = known.sessions.iter().find(|session| session.access_ids.contains(&token_id))?;
            Some((name.clone(), session.family))
        })
    }

    /// The caller that an access token stands for.
    pub(crate) fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(AuthError::Unavailable);
        }
        if !self.is_claimed() {
            return Err(AuthError::Unclaimed);
        }
        let now_ms = self.time.now_ms();
        let claims = self.keys.read(bearer, Kind::Access, now_ms)?;
        let accounts = self.read();
        let known = accounts.get(&claims.sub).filter(|known| known.role == claims.role).ok_or(AuthError::Revoked)?;
        let stands =
            |session: &KnownSession| session.family == claims.family && session.access_ids.contains(&claims.jti);
        if !known.sessions.iter().any(stands) {
            return Err(AuthError::Revoked);
        }
        let auth_age_s = claims.auth_age_s(now_ms);
        Ok(Identity { account: known.id, user: claims.sub, role: claims.role, token_id: claims.jti, auth_age_s })
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Known>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Known>> {
        self.accounts.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store says about an account.
fn known(tx: &impl Reader, name: &str) -> Result<Option<Known>, StoreError> {
    let Some(account) = tx.get(&ACCOUNTS, name)? else { return Ok(None) };
    let rows = tx.range(&SESSIONS, sessions_of(name), SESSIONS_MAX)?;
    let sessions = rows
        .into_iter()
        .map(|((_, family), row)| KnownSession { family: Uuid::from_bytes(family), access_ids: row.access_ids });
    Ok(Some(Known { id: account.id, role: account.role, sessions: sessions.collect() }))
}

/// Proves tokens for every listener of the box. Cheap: nothing is awaited, nothing is read from disk.
pub struct TokenAuthenticator(Handle<AuthService>);

impl TokenAuthenticator {
    /// An authenticator that asks the service behind `handle`, and answers [`AuthError::Unavailable`] while it does not
    /// run.
    pub fn new(handle: Handle<AuthService>) -> Self {
        Self(handle)
    }
}

impl Authenticator for TokenAuthenticator {
    fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError> {
        let status = self.0.status().ok_or(AuthError::Unavailable)?;
        let door = status.door.as_ref().ok_or(AuthError::Unavailable)?;
        door.authenticate(bearer)
    }
}
