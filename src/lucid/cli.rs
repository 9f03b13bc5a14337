//! The command line, as data: what commands there are and what each takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;

/// Lucid: records remote-desktop sessions, and proves them.
#[derive(Parser)]
#[command(name = "lucid", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the appliance, as its systemd unit does.
    Run(Run),
    /// Run the appliance on a developer's machine: state in ./var, dashboard on this machine.
    Dev(Dev),
    /// Run the privileged process that keeps the data disk and restarts the box, as its systemd unit does.
    Agent(Agent),
    /// Run the page of a box that does not come up, as its systemd unit does.
    Rescue(Rescue),
    /// Print the service table.
    Services,
    /// Ask a running appliance how its services are.
    Health(Remote),
    /// Check or show the settings.
    #[command(subcommand)]
    Config(Config),
    /// Log in to an appliance; its certificate is pinned.
    Login(Login),
    /// Log out, and forget the pinned certificate.
    Logout(Remote),
    /// Record a file, or standard input with `-`.
    Record(Record),
    /// List recordings.
    Sessions(Sessions),
    /// Write a recording's plaintext back to a file, or put a backup back in place.
    Restore(Restore),
    /// Save a recording with its proof to a directory, to be verified elsewhere.
    Export(Export),
    /// Delete a recording for ever: its key is destroyed.
    Delete(Delete),
    /// Verify an exported recording offline. Exit status: 0 proven, 1 wrong, 2 unreadable, 3 consistent but not
    /// trusted.
    Verify(Verify),
    /// Print the appliance's verifier key: keep it elsewhere, for `verify --trust`.
    Key(Remote),
    /// Print the signed head of the chain: keep it elsewhere, for `verify --trust`. Can check that it extends another.
    Checkpoint(Checkpoint),
    /// Connect a checkpoint that you trust with an export that was made without it, for `verify --trust`.
    Consistency(Consistency),
    /// Save a consistent, encrypted copy of everything while the appliance runs.
    Backup(Backup),
    /// Bring a data directory back on new hardware with the recovery key.
    Recover(Recover),
    /// Update an appliance, and see what became of it. Exit status: 0 done, and what was installed is kept; 1 refused,
    /// failed, or taken back; 2 a wrong command line; 3 not known what became of it.
    #[command(subcommand)]
    Update(Update),
}

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) settings: SettingsFile,
    /// Which of the appliance's processes to run.
    #[arg(long, value_enum, default_value_t = Plane::Main)]
    pub(crate) plane: Plane,
}

/// Where the settings are.
#[derive(Args)]
pub(crate) struct SettingsFile {
    /// The settings. Without it, defaults and environment variables apply. Over it comes `lucid.toml` in the state
    /// directory, where there is one.
    #[arg(long, value_name = "FILE", env = "LUCID_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// A process of the appliance.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plane {
    /// Everything but payments.
    Main,
    /// Payments: idle in this release, takes no settings, and only runs on a socket from systemd.
    Payments,
}

#[derive(Args)]
pub(crate) struct Dev {
    /// The settings.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Simulate a Raspberry Pi 5. Shown as simulated everywhere.
    #[arg(long)]
    pub(crate) simulate: bool,
}

/// Everything is for a developer's machine; the appliance needs nothing of it.
#[derive(Args)]
pub(crate) struct Agent {
    /// Where to listen, unless systemd passes a socket.
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
    /// Who may ask, besides root.
    #[arg(long, value_name = "UID")]
    pub(crate) user: Option<u32>,
    /// Where to keep state in place of /state.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Where to mount the data disk.
    #[arg(long, value_name = "DIR")]
    pub(crate) mount_point: Option<PathBuf>,
    /// Look at no other disk than this, such as loop7; hardware or not. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) only_disk: Vec<String>,
}

