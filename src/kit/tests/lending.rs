//! Slots and leases.

use super::*;
use crate::slot;

#[test]
fn a_slot_is_empty_until_something_is_lent_and_after_it_is_taken_back() {
    let (lender, slot) = slot("session-storage");
    assert_eq!(slot.get(), Err(Unavailable("session-storage")));
    let lease = lender.lend(Arc::new(7));
    let borrowed = slot.get().unwrap();
    drop(lease);
    assert_eq!(slot.clone().get(), Err(Unavailable("session-storage")));
    assert_eq!(*borrowed, 7, "a borrower finishes what it does");
}

#[test]
fn the_next_incarnation_lends_anew() {
    let (lender, slot) = slot("session-storage");
    let first = lender.clone().lend(Arc::new(1));
    drop(first);
    let _second = lender.lend(Arc::new(2));
    assert_eq!(slot.get().as_deref(), Ok(&2));
}

#[test]
fn a_lease_that_outlives_its_incarnation_takes_nothing_from_the_next() {
    let (lender, slot) = slot("session-storage");
    let late = lender.lend(Arc::new(1));
    let next = lender.lend(Arc::new(2));
    drop(late);
    assert_eq!(slot.get().as_deref(), Ok(&2));
    drop(next);
    assert!(slot.get().is_err());
}

#[test]
fn what_is_taken_back_is_freed() {
    let (lender, slot) = slot("session-storage");
    let thing = Arc::new(3);
    let lease = lender.lend(thing.clone());
    drop(lease);
    assert_eq!(Arc::strong_count(&thing), 1);
    drop(lender);
    assert!(slot.get().is_err());
}
