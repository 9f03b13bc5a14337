//! What an update asks of the machine around it: power, heat, the EEPROM, how the box is connected, the time.
//!
//! Must never change anything, nor guess: what can't be read is said.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lucid_device::{DataPlace, Linux, Power, Reading, Thermal};

use super::progress::Circumstances;
use crate::keeper;

/// The EEPROM's build date: seconds since 1970 in 32 bits, big-endian (Raspberry Pi documentation, "Device tree").
const EEPROM: &str = "proc/device-tree/chosen/bootloader/build-timestamp";
/// The time of the EEPROM's last update, by the file with the digest that came with it; the same form.
const EEPROM_UPDATED: &str = "proc/device-tree/chosen/bootloader/update-timestamp";
/// IPv4 link-local addresses begin so (RFC 3927).
const LINK_LOCAL_V4: [u8; 2] = [169, 254];
/// Scope of an IPv6 address in `/proc/net/if_inet6`: link.
const LINK_SCOPE: &str = "20";

/// What a preflight looks at.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    /// The supply voltage is too low.
    pub(crate) undervoltage: Reading<bool>,
    /// The highest temperature in thousandths of a degree Celsius.
    pub(crate) hottest_mc: Reading<i32>,
    /// The EEPROM's build date in seconds since 1970.
    pub(crate) eeprom_s: Reading<u64>,
    /// The time of the EEPROM's last update, in seconds since 1970; 0 on a board that never had one.
    pub(crate) eeprom_updated_s: Reading<u64>,
}

/// The machine around.
pub(crate) trait Surroundings: Send + Sync {
    /// Power, heat, EEPROM.
    fn conditions(&self) -> Conditions;
    /// How the box is connected.
    fn circumstances(&self) -> io::Result<Circumstances>;
    /// Milliseconds since 1970, right or wrong.
    fn now_ms(&self) -> u64;
}

/// The machine that this process runs on.
pub(crate) struct ThisMachine {
    root: PathBuf,
    mount_point: PathBuf,
}

impl ThisMachine {
    /// With the data disk at `mount_point`.
    pub(crate) fn new(mount_point: &Path) -> Self {
        Self { root: "/".into(), mount_point: mount_point.to_owned() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn of_eeprom(&self, path: &str) -> Reading<u64> {
        let path = self.at(path);
        match fs::read(&path) {
            Ok(bytes) => match <[u8; 4]>::try_from(bytes) {
                Ok(bytes) => Reading::Present(u32::from_be_bytes(bytes).into()),
                Err(_) => Reading::failed(format!("`{}` is no number of 32 bits", path.display())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Reading::absent("the firmware does not tell its date: this is no Raspberry Pi 5, or its EEPROM is old")
            }
            Err(error) => Reading::failed(format!("reading `{}`: {error}", path.display())),
        }
    }

    /// Hardware links, with those that have a carrier.
    fn links_up(&self) -> io::Result<Vec<String>> {
        let mut up = Vec::new();
        for entry in fs::read_dir(self.at("sys/class/net"))? {
            let dir = entry?.path();
            // A link that is down has no carrier to be read, and one that vanishes has none either.
            let has_carrier = fs::read_to_string(dir.join("carrier")).is_ok_and(|carrier| carrier.trim() == "1");
            if dir.join("device").exists() && has_carrier {
                up.extend(dir.file_name().map(|name| name.to_string_lossy().into_owned()));
            }
        }
        up.sort();
        Ok(up)
    }

    /// The UUID of the filesystem that is mounted as the data disk.
    fn data_disk(&self) -> io::Result<Option<String>> {
        let mounts = keeper::mounts()?;
        match mounts.iter().rfind(|mount| mount.mount_point == self.mount_point) {
            Some(mount) => self.uuid(Path::new(&mount.source)),
            None => Ok(None),
        }
    }

    /// The UUID of the filesystem on a device; none if the device is gone: it may be pulled while it is mounted.
    fn uuid(&self, device: &Path) -> io::Result<Option<String>> {
        for entry in fs::read_dir(self.at("dev/disk/by-uuid"))? {
            let link = entry?.path();
            if fs::canonicalize(&link).is_ok_and(|found| found == device) {
                return Ok(link.file_name().map(|uuid| uuid.to_string_lossy().into_owned()));
            }
        }
        if device.exists() {
            return Err(io::Error::other(format!("the filesystem on `{}` has no UUID", device.display())));
        }
        Ok(None)
    }
}

impl Surroundings for ThisMachine {
    fn conditions(&self) -> Conditions {
        let linux = Linux::below(&self.root, DataPlace::MountPoint(self.mount_point.clone()));
        let hottest = |zones: Vec<lucid_device::ThermalZone>| {
            let known = zones.iter().filter_map(|zone| zone.temperature_mc.present().copied()).max();
            known.map_or_else(|| Reading::absent("no thermal zone tells its temperature"), Reading::Present)
        };
        Conditions {
            undervoltage: linux.power().and_then(|power| power.undervoltage_now),
            hottest_mc: linux.thermal_zones().and_then(hottest),
            eeprom_s: self.of_eeprom(EEPROM),
            eeprom_updated_s: self.of_eeprom(EEPROM_UPDATED),
        }
    }

    fn circumstances(&self) -> io::Result<Circumstances> {
        let links = self.links_up()?;
        let v4 = addressed_v4(&fs::read_to_string(self.at("proc/net/route"))?);
        let v6 = match fs::read_to_string(self.at("proc/net/if_inet6")) {
            Ok(text) => addressed_v6(&text),
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let is_addressed = |link: &&String| v4.contains(link) || v6.contains(link);
        let addressed = links.iter().filter(is_addressed).cloned().collect();
        Ok(Circumstances { addressed, links, data_disk: self.data_disk()? })
    }

    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Links with an IPv4 network of their own that is not link-local. Columns of `/proc/net/route`: link, network (in the
/// machine's byte order), gateway; an address brings a route without a gateway to its network.
fn addressed_v4(routes: &str) -> Vec<String> {
    let links = routes.lines().skip(1).filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let [link, network, gateway, ..] = *columns else { return None };
        let network = u32::from_str_radix(network, 16).ok()?.to_ne_bytes();
        (gateway == "00000000" && network != [0; 4] && network[..2] != LINK_LOCAL_V4).then(|| link.to_owned())
    });
    links.collect()
}

/// Links with an IPv6 address beyond the link. Columns of `/proc/net/if_inet6`: address, index, prefix, scope, flags,
/// link.
fn addressed_v6(addresses: &str) -> Vec<String> {
    let links = addresses.lines().filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let [_, _, _, scope, _, link] = *columns else { return None };
        (scope != LINK_SCOPE).then(|| link.to_owned())
    });
    links.collect()
}

#[cfg(test)]
mod tests;
