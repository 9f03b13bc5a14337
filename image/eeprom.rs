//! The EEPROM's release that an image carries: what its file says of itself, and whether it may be shipped.
//!
//! The format is the one that rpi-eeprom-config reads: sections of magic, length (both big-endian) and content, each at
//! a multiple of 8; the settings are the content of the section `bootconf.txt`, date and version are texts anywhere in
//! the image. Promises that hostile bytes are an error and never a panic. Must never change a byte of the image: its
//! digest is the one by which the firmware takes it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use lucid_layout::eeprom::{FACTS_BYTES_MAX, IMAGE_BYTES, SETTINGS_BYTES_MAX, digest_file};
use lucid_layout::{Digest, EepromRelease, files};
use memchr::memmem;
use sha2::{Digest as _, Sha256};

use crate::boot_files::FatFile;
use crate::error::{Error, refuse};
use crate::fat;
use crate::inputs::{Inputs, Quality};
use crate::tool::write_file;
use crate::update::date;

/// Bits of a section's magic that are the same in all, and what they are.
const MAGIC: (u32, u32) = (0xffff_f00f, 0x55aa_f00f);
/// Magic of a section with a name.
const MAGIC_FILE: u32 = 0x55aa_f11f;
/// Magic and length of a section, in bytes.
const HEADER_BYTES: usize = 8;
/// The name of a section that has one, padded by zeros, in bytes.
const NAME_BYTES: usize = 12;
/// Name, and four bytes before the content.
const NAMED_HEADER_BYTES: usize = NAME_BYTES + 4;
/// Sections begin at multiples of this.
const ALIGN_BYTES: usize = 8;

/// The section with the settings.
const SETTINGS: &[u8] = b"bootconf.txt";
/// The setting without which no later release could be installed by the firmware itself.
const SELF_UPDATE: &str = "ENABLE_SELF_UPDATE";

/// Digits of a version: a hash of sources. After [`VERSION`] stand its first ones only.
const VERSION_DIGITS: usize = 40;
/// What stands before the version's first digits.
const VERSION: &[u8] = b"VERSION:";
/// Fewest of the version's digits that must stand there.
const VERSION_DIGITS_MIN: usize = 8;
/// What stands before the build date, in seconds since 1970.
const BUILD_DATE: &[u8] = b"BUILD_TIMESTAMP=";

/// Where fit files come from, for whoever gave another.
const SOURCE: &str = "take a pieeprom-….bin of firmware-2712 in Raspberry Pi's rpi-eeprom";

/// A release that an image will carry.
pub(crate) struct Carried {
    image: Vec<u8>,
    release: EepromRelease,
}

impl Carried {
    /// What it says of itself.
    pub(crate) fn release(&self) -> &EepromRelease {
        &self.release
    }

    /// Writes the files that go onto the boot partitions to the folder `work`.
    pub(crate) fn write(&self, work: &Path) -> Result<Vec<FatFile>, Error> {
        let release = &self.release;
        let json = serde_json::to_string_pretty(release).expect("text, numbers and digests have a form in JSON");
        let (digest, facts) = (digest_file(&release.sha256, release.build_s), format!("{json}\n"));
        let contents = [
            (files::EEPROM_IMAGE, &self.image[..]),
            (files::EEPROM_DIGEST, digest.as_bytes()),
            (files::EEPROM_FACTS, facts.as_bytes()),
        ];
        let file = |(name, bytes)| {
            let path = work.join(name);
            write_file(&path, bytes)?;
            Ok(FatFile::new(name, path))
        };
        contents.into_iter().map(file).collect()
    }
}

