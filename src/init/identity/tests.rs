use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn bench() -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::of_test(dir.path());
    fs::create_dir_all(root.at(paths::STATE)).unwrap();
    (dir, root)
}

#[test]
fn the_machine_id_is_made_once() {
    let (_dir, root) = bench();
    let read = || fs::read_to_string(root.at(paths::MACHINE_ID)).unwrap();
    assert!(ensure_machine_id(&root).unwrap());
    let id = read();
    assert!(is_machine_id(&id) && id.len() == 33 && &id[12..13] == "4", "{id}");
    assert!(!ensure_machine_id(&root).unwrap());
    assert_eq!(read(), id);
    let (_other_dir, other) = bench();
    ensure_machine_id(&other).unwrap();
    assert_ne!(fs::read_to_string(other.at(paths::MACHINE_ID)).unwrap(), id);
}

#[test]
fn a_damaged_machine_id_is_replaced_and_reported() {
    let zeros = "0".repeat(32);
    for damage in ["", "uninitialized\n", "abc", &"A".repeat(32), &"g".repeat(32), &zeros] {
        let (_dir, root) = bench();
        fs::write(root.at(paths::MACHINE_ID), damage).unwrap();
        assert!(matches!(ensure_machine_id(&root), Err(Error::Damaged { .. })), "{damage}");
        assert!(!ensure_machine_id(&root).unwrap(), "{damage} was replaced");
    }
}

#[test]
fn the_host_name_is_the_owners_or_the_boards() {
    let (_dir, root) = bench();
    assert_eq!(serial(&root).unwrap(), None);
    assert_eq!(default_host_name(None), "lucid");
    file::write_volatile(&root.at(SERIAL), "10000000DEADBEEF\0").unwrap();
    let serial = serial(&root).unwrap();
    assert_eq!(serial.as_deref(), Some("10000000DEADBEEF"));
    assert_eq!(default_host_name(serial.as_deref()), "lucid-beef");
    assert_eq!(default_host_name(Some("7")), "lucid-7");

    assert_eq!(provisioned_host_name(&root).unwrap(), None);
    fs::write(root.at(paths::HOSTNAME), "cellar\n").unwrap();
    assert_eq!(provisioned_host_name(&root).unwrap().as_deref(), Some("cellar"));
    for damage in ["", "a b", "-a", "a\nb", &"a".repeat(64), &"a".repeat(1000)] {
        fs::write(root.at(paths::HOSTNAME), damage).unwrap();
        assert!(provisioned_host_name(&root).is_err(), "{damage:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_serial_number_gives_a_host_name_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
        let (_dir, root) = bench();
        fs::create_dir_all(root.at("/proc/device-tree")).unwrap();
        fs::write(root.at(SERIAL), &bytes).unwrap();
        if let Ok(serial) = serial(&root) {
            prop_assert!(default_host_name(serial.as_deref()).parse::<Hostname>().is_ok());
        }
    }
}
