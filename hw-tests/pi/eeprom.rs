//! Writes an image of the virtual Pi's EEPROM.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Args;
use lucid_hw_tests::eeprom::image::Release;

/// 2026-05-26: later than the EEPROM that a virtual Pi begins with.
const BUILD_TIMESTAMP: u32 = 1_779_753_600;

/// Which image.
#[derive(Args)]
pub(crate) struct Image {
    /// Where it goes
    out: PathBuf,
    /// Its build date, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value_t = BUILD_TIMESTAMP)]
    build_timestamp: u32,
    /// Its settings instead of those that Raspberry Pi delivers: a text file
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl Image {
    pub(crate) fn write(self) -> Result<(), Box<dyn Error>> {
        let mut release = Release::of_virtual_pi(self.build_timestamp);
        if let Some(path) = &self.settings {
            let read = fs::read_to_string(path);
            release.settings = read.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        }
        let written = fs::write(&self.out, release.image());
        written.map_err(|error| format!("cannot write `{}`: {error}; make its folder", self.out.display()).into())
    }
}
