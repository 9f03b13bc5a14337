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
}

impl Image {
    pub(crate) fn write(self) -> Result<(), Box<dyn Error>> {
        let release = Release::of_virtual_pi(BUILD_TIMESTAMP);
        let written = fs::write(&self.out, release.image());
        written.map_err(|error| format!("cannot write `{}`: {error}; make its folder", self.out.display()).into())
    }
}
