//! QEMU's command line for a board: the one place that knows which device plays which part.

use std::os::fd::RawFd;
use std::path::Path;

use serde_json::{Value, json};

use super::{Board, Bus, Disk};

pub use lucid_layout::cmdline::CMDLINE_BYTES_MAX;

/// The data disk's name towards QEMU's monitor.
pub const DATA_DISK: &str = "ssd";

/// The machine and its processors: the same for a boot and for asking QEMU for its device tree.
pub(super) fn frame(board: &Board) -> Vec<String> {
    let cpus = board.cpus.to_string();
    let memory = board.memory_mib.to_string();
    ["-cpu", "cortex-a76", "-smp", &cpus, "-m", &memory, "-nodefaults", "-no-user-config", "-display", "none"]
        .map(str::to_owned)
        .to_vec()
}

/// Connections to QEMU that it inherits, by the number that they have in both processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inherited {
    /// The guest's memory.
    pub(super) memory: RawFd,
    /// The monitor.
    pub(super) monitor: RawFd,
    /// The probe's serial port.
    pub(super) probe: RawFd,
}

/// Everything for one boot; kernel, device tree and initramfs lie in `folder`.
pub(super) fn boot(board: &Board, folder: &Path, cmdline: &str, has_initramfs: bool, fds: Inherited) -> Vec<String> {
    let mut line = Line(frame(board));
    line.option("-machine", "virt,memory-backend=ram");
    line.option("-accel", "tcg,thread=multi");
    let size = u64::from(board.memory_mib) * 1024 * 1024;
    let memory = format!("/proc/self/fd/{}", fds.memory);
    line.object(
        json!({"qom-type": "memory-backend-file", "id": "ram", "size": size, "mem-path": memory, "share": true}),
    );
    for (option, file) in [("-kernel", "kernel"), ("-dtb", "board.dtb"), ("-initrd", "initramfs")] {
        if has_initramfs || option != "-initrd" {
            line.option(option, &folder.join(file).to_string_lossy());
        }
    }
    line.option("-append", cmdline);
    // The guest's every reset ends this QEMU, and it waits with its last event until the bench has heard it.
    line.option("-action", "reboot=shutdown,shutdown=pause,watchdog=reset");
    line.option("-serial", "stdio");
    line.option("-chardev", &format!("socket,id=monitor,fd={}", fds.monitor));
    line.option("-mon", "chardev=monitor,mode=control");
    line.devices(board, fds.probe);
    line.0
}

/// The device that makes `disk` visible to the guest, named `id`; also what is plugged in again.
pub(super) fn disk_device(disk: &Disk, id: &str) -> Value {
    let (driver, bus) = match disk.bus {
        Bus::Sd => ("virtio-blk-pci", "pcie.0".to_owned()),
        Bus::Usb => ("usb-storage", "usb.0".to_owned()),
        Bus::Nvme => ("nvme", format!("{id}-port")),
    };
    let device = json!({"driver": driver, "id": id, "drive": format!("{id}-disk"), "serial": disk.serial, "bus": bus});
    match (disk.bus, &disk.record) {
        // Merged, requests have up to IOV_MAX pieces; the record puts two before them, and the host refuses the write.
        (Bus::Sd, Some(_)) => with(device, "request-merging", false.into()),
        _ => device,
    }
}

/// A command line under construction.
struct Line(Vec<String>);

impl Line {
    fn option(&mut self, option: &str, value: &str) {
        self.0.extend([option.to_owned(), value.to_owned()]);
    }

    fn object(&mut self, value: Value) {
        self.option("-object", &value.to_string());
    }

    fn device(&mut self, value: Value) {
        self.option("-device", &value.to_string());
    }

    fn devices(&mut self, board: &Board, probe: RawFd) {
        self.device(json!({"driver": "virtio-rng-pci"}));
        self.device(json!({"driver": "i6300esb"}));
        self.device(json!({"driver": "qemu-xhci", "id": "usb"}));
        self.network(board);
        self.disk(&board.boot_disk, "boot", 1);
        if let Some(disk) = &board.data_disk {
            self.disk(disk, DATA_DISK, 2);
        } else {
            // A port to plug one in later.
            self.port(DATA_DISK, 2);
        }
        if let Some(image) = &board.probe {
            self.blockdev(json!({
                "driver": "raw", "node-name": "probe-disk", "read-only": true,
                "file": {"driver": "file", "filename": image, "read-only": true},
            }));
            self.device(json!({"driver": "virtio-blk-pci", "drive": "probe-disk", "serial": "PROBE"}));
            self.device(json!({"driver": "virtio-serial-pci"}));
            self.option("-chardev", &format!("socket,id=probe,fd={probe}"));
            // Only a device with a name tells the bench that the guest has opened it.
            self.device(json!({
                "driver": "virtserialport", "id": "probe-port", "chardev": "probe", "name": crate::probe::PORT,
            }));
        }
    }

    /// The guest reaches nothing but the bench's peers; the bench reaches the ports that are forwarded.
    fn network(&mut self, board: &Board) {
        let forwards = board.forwards.iter();
        let forwards: String =
            forwards.map(|port| format!(",hostfwd=tcp:127.0.0.1:{}-:{}", port.host, port.guest)).collect();
        let peers = board.peers.iter();
        let peers: String = peers.map(|peer| format!(",guestfwd=tcp:{}-cmd:{}", peer.address, peer.command)).collect();
        self.option("-netdev", &format!("user,id=network,restrict=on{forwards}{peers}"));
        self.device(json!({"driver": "virtio-net-pci", "netdev": "network", "romfile": ""}));
    }

    fn blockdev(&mut self, value: Value) {
        self.option("-blockdev", &value.to_string());
    }

    fn port(&mut self, id: &str, number: u8) {
        self.device(json!({
            "driver": "pcie-root-port", "id": format!("{id}-port"), "chassis": number, "slot": number,
        }));
    }

    fn disk(&mut self, disk: &Disk, id: &str, number: u8) {
        let node = format!("{id}-disk");
        // The host's own flushes would only cost time: what a power cut leaves is made from the record.
        let file =
            |path: &Path| json!({"driver": "file", "filename": path, "cache": {"no-flush": true}, "discard": "unmap"});
        let raw = json!({"driver": "raw", "file": file(&disk.image), "discard": "unmap"});
        self.blockdev(match &disk.record {
            None => with(raw, "node-name", node.into()),
            Some(record) => json!({
                "driver": "blklogwrites", "node-name": node, "file": raw, "log-super-update-interval": 1,
                "log": {"driver": "raw", "file": file(record)}, "discard": "unmap",
            }),
        });
        if disk.bus == Bus::Nvme {
            self.port(id, number);
        }
        self.device(disk_device(disk, id));
    }
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}
