use proptest::prelude::*;

use super::*;
use sample::{image_of, image_with, program, section};

mod sample;

/// What is said of an image that is refused.
#[track_caller]
fn refused(image: &[u8]) -> String {
    parse(image).unwrap_err().join("\n")
}

#[test]
fn an_image_says_what_it_is() {
    let image = sample::image();
    let release = parse(&image).unwrap();
    assert_eq!((release.build_s, release.version.as_str()), (sample::BUILD_S, sample::VERSION));
    assert_eq!(release.settings, sample::SETTINGS);
    assert_eq!(release.sha256.0[..], Sha256::digest(&image)[..]);
    assert_eq!(parse(&image_with("")).unwrap().settings, "");
}

#[test]
fn what_is_not_one_whole_image_is_refused() {
    let (good, settings) = (program("1779807685", sample::VERSION), sample::settings(b"[all]\n"));
    let other = "89abcdef0123456789abcdef0123456789abcdef";
    let cases = [
        (vec![], "2097152 bytes"),
        (sample::image()[1..].to_vec(), "2097152 bytes"),
        ([sample::image(), vec![0]].concat(), "2097152 bytes"),
        (vec![0; 2 << 20], "0 different things after `BUILD_TIMESTAMP=`"),
        (image_of(std::slice::from_ref(&settings)), "0 different things after `VERSION:`"),
        (image_of(std::slice::from_ref(&good)), "0 sections `bootconf.txt`"),
        (image_of(&[good.clone(), settings.clone(), settings.clone()]), "2 sections `bootconf.txt`"),
        (image_of(&[good.clone(), program("1779807686", sample::VERSION)]), "2 different things after `BUILD"),
        (image_of(&[good.clone(), program("1779807685", other)]), "2 different things after `VERSION"),
        (image_of(&[program("", sample::VERSION), settings.clone()]), "0 different things after `BUILD"),
        (image_of(&[program("0", sample::VERSION), settings.clone()]), "no time"),
        (image_of(&[program("4294967296", sample::VERSION), settings.clone()]), "no time"),
        (image_of(&[program("1", "0123456789abcdef"), settings.clone()]), "40 digits"),
        (image_of(&[program("1", &sample::VERSION[..7]), settings.clone()]), "40 digits"),
        (image_of(&[good.clone(), b"no section".to_vec(), settings.clone()]), "damaged at byte"),
        (image_of(&[good.clone(), [&[0x55, 0xaa, 0xf0, 0x0f][..], &[0xff; 4]].concat()]), "damaged at byte"),
        (image_with(&"#".repeat(1025)), "1025 bytes of 1024"),
        (image_with("A=\u{1b}[2J"), "printable"),
        (image_with("A=1\r\n"), "printable"),
        (image_with("A=ä"), "printable"),
    ];
    for (image, wanted) in cases {
        let said = refused(&image);
        assert!(said.contains(wanted), "`{wanted}` is not in: {said}");
    }
    assert!(parse(&image_of(&[good, settings])).is_ok(), "the parts are good");
}

#[test]
fn only_self_update_that_is_on_is_fit_for_a_release() {
    let unfit = |settings: &str| unfit_for_release(&parse(&image_with(settings)).unwrap());
    for settings in ["", "[all]\nENABLE_SELF_UPDATE=1\n", "#ENABLE_SELF_UPDATE=0", "DISABLE_SELF_UPDATE=0"] {
        assert_eq!(unfit(settings), None, "{settings}");
    }
    for settings in
        ["ENABLE_SELF_UPDATE=0", "[cm5]\n ENABLE_SELF_UPDATE = 0 \n", "ENABLE_SELF_UPDATE=1\nENABLE_SELF_UPDATE=0"]
    {
        assert!(unfit(settings).unwrap().contains("rpi-eeprom-config"), "{settings}");
    }
}

#[test]
fn the_longest_facts_fit() {
    let image = image_with(&"\"\n".repeat(SETTINGS_BYTES_MAX / 2));
    let carried = Carried { release: parse(&image).unwrap(), image };
    let folder = tempfile::tempdir().unwrap();
    let written = carried.write(folder.path()).unwrap();
    let names: Vec<_> = written.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["EEPROM.BIN", "EEPROM.SIG", "eeprom.json"]);
    let json = std::fs::read(&written[2].source).unwrap();
    assert!(json.len() as u64 <= FACTS_BYTES_MAX, "{}", json.len());
    assert_eq!(&serde_json::from_slice::<EepromRelease>(&json).unwrap(), carried.release());
}

proptest! {
    /// Whatever the bytes are: no panic.
    #[test]
    fn hostile_bytes_are_refused(
        bytes: Vec<u8>,
        magic: u32,
        length: u32,
        text in "(VERSION:|BUILD_TIMESTAMP=)?[0-9a-f]{0,50}",
    ) {
        let hostile = [&magic.to_be_bytes()[..], &length.to_be_bytes(), &bytes].concat();
        prop_assert!(parse(&bytes).is_err());
        for begin in [&hostile[..], text.as_bytes(), &section(0x55aa_f11f, &bytes), &section(0x55aa_f00f, &hostile)] {
            prop_assert!(parse(&image_of(&[begin.to_vec()])).is_err());
            let _ = named(begin, SETTINGS);
        }
    }

    /// A few changed bytes: it is refused, or still says something that fits.
    #[test]
    fn a_damaged_image_never_says_more_than_fits(changes in prop::collection::vec((0..500_usize, any::<u8>()), 1..8)) {
        let mut image = sample::image();
        for (at, byte) in changes {
            image[at] = byte;
        }
        if let Ok(release) = parse(&image) {
            prop_assert!(release.settings.len() <= SETTINGS_BYTES_MAX && release.version.len() == VERSION_DIGITS);
            prop_assert!(release.settings.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')));
        }
    }
}
