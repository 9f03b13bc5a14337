//! What each sight leads to, and what is remembered.

use std::path::PathBuf;

use lucid_device::disk::Space;

use super::*;
use crate::storage_watch::AbsentRoot;

const MIB: u64 = 1 << 20;

fn config() -> Config {
    Config { root: PathBuf::from("/data"), reserve_bytes: 256 * MIB, absent: AbsentRoot::Wait, marker: None }
}

fn directory(inode: u64, free_bytes: u64) -> Seen {
    Seen::Directory {
        identity: DirectoryIdentity { device: (8, 1), inode, born: None },
        read_only: false,
        space: Space { size_bytes: 1000 * MIB, free_bytes },
        in_use: false,
        writing: None,
    }
}

/// One in which services have their stores.
fn in_use(free_bytes: u64, writing: Option<Result<(), WriteFault>>) -> Seen {
    let mut seen = directory(1, free_bytes);
    if let Seen::Directory { in_use, writing: tried, .. } = &mut seen {
        (*in_use, *tried) = (true, writing);
    }
    seen
}

fn with(change: impl FnOnce(&mut bool, &mut Option<Result<(), WriteFault>>)) -> Seen {
    let mut seen = directory(1, 500 * MIB);
    if let Seen::Directory { read_only, writing, .. } = &mut seen {
        change(read_only, writing);
    }
    seen
}

#[test]
fn every_fault_has_a_reason_that_says_what_to_do() {
    let faulty = |fault| with(|_, writing| *writing = Some(Err(fault)));
    let table = [
        (Seen::Absent, "connect the SSD"),
        (Seen::NotADirectory, "move it away"),
        (Seen::Foreign { marker: "adopted".to_owned() }, "was not adopted"),
        (Seen::Failed { what: "its free space", error: "I/O error".to_owned() }, "its free space (I/O error)"),
        (with(|read_only, _| *read_only = true), "is read-only"),
        (faulty(WriteFault::Full), "is full"),
        (faulty(WriteFault::Denied), "who owns"),
        (faulty(WriteFault::ReadOnly), "turned read-only"),
        (faulty(WriteFault::Other("I/O error".to_owned())), "fails (I/O error)"),
        (directory(1, FULL_BYTES - 1), "is full"),
    ];
    for (seen, part) in table {
        let mut memory = Memory::default();
        let storage = memory.judge(&seen, &config());
        assert!(storage.waiting().is_some_and(|reason| reason.contains(part)), "{seen:?}: {storage:?}");
        assert!(memory.must_test_writing());
    }
}

#[test]
fn room_is_short_with_hysteresis() {
    let mut memory = Memory::default();
    let steps =
        [(300, false), (256, false), (255, true), (270, true), (287, true), (288, false), (257, false), (10, true)];
    for (free_mib, expected) in steps {
        match memory.judge(&directory(1, free_mib * MIB), &config()) {
            Storage::Ready { low, .. } => assert_eq!(low, expected, "{free_mib} MiB"),
            other => panic!("{free_mib} MiB: {other:?}"),
        }
    }
}

#[test]
fn a_replaced_directory_waits_and_is_then_taken() {
    let mut memory = Memory::default();
    let mut ready = |inode| memory.judge(&directory(inode, 500 * MIB), &config()).waiting().is_none();
    assert!(ready(1) && ready(1));
    assert_eq!([ready(2), ready(2), ready(2), ready(2)], [false, false, false, true]);
    // Back and forth: each change waits anew.
    assert_eq!([ready(1), ready(2), ready(2), ready(2), ready(2)], [false, false, false, false, true]);
}

#[test]
fn the_same_directory_may_go_and_come_back() {
    let mut memory = Memory::default();
    assert!(memory.judge(&directory(1, 500 * MIB), &config()).waiting().is_none());
    assert!(memory.judge(&Seen::Absent, &config()).waiting().is_some());
    assert!(memory.judge(&directory(1, 500 * MIB), &config()).waiting().is_none());
}

#[test]
fn a_full_disk_that_is_in_use_stays_usable_and_short_of_room() {
    let mut memory = Memory::default();
    // The reserve says nothing about a quota: only writing shows that it is used up.
    let steps = [
        (in_use(FULL_BYTES - 1, None), true),
        (in_use(0, Some(Err(WriteFault::Full))), true),
        (in_use(500 * MIB, Some(Err(WriteFault::Full))), true),
        (in_use(500 * MIB, Some(Ok(()))), false),
    ];
    for (seen, short) in steps {
        match memory.judge(&seen, &config()) {
            Storage::Ready { low, .. } => assert_eq!(low, short, "{seen:?}"),
            other => panic!("{seen:?}: {other:?}"),
        }
        assert_eq!(memory.must_test_writing(), short, "{seen:?}");
    }
}

#[test]
fn other_faults_of_a_full_disk_in_use_are_waited_for() {
    for fault in [WriteFault::ReadOnly, WriteFault::Denied, WriteFault::Other("I/O error".to_owned())] {
        let storage = Memory::default().judge(&in_use(0, Some(Err(fault))), &config());
        assert!(storage.waiting().is_some(), "{storage:?}");
    }
}
