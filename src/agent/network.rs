//! The network of the provisioning, which can be forgotten: the stage before systemd then writes one of DHCP.
//!
//! Must never change the network of a box that is not in rescue: whoever takes the supervisor over could move the box
//! to another network.

use std::path::Path;

use lucid_agent_protocol::{Refusal, RefusalCode};
use lucid_device::Reading;
use lucid_layout::boot::BootReport;

/// Removes what the provisioning said, for good. Takes effect at the next boot.
pub(crate) fn forget(path: &Path, boot: &Reading<BootReport>) -> Result<(), Refusal> {
    if boot.present().is_none_or(|report| report.rescue.is_none()) {
        let message = "the network is forgotten in rescue only: to change it, flash again with another provisioning";
        return Err(Refusal::new(RefusalCode::WrongState, message));
    }
    lucid_file::remove(path).map_err(|error| {
        tracing::error!(%error, path = %path.display(), "the network of the provisioning can't be forgotten");
        let message = format!("`{}` can't be removed ({error}): flash again with another provisioning", path.display());
        Refusal::new(RefusalCode::Failed, message)
    })?;
    tracing::warn!("the network of the provisioning is forgotten: from the next boot on the router gives the address");
    Ok(())
}

#[cfg(test)]
mod tests;
