//! The SSD that carries the bulk data: its mount, its drive and its health.

use serde::{Deserialize, Serialize};

use crate::Reading;

/// Reads the state of the SSD.
pub trait Storage: Send + Sync {
    /// The mount and drive behind the data path.
    fn ssd(&self) -> SsdState;
}

/// What is known of the SSD behind the data path.
///
/// The states that matter: nothing mounted (`mount` absent), pulled out while mounted (`mount` present, `disk` absent),
/// gone read-only (`mount.read_only`), full (`mount.free_bytes`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsdState {
    /// The path asked about.
    pub path: String,
    /// The filesystem mounted there.
    pub mount: Reading<MountState>,
    /// The drive that carries it.
    pub disk: Reading<DiskState>,
}

/// A mounted filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountState {
    /// Where it is mounted.
    pub mount_point: String,
    /// The device as the kernel names it, such as `/dev/nvme0n1p1`.
    pub source: String,
    /// Such as `ext4`.
    pub filesystem: String,
    /// Mounted read-only, or made read-only by the filesystem after an error.
    pub read_only: bool,
    /// Size of the filesystem in bytes.
    pub size_bytes: Reading<u64>,
    /// What an ordinary process may still write, in bytes.
    pub free_bytes: Reading<u64>,
}

/// How a drive is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// PCI Express.
    Nvme,
    /// USB, by mass storage or UAS.
    Usb,
    /// SD card or eMMC.
    Mmc,
    /// A virtual machine's disk.
    Virtio,
    /// Anything else that Linux calls a block device.
    Other,
}

/// A drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskState {
    /// The kernel's name, such as `nvme0n1`. It may change from boot to boot.
    pub name: String,
    /// How it is attached.
    pub transport: Transport,
    /// Model as the drive reports it.
    pub model: Reading<String>,
    /// Serial number as the drive reports it.
    pub serial: Reading<String>,
    /// Capacity in bytes.
    pub size_bytes: Reading<u64>,
    /// The driver's state: `live` (NVMe) or `running` (SCSI) when all is well.
    pub state: Reading<String>,
    /// Whether the kernel treats the whole drive as write-protected.
    pub write_protected: Reading<bool>,
    /// Temperature in thousandths of a degree Celsius.
    pub temperature_mc: Reading<i32>,
    /// Whether the drive itself warns of its temperature (bit 1 of the NVMe critical warning).
    pub temperature_alarm: Reading<bool>,
    /// The drive's own account of its health.
    pub smart: Reading<SmartState>,
}

/// The part of the NVMe SMART log (NVMe base specification, log page 02h) that tells of wear and damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmartState {
    /// The critical warning byte; 0 is well.
    pub critical_warning: u8,
    /// Remaining spare blocks in percent.
    pub available_spare_percent: u8,
    /// Share of the rated life that is used up, in percent; may exceed 100.
    pub used_percent: u8,
    /// Errors that the drive could not correct.
    pub media_errors: u64,
    /// Hours powered on.
    pub power_on_hours: u64,
}
