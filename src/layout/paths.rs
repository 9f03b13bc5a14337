//! Where things lie while the appliance runs.

/// The state partition. On a tmpfs of its own where the partition can't be mounted.
pub const STATE: &str = "/state";

/// Made once, bound over `/etc/machine-id`.
pub const MACHINE_ID: &str = "/state/machine-id";
/// The host name from the provisioning.
pub const HOSTNAME: &str = "/state/hostname";
/// The time zone from the provisioning.
pub const TIMEZONE: &str = "/state/timezone";
/// The [`crate::provisioning::Network`] from the provisioning.
pub const NETWORK: &str = "/state/network.toml";
/// The [`crate::provisioning::Ssd`] from the provisioning.
pub const SSD: &str = "/state/ssd.toml";
/// Is there once the provisioning was applied; written last.
pub const PROVISIONED: &str = "/state/provisioned";
/// Boots that did not become ready.
pub const BOOT_ATTEMPTS: &str = "/state/boot/attempts.json";
/// What the two slots are worth: [`crate::update::SlotBook`].
pub const SLOT_BOOK: &str = "/state/boot/slots.json";
/// A slot that was left after failed boots: [`crate::update::Fallback`].
pub const FALLBACK: &str = "/state/boot/fallback.json";

/// The supervisor's folder, mode 0700, owner [`crate::users::LUCID`].
pub const LUCID: &str = "/state/lucid";
/// Optional settings of the supervisor, over [`CONFIG`].
pub const LUCID_CONFIG: &str = "/state/lucid/lucid.toml";
/// The device's certificate authority, provisioned or made on the first start.
pub const CA_CERTIFICATE: &str = "/state/lucid/tls/ca.pem";
/// Its key, mode 0600.
pub const CA_KEY: &str = "/state/lucid/tls/ca.key";
/// The first administrator's code, mode 0600; deleted by the claim.
pub const CLAIM_CODE: &str = "/state/lucid/claim.code";
/// The agent's folder, mode 0700, root.
pub const AGENT: &str = "/state/agent";
/// Which disk the agent mounts.
pub const AGENT_SSD: &str = "/state/agent/ssd.json";
/// What the agent keeps of updates: progress, history, trusted keys.
pub const AGENT_UPDATE: &str = "/state/agent/update";
/// The payments plane's folder, mode 0700, owner [`crate::users::PAYMENTS`].
pub const PAYMENTS: &str = "/state/payments";
/// Bound over `/var/lib/systemd`.
pub const SYSTEMD: &str = "/state/systemd";
/// Bound over `/var/log/journal`.
pub const JOURNAL: &str = "/state/journal";

/// How this boot went so far.
pub const BOOT_REPORT: &str = "/run/lucid/boot.json";
/// Where the payments plane listens: lucid-payments.socket.
pub const PAYMENTS_SOCKET: &str = "/run/lucid/payments.sock";
/// Where the agent listens.
pub const AGENT_SOCKET: &str = "/run/lucid/agent.sock";

/// The data disk.
pub const DATA: &str = "/mnt/myssd";
/// Its folder that is ours.
pub const DATA_LUCID: &str = "/mnt/myssd/Lucid";

/// The binary in the root file system.
pub const BINARY: &str = "/usr/bin/lucid";
/// A symbolic link to [`BINARY`], by which the kernel starts it.
pub const INIT: &str = "/usr/bin/lucid-init";
/// The appliance's settings in the root file system.
pub const CONFIG: &str = "/etc/lucid/lucid.toml";
/// The root keys that this image trusts for updates: one signed document, see `docs/updates-format.md`.
pub const UPDATE_ROOT: &str = "/usr/share/lucid/update-root";
/// An empty file in the root file system, so that [`MACHINE_ID`] can be bound over it.
pub const ETC_MACHINE_ID: &str = "/etc/machine-id";

/// Folders that the root file system must hold, empty: something is mounted on each.
pub const MOUNT_POINTS: [&str; 9] = ["/state", "/mnt/myssd", "/var", "/tmp", "/run", "/proc", "/sys", "/dev", "/boot"];
