//! The data partition of the system's own disk: partition 7, in the room that the image leaves on a larger NVMe disk.
//!
//! Promises to add a partition behind the others and to change none. Must never run on a disk that is not an
//! appliance's own, known by the identity of its partition table.

use std::time::Duration;

use lucid_agent_protocol::Content;
use lucid_device::Transport;
use lucid_layout::Partition;
use lucid_layout::disk::{ALIGNMENT_BYTES, DISK_GUID, SECTOR_BYTES};

use crate::disks::{Seen, block};
use crate::tool::{self, Said, ToolError};

/// Writing a table of 16 KiB twice and telling the kernel.
const TABLE_MAX: Duration = Duration::from_secs(60);
/// Less room is not worth a partition.
const ROOM_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// Why there is no partition.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartitionError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("{program} ended with status {status} ({said}); connect an SSD and adopt it")]
    Refused { program: &'static str, status: i32, said: String },
}

/// Whether `disk` has room for a data partition, and none yet.
pub(crate) fn has_room(disk: &Seen) -> bool {
    let own_table = match &disk.content {
        Content::PartitionTable { kind, uuid: Some(uuid) } => kind == "gpt" && uuid.eq_ignore_ascii_case(DISK_GUID),
        _ => false,
    };
    let last = disk.block.partitions.last();
    let has_image = last.is_some_and(|last| last.number == Partition::State.number());
    let used: u64 = disk.block.partitions.iter().map(|partition| partition.size_bytes + ALIGNMENT_BYTES).sum();
    let has_room = disk.block.size_bytes.saturating_sub(used + 2 * ALIGNMENT_BYTES) >= ROOM_BYTES_MIN;
    disk.system && disk.drive.transport == Transport::Nvme && own_table && has_image && has_room
}

/// Adds the partition to the table of `disk`, unless it is there, and tells the kernel.
pub(crate) fn make(disk: &Seen) -> Result<(), PartitionError> {
    let (data, path) = (Partition::Data, block::path(&disk.block.name));
    let (device, number) = (&*path.to_string_lossy(), data.number().to_string());
    if !is_in_table(device, &number)? {
        let (start, kind) = (start_bytes(disk) / SECTOR_BYTES, data.type_guid());
        let line = format!("start={start}, type={kind}, uuid={}, name=\"{}\"\n", data.guid(), data.name());
        // Other partitions are mounted, so neither may the disk be unused, nor the kernel read the whole table anew.
        let append = ["--quiet", "--append", "--no-reread", "--no-tell-kernel", device];
        succeed("sfdisk", tool::run_with_input("sfdisk", &append, &line, TABLE_MAX)?)?;
    }
    succeed("partx", tool::run("partx", &["--add", "--nr", &number, device], TABLE_MAX)?)
}

/// Where it begins: behind the image, which ends with a table of its own behind its last partition. An image that is
/// written anew overwrites nothing of it.
fn start_bytes(disk: &Seen) -> u64 {
    let in_image: u64 = disk.block.partitions.iter().map(|partition| partition.size_bytes).sum();
    ALIGNMENT_BYTES + in_image + ALIGNMENT_BYTES
}

/// Whether the table has it although the kernel does not know it: telling the kernel was interrupted.
fn is_in_table(device: &str, number: &str) -> Result<bool, PartitionError> {
    let said = tool::run("sfdisk", &["--part-uuid", device, number], TABLE_MAX)?;
    Ok(said.status == 0 && said.text.trim().eq_ignore_ascii_case(Partition::Data.guid()))
}

fn succeed(program: &'static str, said: Said) -> Result<(), PartitionError> {
    match said.status {
        0 => Ok(()),
        status => Err(PartitionError::Refused { program, status, said: said.shown() }),
    }
}
