//! A boot on trial: the firmware started this slot once, and it has to be kept within a time.
//!
//! The bounds are systemd's and need none of our code once systemd runs: a drop-in for `lucid-ready.target`, which has
//! to be reached, and a timer, `lucid-trial.timer`, which the commit stops. Each ends with the reboot that brings the
//! committed slot back. An ordinary boot has a bound too, a wider one: without it a release that begins to fail days
//! after it was kept would be started again and again by systemd, and nobody would count.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;

use crate::error::Error;
use crate::file;
use crate::root::Root;

/// The firmware's word on whether the one-shot flag started this boot: 32 bits, big-endian.
const TRYBOOT: &str = "/proc/device-tree/chosen/bootloader/tryboot";

/// Where systemd looks for it.
const DROP_IN: &str = "/run/systemd/system/lucid-ready.target.d/10-trial.conf";

/// The same of an ordinary boot.
const DROP_IN_ORDINARY: &str = "/run/systemd/system/lucid-ready.target.d/10-ordinary.conf";

/// Starts the timer with the boot: by a link, as if it were enabled.
const TIMER_WANTED: &str = "/run/systemd/system/timers.target.wants/lucid-trial.timer";
const TIMER: &str = "/usr/lib/systemd/system/lucid-trial.timer";

/// Five minutes: a slow card, a check of the data disk and the services' own time to start; and whoever waits for an
/// update sees it fail while still waiting.
const READY_S_MAX: u32 = 300;

/// Fifteen minutes. Waiting for a disk is ready, too, and one start of the supervisor has three minutes; in fifteen it
/// has failed several times.
const READY_ORDINARY_S_MAX: u32 = 900;

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
pub(crate) fn bound_ready(root: &Root) -> Result<(), Error> {
    file::write_volatile(&root.at(DROP_IN), &drop_in())
}

/// Bounds the time until an ordinary boot is ready, if it is counted: the reboots come to an end by the count, in the
/// other slot or in rescue. Whatever is under way may end in order.
pub(crate) fn bound_ready_ordinary(root: &Root) -> Result<(), Error> {
    let text = format!("[Unit]\nJobTimeoutSec={READY_ORDINARY_S_MAX}\nJobTimeoutAction=reboot\n");
    file::write_volatile(&root.at(DROP_IN_ORDINARY), &text)
}

/// Bounds the time until the boot is committed.
pub(crate) fn bound_commit(root: &Root) -> Result<(), Error> {
    let link = root.at(TIMER_WANTED);
    let make = || {
        fs::create_dir_all(link.parent().unwrap_or(&link))?;
        symlink(TIMER, &link)
    };
    make().map_err(Error::io("make the link", &link))
}

/// The time counts from the start of systemd. What the target requires may also fail at once, which would end the wait
/// and the time with it: that reboots as well. Without its agent a release could never be replaced.
fn drop_in() -> String {
    format!(
        "[Unit]\nRequires=lucid-agent.service\nAfter=lucid-agent.service\nJobTimeoutSec={READY_S_MAX}\n\
         JobTimeoutAction=reboot-force\nOnFailure=reboot.target\nOnFailureJobMode=replace-irreversibly\n"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
    }

    #[test]
    fn a_trial_is_bounded_twice() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::of_test(dir.path());
        bound_ready(&root).unwrap();
        bound_commit(&root).unwrap();
        let written = fs::read_to_string(root.at("/run/systemd/system/lucid-ready.target.d/10-trial.conf")).unwrap();
        let lines: Vec<_> = written.lines().collect();
        assert_eq!(lines[..3], ["[Unit]", "Requires=lucid-agent.service", "After=lucid-agent.service"]);
        assert_eq!(lines[3..5], ["JobTimeoutSec=300", "JobTimeoutAction=reboot-force"]);
        assert_eq!(lines[5..], ["OnFailure=reboot.target", "OnFailureJobMode=replace-irreversibly"]);
        let link = root.at("/run/systemd/system/timers.target.wants/lucid-trial.timer");
        assert_eq!(fs::read_link(link).unwrap(), Path::new("/usr/lib/systemd/system/lucid-trial.timer"));
        assert!(bound_commit(&root).is_err(), "something is there already");
    }
}
