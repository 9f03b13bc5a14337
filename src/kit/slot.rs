//! A thing that a service lends to others while it runs, for work that must not queue behind its events.
//!
//! Bulk data goes past a service's loop, not through it: the service opens its store, lends what reads and writes it,
//! and takes it back when it stops. Borrowers that still hold it finish what they do.

use std::sync::Arc;

use tokio::sync::watch;

use crate::Unavailable;

/// The lender's side. Cheap to clone, so that every incarnation can have it.
pub struct Lender<T>(Arc<watch::Sender<Option<Arc<T>>>>);

/// The borrowers' side. Cheap to clone.
pub struct Slot<T> {
    owner: &'static str,
    lent: watch::Receiver<Option<Arc<T>>>,
}

/// Takes the thing back when dropped.
#[must_use = "what is lent is taken back when the lease is dropped"]
pub struct Lease<T>(Arc<watch::Sender<Option<Arc<T>>>>);

/// A slot that `owner` will fill.
pub fn slot<T>(owner: &'static str) -> (Lender<T>, Slot<T>) {
    let (sender, lent) = watch::channel(None);
    (Lender(Arc::new(sender)), Slot { owner, lent })
}

impl<T> Lender<T> {
    /// Lends `thing` until the lease is dropped.
    pub fn lend(&self, thing: Arc<T>) -> Lease<T> {
        self.0.send_replace(Some(thing));
        Lease(self.0.clone())
    }
}

impl<T> Slot<T> {
    /// What is lent now.
    ///
    /// # Errors
    /// While the owner does not run.
    pub fn get(&self) -> Result<Arc<T>, Unavailable> {
        self.lent.borrow().clone().ok_or(Unavailable(self.owner))
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

impl<T> Clone for Lender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self { owner: self.owner, lent: self.lent.clone() }
    }
}
