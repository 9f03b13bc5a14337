//! A thing that a service lends to others while it runs, for work that must not queue behind its events.
//!
//! Bulk data goes past a service's loop, not through it: the service opens its store, lends what reads and writes it,
//! and takes it back when it stops. Borrowers that still hold it finish what they do.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use crate::Unavailable;

/// The lender's side. Cheap to clone, so that every incarnation can have it.
pub struct Lender<T>(Arc<watch::Sender<Option<Arc<T>>>>);

/// The borrowers' side. Cheap to clone.
pub struct Slot<T> {
    owner: &'static str,
    lent: watch::Receiver<Option<Arc<T>>>,
}

/// Takes the thing back when dropped, unless another has been lent in its place.
#[must_use = "what is lent is taken back when the lease is dropped"]
pub struct Lease<T> {
    sender: Arc<watch::Sender<Option<Arc<T>>>>,
    lent: Weak<T>,
}

/// A slot that `owner` will fill.
pub fn slot<T>(owner: &'static str) -> (Lender<T>, Slot<T>) {
    let (sender, lent) = watch::channel(None);
    (Lender(Arc::new(sender)), Slot { owner, lent })
}

impl<T> Lender<T> {
    /// Lends `thing` until the lease is dropped.
    pub fn lend(&self, thing: Arc<T>) -> Lease<T> {
        let lent = Arc::downgrade(&thing);
        self.0.send_replace(Some(thing));
        Lease { sender: self.0.clone(), lent }
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
        self.sender.send_if_modified(|now| {
            // A lease that outlived its incarnation must not take away what the next one lends.
            now.take_if(|thing| std::ptr::eq(Arc::as_ptr(thing), self.lent.as_ptr())).is_some()
        });
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
