//! The bench's way into the guest: a program that it brings along on a disk of its own, started by a unit in a systemd
//! credential on the kernel command line, which answers on a virtio serial port.
//!
//! Nothing of it is in the image: whoever can write the command line holds the card anyway. Promises one answer per
//! request, in order, each line bounded. Must never be part of a release.

mod client;
pub mod protocol;
pub mod serve;
pub mod speak;

pub use client::{Probe, ProbeError};

use lucid_layout::boot::RESCUE_TARGET;

/// The serial port's name.
pub const PORT: &str = "org.lucid.probe";

/// Label of the file system on the probe's disk (`hw-tests/probe/build`).
pub const LABEL: &str = "lucid-probe";

/// What the bench adds to the kernel command line so that systemd starts the probe: as early as it can, and nothing
/// waits for it. In rescue, too, where the target is not the default one, to which `systemd.wants=` adds.
#[must_use]
pub fn cmdline() -> Vec<String> {
    let unit = format!(
        "[Unit]\nDefaultDependencies=no\n[Service]\nOOMScoreAdjust=-1000\nRuntimeDirectory={LABEL}\n\
         ExecStartPre=/usr/bin/mount -o ro LABEL={LABEL} /run/{LABEL}\nExecStart=/run/{LABEL}/{LABEL}\n"
    );
    let credential = |name: &str, text: &str| {
        format!("systemd.set_credential_binary=systemd.{name}:{}", data_encoding::BASE64.encode(text.as_bytes()))
    };
    vec![
        credential(&format!("extra-unit.{LABEL}.service"), &unit),
        format!("systemd.wants={LABEL}.service"),
        credential(&format!("unit-dropin.{RESCUE_TARGET}"), &format!("[Unit]\nWants={LABEL}.service\n")),
    ]
}

#[cfg(test)]
mod tests;
