//! What auth-service keeps on disk: tables, rows, schema.
//!
//! The rows are this service's own and never leave it; what others see are the types in `lucid_ports`. Must never hold a
//! password, a token or a one-time code: only what proves one.

use lucid_ports::{AccountId, AuditEntry, Role};
use lucid_store::{Json, Schema, Table};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::NAME;

/// The file's schema. Version 2 gives accounts an id. No release wrote version 1, so nothing leads from there, and a
/// file of that version is refused.
pub static SCHEMA: Schema = Schema { name: NAME, version: 2, migrations: &[], readable_by_previous: false };

/// Accounts by name.
pub(crate) const ACCOUNTS: Table<String, Json<AccountRow>> = Table::new("accounts");

/// Log-ins by account and family, so that all of one account lie together.
pub(crate) const SESSIONS: Table<(String, [u8; 16]), Json<SessionRow>> = Table::new("sessions");

/// The audit log by sequence number.
pub(crate) const AUDIT: Table<u64, Json<AuditEntry>> = Table::new("audit");

/// Tries of the one-time code; one row, gone once the appliance is claimed.
pub(crate) const CLAIM: Table<u8, Json<ClaimRow>> = Table::new("claim");

/// The only key in [`CLAIM`].
pub(crate) const CLAIM_KEY: u8 = 0;

/// One account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccountRow {
    /// Its id: never changed, never given to another account.
    pub(crate) id: AccountId,
    /// What it may do.
    pub(crate) role: Role,
    /// When it was made, in milliseconds of Unix time.
    pub(crate) created_ms: u64,
    /// Argon2id in the PHC string format.
    pub(crate) password: String,
}

/// One log-in: a family of tokens that descend from one another by refreshing.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    /// When it was last refreshed, in milliseconds of Unix time.
    pub(crate) used_ms: u64,
    /// When it ends unless it is refreshed.
    pub(crate) expires_ms: u64,
    /// The one refresh token that is good now.
    pub(crate) refresh_id: Uuid,
    /// The access tokens that are good now, newest first: at most [`ACCESS_MAX`].
    pub(crate) access_ids: Vec<Uuid>,
}

/// Access tokens of one log-in that are good at a time: the newest, and the one before it for requests that were under
/// way while it was refreshed.
pub(crate) const ACCESS_MAX: usize = 2;

/// What became of the one-time code so far.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct ClaimRow {
    /// Which code the tries were for: its keyed hash.
    pub(crate) code: String,
    /// Wrong tries of that code.
    pub(crate) wrong: u32,
    /// When the last tries of any code were, in milliseconds of Unix time.
    pub(crate) recent_ms: Vec<u64>,
}

/// The range of all log-ins of one account.
pub(crate) fn sessions_of(user: &str) -> std::ops::RangeInclusive<(String, [u8; 16])> {
    (user.to_owned(), [0; 16])..=(user.to_owned(), [0xFF; 16])
}
