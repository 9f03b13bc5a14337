//! The kernel command line: the verity device (kernel documentation, "dm-init" and "verity"), the root on it, and what
//! hardens the kernel.
//!
//! One line per slot, equal but for the slot. Renders and reads back; what it did not render it does not half
//! understand.

use crate::digest::Digest;
use crate::paths::INIT;
use crate::slot::Slot;

/// Block size of data and tree in bytes.
pub const BLOCK_BYTES: u64 = 4096;

/// Longest line in bytes: arm64's COMMAND_LINE_SIZE, its terminating zero included.
pub const CMDLINE_BYTES_MAX: usize = 2048;

/// Options that are the same for every image. Watchdog: the kernel feeds it until systemd does, for at most a minute.
/// ASPM and NVMe power states off: with them disks drop off the Pi 5's bus.
const COMMON: &str = "panic=10 watchdog.open_timeout=60 pcie_aspm=off nvme_core.default_ps_max_latency_us=0";

/// Options that take surfaces away: no merged slabs, memory zeroed when given out, pages in random order, stacks at
/// random offsets, no debugfs, no system on another disk chosen by its partition types.
const HARDENING: &str =
    "slab_nomerge init_on_alloc=1 page_alloc.shuffle=1 randomize_kstack_offset=on debugfs=off systemd.gpt_auto=0";

/// A root file system's verity tree, which begins right after the data and has no superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verity {
    /// Blocks of data, of [`BLOCK_BYTES`] each.
    pub data_blocks: u64,
    /// What everything is checked against.
    pub root_hash: Digest,
    /// Hashed in front of every block.
    pub salt: Digest,
}

/// Why a command line is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmdlineError {
    /// An option is not there, or not as it should be.
    #[error("the kernel command line has no `{option}` of this appliance; boot an image of Lucid, or flash it again")]
    Option {
        /// Its name.
        option: &'static str,
    },
}

/// The line for `slot`, without a line break.
#[must_use]
pub fn render(slot: Slot, verity: &Verity) -> String {
    let root = slot.root().guid();
    format!(
        "dm-mod.create=\"{}\" dm-mod.waitfor=PARTUUID={root} root=/dev/dm-0 rootfstype=erofs rootwait ro init={INIT} \
         {COMMON} {HARDENING} lucid.slot={} quiet",
        device(slot, verity),
        slot.letter(),
    )
}

/// The value of `dm-mod.create`. Verity's default mode: a bad block is an I/O error and no restart, which would loop.
fn device(slot: Slot, verity: &Verity) -> String {
    let (root, blocks) = (slot.root().guid(), verity.data_blocks);
    let sectors = blocks.saturating_mul(BLOCK_BYTES / crate::disk::SECTOR_BYTES);
    format!(
        "lucid-root,,,ro,0 {sectors} verity 1 PARTUUID={root} PARTUUID={root} {BLOCK_BYTES} {BLOCK_BYTES} {blocks} \
         {blocks} sha256 {} {} 1 ignore_zero_blocks",
        verity.root_hash, verity.salt,
    )
}

/// The slot and the tree that a line names.
///
/// # Errors
/// If it lacks either, or the verity device is any other than [`render`] writes for them.
pub fn parse(line: &str) -> Result<(Slot, Verity), CmdlineError> {
    let slot = slot(line)?;
    let create = CmdlineError::Option { option: "dm-mod.create" };
    let table = value(line, "dm-mod.create").ok_or(create.clone())?;
    let fields: Vec<_> = table.split(' ').collect();
    let verity = verity(&fields).ok_or(create.clone())?;
    if device(slot, &verity) == table { Ok((slot, verity)) } else { Err(create) }
}

/// The slot that a line names.
///
/// # Errors
/// If there is no `lucid.slot=a` or `lucid.slot=b`.
pub fn slot(line: &str) -> Result<Slot, CmdlineError> {
    value(line, "lucid.slot").and_then(Slot::from_letter).ok_or(CmdlineError::Option { option: "lucid.slot" })
}

fn verity(fields: &[&str]) -> Option<Verity> {
    let data_blocks = fields.get(8)?.parse().ok()?;
    let (root_hash, salt) = (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
    Some(Verity { data_blocks, root_hash, salt })
}

/// The value of the last `name=value` of a line, without its quotes. As the kernel does, blanks count as part of an
/// option within double quotes, and the last of several wins.
#[must_use]
pub fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let of = |option: &'a str| option.strip_prefix(name)?.strip_prefix('=');
    let value = options(line).filter_map(of).last()?;
    Some(value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value))
}

/// Every option of a line, as it stands there.
pub fn options(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let between = move |c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    };
    line.split(between).filter(|option| !option.is_empty())
}

#[cfg(test)]
mod tests;
