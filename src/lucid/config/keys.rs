//! The table of settings: every key that exists, as data.
//!
//! Loading, `lucid config show`, `lucid config check` and docs/configuration.md derive from [`KEYS`]; nothing else
//! names a setting. Sections are service names. No secret is a setting: secrets are made on the first start and lie
//! in the state directory.

use std::net::{IpAddr, Ipv4Addr};

use lucid_appliance::update::{UpdateUrl, Window};

use super::kind::{About, Address, ChainHead, Choice, Flag, HostName, Integer, Key, Location, Optional, Port};

/// All settings, in the order of the reference: top level first, then section by section.
pub(crate) static KEYS: &[Key] = &[
    Key::Location(&DATA_DIR),
    Key::Location(&STATE_DIR),
    Key::Address(&LISTEN_HOST),
    Key::HostName(&LISTEN_HOSTNAME),
    Key::Flag(&PLAIN_HTTP),
    Key::Choice(&LOG_LEVEL),
    Key::Flag(&LOG_FILE),
    Key::Integer(&STOP_GRACE_S),
    Key::Location(&AGENT_SOCKET),
    Key::Location(&PAYMENTS_SOCKET),
    Key::Location(&BOOT_REPORT),
    Key::Port(&AUTH_SERVICE_PORT),
    Key::Integer(&ACCESS_TOKEN_S),
    Key::Integer(&REFRESH_TOKEN_S),
    Key::Integer(&LOGIN_ATTEMPTS_MAX),
    Key::Integer(&LOGIN_WINDOW_S),
    Key::Port(&API_GATEWAY_PORT),
    Key::Port(&BLOCKCHAIN_ENGINE_PORT),
    Key::Integer(&BLOCK_INTERVAL_S),
    Key::ChainHead(&ACCEPT_ROLLBACK),
    Key::Port(&SESSION_ANCHORING_PORT),
    Key::Port(&BLOCK_MANAGER_PORT),
    Key::Port(&SESSION_PIPELINE_PORT),
    Key::Integer(&CHUNK_SIZE_MIB),
    Key::Integer(&CHUNK_CLOSE_S),
    Key::Integer(&ZSTD_LEVEL),
    Key::Port(&SESSION_STORAGE_PORT),
    Key::Integer(&RESERVE_MIB),
    Key::Port(&SESSION_API_PORT),
    Key::Integer(&UPLOADS_MAX),
    Key::Port(&ADMIN_INTERFACE_PORT),
    Key::Optional(&UPDATE_CHANNEL),
    Key::Flag(&UPDATE_AUTOMATIC),
    Key::Optional(&UPDATE_WINDOW),
    Key::Optional(&UPDATE_PINNED),
    Key::Integer(&UPDATE_CHECK_H),
    Key::Integer(&UPDATE_SOAK_S),
    Key::Integer(&SHED_C),
    Key::Integer(&RECORDING_ONLY_C),
    Key::Integer(&HYSTERESIS_C),
];

const fn about(path: &'static str, env: &'static str, doc: &'static str) -> About {
    About { path, env: Some(env), doc }
}

const fn about_file_only(path: &'static str, doc: &'static str) -> About {
    About { path, env: None, doc }
}

/// Bulk data.
pub(crate) static DATA_DIR: Location = Location {
    about: about(
        "data_dir",
        "LUCID_DATA_DIR",
        "Where recordings, the chain and logs lie: the adopted SSD. On the appliance `/mnt/myssd/Lucid`; \
         the default is for a developer's machine.",
    ),
    default: "./var/data",
};

/// Small state that must not depend on the SSD.
pub(crate) static STATE_DIR: Location = Location {
    about: about(
        "state_dir",
        "LUCID_STATE_DIR",
        "Where identity, accounts, certificates and secrets lie: the boot disk, so that the box can be claimed and \
         logged in to without an SSD. On the appliance `/state/lucid`.",
    ),
    default: "./var/state",
};

/// The address all listeners bind.
pub(crate) static LISTEN_HOST: Address = Address {
    about: about(
        "listen.host",
        "LUCID_LISTEN_HOST",
        "The address that every port is opened on. `0.0.0.0` opens the box to the LAN.",
    ),
    default: IpAddr::V4(Ipv4Addr::LOCALHOST),
};

