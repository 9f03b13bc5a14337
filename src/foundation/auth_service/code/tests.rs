//! How a code looks, and what counts of it.

use lucid_store::{Options, Store};

use super::super::rows::SCHEMA;
use super::*;

#[test]
fn codes_are_long_readable_and_new_each_time() {
    let codes: Vec<_> = (0..200).map(|_| generate().unwrap()).collect();
    for code in &codes {
        let groups: Vec<_> = code.split('-').collect();
        assert_eq!(groups.len(), 4);
        assert!(groups.iter().all(|group| group.len() == 4 && group.bytes().all(|byte| ALPHABET.contains(&byte))));
        assert!(check(code).is_ok());
        assert_eq!(normal(code).len(), CODE_CHARS);
    }
    let different: std::collections::HashSet<&str> = codes.iter().map(|code| code.as_str()).collect();
    assert_eq!(different.len(), codes.len());
    let used: std::collections::HashSet<char> = different.iter().flat_map(|code| code.chars()).collect();
    assert_eq!(used.len(), 33, "all of the alphabet, and the dash");
}

#[test]
fn typing_is_forgiven_and_guessing_is_not() {
    for typed in ["K0M1-3XWT", "k0m13xwt", " K O M L - 3 X W T ", "kOmI.3xwt\n", "K0M1–3XWT"] {
        assert_eq!(*normal(typed), "K0M13XWT", "{typed:?}");
    }
    for other in ["K0M13XW", "K0M13XWTT", "", "K0M13XWV"] {
        assert_ne!(*normal(other), "K0M13XWT");
    }
    assert_eq!(normal(&"A".repeat(1_000_000)).len(), 256);
}

#[test]
fn a_clock_set_back_neither_frees_nor_blocks_the_tries() {
    let dir = tempfile::TempDir::new().unwrap();
    let store = Store::open(&dir.path().join("a.redb"), &SCHEMA, Options::default()).unwrap();
    let attempt_at = |code: u8, now_ms: u64| {
        let (code, wrong) = (CodeHash([code; 32]), CodeHash([99; 32]));
        store.write_blocking::<_, StoreError, _>(move |tx| attempt(tx, &code, &wrong, now_ms)).unwrap()
    };
    let later_ms = 86_400_000;
    for left in (1..10).rev() {
        assert_eq!(attempt_at(1, later_ms), Attempt::Wrong { tries_left: left });
    }
    assert_eq!(attempt_at(2, 1_000), Attempt::Wrong { tries_left: 9 });
    assert_eq!(attempt_at(2, 1_000), Attempt::TooFast { retry_after_s: 60 });
    assert_eq!(attempt_at(2, 31_500), Attempt::TooFast { retry_after_s: 30 });
    assert_eq!(attempt_at(2, 61_000), Attempt::Wrong { tries_left: 8 });
}