/// Everything is for a developer's machine; the appliance needs nothing of it.
#[derive(Args)]
pub(crate) struct Rescue {
    /// The boot's report.
    #[arg(long, value_name = "FILE", default_value = lucid_layout::paths::BOOT_REPORT)]
    pub(crate) boot_report: PathBuf,
    /// Where the agent listens.
    #[arg(long, value_name = "FILE", default_value = lucid_layout::paths::AGENT_SOCKET)]
    pub(crate) agent_socket: PathBuf,
    /// Where the state directory of the supervisor is, for its certificate.
    #[arg(long, value_name = "DIR", default_value = lucid_layout::paths::LUCID)]
    pub(crate) state_dir: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum Config {
    /// Check the settings, and say everything that is wrong.
    Check(SettingsFile),
    /// Show every setting in force with its origin.
    Show(SettingsFile),
    /// Print the reference of all settings.
    Reference,
}

/// Where the appliance is.
#[derive(Args)]
pub(crate) struct Remote {
    /// The appliance's address, for example https://lucid.local. Default: where you are logged in, else this machine.
    #[arg(long, value_name = "URL", env = "LUCID_SERVER")]
    pub(crate) server: Option<String>,
}

#[derive(Args)]
pub(crate) struct Login {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Account name.
    pub(crate) name: String,
    /// Read the password from the first line of standard input instead of asking.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// The certificate's SHA-256 fingerprint, as the appliance shows it. Without it you are asked.
    #[arg(long, value_name = "HEX")]
    pub(crate) fingerprint: Option<String>,
}

#[derive(Args)]
pub(crate) struct Record {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// The file, or `-` for standard input.
    pub(crate) source: PathBuf,
    /// What to call the recording. Default: the file's name.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Go on with an earlier recording of the same file.
    #[arg(long, value_name = "ID")]
    pub(crate) resume: Option<Uuid>,
    /// Do not wait until the recording is anchored.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Args)]
pub(crate) struct Sessions {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// The recording.
    #[arg(required_unless_present = "backup")]
    pub(crate) id: Option<Uuid>,
    /// Where to write it; `-` for standard output. Default: a file named after the recording.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Put this backup back instead, with the recovery key from standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "output"], requires = "data_dir", requires = "state_dir")]
    pub(crate) backup: Option<PathBuf>,
    /// With --backup: the new data directory; empty or not there yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// With --backup: the new state directory; empty or not there yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// The recording.
    pub(crate) id: Uuid,
    /// The directory to make.
    pub(crate) dir: PathBuf,
    /// A checkpoint of the appliance that you trust, newer than the recording: the export can be verified against it.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// The recording.
    pub(crate) id: Uuid,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The exported directory.
    pub(crate) dir: PathBuf,
    /// What you trust from outside: the appliance's verifier key, or a signed checkpoint of its chain. Where a
    /// checkpoint does not reach the export, the answer names the commands that lead from one to the other.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Checkpoint {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// A checkpoint kept from earlier: print the present one only if it was signed by the same key and extends it. Exit
    /// status 1 means that the chain was rewritten or cut.
    #[arg(long, value_name = "FILE")]
    pub(crate) extends: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Consistency {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// The checkpoint that you trust.
    pub(crate) checkpoint: PathBuf,
    /// The exported directory.
    pub(crate) dir: PathBuf,
}

#[derive(Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// The file to write; `-` for standard output.
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Recover {
    /// The data directory of the old appliance.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// The state directory of the new one.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: PathBuf,
    /// Go on as the old appliance, also where the new one has an identity of its own already. That one is kept aside in
    /// the state directory.
    #[arg(long)]
    pub(crate) replace_identity: bool,
}

#[derive(Subcommand)]
pub(crate) enum Update {
    /// Show both slots, what is being done, the channel, and what became of former updates.
    Status(Remote),
    /// Send a bundle, install it, and stay until it is kept or taken back. A transfer that broke goes on where it was,
    /// with the same command.
    Push(Push),
    /// Have the appliance fetch a bundle from a web server.
    Pull(Pull),
    /// Have the appliance look at its channel of releases now.
    Check(Signed),
    /// Install the release that is written, and stay until it is kept or taken back.
    Install(Install),
    /// Go back to the release in the other slot, and stay until it is kept.
    Rollback(Restart),
    /// Show that a trial boot works on this board: restart into the other slot and at once back again.
    Selftest(Restart),
    /// Show the board's EEPROM and the release of it that the image carries, or have that installed.
    Eeprom(Eeprom),
    /// Give up a bundle that is being sent, or is written and not yet installed.
    Discard(Signed),
}

/// Where the appliance is, and who gives the order. The password is asked for where the log-in is older than 5 minutes.
#[derive(Args)]
pub(crate) struct Signed {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Read the password from the first line of standard input instead of asking.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// When the appliance restarts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// At once: recordings that run are paused, and go on afterwards.
    Now,
    /// Once no recording runs.
    Quiet,
    /// In the maintenance window of the settings.
    Window,
}

#[derive(Args)]
pub(crate) struct Push {
    #[command(flatten)]
    pub(crate) signed: Signed,
    /// The bundle. Not a pipe: it is read again where a connection breaks.
    pub(crate) file: PathBuf,
    /// When to install it.
    #[arg(long, value_enum, default_value_t = When::Now)]
    pub(crate) when: When,
    /// Only send it.
    #[arg(long, conflicts_with_all = ["when", "no_wait"])]
    pub(crate) no_install: bool,
    /// Do not stay until it is kept or taken back.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Args)]
pub(crate) struct Pull {
    #[command(flatten)]
    pub(crate) signed: Signed,
    /// Where the bundle is, such as https://updates.example/lucid.bundle.
    pub(crate) url: String,
}

#[derive(Args)]
pub(crate) struct Install {
    #[command(flatten)]
    pub(crate) signed: Signed,
    /// When to install it.
    #[arg(long, value_enum, default_value_t = When::Now)]
    pub(crate) when: When,
    /// Do not stay until it is kept or taken back.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    pub(crate) signed: Signed,
    /// Do not stay until its end.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Args)]
pub(crate) struct Eeprom {
    #[command(flatten)]
    pub(crate) signed: Signed,
    /// Consent to the release that the image carries by the day on which it was built, such as 2026-05-26, have it
    /// installed, and stay until it is known what became of it. Read first what the command says without this.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) install: Option<String>,
    /// Do not stay until its end.
    #[arg(long, requires = "install")]
    pub(crate) no_wait: bool,
}
