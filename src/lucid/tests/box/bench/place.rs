//! Where a box lives: directories, ports and settings of its own.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;

use super::{Outcome, Program, Running};

/// The services that listen, and the variable that sets the port of each.
const LISTENING: [(&str, &str); 8] = [
    ("auth-service", "AUTH_SERVICE_PORT"),
    ("blockchain-engine", "BLOCKCHAIN_ENGINE_PORT"),
    ("session-anchoring", "SESSION_ANCHORING_PORT"),
    ("block-manager", "BLOCK_MANAGER_PORT"),
    ("session-pipeline", "SESSION_PIPELINE_PORT"),
    ("session-storage", "SESSION_STORAGE_PORT"),
    ("session-api", "SESSION_API_PORT"),
    ("admin-interface", "ADMIN_INTERFACE_PORT"),
];

/// The services that listen.
pub(crate) const NAMES: [&str; 8] = [
    "auth-service",
    "blockchain-engine",
    "session-anchoring",
    "block-manager",
    "session-pipeline",
    "session-storage",
    "session-api",
    "admin-interface",
];

/// Quick blocks and small chunks, so that a few megabytes are a long recording.
const CONFIG: &str = "\
    [blockchain-engine]\nblock_interval_s = 1\n\
    [session-pipeline]\nchunk_size_mib = 1\nchunk_close_s = 1\n\
    [session-storage]\nreserve_mib = 16\n";

/// A place for one box and its command line.
pub(crate) struct Place {
    root: TempDir,
    ports: BTreeMap<&'static str, u16>,
    pub(crate) data: PathBuf,
    pub(crate) state: PathBuf,
    /// More variables for the server.
    pub(crate) environment: Vec<(String, String)>,
    /// More settings, in TOML.
    pub(crate) config: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("lucid-box-").tempdir().unwrap();
        let (data, state) = (root.path().join("data"), root.path().join("state"));
        std::fs::create_dir(root.path().join("home")).unwrap();
        let ports = NAMES.iter().map(|name| (*name, free_port())).collect();
        Self { root, ports, data, state, environment: Vec::new(), config: CONFIG.to_owned() }
    }

    /// The same settings and ports, on other directories.
    pub(crate) fn moved(&self, data: &str, state: &str) -> Self {
        let mut place = Self::new();
        (place.data, place.state) = (self.path(data), self.path(state));
        place
    }

    /// A path in the place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A file in the place with this content.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: &str) -> u16 {
        self.ports[service]
    }

    /// The dashboard's port.
    pub(crate) fn dashboard(&self) -> u16 {
        self.port("admin-interface")
    }

    /// The dashboard's address, as the command line takes it.
    pub(crate) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.dashboard())
    }

    /// Starts the box and waits until its dashboard is up.
    pub(crate) fn start(&self) -> Running {
        let running = self.launch();
        running.fingerprint();
        running
    }

    /// Starts the box, and waits for nothing.
    pub(crate) fn launch(&self) -> Running {
        self.launch_as(self.server_command("dev"))
    }

    /// Starts the box by a command of the test's own.
    pub(crate) fn launch_as(&self, command: Command) -> Running {
        Running::start(command, self.path("stdout"), self.path("stderr"))
    }

    /// What starts the box: `run` as an appliance, `dev` as on a developer's machine.
    pub(crate) fn server_command(&self, mode: &str) -> Command {
        let config = self.file("lucid.toml", self.config.as_bytes());
        let mut command = self.lucid();
        command.args([mode, "--config"]).arg(config);
        command.env("LUCID_DATA_DIR", &self.data).env("LUCID_STATE_DIR", &self.state);
        for (service, variable) in LISTENING {
            command.env(variable, self.port(service).to_string());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The program, with nothing of this machine's environment but the search path.
    pub(crate) fn lucid(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lucid"));
        let path = std::env::vars_os().find(|(name, _)| name == "PATH").map(|(_, value)| value);
        command.env_clear().env("PATH", path.unwrap_or_default()).env("HOME", self.path("home"));
        command.env("XDG_CONFIG_HOME", self.path("home").join(".config")).current_dir(self.root.path());
        command
    }

    /// Runs a command of the command line to its end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Outcome {
        self.cli_with(arguments, "")
    }

    /// The same with standard input.
    pub(crate) fn cli_with(&self, arguments: &[&str], input: &str) -> Outcome {
        Program::run(self.lucid().args(arguments), input)
    }
}

/// Text of a path.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the bench uses plain names only")
}

/// A port that nobody uses. Below the range from which the system takes ports of outgoing connections, and apart for
/// each process, so that it stays free until the box takes it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u32 = 15_000;
    const SPAN: u32 = 17_000;
    loop {
        let mine = std::process::id() * 64 + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + mine % SPAN).expect("both are below 65536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
