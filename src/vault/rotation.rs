//! Shredding: a new wrapping key, all surviving data keys re-wrapped, the old wrapping key destroyed.
//!
//! The order makes it safe at each point of a power cut. The new key lies in the other slot before the store's
//! transaction; the transaction re-wraps all surviving rows, removes the deleted ones and records the new generation,
//! whole or not at all; only then the old slot is overwritten. At start [`crate::Vault::settle`] compares the slots
//! with the generation that the store recorded, and finishes the rotation or drops it. Must never destroy a slot whose
//! generation is, or may be, the committed one.

use std::sync::{Arc, MutexGuard};

use crate::error::VaultError;
use crate::session::WrappedKey;
use crate::slots::{self, Slot, WrappingKey};
use crate::{Inner, Vault};

/// The two slots as they lie on the disk.
pub(crate) struct Ring {
    pub(crate) slots: [Slot; 2],
}

impl Ring {
    /// The one key in force, or the two generations between which a rotation stands.
    pub(crate) fn current(&self) -> Result<&WrappingKey, VaultError> {
        match self.keys() {
            (older, None) => Ok(older),
            (older, Some(newer)) => Err(VaultError::RotationPending { from: older.generation, to: newer.generation }),
        }
    }

    /// The key of a generation.
    pub(crate) fn of(&self, generation: u64) -> Result<&WrappingKey, VaultError> {
        let found = self.slots.iter().filter_map(Slot::key).find(|key| key.generation == generation);
        found.ok_or(VaultError::Destroyed { generation })
    }

    /// The key of the lower generation, and that of the higher one if there are two.
    fn keys(&self) -> (&WrappingKey, Option<&WrappingKey>) {
        let [a, b] = self.slots.each_ref().map(Slot::key);
        let only = a.or(b).expect("slots are loaded, and wiped, so that one holds a key");
        match (a, b) {
            (Some(a), Some(b)) if a.generation > b.generation => (b, Some(a)),
            (Some(a), Some(b)) => (a, Some(b)),
            _ => (only, None),
        }
    }

    fn index_of(&self, generation: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.key().is_some_and(|key| key.generation == generation))
    }
}

/// A rotation between its first and its last step. Cheap to clone, so that a store's write closure can own one.
///
/// Dropping it is no decision: [`Rotation::finish`] after the commit, [`Rotation::abandon`] after a failed one, or
/// [`Vault::settle`] when the outcome is known again. Drop all clones after that: each holds the old key in memory.
#[derive(Clone)]
pub struct Rotation {
    inner: Arc<Inner>,
    from: WrappingKey,
    to: WrappingKey,
}

impl Rotation {
    /// Writes a new wrapping key to the free slot, durably.
    pub(crate) fn begin(inner: Arc<Inner>) -> Result<Self, VaultError> {
        let mut ring = inner.ring();
        let from = ring.current()?.clone();
        let to = WrappingKey::random(from.generation + 1)?;
        let index = 1 - ring.index_of(from.generation).expect("the current key came from one of the slots");
        // Until the write is known to be whole, the slot is neither: an error may have left either content.
        ring.slots[index] = Slot::Torn;
        slots::store(&inner.keys, index, &inner.master, &to)?;
        ring.slots[index] = Slot::Key(to.clone());
        drop(ring);
        Ok(Self { inner, from, to })
    }

    /// The generation that the store must record in the transaction that re-wraps.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.to.generation
    }

    /// Wraps a surviving data key with the new wrapping key. Again on its own result it changes nothing.
    ///
    /// # Errors
    /// `Destroyed` for a key of an older generation, `BadWrappedKey`.
    pub fn rewrap(&self, wrapped: &WrappedKey) -> Result<WrappedKey, VaultError> {
        if wrapped.generation == self.to.generation {
            return wrapped.open(&self.to).map(|_| wrapped.clone());
        }
        if wrapped.generation != self.from.generation {
            return Err(VaultError::Destroyed { generation: wrapped.generation });
        }
        WrappedKey::seal(&wrapped.open(&self.from)?, &self.to)
    }

    /// Destroys the old wrapping key. Only after the store's transaction is on disk.
    ///
    /// # Errors
    /// `File`; the rotation then stands, and may be finished again.
    pub fn finish(&self) -> Result<(), VaultError> {
        keep(&self.inner, self.inner.ring(), self.to.generation)
    }

    /// Destroys the new wrapping key. Only if the store's transaction surely did not happen: a transaction that failed
    /// with an I/O error may have happened, and is for [`Vault::settle`].
    ///
    /// # Errors
    /// `File`; the rotation then stands, and may be abandoned again.
    pub fn abandon(&self) -> Result<(), VaultError> {
        keep(&self.inner, self.inner.ring(), self.from.generation)
    }
}

impl Vault {
    /// Finishes or drops an interrupted rotation. At start, before anything else is asked of the vault.
    ///
    /// `committed` is the generation that the store recorded last, `None` if it never recorded one: then a rotation
    /// was never committed, and the lower generation is in force.
    ///
    /// # Errors
    /// `GenerationLost` if no slot holds the committed generation: nothing is destroyed then. `File`.
    pub fn settle(&self, committed: Option<u64>) -> Result<(), VaultError> {
        let ring = self.inner.ring();
        let generation = committed.unwrap_or_else(|| ring.keys().0.generation);
        keep(&self.inner, ring, generation)
    }
}

/// Wipes the slot that does not hold `generation`, unless it is empty.
fn keep(inner: &Inner, mut ring: MutexGuard<'_, Ring>, generation: u64) -> Result<(), VaultError> {
    let Some(kept) = ring.index_of(generation) else {
        return Err(VaultError::GenerationLost { committed: generation, path: inner.keys.clone() });
    };
    let other = 1 - kept;
    if ring.slots[other] != Slot::Empty {
        slots::wipe(&inner.keys, other)?;
        ring.slots[other] = Slot::Empty;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
