//! Who this box is: machine-id, board serial number, host name.
//!
//! Promises: the machine-id is made once and stays; a damaged one is replaced and reported. Must never take the
//! machine-id for a secret, nor make the host name of anything that another box of the same image has, too.

use lucid_layout::paths;
use lucid_layout::provisioning::Hostname;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::Error;
use crate::file::{self, Access};
use crate::root::Root;

/// What the firmware tells of the board.
const SERIAL: &str = "/proc/device-tree/serial-number";

/// A Pi's has 16 characters.
const SERIAL_BYTES_MAX: u64 = 64;

/// 32 hexadecimal digits and a line break (machine-id(5)).
const MACHINE_ID_BYTES_MAX: u64 = 33;

/// A label of at most 63 bytes and a line break.
const HOSTNAME_BYTES_MAX: u64 = 64;

/// What the host name is made of: with four digits of the serial number two boxes in one network seldom collide, and
/// mDNS resolves it where they do.
const PREFIX: &str = "lucid";
const SUFFIX_CHARS: usize = 4;

/// Whether the state's machine-id was made just now, because there was none.
pub(crate) fn ensure_machine_id(root: &Root) -> Result<bool, Error> {
    let path = root.at(paths::MACHINE_ID);
    let Some(text) = file::read(&path, MACHINE_ID_BYTES_MAX)? else {
        make_machine_id(root)?;
        return Ok(true);
    };
    if is_machine_id(&text) {
        return Ok(false);
    }
    make_machine_id(root)?;
    Err(file::damaged(&path, "it is no machine-id, and a new one took its place"))
}

fn is_machine_id(text: &str) -> bool {
    let id = text.strip_suffix('\n').unwrap_or(text);
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    id.len() == 32 && id.bytes().all(is_digit) && id.bytes().any(|digit| digit != b'0')
}

fn make_machine_id(root: &Root) -> Result<(), Error> {
    let path = root.at(paths::MACHINE_ID);
    let mut bytes = [0; 16];
    let random = getrandom(&mut bytes, GetRandomFlags::empty());
    random.map_err(|error| Error::io("draw random bytes for", &path)(error.into()))?;
    // Marked as a random UUID (RFC 9562, version 4), as systemd's own are.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    file::replace(&path, format!("{digits}\n").as_bytes(), Access { mode: 0o444, uid: root.root_uid })
}

/// The board's serial number; `None` where the firmware tells none.
pub(crate) fn serial(root: &Root) -> Result<Option<String>, Error> {
    let path = root.at(SERIAL);
    let Some(text) = file::read(&path, SERIAL_BYTES_MAX)? else { return Ok(None) };
    let serial = text.trim_end_matches('\0');
    if serial.is_empty() || !serial.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(file::damaged(&path, "it is no serial number"));
    }
    Ok(Some(serial.to_owned()))
}

/// The host name of the provisioning, if there is one.
pub(crate) fn provisioned_host_name(root: &Root) -> Result<Option<String>, Error> {
    let path = root.at(paths::HOSTNAME);
    let Some(text) = file::read(&path, HOSTNAME_BYTES_MAX)? else { return Ok(None) };
    let name: Hostname = text.trim_end().parse().map_err(|_| file::damaged(&path, "it is no host name"))?;
    Ok(Some(name.as_str().to_owned()))
}

/// The host name where none was chosen: `lucid-` and the serial number's last four characters.
pub(crate) fn default_host_name(serial: Option<&str>) -> String {
    let Some(serial) = serial else { return PREFIX.to_owned() };
    // ASCII, as `serial` checked.
    let suffix = &serial[serial.len().saturating_sub(SUFFIX_CHARS)..];
    format!("{PREFIX}-{}", suffix.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
