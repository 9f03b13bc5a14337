//! The time zone: a name and an environment variable in `/run/lucid`, for the units' `EnvironmentFile=`.
//!
//! `/etc/localtime` lies in the read-only root, and systemd passes none of its own environment on.

use lucid_layout::boot::{ENVIRONMENT, TIMEZONE};
use lucid_layout::paths;
use lucid_layout::provisioning::Timezone;

use crate::error::Error;
use crate::file;
use crate::root::Root;

/// Where the C libraries look for it.
const DATABASE: &str = "/usr/share/zoneinfo";

/// In force where none was chosen.
const DEFAULT: &str = "UTC";

/// A name of at most 64 bytes and a line break.
const TIMEZONE_BYTES_MAX: u64 = 65;

/// The time zone of the provisioning, if the system knows it.
pub(crate) fn provisioned(root: &Root) -> Result<Option<Timezone>, Error> {
    let path = root.at(paths::TIMEZONE);
    let Some(text) = file::read(&path, TIMEZONE_BYTES_MAX)? else { return Ok(None) };
    let zone: Timezone = text.trim_end().parse().map_err(|_| file::damaged(&path, "it is no time zone"))?;
    if root.at(DATABASE).join(zone.as_str()).is_file() {
        return Ok(Some(zone));
    }
    Err(file::damaged(&path, &format!("the time zone `{zone}` is not in this system's database")))
}

/// Tells everyone who starts later.
pub(crate) fn write(root: &Root, zone: Option<&Timezone>) -> Result<(), Error> {
    let name = zone.map_or(DEFAULT, Timezone::as_str);
    file::write_volatile(&root.at(TIMEZONE), &format!("{name}\n"))?;
    file::write_volatile(&root.at(ENVIRONMENT), &format!("TZ={name}\n"))
}
