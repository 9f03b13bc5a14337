//! Places are bounded for one and for all, and come back.

use super::{READERS_MAX, READERS_PER_ACCOUNT_MAX, Readers};

#[test]
fn one_account_leaves_places_for_the_others() {
    let readers = Readers::default();
    let own: Vec<_> = (0..READERS_PER_ACCOUNT_MAX).map(|_| readers.enter("ada").unwrap()).collect();
    assert!(readers.enter("ada").is_none());
    let other = readers.enter("bob").unwrap();
    drop(own);
    assert!(readers.enter("ada").is_some());
    drop(other);
    assert!(readers.0.lock().unwrap().is_empty());
}

#[test]
fn all_together_are_bounded() {
    let readers = Readers::default();
    let places: Vec<_> = (0..READERS_MAX).map(|number| readers.enter(&format!("user{number}")).unwrap()).collect();
    assert!(readers.enter("late").is_none());
    drop(places);
    assert!(readers.enter("late").is_some());
}