/// The name in the certificate.
pub(crate) static LISTEN_HOSTNAME: HostName = HostName {
    about: about_file_only(
        "listen.hostname",
        "The name under which the box is reached; the certificate is made out to it, and made anew when it changes. \
         Unless it is set, `lucid run` takes the machine's own host name with `.local`.",
    ),
    default: "lucid.local",
};

/// Plain HTTP from other machines.
pub(crate) static PLAIN_HTTP: Flag = Flag {
    about: about_file_only(
        "compat.plain_http",
        "Answer plain HTTP from other machines on ports that speak TLS. Passwords and tokens then cross the network \
         readable by anyone.",
    ),
    default: false,
};

/// How much is logged.
pub(crate) static LOG_LEVEL: Choice = Choice {
    about: about(
        "log.level",
        "LOG_LEVEL",
        "The least severe event that is logged. The level of a single service can be changed while the box runs.",
    ),
    allowed: &["error", "warn", "info", "debug", "trace"],
    default: "info",
};

/// Log files beside the journal.
pub(crate) static LOG_FILE: Flag = Flag {
    about: about_file_only(
        "log.file",
        "Write one log file per service, as JSON lines, below the data directory, besides the journal or terminal.",
    ),
    default: true,
};

/// Time for an orderly stop.
pub(crate) static STOP_GRACE_S: Integer = Integer {
    about: about_file_only(
        "supervisor.stop_grace_s",
        "How long services may take to finish their work when the box stops; what still runs then is cut off. \
         Nothing acknowledged is lost either way.",
    ),
    unit: "s",
    min: 1,
    max: 300,
    default: 20,
};

/// The privileged process.
pub(crate) static AGENT_SOCKET: Location = Location {
    about: about_file_only(
        "agent.socket",
        "Where the agent listens, which mounts the data disk and restarts the box. `auto`: where the appliance's does for \
         `lucid run`, and nowhere for `lucid dev`. `none`: there is none.",
    ),
    default: "auto",
};

/// The payments plane.
pub(crate) static PAYMENTS_SOCKET: Location = Location {
    about: about_file_only(
        "payments.socket",
        "Where the payments plane listens. `auto`: where the appliance's does for `lucid run`, and nowhere for \
         `lucid dev`. `none`: there is none.",
    ),
    default: "auto",
};

/// How the boot went.
pub(crate) static BOOT_REPORT: Location = Location {
    about: about_file_only(
        "boot.report",
        "What the stage before systemd tells of the boot. While it can't be read, nobody can claim the box. `auto`: where \
         the appliance's does for `lucid run`, and nowhere for `lucid dev`. `none`: there is none.",
    ),
    default: "auto",
};

/// Port of auth-service.
pub(crate) static AUTH_SERVICE_PORT: Port = Port {
    about: about("auth-service.port", "AUTH_SERVICE_PORT", "Port of auth-service: accounts, login, tokens."),
    default: 8089,
};

/// Life of an access token.
pub(crate) static ACCESS_TOKEN_S: Integer = Integer {
    about: about(
        "auth-service.access_token_s",
        "JWT_EXPIRATION",
        "How long an access token is valid. Short, because a stolen one can't be called back.",
    ),
    unit: "s",
    min: 60,
    max: 86_400,
    default: 900,
};

/// Life of a refresh token.
pub(crate) static REFRESH_TOKEN_S: Integer = Integer {
    about: about_file_only(
        "auth-service.refresh_token_s",
        "How long a login lasts without being used. Longer than `auth-service.access_token_s`.",
    ),
    unit: "s",
    min: 300,
    max: 7_776_000,
    default: 604_800,
};

/// Wrong passwords before an account rests.
pub(crate) static LOGIN_ATTEMPTS_MAX: Integer = Integer {
    about: about(
        "auth-service.login_attempts_max",
        "MAX_LOGIN_ATTEMPTS",
        "Wrong passwords within `auth-service.login_window_s` after which further attempts are refused.",
    ),
    unit: "",
    min: 1,
    max: 100,
    default: 5,
};

