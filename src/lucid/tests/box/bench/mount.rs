//! Filesystems of the tests' own. They need root.

use std::path::{Path, PathBuf};

use super::{LONG, eventually, require_success, text};

/// What to do where a mount is refused.
const HINT: &str = "run the tests as root, on a Linux (or in a container) that allows mounts and loop devices";

/// A mounted filesystem; taken off when dropped.
pub(crate) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// A filesystem in memory.
    pub(crate) fn tmpfs(at: &Path, options: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        require_success("mount", &["-t", "tmpfs", "-o", options, "lucid-test", text(at)], HINT);
        Self { at: at.to_owned() }
    }

    /// The ext4 in a file.
    pub(crate) fn image(image: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        require_success("mount", &["-o", "loop,errors=remount-ro", text(image), text(at)], HINT);
        Self { at: at.to_owned() }
    }

    /// Changes its options.
    pub(crate) fn remount(&self, options: &str) {
        require_success("mount", &["-o", &format!("remount,{options}"), text(&self.at)], HINT);
    }

    /// Makes ext4 meet an error.
    pub(crate) fn fail(&self) {
        let device = require_success("findmnt", &["-n", "-o", "SOURCE", text(&self.at)], HINT);
        let name = device.trim().trim_start_matches("/dev/");
        std::fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "test\n").expect(HINT);
    }

    /// Takes it off, once nobody holds it.
    #[track_caller]
    pub(crate) fn take_off(self) {
        eventually("the filesystem is let go of", LONG, || match umount(&self.at, &[]) {
            true => Ok(()),
            false => Err(format!("`{}` is busy", self.at.display())),
        });
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a box that the failing test has not stopped yet may still hold it.
        if is_mounted(&self.at) {
            umount(&self.at, &["-l"]);
        }
    }
}

fn is_mounted(at: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(text(at)))
}

fn umount(at: &Path, options: &[&str]) -> bool {
    let mut command = std::process::Command::new("umount");
    command.args(options).arg(at).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
