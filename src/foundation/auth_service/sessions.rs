//! Log-ins: issuing, exchanging and ending tokens.
//!
//! A log-in is a family of tokens. Its refresh token is good once: using it gives the next one. Somebody who uses an
//! old one again has stolen it, or was stolen from; either way the whole family ends (RFC 9700, section 4.14.2). A
//! reply that gets lost on its way therefore costs its owner a new log-in.

use std::sync::Arc;

use lucid_ports::{AccountError, Login, Role, Tokens};
use lucid_store::{Reader as _, StoreError, WriteTx};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::core::Core;
use super::failure::Failure;
use super::rows::{ACCESS_MAX, ACCOUNTS, SESSIONS, SessionRow, sessions_of};
use super::token::{Claims, Descent, Kind};
use super::{SESSIONS_MAX, audit};

/// Tokens about to be issued. Their ids are chosen before the transaction, which may run more than once.
#[derive(Clone, Copy)]
pub(crate) struct Issue {
    descent: Descent,
    refresh_id: Uuid,
    access_id: Uuid,
    /// When they are issued.
    pub(crate) now_ms: u64,
    expires_ms: u64,
}

impl Issue {
    /// Begins a new log-in of `user`; the one unused for longest makes room where there are too many.
    pub(crate) fn begin(&self, tx: &mut WriteTx<'_>, user: &str) -> Result<(), StoreError> {
        let sessions = tx.range(&SESSIONS, sessions_of(user), SESSIONS_MAX)?;
        if sessions.len() >= SESSIONS_MAX
            && let Some((oldest, _)) = sessions.iter().min_by_key(|(_, row)| row.used_ms)
        {
            tx.remove(&SESSIONS, oldest)?;
        }
        self.put(tx, user, Vec::new())
    }

    /// Puts the log-in with these tokens, and those of the `former` access tokens that stay good.
    fn put(&self, tx: &mut WriteTx<'_>, user: &str, former: Vec<Uuid>) -> Result<(), StoreError> {
        let access_ids = std::iter::once(self.access_id).chain(former).take(ACCESS_MAX).collect();
        let (used_ms, expires_ms, refresh_id) = (self.now_ms, self.expires_ms, self.refresh_id);
        let row = SessionRow { used_ms, expires_ms, refresh_id, access_ids };
        tx.put(&SESSIONS, &(user.to_owned(), self.descent.family.into_bytes()), &row)
    }
}

impl Core {
    /// Checks a password and issues tokens.
    pub(crate) async fn login(self: Arc<Self>, login: Login) -> Result<Tokens, Failure> {
        let proved = self.prove("login", &login.name, login.password, login.peer).await?;
        let (issue, name) = (self.new_login(), login.name);
        let entry = audit::entry(issue.now_ms, &name, Some(login.peer), "login", "ok");
        let user = name.clone();
        let begin = self.change(&name, move |tx| {
            // The account may have changed while the password was hashed.
            let account = tx.get(&ACCOUNTS, &user)?.filter(|row| row.password == proved.password);
            let account = account.ok_or(AccountError::WrongCredentials)?;
            issue.begin(tx, &user)?;
            audit::append(tx, &entry, audit::ENTRIES_MAX)?;
            Ok(account.role)
        });
        let role = begin.await?;
        self.tokens(&issue, &name, role)
    }

    /// Exchanges a refresh token for new tokens. An old one ends its log-in.
    pub(crate) async fn refresh(&self, token: Zeroizing<String>) -> Result<Tokens, Failure> {
        if !self.door.is_claimed() {
            return Err(self.unclaimed().into());
        }
        let claims = self.door.keys.read(&token, Kind::Refresh, self.now_ms());
        let claims = claims.map_err(|_| AccountError::SessionEnded)?;
        // The password was given when the log-in began, not now.
        let descent = Descent { family: claims.family, auth_time: claims.auth_time };
        let (issue, user) = (self.issue(descent), claims.sub.clone());
        let reused =
            audit::entry(issue.now_ms, &user, None, "refresh", "refused: an old token was used again; log-in ended");
        let exchange = self.change(&user, move |tx| {
            let key = (claims.sub.clone(), claims.family.into_bytes());
            let (account, session) = (tx.get(&ACCOUNTS, &claims.sub)?, tx.get(&SESSIONS, &key)?);
            let (Some(account), Some(session)) = (account, session) else { return Ok(None) };
            if session.refresh_id != claims.jti {
                tx.remove(&SESSIONS, &key)?;
                audit::append(tx, &reused, audit::ENTRIES_MAX)?;
                return Ok(None);
            }
            issue.put(tx, &claims.sub, session.access_ids)?;
            Ok(Some(account.role))
        });
        let role = exchange.await?.ok_or(AccountError::SessionEnded)?;
        self.tokens(&issue, &user, role)
    }

    /// Ends the log-in that an access token belongs to. One that has ended already is no error.
    pub(crate) async fn logout(&self, token_id: Uuid) -> Result<(), Failure> {
        let Some((user, family)) = self.door.session_of(token_id) else { return Ok(()) };
        let entry = audit::entry(self.now_ms(), &user, None, "logout", "ok");
        let key = (user.clone(), family.into_bytes());
        let end = self.change(&user, move |tx| {
            if tx.remove(&SESSIONS, &key)? {
                audit::append(tx, &entry, audit::ENTRIES_MAX)?;
            }
            Ok(())
        });
        end.await
    }

    /// Tokens of a new log-in.
    pub(crate) fn new_login(&self) -> Issue {
        self.issue(Descent { family: Uuid::new_v4(), auth_time: self.now_ms() / 1000 })
    }

    fn issue(&self, descent: Descent) -> Issue {
        let now_ms = self.now_ms();
        let expires_ms = now_ms + self.refresh_token_s * 1000;
        Issue { descent, refresh_id: Uuid::new_v4(), access_id: Uuid::new_v4(), now_ms, expires_ms }
    }

    /// Signs what was issued, once it is on disk.
    pub(crate) fn tokens(&self, issue: &Issue, user: &str, role: Role) -> Result<Tokens, Failure> {
        let sign = |kind, id, lifetime_s| {
            self.door.keys.sign(&Claims::new(user, role, kind, id, issue.descent, issue.now_ms, lifetime_s))
        };
        Ok(Tokens {
            access_token: sign(Kind::Access, issue.access_id, self.access_token_s)?,
            refresh_token: sign(Kind::Refresh, issue.refresh_id, self.refresh_token_s)?,
            expires_in_s: self.access_token_s,
            role,
        })
    }
}
