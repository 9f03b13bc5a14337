//! What an NVMe drive says of its own health: SMART / Health Information, log page 02h (NVM Express base
//! specification 2.0, section 5.16.1.3).
//!
//! Promises that a drive that does not tell is [`Reading::Absent`], and one that fails to is [`Reading::Failed`].
//! Must never send a drive any command but this one, which changes nothing.

mod command;

use std::fs::File;
use std::path::Path;

use lucid_device::{Reading, SmartState, Transport};

/// The page.
pub(crate) type Page = [u8; 512];

/// Asks the drive whose block device is `device`.
pub(crate) fn read(device: &Path, transport: Transport) -> Reading<SmartState> {
    if transport != Transport::Nvme {
        return Reading::absent("SMART is read from NVMe drives only, not through USB bridges or from cards");
    }
    let asked = File::open(device).and_then(|drive| command::health(&drive));
    match asked {
        Ok(page) => Reading::Present(state(&page)),
        Err(error) => Reading::failed(format!("reading the SMART page of `{}`: {error}", device.display())),
    }
}

/// What stands in a page. Counters have 16 bytes; the lower 8 last for any drive.
fn state(page: &Page) -> SmartState {
    let counter = |at: usize| {
        let wide = page[at..at + 16].iter().rev().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        u64::try_from(wide).unwrap_or(u64::MAX)
    };
    SmartState {
        critical_warning: page[0],
        available_spare_percent: page[3],
        used_percent: page[5],
        media_errors: counter(160),
        power_on_hours: counter(128),
    }
}

#[cfg(test)]
mod tests;