/// Reads the release that the image shall carry, if any, and refuses one that must not be shipped.
pub(crate) fn collect(inputs: &Inputs) -> Result<Option<Carried>, Error> {
    let Some(path) = &inputs.eeprom else {
        return Ok(None);
    };
    let refuse_for = |problems: Vec<String>| {
        let problems = problems.iter().map(|problem| format!("`{}`: {problem}", path.display()));
        refuse("the EEPROM's release", problems.collect())
    };
    if !path.is_file() {
        refuse_for(vec!["it is missing, or no plain file".to_owned()])?;
    }
    let mut image = Vec::new();
    let file = File::open(path).map_err(Error::file("open", path))?;
    file.take(IMAGE_BYTES + 1).read_to_end(&mut image).map_err(Error::file("read", path))?;
    let release = match parse(&image) {
        Ok(release) => release,
        Err(problems) => return refuse_for(problems).map(|()| None),
    };
    refuse_for(unfit(&release, &image, inputs))?;
    Ok(Some(Carried { image, release }))
}

/// What keeps the image that is built from carrying it.
fn unfit(release: &EepromRelease, image: &[u8], inputs: &Inputs) -> Vec<String> {
    let for_release = unfit_for_release(release).filter(|_| inputs.quality == Quality::Release);
    let paths = inputs.own_paths();
    let leaks = paths.iter().filter(|own| memmem::find(image, own.as_bytes()).is_some());
    for_release.into_iter().chain(leaks.map(|own| format!("it holds the path `{own}` of this machine"))).collect()
}

/// What keeps a release of ours from carrying it.
fn unfit_for_release(release: &EepromRelease) -> Option<String> {
    let mut settings = release.settings.lines().filter_map(|line| line.split_once('='));
    settings.any(|(key, value)| key.trim() == SELF_UPDATE && value.trim() != "1").then(|| {
        format!(
            "its settings have {SELF_UPDATE} other than 1: no later EEPROM could be installed; take the line out with \
             rpi-eeprom-config"
        )
    })
}

/// The release in a list of what an image or bundle holds.
pub(crate) fn line(release: &EepromRelease) -> String {
    format!("carries the EEPROM of {}, {}", date(release.build_s), release.version.escape_debug())
}

/// What an image says of itself.
fn parse(image: &[u8]) -> Result<EepromRelease, Vec<String>> {
    if image.len() as u64 != IMAGE_BYTES {
        return Err(vec![format!("an EEPROM image of a Pi 5 has {IMAGE_BYTES} bytes, and this is none; {SOURCE}")]);
    }
    match (build_date(image), version(image), settings(image)) {
        (Ok(build_s), Ok(version), Ok(settings)) => {
            let sha256 = Digest(Sha256::digest(image).into());
            Ok(EepromRelease { build_s, version, sha256, settings })
        }
        (date, version, settings) => {
            Err([date.err(), version.err(), settings.err()].into_iter().flatten().collect::<Vec<_>>())
        }
    }
}

fn build_date(image: &[u8]) -> Result<u64, String> {
    let digits = the_one(after(image, BUILD_DATE, u8::is_ascii_digit), BUILD_DATE)?;
    // The firmware tells it in 32 bits.
    let date = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u32>().ok()).filter(|date| *date > 0);
    date.map(u64::from).ok_or_else(|| format!("its build date is no time from 1970 to 2106; {SOURCE}"))
}

fn version(image: &[u8]) -> Result<String, String> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let first = the_one(after(image, VERSION, is_digit), VERSION)?;
    let whole = image.split(|byte| !is_digit(byte)).filter(|run| run.len() == VERSION_DIGITS && run.starts_with(first));
    let whole: BTreeSet<_> = whole.collect();
    match whole.first() {
        Some(version) if whole.len() == 1 && first.len() >= VERSION_DIGITS_MIN => {
            Ok(String::from_utf8_lossy(version).into_owned())
        }
        _ => Err(format!("the {VERSION_DIGITS} digits of its version are not in it once; {SOURCE}")),
    }
}

/// What follows `name` wherever it stands, as far as the bytes are digits; places without any do not count.
fn after<'a>(image: &'a [u8], name: &[u8], is_digit: impl Fn(&u8) -> bool) -> BTreeSet<&'a [u8]> {
    let rests = memmem::find_iter(image, name).map(|at| &image[at + name.len()..]);
    let values = rests.map(|rest| &rest[..rest.iter().take_while(|byte| is_digit(byte)).count()]);
    values.filter(|value| !value.is_empty()).collect()
}

