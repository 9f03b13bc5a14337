//! `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`): what is mounted where.
//!
//! Read instead of asked by `statfs`, because it names the device number, and because a recorded tree can carry it.

use std::path::{Path, PathBuf};

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor`; major 0 means that no block device is behind it.
    pub device: String,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Such as `ext4`.
    pub filesystem: String,
    /// What was mounted, such as `/dev/nvme0n1p1`.
    pub source: String,
    /// Options of this mount, as the kernel writes them.
    pub options: String,
    /// Mounted read-only, or made read-only by the filesystem after an error.
    pub read_only: bool,
}

impl Mount {
    /// Whether the filesystem lives on a block device at all.
    pub(super) fn has_block_device(&self) -> bool {
        !self.device.starts_with("0:")
    }
}

/// Every mount of a mountinfo, in its order. Lines that make no sense are left out.
pub fn mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(parse).collect()
}

/// The mount at exactly this point. Of several stacked there, the last one is on top.
pub(super) fn mounted_at(mountinfo: &str, mount_point: &Path) -> Option<Mount> {
    mountinfo.lines().filter_map(parse).rfind(|mount| mount.mount_point == mount_point)
}

/// The mount that holds a path: the longest mount point above it, the topmost of those stacked there.
pub(crate) fn holding(mountinfo: &str, path: &Path) -> Option<Mount> {
    let above = mountinfo.lines().filter_map(parse).filter(|mount| path.starts_with(&mount.mount_point));
    // `max_by_key` returns the last of equals, which is the topmost.
    above.max_by_key(|mount| mount.mount_point.components().count())
}

/// Fields: id, parent, device, root, mount point, options, optional fields, `-`, filesystem, source, super options.
fn parse(line: &str) -> Option<Mount> {
    let (fixed, rest) = line.split_once(" - ")?;
    let fixed: Vec<&str> = fixed.split(' ').collect();
    let mut rest = rest.split(' ');
    let (filesystem, source, super_options) = (rest.next()?, rest.next()?, rest.next().unwrap_or_default());
    Some(Mount {
        device: (*fixed.get(2)?).to_owned(),
        mount_point: PathBuf::from(unescape(fixed.get(4)?)),
        filesystem: filesystem.to_owned(),
        source: unescape(source),
        options: (*fixed.get(5)?).to_owned(),
        read_only: is_read_only(fixed.get(5)?) || is_read_only(super_options),
    })
}

/// After an error ext4 either turns `ro` or, in newer kernels, keeps `rw` and adds one of the other two.
fn is_read_only(options: &str) -> bool {
    options.split(',').any(|option| matches!(option, "ro" | "emergency_ro" | "shutdown"))
}

/// The kernel writes space, tab, newline and backslash as a backslash and three octal digits.
fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        match escaped(rest) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.strip_prefix(b"\\")?.get(..3)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests;
