//! How many read recordings at once, so that slow readers can't take the box's memory and threads.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use lucid_ports::AccountId;

/// Downloads, exports and verifications at a time. Each holds up to three opened chunks or one thread.
const READERS_MAX: usize = 8;
/// Of them, one account's.
const READERS_PER_ACCOUNT_MAX: usize = 4;

/// Who is reading. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Readers(Arc<Mutex<HashMap<AccountId, usize>>>);

/// One reader's place; free again when dropped.
pub(crate) struct Reading {
    readers: Readers,
    account: AccountId,
}

impl Readers {
    /// Takes a place for `account`, if it and the box have one left.
    pub(crate) fn enter(&self, account: AccountId) -> Option<Reading> {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = readers.get(&account).copied().unwrap_or_default();
        if own >= READERS_PER_ACCOUNT_MAX || readers.values().sum::<usize>() >= READERS_MAX {
            return None;
        }
        *readers.entry(account).or_default() += 1;
        Some(Reading { readers: self.clone(), account })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut readers = self.readers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = readers.get_mut(&self.account) {
            *count -= 1;
        }
        readers.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests;
