use proptest::prelude::*;

use super::*;

fn verity() -> Verity {
    Verity { data_blocks: 12_345, root_hash: Digest([0xab; 32]), salt: Digest([0x01; 32]) }
}

#[test]
fn the_line_names_the_slots_root() {
    let (a, b) = (render(Slot::A, &verity()), render(Slot::B, &verity()));
    let create = value(&a, "dm-mod.create").unwrap();
    let root = "PARTUUID=6c756369-6400-4000-8000-000000000004";
    let hashes = format!("{} {}", "ab".repeat(32), "01".repeat(32));
    assert_eq!(
        create,
        format!(
            "lucid-root,,,ro,0 98760 verity 1 {root} {root} 4096 4096 12345 12345 sha256 {hashes} 1 ignore_zero_blocks"
        )
    );
    assert_eq!(value(&a, "dm-mod.waitfor"), Some(root));
    assert_eq!(value(&b, "dm-mod.waitfor"), Some("PARTUUID=6c756369-6400-4000-8000-000000000005"));
    assert_eq!(value(&a, "init"), Some("/usr/bin/lucid-init"));
    assert!(!a.contains("restart_on_corruption"));
    assert!(a.len() < CMDLINE_BYTES_MAX / 2, "room for what the EEPROM and a bench add: {}", a.len());
}

#[test]
fn what_is_rendered_reads_back() {
    for slot in Slot::ALL {
        assert_eq!(parse(&render(slot, &verity())), Ok((slot, verity())));
        // The EEPROM adds options at both ends.
        assert_eq!(parse(&format!("reboot=w {}  x=\"a b\"\n", render(slot, &verity()))), Ok((slot, verity())));
    }
}

#[test]
fn a_line_that_was_tampered_with_is_refused() {
    let line = render(Slot::A, &verity());
    for (from, to) in [
        ("lucid.slot=a", "lucid.slot=b"),
        ("lucid.slot=a", "lucid.slot=ab"),
        ("lucid.slot=a", ""),
        ("98760", "98761"),
        ("ignore_zero_blocks", "ignore_corruption"),
        ("4096 4096", "4096 512"),
        ("dm-mod.create", "dm-mod.created"),
        ("ab ", "AB "),
    ] {
        let changed = line.replace(from, to);
        assert_ne!(changed, line, "{from}");
        assert!(parse(&changed).is_err(), "{changed}");
    }
}

#[test]
fn the_last_of_several_wins_and_quotes_hold() {
    assert_eq!(value("a=1 a=2", "a"), Some("2"));
    assert_eq!(value("x=\"a=1 a=2\" b", "a"), None);
    assert_eq!(value("ab=1", "a"), None);
    assert_eq!(options("a \"b c\"  d=\"e f\"g\n").collect::<Vec<_>>(), ["a", "\"b c\"", "d=\"e f\"g"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_an_error(line in "\\PC{0,300}") {
        prop_assert!(parse(&line).is_err());
    }

    #[test]
    fn every_tree_reads_back(data_blocks in 0..u64::MAX / 8, root_hash: [u8; 32], salt: [u8; 32]) {
        let verity = Verity { data_blocks, root_hash: Digest(root_hash), salt: Digest(salt) };
        prop_assert_eq!(parse(&render(Slot::B, &verity)), Ok((Slot::B, verity)));
    }

    #[test]
    fn a_cut_line_is_never_another(cut in 0_usize..600) {
        let line = render(Slot::A, &verity());
        let parsed = parse(&line[..cut.min(line.len() - "lucid.slot=a quiet".len())]);
        prop_assert!(parsed.is_err());
    }
}
