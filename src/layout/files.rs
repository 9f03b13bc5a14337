//! Names of files on the FAT partitions.

/// On the first partition: which slot boots.
pub const AUTOBOOT_TXT: &str = "autoboot.txt";

/// On the first partition: the owner's settings for the first boot.
pub const PROVISIONING: &str = "lucid.toml";

/// On both boot partitions: the kernel, by the name that the Pi 5's EEPROM looks for first.
pub const KERNEL: &str = "kernel_2712.img";

/// On both boot partitions: the firmware's settings.
pub const CONFIG_TXT: &str = "config.txt";

/// On both boot partitions: the command line for an EEPROM that knows no `[boot_partition=N]`; slot A's.
pub const CMDLINE_TXT: &str = "cmdline.txt";

/// On both boot partitions: [`crate::Release`].
pub const RELEASE: &str = "lucid-release.json";

/// On both boot partitions: the folder of device tree overlays.
pub const OVERLAYS: &str = "overlays";

/// Largest kernel or initramfs in bytes, exclusive: EEPROMs before 2025-06-09 fail on larger reads from NVMe.
pub const BOOT_FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// On both boot partitions, if the image carries a release of the EEPROM: its image. A name that the firmware does not
/// know, and that a directory holds in one entry.
pub const EEPROM_IMAGE: &str = "EEPROM.BIN";

/// On both boot partitions, beside [`EEPROM_IMAGE`]: its digest, see [`crate::eeprom::digest_file`].
pub const EEPROM_DIGEST: &str = "EEPROM.SIG";

/// On both boot partitions, beside [`EEPROM_IMAGE`]: [`crate::EepromRelease`].
pub const EEPROM_FACTS: &str = "eeprom.json";

/// The name under which the firmware takes [`EEPROM_IMAGE`].
pub const EEPROM_ARMED_IMAGE: &str = "PIEEPROM.UPD";

/// The name under which the firmware looks for [`EEPROM_DIGEST`].
pub const EEPROM_ARMED_DIGEST: &str = "PIEEPROM.SIG";