fn the_one<'a>(values: BTreeSet<&'a [u8]>, name: &[u8]) -> Result<&'a [u8], String> {
    match (values.first(), values.len()) {
        (Some(value), 1) => Ok(value),
        (_, count) => {
            let name = String::from_utf8_lossy(name);
            Err(format!("it says {count} different things after `{name}`, where one is expected; {SOURCE}"))
        }
    }
}

fn settings(image: &[u8]) -> Result<String, String> {
    let found = named(image, SETTINGS)?;
    let [settings] = found[..] else {
        return Err(format!("it has {} sections `bootconf.txt`, where one is expected; {SOURCE}", found.len()));
    };
    if settings.len() > SETTINGS_BYTES_MAX {
        let bytes = settings.len();
        return Err(format!("its settings have {bytes} bytes of {SETTINGS_BYTES_MAX} at most; take comments out"));
    }
    let is_shown = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if !settings.iter().all(is_shown) {
        return Err("its settings are not all printable ASCII in lines; mend them with rpi-eeprom-config".to_owned());
    }
    Ok(String::from_utf8_lossy(settings).into_owned())
}

/// The contents of the sections of this name.
fn named<'a>(image: &'a [u8], name: &[u8]) -> Result<Vec<&'a [u8]>, String> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((magic, length)) = header(image, at) {
        // Zeros, or erased flash: here the sections end.
        if [0, u32::MAX].contains(&magic) {
            break;
        }
        let content = image[at + HEADER_BYTES..].get(..length);
        let (true, Some(content)) = (magic & MAGIC.0 == MAGIC.1, content) else {
            return Err(format!("it is damaged at byte {at}, where no whole section lies; {SOURCE}"));
        };
        let is_wanted = content.get(..NAME_BYTES).is_some_and(|padded| unpadded(padded) == name);
        if magic == MAGIC_FILE && is_wanted {
            found.push(content.get(NAMED_HEADER_BYTES..).unwrap_or_default());
        }
        at = (at + HEADER_BYTES + length).next_multiple_of(ALIGN_BYTES);
    }
    Ok(found)
}

fn unpadded(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &name[..end]
}

/// Magic and length of the section at `at`; None at the end of the image.
fn header(image: &[u8], at: usize) -> Option<(u32, usize)> {
    let header = image.get(at..at + HEADER_BYTES)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    Some((number(&header[..4]), number(&header[4..]) as usize))
}

/// What the boot partition that begins at `start_bytes` of `disk` says that it carries; None if it carries none.
pub(crate) fn facts(disk: &Path, start_bytes: u64) -> Result<Option<EepromRelease>, Error> {
    if !fat::has(disk, start_bytes, files::EEPROM_FACTS)? {
        return Ok(None);
    }
    let json = fat::read(disk, start_bytes, files::EEPROM_FACTS)?;
    let wrong = |what: String| Error::no_image(disk, format!("{}: {what}", files::EEPROM_FACTS));
    if json.len() as u64 > FACTS_BYTES_MAX {
        return Err(wrong(format!("it has {} bytes of {FACTS_BYTES_MAX} at most", json.len())));
    }
    serde_json::from_slice(&json).map(Some).map_err(|error| wrong(error.to_string()))
}

/// Whether what the partition carries is what its `facts` say.
pub(crate) fn problems(disk: &Path, start_bytes: u64, facts: &EepromRelease) -> Result<Vec<String>, Error> {
    let mut problems = match parse(&fat::read(disk, start_bytes, files::EEPROM_IMAGE)?) {
        Ok(release) if release == *facts => vec![],
        Ok(_) => vec![format!("{} is not the release that {} names", files::EEPROM_IMAGE, files::EEPROM_FACTS)],
        Err(problems) => problems,
    };
    let digest = fat::read(disk, start_bytes, files::EEPROM_DIGEST)?;
    if digest != digest_file(&facts.sha256, facts.build_s).as_bytes() {
        problems.push(format!("{} is not the digest of {}", files::EEPROM_DIGEST, files::EEPROM_IMAGE));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests;
