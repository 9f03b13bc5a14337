//! Writes the image as an owner does: by `flash.sh`, onto a loop device over the board's disk (needs root).

use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, built};

/// The owner's.
pub(crate) const TIME_ZONE: &str = "Europe/Berlin";

/// What flash.sh prints for the owner.
pub(crate) struct Flashed {
    /// The first-administrator code.
    pub(crate) code: String,
    /// SHA-256 of the device's certificate authority.
    pub(crate) fingerprint: String,
}

/// A loop device, for as long as this lives.
struct Loop(String);

impl Loop {
    fn over(image: &Path) -> Self {
        let made = Command::new("losetup").args(["-f", "--show"]).arg(image).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(String::from_utf8(made.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let freed = Command::new("losetup").args(["-d", &self.0]).status().unwrap();
        assert!(freed.success() || std::thread::panicking(), "cannot free {}", self.0);
    }
}

/// Writes the image with a provisioning of that host name, and consent to an SSD that is labelled for it.
pub(crate) fn flash(bench: &Bench, host_name: &str) -> Flashed {
    flash_for(bench, host_name, "labelled")
}

/// The same with other consent to an SSD, in the words of `flash.sh --ssd`.
pub(crate) fn flash_for(bench: &Bench, host_name: &str, ssd: &str) -> Flashed {
    let device = Loop::over(&bench.disk());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flash.sh");
    let serial = bench.disk();
    let serial = serial.file_name().unwrap();
    let ran = Command::new(script)
        .args(["--hostname", host_name, "--timezone", TIME_ZONE, "--ssd", ssd])
        .args(["--disk", &device.0, "--serial"])
        .arg(serial)
        .arg(built("image/lucid.img").canonicalize().unwrap())
        .output()
        .unwrap();
    assert!(ran.status.success(), "flash.sh: {}", String::from_utf8_lossy(&ran.stderr));
    let shown = String::from_utf8(ran.stdout).unwrap();
    let after = |label: &str| {
        let line = shown.lines().find_map(|line| line.trim().strip_prefix(label));
        line.expect("flash.sh shows it").trim().to_owned()
    };
    Flashed { code: after("First-administrator code"), fingerprint: after("Certificate (SHA-256)") }
}
