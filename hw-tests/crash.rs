//! Power cuts: what a disk may hold after one, made from a record of its writes.
//!
//! A killed QEMU is no power cut, because the host's page cache keeps everything. So QEMU's `blklogwrites` records
//! every write and flush, and a crash image is the disk before, plus every write that a flush covered, plus a random
//! part of the others, whole or torn at sectors. Which part depends on a seed only. A [`Moment`] is the same for all
//! disks of a board, which lose their power together. Must never apply a write that came after the cut.

mod log;
mod moment;

use std::io::{self, Read, Seek, SeekFrom, Write};

pub use log::{LogError, Record, SECTOR_BYTES, WriteLog};
pub use moment::Moment;

/// A moment at which the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// How many records came before it.
    pub records: usize,
    /// Chooses what became of the writes that no flush covered.
    pub seed: u64,
}

/// What became of a write that no flush covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Kept,
    Torn,
}

impl Fate {
    /// Each with the same probability: most cuts then have some of all.
    fn choose(random: &mut fastrand::Rng) -> Self {
        match random.u8(0..3) {
            0 => Self::Lost,
            1 => Self::Kept,
            _ => Self::Torn,
        }
    }
}

/// Applies to `disk`, which is as it was before the record began, what it may hold after `cut`. How many writes were
/// lost or torn.
///
/// # Errors
/// If the record or the disk cannot be read or written.
pub fn replay<L, D>(log: &mut WriteLog<L>, disk: &mut D, cut: Cut) -> io::Result<usize>
where
    L: Read + Seek,
    D: Write + Seek,
{
    let mut random = fastrand::Rng::with_seed(cut.seed);
    let records = cut.records.min(log.records().len());
    let covered = log.flushed(records);
    let mut damaged = 0;
    for index in 0..records {
        let record = log.records()[index];
        let is_durable = index < covered || record.is_forced();
        let fate = if is_durable { Fate::Kept } else { Fate::choose(&mut random) };
        damaged += usize::from(record.bytes() > 0 && fate != Fate::Kept);
        if fate != Fate::Lost {
            apply(disk, record, &log.data(record)?, || fate == Fate::Kept || random.bool())?;
        }
    }
    disk.flush()?;
    Ok(damaged)
}

/// Writes the sectors of a record that `survives` tells.
fn apply<D: Write + Seek>(
    disk: &mut D,
    record: Record,
    data: &[u8],
    mut survives: impl FnMut() -> bool,
) -> io::Result<()> {
    for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
        if survives() {
            disk.seek(SeekFrom::Start(record.position() + (index * SECTOR_BYTES) as u64))?;
            disk.write_all(sector)?;
        }
    }
    Ok(())
}

/// `count` cuts spread evenly over the record, each with a seed of its own drawn from `seed`.
#[must_use]
pub fn cuts(records: usize, count: usize, seed: u64) -> Vec<Cut> {
    let mut random = fastrand::Rng::with_seed(seed);
    let at = |index: usize| (index + 1).saturating_mul(records) / count.max(1);
    (0..count).map(|index| Cut { records: at(index), seed: random.u64(..) }).collect()
}

#[cfg(test)]
mod tests;
