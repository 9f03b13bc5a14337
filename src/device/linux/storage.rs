//! From the data path to the drive: mountinfo gives the device number, `/sys/dev/block` the drive, its directory the
//! rest (kernel documents: `sysfs-block`, `sysfs-class-nvme`; SCSI vital product data page 80h for serial numbers).

use std::path::{Path, PathBuf};

use super::mounts::{self, Mount};
use super::{DataPlace, Linux};
use crate::{DiskState, MountState, Reading, SsdState, Storage, Transport, disk, files};

/// `/sys/block/*/size` counts in these whatever the drive's own sector size is.
const SECTOR_BYTES: u64 = 512;

impl Storage for Linux {
    fn ssd(&self) -> SsdState {
        let path = match &self.data_place {
            DataPlace::MountPoint(path) | DataPlace::Directory(path) => path,
        };
        let mount = self.data_mount();
        SsdState {
            path: path.display().to_string(),
            disk: mount.clone().and_then(|mount| self.drive(&mount)),
            mount: mount.map(|mount| self.mount_state(mount, path)),
        }
    }
}

impl Linux {
    fn data_mount(&self) -> Reading<Mount> {
        let mountinfo = files::text(&self.root.at("/proc/self/mountinfo"));
        mountinfo.and_then(|mountinfo| match &self.data_place {
            DataPlace::MountPoint(path) => match mounts::mounted_at(&mountinfo, path) {
                Some(mount) => Reading::Present(mount),
                None => Reading::absent(format!("nothing is mounted at `{}`: connect the SSD", path.display())),
            },
            DataPlace::Directory(path) => self.mount_holding(&mountinfo, path),
        })
    }

    fn mount_holding(&self, mountinfo: &str, path: &Path) -> Reading<Mount> {
        // Resolved first: a symbolic link may lead to another filesystem.
        let Ok(resolved) = self.root.at(path).canonicalize() else {
            return Reading::absent(format!("the directory `{}` does not exist", path.display()));
        };
        match mounts::holding(mountinfo, &self.root.inside(&resolved)) {
            Some(mount) => Reading::Present(mount),
            None => Reading::failed(format!("no mount holds `{}`", path.display())),
        }
    }

    fn mount_state(&self, mount: Mount, path: &Path) -> MountState {
        let space = match disk::free_space(&self.root.at(path)) {
            Ok(space) => Reading::Present(space),
            Err(disk::DiskError::Filesystem { path, source }) => {
                Reading::failed(format!("asking for the space on `{}`: {source}", path.display()))
            }
            Err(error) => Reading::failed(error.to_string()),
        };
        MountState {
            mount_point: mount.mount_point.display().to_string(),
            source: mount.source,
            filesystem: mount.filesystem,
            read_only: mount.read_only,
            size_bytes: space.clone().map(|space| space.size_bytes),
            free_bytes: space.map(|space| space.free_bytes),
        }
    }

    fn drive(&self, mount: &Mount) -> Reading<DiskState> {
        if !mount.has_block_device() {
            return Reading::absent(format!("`{}` ({}) has no drive of its own", mount.source, mount.filesystem));
        }
        let Ok(dir) = self.root.at("/sys/dev/block").join(&mount.device).canonicalize() else {
            return Reading::absent(format!(
                "`{}` is still mounted, but its drive is gone: it was pulled out or has failed",
                mount.source
            ));
        };
        // A partition is a directory inside its drive's.
        let drive = match (dir.join("partition").exists(), dir.parent()) {
            (true, Some(parent)) => parent,
            _ => &dir,
        };
        Reading::Present(disk_state(drive))
    }
}

