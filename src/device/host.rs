//! Processor, memory and board.

use serde::{Deserialize, Serialize};

use crate::Reading;

/// Reads processor, memory and board.
pub trait Host: Send + Sync {
    /// Load, usage and frequency.
    fn cpu(&self) -> CpuState;

    /// Memory, whole and available.
    fn memory(&self) -> Reading<MemoryState>;

    /// What board this is, and since when it runs.
    fn board(&self) -> BoardState;
}

/// The state of the processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CpuState {
    /// Cores online.
    pub count: Reading<u32>,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: Reading<[f64; 3]>,
    /// Share of time not idle since this was last asked, over all cores, 0 to 1000. Absent when asked first.
    pub usage_permille: Reading<u16>,
    /// Present frequency of the first core in kilohertz.
    pub frequency_khz: Reading<u32>,
    /// Highest frequency allowed in kilohertz.
    pub frequency_max_khz: Reading<u32>,
    /// Frequency governor, such as `ondemand`.
    pub governor: Reading<String>,
}

/// Memory by `/proc/meminfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryState {
    /// All memory that the kernel manages, in bytes.
    pub total_bytes: u64,
    /// The kernel's estimate of what new work could use without swapping, in bytes.
    pub available_bytes: u64,
}

/// The board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardState {
    /// Full model by the device tree, such as `Raspberry Pi 5 Model B Rev 1.0`.
    pub model: Reading<String>,
    /// Raspberry Pi model by revision code, such as `Raspberry Pi 5`.
    pub pi_model: Reading<String>,
    /// Serial number by the device tree, 16 hexadecimal digits.
    pub serial: Reading<String>,
    /// Kernel release.
    pub kernel: Reading<String>,
    /// Time since boot in milliseconds.
    pub uptime_ms: Reading<u64>,
    /// Random identity of this boot.
    pub boot_id: Reading<String>,
}