/// The window that attempts are counted in.
pub(crate) static LOGIN_WINDOW_S: Integer = Integer {
    about: about_file_only(
        "auth-service.login_window_s",
        "The time within which wrong passwords are counted, and for which attempts are refused afterwards.",
    ),
    unit: "s",
    min: 10,
    max: 86_400,
    default: 900,
};

/// Port of api-gateway.
pub(crate) static API_GATEWAY_PORT: Port = Port {
    about: about(
        "api-gateway.port",
        "API_GATEWAY_PORT",
        "Port of api-gateway. Accepted so that existing environments stay valid; not yet served.",
    ),
    default: 8080,
};

/// Port of blockchain-engine.
pub(crate) static BLOCKCHAIN_ENGINE_PORT: Port = Port {
    about: about(
        "blockchain-engine.port",
        "BLOCKCHAIN_ENGINE_PORT",
        "Port of blockchain-engine: blocks, proofs, checkpoints.",
    ),
    default: 8084,
};

/// Time between blocks.
pub(crate) static BLOCK_INTERVAL_S: Integer = Integer {
    about: about_file_only(
        "blockchain-engine.block_interval_s",
        "Time between two blocks, empty or not. A recording is anchored at most about this long after its end.",
    ),
    unit: "s",
    min: 1,
    max: 600,
    default: 10,
};

/// The head that the owner accepts although it is not the newest one seen.
pub(crate) static ACCEPT_ROLLBACK: ChainHead = ChainHead {
    about: about_file_only(
        "blockchain-engine.accept_rollback",
        "The chain goes on from this block although a newer one was seen before: for a data disk put back from a copy. \
         The refusal names the hash to give; `new` begins a chain on an empty disk. Void for any other head.",
    ),
};

/// Port of session-anchoring.
pub(crate) static SESSION_ANCHORING_PORT: Port = Port {
    about: about("session-anchoring.port", "SESSION_ANCHORING_PORT", "Port of session-anchoring."),
    default: 8085,
};

/// Port of block-manager.
pub(crate) static BLOCK_MANAGER_PORT: Port =
    Port { about: about("block-manager.port", "BLOCK_MANAGER_PORT", "Port of block-manager."), default: 8086 };

/// Port of session-pipeline.
pub(crate) static SESSION_PIPELINE_PORT: Port =
    Port { about: about("session-pipeline.port", "SESSION_PIPELINE_PORT", "Port of session-pipeline."), default: 8101 };

/// Size at which a chunk is closed.
pub(crate) static CHUNK_SIZE_MIB: Integer = Integer {
    about: about(
        "session-pipeline.chunk_size_mib",
        "CHUNK_SIZE_MB",
        "Size at which a chunk is closed, before compression. Larger chunks compress better, cost memory per running \
         recording and are fetched whole.",
    ),
    unit: "MiB",
    min: 1,
    max: 64,
    default: 8,
};

/// Age at which a chunk is closed.
pub(crate) static CHUNK_CLOSE_S: Integer = Integer {
    about: about_file_only(
        "session-pipeline.chunk_close_s",
        "Age at which a chunk is closed even if it is not full: what a power cut can take from a slow recording.",
    ),
    unit: "s",
    min: 1,
    max: 60,
    default: 5,
};

/// Effort of compression.
pub(crate) static ZSTD_LEVEL: Integer = Integer {
    about: about(
        "session-pipeline.zstd_level",
        "COMPRESSION_LEVEL",
        "zstd level of the chunks. A higher one saves space and costs processor time per byte recorded.",
    ),
    unit: "",
    min: 1,
    max: 19,
    default: 3,
};

/// Port of session-storage.
pub(crate) static SESSION_STORAGE_PORT: Port =
    Port { about: about("session-storage.port", "SESSION_STORAGE_PORT", "Port of session-storage."), default: 8104 };

/// Space never filled with recordings.
pub(crate) static RESERVE_MIB: Integer = Integer {
    about: about_file_only(
        "session-storage.reserve_mib",
        "Free space of the data disk that recordings never fill, kept for the chain, indexes and logs.",
    ),
    unit: "MiB",
    min: 16,
    max: 1_048_576,
    default: 256,
};

