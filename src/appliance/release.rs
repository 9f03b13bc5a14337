//! Has every service let go of the data disk, so that it can be unmounted.
//!
//! Promises: it lasts as long as the [`Released`] is held and not a moment longer, however its holder ends. Must never
//! touch the disk: storage-watch tells the services that they have to wait, and they close what they have open.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// By which it is asked for, and seen. Clones belong together.
#[derive(Debug, Clone, Default)]
pub struct Release(Arc<AtomicUsize>);

/// The disk is to be let go of while this is held.
#[derive(Debug)]
pub(crate) struct Released(Arc<AtomicUsize>);

impl Release {
    /// Begins it.
    pub(crate) fn begin(&self) -> Released {
        self.0.fetch_add(1, Ordering::SeqCst);
        Released(self.0.clone())
    }

    /// Whether somebody asks for it.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Released {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_while_anybody_holds_it() {
        let release = Release::default();
        let (one, other) = (release.begin(), release.clone().begin());
        drop(one);
        assert!(release.is_asked_for());
        drop(other);
        assert!(!release.is_asked_for());
    }
}