/// The drive whose directory below `/sys/devices` is `drive`; links have to be resolved before.
pub fn disk_state(drive: &Path) -> DiskState {
    let device = drive.join("device");
    let controller = controller(&device);
    let hwmon = hwmon(&controller);
    DiskState {
        name: drive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        transport: transport(drive),
        // SD cards call it name.
        model: files::label(&device.join("model")).or_else(|| files::label(&device.join("name"))),
        serial: serial(drive, &device),
        size_bytes: files::number::<u64>(&drive.join("size")).map(|sectors| sectors.saturating_mul(SECTOR_BYTES)),
        state: files::label(&controller.join("state")),
        write_protected: files::flag(&drive.join("ro")),
        temperature_mc: hwmon.clone().and_then(|dir| files::number(&dir.join("temp1_input"))),
        temperature_alarm: hwmon.and_then(|dir| files::flag(&dir.join("temp1_alarm"))),
        smart: Reading::absent("reading SMART takes a privilege that only the agent has"),
    }
}

/// The directory with the driver's state and sensors. With NVMe multipath, `device` is the subsystem, which holds its
/// controllers; without, and for all other drives, it is the controller itself.
fn controller(device: &Path) -> PathBuf {
    let controllers = files::numbered(device, "nvme");
    controllers.present().and_then(|controllers| controllers.first()).cloned().unwrap_or_else(|| device.to_owned())
}

fn transport(drive: &Path) -> Transport {
    let name = drive.file_name().unwrap_or_default().to_string_lossy();
    let on_usb = drive.components().any(|part| {
        // Root hubs are called usb1, usb2 and so on.
        let part = part.as_os_str().to_string_lossy();
        part.strip_prefix("usb").is_some_and(|bus| !bus.is_empty() && bus.bytes().all(|byte| byte.is_ascii_digit()))
    });
    match () {
        () if on_usb => Transport::Usb,
        () if name.starts_with("nvme") => Transport::Nvme,
        () if name.starts_with("mmcblk") => Transport::Mmc,
        () if name.starts_with("vd") => Transport::Virtio,
        () => Transport::Other,
    }
}

/// NVMe and MMC name it in a file; SCSI in a page of product data; USB bridges that have none there, in the USB
/// descriptor.
fn serial(drive: &Path, device: &Path) -> Reading<String> {
    let named = files::label(&device.join("serial")).or_else(|| files::label(&drive.join("serial")));
    named.or_else(|| product_data_serial(&device.join("vpd_pg80"))).or_else(|| usb_serial(drive))
}

/// Page 80h: two bytes of type and page, two of length, then the number in ASCII.
fn product_data_serial(path: &Path) -> Reading<String> {
    files::bytes(path).and_then(|page| {
        let length = page.get(2..4).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]])));
        let Some(serial) = length.and_then(|length| page.get(4..4 + length)) else {
            return Reading::failed(format!("`{}` is cut short", path.display()));
        };
        match String::from_utf8_lossy(serial).trim() {
            "" => Reading::absent("the drive reports an empty serial number"),
            serial => Reading::Present(serial.to_owned()),
        }
    })
}

fn usb_serial(drive: &Path) -> Reading<String> {
    match drive.ancestors().find(|dir| dir.join("idVendor").exists()) {
        Some(device) => files::label(&device.join("serial")),
        None => Reading::absent("the drive reports no serial number"),
    }
}

/// The NVMe driver hangs its hwmon directly below the controller, other drivers in a folder `hwmon`.
fn hwmon(controller: &Path) -> Reading<PathBuf> {
    let in_folder = || files::numbered(&controller.join("hwmon"), "hwmon");
    let found = match files::numbered(controller, "hwmon") {
        Reading::Present(dirs) if dirs.is_empty() => in_folder(),
        other => other.or_else(in_folder),
    };
    match found {
        Reading::Present(dirs) => match dirs.into_iter().next() {
            Some(dir) => Reading::Present(dir),
            None => Reading::absent("the drive reports no temperature"),
        },
        Reading::Absent { .. } => Reading::absent("the drive reports no temperature"),
        Reading::Failed { reason } => Reading::failed(reason),
    }
}
