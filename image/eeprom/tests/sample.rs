//! A made-up EEPROM image in the real format, for tests: nothing in it is a program.

/// What `rpi-eeprom-config` would show of [`image`].
pub(crate) const SETTINGS: &str = "[all]\nBOOT_UART=1\nBOOT_ORDER=0xf461\n";
/// Its version.
pub(crate) const VERSION: &str = "0123456789abcdef0123456789abcdef01234567";
/// Its build date, 2026-05-26.
pub(crate) const BUILD_S: u64 = 1_779_807_685;

/// A section: magic, length, and content up to a multiple of 8.
pub(crate) fn section(magic: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    let mut bytes = [&magic.to_be_bytes()[..], &length.to_be_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0xff);
    bytes
}

/// The section of settings.
pub(crate) fn settings(text: &[u8]) -> Vec<u8> {
    section(0x55aa_f11f, &[b"bootconf.txt\0\0\0\0", text].concat())
}

/// An image of these sections.
pub(crate) fn image_of(sections: &[Vec<u8>]) -> Vec<u8> {
    let mut image = sections.concat();
    image.resize(2 << 20, 0xff);
    image
}

/// The section in which date and version stand.
pub(crate) fn program(date: &str, version: &str) -> Vec<u8> {
    let first = &version[..version.len().min(8)];
    let text = format!("\0VERSION:{first}\0DATE: 2026/05/26\0BUILD_TIMESTAMP={date}\0MFG_VER: 1\0\x01\0{version}\0");
    section(0x55aa_f00f, text.as_bytes())
}

/// A whole image with these settings.
pub(crate) fn image_with(text: &str) -> Vec<u8> {
    let padding = section(0x55aa_feef, &[0xff; 100]);
    let other = section(0x55aa_f11f, &[&b"updatetime\0\0\0\0\0\0"[..], &[0xff; 8]].concat());
    image_of(&[program(&BUILD_S.to_string(), VERSION), padding, other, settings(text.as_bytes())])
}

/// A whole image.
pub(crate) fn image() -> Vec<u8> {
    image_with(SETTINGS)
}
