//! The partition table.
//!
//! GPT (UEFI 2.10, chapter 5) with fixed GUIDs, so that the kernel command line can name a root before anything runs
//! and equal images have equal bytes. The image's partitions follow each other without gaps, from 1 MiB on; behind the
//! last one lies its second table, and partition 7 begins behind that.

/// One mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// A logical sector of the disks the image is for, in bytes.
pub const SECTOR_BYTES: u64 = 512;

/// Where partitions begin, in bytes: flash erases in larger units than it writes.
pub const ALIGNMENT_BYTES: u64 = MIB;

/// The disk's GUID.
pub const DISK_GUID: &str = "6c756369-6400-4000-8000-000000000000";

/// Type of partitions that the EEPROM reads: basic data.
pub const TYPE_BASIC_DATA: &str = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7";

/// Type of the others: Linux file system.
pub const TYPE_LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

/// Volume label of the first partition, as a PC shows it.
pub const AUTOBOOT_LABEL: &str = "LUCID-BOOT";

/// Label of the file system on the state partition.
pub const STATE_LABEL: &str = "lucid-state";

/// Label of a data disk's file system that may be adopted, and of partition 7.
pub const DATA_LABEL: &str = "lucid-data";

/// A partition. Its number is its place in the table, the `N` of `boot_partition=N` and the end of its GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// FAT32 with autoboot.txt and the provisioning file. Never mounted for writing.
    Autoboot = 1,
    /// FAT32 with what slot A boots.
    BootA = 2,
    /// FAT32 with what slot B boots.
    BootB = 3,
    /// erofs with its verity tree, slot A.
    RootA = 4,
    /// erofs with its verity tree, slot B.
    RootB = 5,
    /// ext4, mounted on `/state`.
    State = 6,
    /// ext4 for bulk data; not in the image, and only made where the system itself lies on an NVMe disk.
    Data = 7,
}

impl Partition {
    /// Those that the image holds, in the order of the table.
    pub const IN_IMAGE: [Self; 6] = [Self::Autoboot, Self::BootA, Self::BootB, Self::RootA, Self::RootB, Self::State];

    /// Its number, from 1.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Autoboot => "autoboot",
            Self::BootA => "boot-a",
            Self::BootB => "boot-b",
            Self::RootA => "root-a",
            Self::RootB => "root-b",
            Self::State => "state",
            Self::Data => "data",
        }
    }

    /// Its GUID, in lower case as the kernel prints it (`PARTUUID`).
    #[must_use]
    pub const fn guid(self) -> &'static str {
        match self {
            Self::Autoboot => "6c756369-6400-4000-8000-000000000001",
            Self::BootA => "6c756369-6400-4000-8000-000000000002",
            Self::BootB => "6c756369-6400-4000-8000-000000000003",
            Self::RootA => "6c756369-6400-4000-8000-000000000004",
            Self::RootB => "6c756369-6400-4000-8000-000000000005",
            Self::State => "6c756369-6400-4000-8000-000000000006",
            Self::Data => "6c756369-6400-4000-8000-000000000007",
        }
    }

    /// The GUID of its type.
    #[must_use]
    pub const fn type_guid(self) -> &'static str {
        match self {
            Self::Autoboot | Self::BootA | Self::BootB => TYPE_BASIC_DATA,
            Self::RootA | Self::RootB | Self::State | Self::Data => TYPE_LINUX,
        }
    }
}

/// How large the partitions are, in bytes: whole mebibytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Partition 1. At 64 MiB and one sector a cluster FAT32 has clusters enough that no reader takes it for FAT16.
    pub autoboot_bytes: u64,
    /// Partitions 2 and 3, each.
    pub boot_bytes: u64,
    /// Partitions 4 and 5, each.
    pub root_bytes: u64,
    /// Partition 6.
    pub state_bytes: u64,
}

impl Profile {
    /// What is flashed.
    pub const RELEASE: Self =
        Self { autoboot_bytes: 64 * MIB, boot_bytes: 256 * MIB, root_bytes: 768 * MIB, state_bytes: 512 * MIB };

    /// The same partitions, smaller: quick to build, and enough for the virtual Pi's root.
    pub const TEST: Self =
        Self { autoboot_bytes: 64 * MIB, boot_bytes: 96 * MIB, root_bytes: 256 * MIB, state_bytes: 128 * MIB };

    /// Size of one of the image's partitions in bytes; None for [`Partition::Data`], which takes what is left.
    #[must_use]
    pub const fn bytes(&self, partition: Partition) -> Option<u64> {
        match partition {
            Partition::Autoboot => Some(self.autoboot_bytes),
            Partition::BootA | Partition::BootB => Some(self.boot_bytes),
            Partition::RootA | Partition::RootB => Some(self.root_bytes),
            Partition::State => Some(self.state_bytes),
            Partition::Data => None,
        }
    }

    /// Where a partition begins, in bytes from the start of the disk.
    #[must_use]
    pub fn start_bytes(&self, partition: Partition) -> u64 {
        let before = Partition::IN_IMAGE.into_iter().filter(|other| *other < partition);
        ALIGNMENT_BYTES + before.filter_map(|other| self.bytes(other)).sum::<u64>()
    }

    /// Size of the whole image in bytes, with 1 MiB at the end for the second table.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.start_bytes(Partition::Data) + ALIGNMENT_BYTES
    }
}

#[cfg(test)]
mod tests;
