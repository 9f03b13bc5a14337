//! The file's bytes: as the image holds them, with the owner's settings, and after they were consumed.

use super::ProvisioningError;

/// Bytes that the image reserves for the file, in one piece: whole sectors, and room for everything it can hold.
pub const AREA_BYTES: usize = 32 * 1024;

/// What a consumed file begins with.
pub const STAMP: &str = "# consumed by this appliance on its first boot\n";

/// What the image holds: every key, explained and switched off. A PC shows it in an editor.
const TEMPLATE: &str = include_str!("template.toml");

/// The bytes of a fresh image's file.
#[must_use]
pub fn template() -> Vec<u8> {
    let mut bytes = vec![b'\n'; AREA_BYTES];
    bytes[..TEMPLATE.len()].copy_from_slice(TEMPLATE.as_bytes());
    bytes
}

/// `text`, filled up with line breaks to the reserved length.
///
/// # Errors
/// If it is longer than the area.
pub fn padded(text: &[u8]) -> Result<Vec<u8>, ProvisioningError> {
    if text.len() > AREA_BYTES {
        return Err(ProvisioningError::TooLarge { bytes: text.len(), bytes_max: AREA_BYTES });
    }
    let mut bytes = text.to_vec();
    bytes.resize(AREA_BYTES, b'\n');
    Ok(bytes)
}

/// What the sectors of a file become once it was consumed. `bytes` is their whole length, at least one sector, so that
/// nothing of it stays behind its end.
#[must_use]
pub fn consumed(bytes: usize) -> Vec<u8> {
    let mut area = STAMP.as_bytes().to_vec();
    area.resize(bytes, b'\n');
    area
}

/// Whether the bytes begin with [`STAMP`]. They are the file's, or its first sector's if it is shorter than the stamp.
#[must_use]
pub fn is_consumed(bytes: &[u8]) -> bool {
    bytes.starts_with(STAMP.as_bytes())
}
