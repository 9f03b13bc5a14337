//! A boot on trial: the firmware started this slot once, and it has to become ready within a time.
//!
//! The bound is systemd's and needs none of our code: a drop-in for `lucid-ready.target`, which is there in such a boot
//! only. Ends with the reboot that brings the committed slot back.

use std::fs;
use std::io::ErrorKind;

use crate::error::Error;
use crate::file;
use crate::root::Root;

/// The firmware's word on whether the one-shot flag started this boot: 32 bits, big-endian.
const TRYBOOT: &str = "/proc/device-tree/chosen/bootloader/tryboot";

/// Where systemd looks for it.
const DROP_IN: &str = "/run/systemd/system/lucid-ready.target.d/10-trial.conf";

/// Five minutes: a slow card, a check of the data disk and the services' own time to start; and whoever waits for an
/// update sees it fail while still waiting.
const READY_S_MAX: u32 = 300;

/// Whether this boot is on trial.
pub(crate) fn is_trial(root: &Root) -> Result<bool, Error> {
    let path = root.at(TRYBOOT);
    match fs::read(&path) {
        Ok(bytes) if bytes.len() == 4 => Ok(bytes != [0; 4]),
        Ok(_) => Err(file::damaged(&path, "it is no number of 32 bits")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// Bounds the time until the boot is ready.
pub(crate) fn bound(root: &Root) -> Result<(), Error> {
    file::write_volatile(&root.at(DROP_IN), &drop_in())
}

/// The time counts from the start of systemd. What the target requires may also fail at once, which would end the wait
/// and the time with it: that reboots as well.
fn drop_in() -> String {
    format!(
        "[Unit]\nJobTimeoutSec={READY_S_MAX}\nJobTimeoutAction=reboot-force\nOnFailure=reboot.target\n\
         OnFailureJobMode=replace-irreversibly\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_flag_that_is_set_makes_a_trial() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::of_test(dir.path());
        assert!(!is_trial(&root).unwrap());
        for (bytes, expected) in [(&[0, 0, 0, 1][..], Some(true)), (&[0; 4], Some(false)), (&[1], None), (&[], None)] {
            file::write_volatile(&root.at(TRYBOOT), str::from_utf8(bytes).unwrap()).unwrap();
            assert_eq!(is_trial(&root).ok(), expected, "{bytes:?}");
        }
        bound(&root).unwrap();
        let written = fs::read_to_string(root.at("/run/systemd/system/lucid-ready.target.d/10-trial.conf")).unwrap();
        let lines: Vec<_> = written.lines().collect();
        assert_eq!(lines[..3], ["[Unit]", "JobTimeoutSec=300", "JobTimeoutAction=reboot-force"]);
        assert_eq!(lines[3..], ["OnFailure=reboot.target", "OnFailureJobMode=replace-irreversibly"]);
    }
}
