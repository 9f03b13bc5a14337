//! The audit log: who did what, from where, and how it ended.
//!
//! Entries are written in the same transaction as what they tell of, so neither is there without the other. The log is
//! bounded: the oldest entries are dropped. Must never hold a password, a token or a code, and never text from outside
//! that is not bounded and freed of control characters.

use std::net::IpAddr;

use lucid_ports::AuditEntry;
use lucid_store::{Reader as _, StoreError, WriteTx};

use super::rows::AUDIT;

/// Entries kept: years of a household, some 20 MB at most.
pub(crate) const ENTRIES_MAX: u64 = 100_000;

/// Longest text of one field, in characters: some of it comes from outside.
const TEXT_CHARS_MAX: usize = 200;

/// Entries dropped in one transaction, more than one so that a log left too long by a former release shrinks.
const DROP_MAX: usize = 16;

/// An entry of auth-service itself. `peer` is empty for what the appliance did itself.
pub(crate) fn entry(at_ms: u64, user: &str, peer: Option<IpAddr>, action: &str, detail: &str) -> AuditEntry {
    let peer = peer.map(|peer| peer.to_canonical().to_string()).unwrap_or_default();
    AuditEntry { at_ms, user: user.to_owned(), peer, action: action.to_owned(), detail: detail.to_owned() }
}

/// Appends `entry`, its texts made harmless, and drops the oldest beyond `entries_max`.
pub(crate) fn append(tx: &mut WriteTx<'_>, entry: &AuditEntry, entries_max: u64) -> Result<(), StoreError> {
    let next = tx.last(&AUDIT)?.map_or(0, |(last, _)| last + 1);
    tx.put(&AUDIT, &next, &harmless(entry))?;
    let surplus = usize::try_from(tx.len(&AUDIT)?.saturating_sub(entries_max)).unwrap_or(DROP_MAX).min(DROP_MAX);
    for (oldest, _) in tx.range(&AUDIT, .., surplus)? {
        tx.remove(&AUDIT, &oldest)?;
    }
    Ok(())
}

fn harmless(entry: &AuditEntry) -> AuditEntry {
    AuditEntry {
        at_ms: entry.at_ms,
        user: harmless_text(&entry.user),
        peer: harmless_text(&entry.peer),
        action: harmless_text(&entry.action),
        detail: harmless_text(&entry.detail),
    }
}

fn harmless_text(text: &str) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(TEXT_CHARS_MAX).map(visible).collect()
}

#[cfg(test)]
mod tests;
