//! Claiming the appliance: the one-time code makes its bearer the first administrator.
//!
//! The order survives a cut at any point. The try is counted before it is answered. The recovery key is made before the
//! administrator: a cut between them leaves the appliance unclaimed, and the next claim makes another key in place of
//! that one. The administrator, the end of the code and the first log-in are one transaction.

use std::sync::{Arc, MutexGuard, PoisonError};

use lucid_ports::{AccountError, AccountId, Claim, Claimed, Role};
use lucid_store::Reader as _;

use super::Error;
use super::code::{self, Attempt, Code, CodeHash, Origin};
use super::core::Core;
use super::failure::Failure;
use super::handed_in;
use super::rows::{ACCOUNTS, AccountRow, CLAIM, CLAIM_KEY};
use super::{audit, password};

impl Core {
    /// Makes the first administrator.
    pub(crate) async fn claim(self: Arc<Self>, claim: Claim) -> Result<Claimed, Failure> {
        let code = self.current_code().as_ref().map(|code| code.hash).ok_or_else(|| self.no_code())?;
        password::check_name(&claim.name)?;
        password::check_password(&claim.name, &claim.password)?;
        self.try_code(code, &claim).await?;
        let _turn = self.recovering.lock().await;
        if self.door.is_claimed() {
            // Another claim was faster; its recovery key must stay the one that opens.
            return Err(AccountError::AlreadyClaimed.into());
        }
        let password = self.hash(claim.password).await?;
        let recovery_key = self.issue_recovery().await?;
        let (issue, name) = (self.new_login(), claim.name);
        let account = AccountRow { id: AccountId::generate(), role: Role::Admin, created_ms: issue.now_ms, password };
        let entry = audit::entry(issue.now_ms, &name, Some(claim.peer), "claim", "made the first administrator");
        let user = name.clone();
        // Made before the commit, after which nothing may keep the owner from seeing the recovery key.
        let tokens = self.tokens(&issue, &name, Role::Admin)?;
        let commit = self.change(&name, move |tx| {
            if !tx.is_empty(&ACCOUNTS)? {
                return Err(AccountError::AlreadyClaimed.into());
            }
            tx.put(&ACCOUNTS, &user, &account)?;
            tx.remove(&CLAIM, &CLAIM_KEY)?;
            issue.begin(tx, &user)?;
            Ok(audit::append(tx, &entry, audit::ENTRIES_MAX)?)
        });
        commit.await?;
        *self.current_code() = None;
        let code_file = self.code_file.clone();
        // Nothing of the claim depends on it: a file that stays is destroyed at the next start.
        tokio::task::spawn_blocking(move || handed_in::destroy_logged(&code_file));
        tracing::info!("claimed: the first administrator is made");
        Ok(Claimed { tokens, recovery_key })
    }

    /// Counts one try, durably, and goes on only if it was right.
    async fn try_code(&self, code: CodeHash, claim: &Claim) -> Result<(), Failure> {
        let (typed, now_ms) = (CodeHash::of(&self.door.keys, &claim.code), self.now_ms());
        let entry = audit::entry(now_ms, "", Some(claim.peer), "claim", "refused: wrong code");
        let outcome = self.store.write(move |tx| {
            let outcome = code::attempt(tx, &code, &typed, now_ms)?;
            if matches!(outcome, Attempt::Wrong { .. }) {
                audit::append(tx, &entry, audit::ENTRIES_MAX)?;
            }
            Ok(outcome)
        });
        let outcome = outcome.await?;
        if let Some(current) = &mut *self.current_code() {
            current.tried(&code, outcome, self.door.time.monotonic_ms());
        }
        outcome.check()
    }

    /// Shows a new code in place of one that was made here and has been void for a while.
    pub(crate) async fn renew_code(&self) -> Result<(), Error> {
        let now_ms = self.door.time.monotonic_ms();
        let is_over = |code: &Option<Code>| code.as_ref().is_some_and(|code| code.is_over(now_ms));
        if !is_over(&self.current_code()) {
            return Ok(());
        }
        let code = code::generate()?;
        {
            let mut current = self.current_code();
            // A claim may have ended all codes meanwhile.
            if !is_over(&current) {
                return Ok(());
            }
            *current = Some(Code::new(CodeHash::of(&self.door.keys, &code), Origin::Made));
        }
        tracing::warn!("the one-time code was void after too many tries: showing a new one");
        let announce = self.announce.clone();
        // A terminal may block.
        tokio::task::spawn_blocking(move || announce(&code)).await.map_err(Error::Announce)
    }

    /// Why there is no code to claim with.
    fn no_code(&self) -> AccountError {
        if self.door.is_claimed() { AccountError::AlreadyClaimed } else { self.unclaimed() }
    }

    fn current_code(&self) -> MutexGuard<'_, Option<Code>> {
        self.code.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
