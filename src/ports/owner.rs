//! Who made a recording, and whether that account is still there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// Who made a recording. It belongs to the account's id; the name is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The account. No later account gets this id, whatever its name.
    pub id: AccountId,
    /// What the account was called when it began the recording.
    pub name: String,
    /// How the account stands now.
    pub account: AccountState,
}

/// How an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// Nobody was asked, or auth-service does not run.
    Unknown,
    /// It is there.
    Present,
    /// It was removed, or it is one of another appliance, whose disk was taken over.
    Removed,
}

impl fmt::Display for Owner {
    /// The name, in the words that people are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account {
            AccountState::Removed => write!(f, "removed account {}", self.name),
            AccountState::Present | AccountState::Unknown => f.write_str(&self.name),
        }
    }
}

/// Tells accounts that are there from those that were removed. Cheap and synchronous: it is asked for every line of a
/// list.
pub trait AccountLookup: Send + Sync {
    /// How the account stands; unknown while auth-service does not run.
    fn account_state(&self, account: AccountId) -> AccountState;
}

#[cfg(test)]
mod tests;
