//! Files that hold what a test found when it was last meant to change.

use std::fs;

use crate::tree;

/// Asserts that `src/tidy/{name}` holds `found`, or rewrites it where `LUCID_BLESS` is set.
#[track_caller]
pub(crate) fn assert_golden(name: &str, found: &str) {
    let path = tree::root().join("src/tidy").join(name);
    if blesses() {
        fs::write(&path, found).unwrap();
        return;
    }
    let golden = read(name);
    let new: Vec<_> = found.lines().filter(|line| !golden.lines().any(|old| old == *line)).collect();
    let gone: Vec<_> = golden.lines().filter(|line| !found.lines().any(|now| now == *line)).collect();
    assert!(
        found == golden,
        "src/tidy/{name} differs; new: {new:#?}, gone: {gone:#?}\nif that is meant: LUCID_BLESS=1 cargo test -p lucid-tidy"
    );
}

/// What a golden file holds.
pub(crate) fn read(name: &str) -> String {
    let path = tree::root().join("src/tidy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether golden files are to be rewritten.
pub(crate) fn blesses() -> bool {
    std::env::var_os("LUCID_BLESS").is_some()
}
