//! Undervoltage by the `rpi_volt` hwmon (`drivers/hwmon/raspberrypi-hwmon.c`), and the firmware's throttling word
//! where an older kernel still shows it in sysfs. `/dev/vcio` would tell it always, but takes an ioctl and a privilege.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::Linux;
use crate::{Power, PowerState, Reading, Throttling, files};

/// Bits of the `GET_THROTTLED` word: undervoltage at present, and since boot.
const UNDERVOLTAGE_NOW: u32 = 1 << 0;
const UNDERVOLTAGE_SINCE_BOOT: u32 = 1 << 16;

impl Power for Linux {
    fn power(&self) -> Reading<PowerState> {
        let word = self.throttled_word();
        let undervoltage_now =
            self.undervoltage_alarm().or_else(|| word.clone().map(|word| word & UNDERVOLTAGE_NOW != 0));
        if undervoltage_now.present() == Some(&true) {
            // Relaxed: a flag that is only ever set, and orders nothing else.
            self.undervoltage_seen.store(true, Ordering::Relaxed);
        }
        let supply_max_ma = self.supply_max_ma();
        if undervoltage_now.is_absent() && word.is_absent() && supply_max_ma.is_absent() {
            return Reading::absent(
                "this board does not watch its supply voltage, or this kernel has no driver for it",
            );
        }
        Reading::Present(PowerState {
            undervoltage_now,
            undervoltage_since_boot: self.undervoltage_since_boot(&word),
            throttling: word.map(Throttling::from_word),
            supply_max_ma,
        })
    }
}

impl Linux {
    fn undervoltage_alarm(&self) -> Reading<bool> {
        let hwmons = files::numbered(&self.root.at("/sys/class/hwmon"), "hwmon");
        files::labelled(hwmons, "name", "rpi_volt").and_then(|dir| files::flag(&dir.join("in0_lcrit_alarm")))
    }

    /// The firmware's word may have been cleared by the kernel's own look at it, so what was seen counts as well.
    fn undervoltage_since_boot(&self, word: &Reading<u32>) -> Reading<bool> {
        if self.undervoltage_seen.load(Ordering::Relaxed) {
            return Reading::Present(true);
        }
        match word {
            Reading::Present(word) => Reading::Present(word & UNDERVOLTAGE_SINCE_BOOT != 0),
            Reading::Absent { .. } => {
                Reading::absent("none was seen by this process; this kernel does not tell of the time before")
            }
            Reading::Failed { reason } => Reading::failed(reason),
        }
    }

    /// `get_throttled` of the firmware node, a hexadecimal number. The node is named after the address of the bus
    /// (`soc/soc:firmware`, `soc@107c000000/soc@107c000000:firmware`), so it is searched for.
    fn throttled_word(&self) -> Reading<u32> {
        self.throttled_file().and_then(|path| {
            files::text(&path).and_then(|text| match u32::from_str_radix(text.trim_start_matches("0x"), 16) {
                Ok(word) => Reading::Present(word),
                Err(error) => files::malformed(&path, &text, error),
            })
        })
    }

    fn throttled_file(&self) -> Reading<PathBuf> {
        let buses = files::prefixed(&self.root.at("/sys/devices/platform"), "soc");
        for bus in buses.present().into_iter().flatten() {
            for node in files::prefixed(bus, "soc").present().into_iter().flatten() {
                let path = node.join("get_throttled");
                if path.exists() {
                    return Reading::Present(path);
                }
            }
        }
        match buses {
            Reading::Failed { reason } => Reading::failed(reason),
            _ => Reading::absent("this kernel does not show the firmware's throttling word in sysfs"),
        }
    }

    /// A device tree cell: 32 bits, big-endian.
    fn supply_max_ma(&self) -> Reading<u32> {
        let path = self.root.at("/proc/device-tree/chosen/power/max_current");
        files::bytes(&path).and_then(|cell| match <[u8; 4]>::try_from(cell.as_slice()) {
            Ok(cell) => Reading::Present(u32::from_be_bytes(cell)),
            Err(_) => Reading::failed(format!("`{}` holds {} bytes instead of 4", path.display(), cell.len())),
        })
    }
}
