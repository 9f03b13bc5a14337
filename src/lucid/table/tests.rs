//! The table is pinned, and in order.

use super::{SERVICES, render};

const GOLDEN: &str = include_str!("services.txt");

#[test]
fn the_table_is_as_reviewed() {
    if std::env::vars().any(|(name, _)| name == "LUCID_BLESS") {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/table/services.txt"), render()).unwrap();
        return;
    }
    assert_eq!(render(), GOLDEN, "run the test with LUCID_BLESS=1 if the change is meant");
}

#[test]
fn a_service_stands_behind_all_that_it_needs() {
    for (position, spec) in SERVICES.iter().enumerate() {
        for need in spec.needs {
            let found = SERVICES.iter().position(|other| other.name == *need);
            assert!(found.is_some_and(|found| found < position), "{} needs {need}, which starts later", spec.name);
        }
    }
}