/// Port of session-api.
pub(crate) static SESSION_API_PORT: Port = Port {
    about: about(
        "session-api.port",
        "SESSION_API_PORT",
        "Port of session-api: record, list, restore and export recordings.",
    ),
    default: 8083,
};

/// Recordings at the same time.
pub(crate) static UPLOADS_MAX: Integer = Integer {
    about: about_file_only(
        "session-api.uploads_max",
        "Recordings that may run at the same time; each holds chunks in memory. One more is refused.",
    ),
    unit: "",
    min: 1,
    max: 64,
    default: 8,
};

/// Port of admin-interface.
pub(crate) static ADMIN_INTERFACE_PORT: Port =
    Port { about: about("admin-interface.port", "ADMIN_INTERFACE_PORT", "Port of the dashboard."), default: 8120 };

/// Where new releases are announced.
pub(crate) static UPDATE_CHANNEL: Optional = Optional {
    about: about_file_only(
        "update.channel",
        "Address of the file that announces new releases. `http` will do: what it says counts only where it is signed.",
    ),
    rule: "an http or https address without user and password",
    is_right: |text| text.parse::<UpdateUrl>().is_ok(),
};

/// Updates without anybody's word.
pub(crate) static UPDATE_AUTOMATIC: Flag = Flag {
    about: about_file_only(
        "update.automatic",
        "Fetch and install what the channel offers without anybody's word: in `update.window`, or, where none is set, when \
         nothing is being recorded. A release that was taken back here is not tried again.",
    ),
    default: false,
};

/// When the box may restart.
pub(crate) static UPDATE_WINDOW: Optional = Optional {
    about: about_file_only(
        "update.window",
        "The part of the day, in the box's time zone (the provisioning's, else UTC), in which it may restart for an \
         update. It waits for recordings until the last quarter of an hour, and then pauses them. Kept only once a time \
         server has set the clock.",
    ),
    rule: "a part of the day as 02:00-05:00",
    is_right: |text| text.parse::<Window>().is_ok(),
};

/// The one version that is taken.
pub(crate) static UPDATE_PINNED: Optional = Optional {
    about: about_file_only(
        "update.pinned",
        "The only version that is taken without anybody's word. By hand every trusted one can be installed.",
    ),
    rule: "a version such as 1.2.3",
    is_right: lucid_appliance::update::is_version,
};

/// Time between looks at the channel.
pub(crate) static UPDATE_CHECK_H: Integer = Integer {
    about: about_file_only("update.check_h", "How often the channel is asked. A random delay is added."),
    unit: "h",
    min: 1,
    max: 720,
    default: 24,
};

/// How long a release is on trial.
pub(crate) static UPDATE_SOAK_S: Integer = Integer {
    about: about_file_only(
        "update.soak_s",
        "How long a new release has to be fit, without a break, before it is kept. If it is not, the former one comes back.",
    ),
    unit: "s",
    min: 5,
    max: 3600,
    default: 180,
};

/// Temperature at which reprocessing stops.
pub(crate) static SHED_C: Integer = Integer {
    about: about_file_only(
        "thermal-watch.shed_c",
        "Processor temperature at which reprocessing (validation of the whole chain, re-reading) waits.",
    ),
    unit: "°C",
    min: 45,
    max: 84,
    default: 75,
};

/// Temperature at which nothing but recording goes on.
pub(crate) static RECORDING_ONLY_C: Integer = Integer {
    about: about_file_only(
        "thermal-watch.recording_only_c",
        "Processor temperature at which exports and restores wait, too; recording and the dashboard never do. Keep it \
         below 80, where the firmware of a Pi 5 begins to slow the processor.",
    ),
    unit: "°C",
    min: 46,
    max: 85,
    default: 79,
};

/// How far below its threshold a restriction ends.
pub(crate) static HYSTERESIS_C: Integer = Integer {
    about: about_file_only(
        "thermal-watch.hysteresis_c",
        "How far the processor must cool below a threshold before its restriction ends.",
    ),
    unit: "°C",
    min: 1,
    max: 20,
    default: 5,
};
