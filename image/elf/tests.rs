use super::*;

/// A program of 64 bits, little endian, for `machine`, with segments of these kinds at the file's end.
fn program(machine: u16, kind: u16, segments: &[u32]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([kind.to_le_bytes(), machine.to_le_bytes()].concat());
    bytes.extend(1_u32.to_le_bytes());
    for number in [0x40_0000_u64, 64, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    let count = u16::try_from(segments.len()).unwrap();
    for number in [64_u16, 56, count, 64, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for segment in segments {
        bytes.extend(segment.to_le_bytes());
        bytes.extend([0; 52]);
    }
    bytes
}

const LOAD: u32 = elf::PT_LOAD.0;
const INTERP: u32 = elf::PT_INTERP.0;

#[test]
fn a_static_program_for_the_pi_is_accepted() {
    assert_eq!(problem(&program(183, 2, &[LOAD])), None);
    assert_eq!(problem(&program(183, 3, &[LOAD])), None, "position-independent");
}

#[test]
fn others_are_refused_with_the_reason() {
    for (bytes, reason) in [
        (program(62, 2, &[LOAD]), "aarch64"),
        (program(183, 1, &[LOAD]), "executable"),
        (program(183, 2, &[]), "executable"),
        (program(183, 3, &[INTERP, LOAD]), "static"),
        (b"#!/bin/sh\n".to_vec(), "ELF"),
        (vec![], "ELF"),
        (program(183, 2, &[LOAD])[..100].to_vec(), "damaged"),
    ] {
        assert!(problem(&bytes).is_some_and(|problem| problem.contains(reason)), "{reason}: {:?}", problem(&bytes));
    }
}

#[test]
fn a_program_that_needs_a_library_is_not_static() {
    // One entry of a dynamic table, DT_NEEDED, behind the program headers.
    let mut bytes = program(183, 3, &[LOAD, elf::PT_DYNAMIC.0]);
    let (header, table) = (64 + 56, bytes.len() as u64);
    bytes[header + 8..header + 16].copy_from_slice(&table.to_le_bytes());
    bytes[header + 32..header + 40].copy_from_slice(&16_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    assert!(problem(&bytes).is_some_and(|problem| problem.contains("static")), "{:?}", problem(&bytes));
}

#[test]
fn the_program_of_this_test_is_not_for_the_pi_or_not_static() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(problem(&own).is_some());
}
