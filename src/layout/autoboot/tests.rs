use proptest::prelude::*;

use super::*;

#[test]
fn both_variants_are_one_sector_and_read_back() {
    for slot in Slot::ALL {
        assert_eq!(committed(&render(slot)), Ok(slot));
    }
    let text = String::from_utf8(render(Slot::A).to_vec()).unwrap();
    assert!(text.starts_with("[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n\n\n"));
    let text = String::from_utf8(render(Slot::B).to_vec()).unwrap();
    assert!(text.starts_with("[all]\ntryboot_a_b=1\nboot_partition=3\n[tryboot]\nboot_partition=2\n\n\n"));
}

#[test]
fn anything_else_is_unknown() {
    for bytes in [&b""[..], b"[all]\nboot_partition=2\n", &[0; AUTOBOOT_BYTES], &[b'\n'; AUTOBOOT_BYTES]] {
        assert_eq!(committed(bytes), Err(UnknownAutoboot));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_byte_is_noticed(at in 0..AUTOBOOT_BYTES, byte: u8) {
        let mut bytes = render(Slot::A);
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert_ne!(committed(&bytes), Ok(Slot::A));
    }

    #[test]
    fn no_length_but_one_sector_is_known(bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
        prop_assert!(committed(&bytes).is_err());
    }
}
