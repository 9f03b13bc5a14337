//! Processor, memory and board by procfs (`proc_stat(5)`, `proc_meminfo(5)`, `proc_loadavg(5)`), sysfs and the device
//! tree.

use std::path::Path;
use std::sync::PoisonError;

use super::Linux;
use crate::{BoardState, CpuState, Host, MemoryState, Reading, files};

/// Processor times since boot, in clock ticks, and the usage counted when they last grew.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CpuSample {
    times: Option<CpuTimes>,
    usage_permille: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CpuTimes {
    total: u64,
    idle: u64,
}

impl Host for Linux {
    fn cpu(&self) -> CpuState {
        let stat_path = self.root.at("/proc/stat");
        let stat = files::text(&stat_path);
        let frequency = self.root.at("/sys/devices/system/cpu/cpu0/cpufreq");
        CpuState {
            count: stat.clone().map(|stat| cpu_count(&stat)),
            load: self.load(),
            usage_permille: stat.and_then(|stat| match cpu_times(&stat) {
                Some(times) => self.usage_permille(times),
                None => files::malformed(&stat_path, &stat, "expected a line of processor times"),
            }),
            frequency_khz: files::number(&frequency.join("scaling_cur_freq")),
            frequency_max_khz: files::number(&frequency.join("scaling_max_freq")),
            governor: files::text(&frequency.join("scaling_governor")),
        }
    }

    fn memory(&self) -> Reading<MemoryState> {
        let path = self.root.at("/proc/meminfo");
        files::text(&path).and_then(|text| {
            match (meminfo_bytes(&text, "MemTotal:"), meminfo_bytes(&text, "MemAvailable:")) {
                (Some(total_bytes), Some(available_bytes)) => {
                    Reading::Present(MemoryState { total_bytes, available_bytes })
                }
                _ => files::malformed(&path, &text, "expected MemTotal and MemAvailable in kB"),
            }
        })
    }

    fn board(&self) -> BoardState {
        BoardState {
            model: files::label(&self.root.at("/proc/device-tree/model")),
            pi_model: self.pi_model(),
            serial: files::label(&self.root.at("/proc/device-tree/serial-number")),
            kernel: files::label(&self.root.at("/proc/sys/kernel/osrelease")),
            uptime_ms: uptime_ms(&self.root.at("/proc/uptime")),
            boot_id: files::label(&self.root.at("/proc/sys/kernel/random/boot_id")),
        }
    }
}

impl Linux {
    fn load(&self) -> Reading<[f64; 3]> {
        let path = self.root.at("/proc/loadavg");
        files::text(&path).and_then(|text| {
            let averages: Vec<f64> = text.split_whitespace().take(3).map_while(|field| field.parse().ok()).collect();
            match <[f64; 3]>::try_from(averages) {
                Ok(load) => Reading::Present(load),
                Err(_) => files::malformed(&path, &text, "expected three load averages"),
            }
        })
    }

    /// Usage since the last question. Between two questions within one clock tick nothing can be counted: the last
    /// usage stands.
    fn usage_permille(&self, times: CpuTimes) -> Reading<u16> {
        let mut sample = self.cpu_sample.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = sample.times.and_then(|before| usage_between(before, times)) {
            sample.usage_permille = Some(usage);
        }
        sample.times = Some(times);
        match sample.usage_permille {
            Some(usage) => Reading::Present(usage),
            None => Reading::absent("usage is counted from one question to the next, and this was the first"),
        }
    }

    fn pi_model(&self) -> Reading<String> {
        if !self.root.is_running_system() {
            return Reading::absent("the revision code is read on the running system only");
        }
        match rppal::system::DeviceInfo::new() {
            Ok(info) => Reading::Present(info.model().to_string()),
            Err(_) => Reading::absent("this is no Raspberry Pi, or a model unknown to this release"),
        }
    }
}

fn cpu_count(stat: &str) -> u32 {
    let is_core =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    u32::try_from(stat.lines().filter(is_core).count()).unwrap_or(u32::MAX)
}

/// The sums of the first line: user, nice, system, idle, iowait, irq, softirq, steal. The guest times that follow are
/// already counted in user and nice. Kernels from before steal are not met any more, but cost nothing to accept.
fn cpu_times(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times: Vec<u64> = line.split_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let (idle, iowait) = (times.get(3)?, times.get(4)?);
    Some(CpuTimes {
        total: times.iter().fold(0, |sum, time| sum.saturating_add(*time)),
        idle: idle.saturating_add(*iowait),
    })
}

fn usage_between(before: CpuTimes, after: CpuTimes) -> Option<u16> {
    let total = after.total.checked_sub(before.total).filter(|total| *total > 0)?;
    // iowait may shrink (proc_stat(5)): never count more idle time than has passed, nor less than none.
    let idle = after.idle.saturating_sub(before.idle).min(total);
    u16::try_from(u128::from(total - idle) * 1000 / u128::from(total)).ok()
}

fn meminfo_bytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// `/proc/uptime` holds seconds with two decimals.
fn uptime_ms(path: &Path) -> Reading<u64> {
    files::text(path).and_then(|text| {
        let parsed = text.split_whitespace().next().and_then(|field| {
            let (seconds, hundredths) = field.split_once('.')?;
            let hundredths: u64 = hundredths.parse().ok().filter(|hundredths| *hundredths < 100)?;
            seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(hundredths * 10)
        });
        match parsed {
            Some(uptime_ms) => Reading::Present(uptime_ms),
            None => files::malformed(path, &text, "expected seconds with two decimals"),
        }
    })
}
