//! An image of the EEPROM: what is read from one, and the virtual Pi's own.
//!
//! Written from what Raspberry Pi's rpi-eeprom-config and rpi-eeprom-update read: sections of a magic, a length (both
//! big-endian) and a content, each at a multiple of 8; settings in the section `bootconf.txt`; date and version as
//! texts. Promises that hostile bytes are an error and never a panic.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Bytes of an image for a Pi 5.
pub const IMAGE_BYTES: usize = 2 * 1024 * 1024;

/// The magic of what runs, of what fills, and of what has a name.
const PROGRAM: u32 = 0x55aa_f00f;
const FILLING: u32 = 0x55aa_feef;
const NAMED: u32 = 0x55aa_f11f;

/// The bytes of magic and length, and of a name with the four bytes behind it.
const HEADER_BYTES: usize = 8;
const NAME_BYTES: usize = 16;

/// Where the settings begin in Raspberry Pi's images: a sector of flash of their own.
const SETTINGS_AT: usize = 0xa3000;

/// A release of the EEPROM, as an image tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its build date in seconds since 1970.
    pub build_timestamp: u32,
    /// Hash of its sources, 40 digits.
    pub version: String,
    /// The text of `bootconf.txt`.
    pub settings: String,
}

impl Release {
    /// A release of the virtual Pi, of that date and with the settings that Raspberry Pi delivers. Its version is made
    /// up of the date.
    #[must_use]
    pub fn of_virtual_pi(build_timestamp: u32) -> Self {
        let hash = sha256(format!("the virtual Pi's EEPROM of {build_timestamp}").as_bytes());
        let settings = super::SETTINGS.to_owned();
        Self { build_timestamp, version: hash[..40].to_owned(), settings }
    }

    /// Reads an image.
    ///
    /// # Errors
    /// What it lacks.
    pub fn read(image: &[u8]) -> Result<Self, String> {
        if image.len() != IMAGE_BYTES {
            return Err(format!("it has {} bytes", image.len()));
        }
        let date = text_after(image, b"BUILD_TIMESTAMP=").ok_or("it has no build date")?;
        let version = text_after(image, b"VERSION:").filter(|begin| begin.len() == 8).ok_or("it has no version")?;
        let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
        let mut runs = image.split(|byte| !is_digit(byte));
        let hash = runs.find(|run| run.len() == 40 && run.starts_with(version.as_bytes()));
        Ok(Self {
            build_timestamp: date.parse().map_err(|_| format!("its build date is `{date}`"))?,
            version: String::from_utf8_lossy(hash.ok_or("its version is not in it")?).into_owned(),
            settings: settings(image)?,
        })
    }

    /// The image of a release of the virtual Pi. Nothing in it is a program: it starts no board.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        let (version, date) = (&self.version, self.build_timestamp);
        let text = format!(
            "This is the EEPROM image of Lucid's virtual Pi. It is no program, and would start no real board.\0\
             VERSION:{}\0BUILD_TIMESTAMP={date}\0{version}\0",
            version.get(..8).unwrap_or(version),
        );
        let mut image = section(PROGRAM, text.as_bytes());
        let filling = SETTINGS_AT - image.len() - HEADER_BYTES;
        image.extend(section(FILLING, &vec![0xff; filling]));
        image.extend(section(NAMED, &[b"bootconf.txt\0\0\0\0", self.settings.as_bytes()].concat()));
        image.resize(IMAGE_BYTES, 0xff);
        image
    }
}

/// SHA-256 in lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn section(magic: u32, content: &[u8]) -> Vec<u8> {
    // A section is never longer than an image.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut section = [&magic.to_be_bytes()[..], &length.to_be_bytes(), content].concat();
    section.resize(section.len().next_multiple_of(8), 0xff);
    section
}

/// The letters and digits behind the first `name` that any follow.
fn text_after<'a>(image: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let ends = (0..image.len()).filter(|at| image[..*at].ends_with(name));
    let words = ends.map(|at| {
        let length = image[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        std::str::from_utf8(&image[at..at + length]).unwrap_or_default()
    });
    words.into_iter().find(|word| !word.is_empty())
}

fn settings(image: &[u8]) -> Result<String, String> {
    let mut rest = image;
    while let Some((header, behind)) = rest.split_at_checked(HEADER_BYTES) {
        let [magic, length] =
            [0, 4].map(|at| header[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        // Zeros, or erased flash: here the sections end.
        if [0, u32::MAX].contains(&magic) {
            break;
        }
        let content = behind.get(..length as usize).ok_or("its sections do not fit into it")?;
        if magic == NAMED && content.len() >= NAME_BYTES && content.starts_with(b"bootconf.txt") {
            return Ok(String::from_utf8_lossy(&content[NAME_BYTES..]).into_owned());
        }
        rest = behind.get(content.len().next_multiple_of(8)..).unwrap_or_default();
    }
    Err("it has no settings".to_owned())
}

#[cfg(test)]
mod tests;
