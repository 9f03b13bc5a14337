//! Places are bounded for one and for all, and come back.

use lucid_ports::AccountId;

use super::{READERS_MAX, READERS_PER_ACCOUNT_MAX, Readers};

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

#[test]
fn one_account_leaves_places_for_the_others() {
    let readers = Readers::default();
    let own: Vec<_> = (0..READERS_PER_ACCOUNT_MAX).map(|_| readers.enter(account(1)).unwrap()).collect();
    assert!(readers.enter(account(1)).is_none());
    let other = readers.enter(account(2)).unwrap();
    drop(own);
    assert!(readers.enter(account(1)).is_some());
    drop(other);
    assert!(readers.0.lock().unwrap().is_empty());
}

#[test]
fn all_together_are_bounded() {
    let readers = Readers::default();
    let places: Vec<_> = (0..READERS_MAX).map(|number| readers.enter(account(number as u8)).unwrap()).collect();
    assert!(readers.enter(account(255)).is_none());
    drop(places);
    assert!(readers.enter(account(255)).is_some());
}
