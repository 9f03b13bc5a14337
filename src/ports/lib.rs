//! Types and traits that one group of services offers another.
//!
//! A group never names its sibling: what it needs of one stands here as a trait or a value, and the wiring in
//! `lucid` fills it in. Requests go downwards only; upwards and sideways travel latest values over `watch`.
//! Nothing here does I/O, and nothing here knows HTTP, redb or hardware.

mod account_id;
mod accounts;
mod anchoring;
mod chain;
mod conditions;
mod identity;
mod owner;
mod recordings;
mod session_id;
mod takeover;

pub use account_id::AccountId;
pub use accounts::{
    Account, AccountError, Accounts, AuditEntry, Claim, Claimed, Login, PasswordChange, Recovery, RecoveryError, Tokens,
};
pub use anchoring::{AnchorError, AnchorState, Anchoring};
pub use chain::{BlockSummary, Chain, ChainError, Evidence, Head, Validation, ValidationState};
pub use conditions::{Load, Storage};
pub use identity::{AuthError, Authenticator, Identity, Role};
pub use owner::{AccountLookup, AccountState, Owner};
pub use recordings::{Recording, RecordingState, Recordings, RecordingsError};
pub use session_id::{InvalidSessionId, SessionId};
pub use takeover::{TakenOver, Takeover, TakeoverError};
