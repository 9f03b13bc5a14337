use proptest::prelude::*;

use super::*;

const DATE: u32 = 1_779_753_600;

#[test]
fn an_image_says_what_was_put_into_it() {
    let release = Release { settings: "[all]\nBOOT_ORDER=0xf41\n".to_owned(), ..Release::of_virtual_pi(DATE) };
    let image = release.image();
    assert_eq!((image.len(), Release::read(&image)), (IMAGE_BYTES, Ok(release)));
    assert!(String::from_utf8_lossy(&image).contains("Lucid's virtual Pi"), "it says whose it is");
    assert_ne!(Release::of_virtual_pi(DATE).version, Release::of_virtual_pi(DATE + 1).version);
}

#[test]
fn what_an_image_lacks_is_told() {
    let image = Release::of_virtual_pi(DATE).image();
    let without = |text: &str| {
        let at = image.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
        let mut image = image.clone();
        image[at] = b'?';
        Release::read(&image).unwrap_err()
    };
    for (text, wanted) in [
        ("BUILD_TIMESTAMP=1", "build date"),
        ("VERSION:", "version"),
        (&Release::of_virtual_pi(DATE).version, "version"),
        ("bootconf.txt", "settings"),
    ] {
        assert!(without(text).contains(wanted), "{text}");
    }
    let mut empty = image.clone();
    empty[..4].fill(0);
    assert!(Release::read(&empty).unwrap_err().contains("settings"), "behind the end nothing is looked for");
    let mut long = image.clone();
    long[4..8].fill(0xff);
    assert!(Release::read(&long).unwrap_err().contains("sections"));
    assert!(Release::read(&image[1..]).unwrap_err().contains("2097151 bytes"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever the bytes at the beginning are: no panic.
    #[test]
    fn hostile_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), behind: bool) {
        let mut image = Release::of_virtual_pi(DATE).image();
        let at = if behind { SETTINGS_AT } else { 0 };
        image[at..at + bytes.len()].copy_from_slice(&bytes);
        if let Ok(release) = Release::read(&image) {
            prop_assert_eq!(release.version.len(), 40);
        }
        prop_assert!(Release::read(&bytes).is_err());
    }
}
