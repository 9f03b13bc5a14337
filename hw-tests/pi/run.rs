//! Boots an image and follows it: until it is ready, and on to its end; a board that resets is started again.

use std::error::Error;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lucid_hw_tests::eeprom::{Eeprom, Reset};
use lucid_hw_tests::health;
use lucid_hw_tests::machine::{Board, Bus, Disk, Ending, Forward, Pi};

use crate::terminal::{say, step};

/// The dashboard's port in the guest.
const DASHBOARD_PORT: u16 = 443;

/// How often the console is looked at, and the dashboard asked while it is not ready.
const LOOK: Duration = Duration::from_secs(1);

/// How long an interactive board may run: a week.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

type Failed = Box<dyn Error>;

/// Where the image is plugged in.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Plug {
    Sd,
    Usb,
    Nvme,
}

impl From<Plug> for Bus {
    fn from(plug: Plug) -> Self {
        match plug {
            Plug::Sd => Self::Sd,
            Plug::Usb => Self::Usb,
            Plug::Nvme => Self::Nvme,
        }
    }
}

/// How to boot an image.
#[derive(Args)]
pub(crate) struct Run {
    /// The disk image; it is written, as a disk is
    image: PathBuf,
    /// Port of this machine that leads to the dashboard
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Further ports: HOST:GUEST
    #[arg(long, value_parser = forward)]
    forward: Vec<Forward>,
    /// An SSD image; made with an empty file system `lucid-data` if it is not there
    #[arg(long)]
    ssd: Option<PathBuf>,
    /// Size of an SSD that is made, in MiB
    #[arg(long, default_value_t = 2048)]
    ssd_mib: u64,
    /// What the image is plugged in as
    #[arg(long, value_enum, default_value = "nvme")]
    bus: Plug,
    /// Memory in MiB
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// Show everything that the console says, the journal included
    #[arg(long)]
    console: bool,
    /// Add this to the kernel command line
    #[arg(long, allow_hyphen_values = true)]
    append: Vec<String>,
    /// Do not start again after a reset
    #[arg(long)]
    once: bool,
    /// Folder for the console's logs
    #[arg(long, default_value = "target/pi/run")]
    logs: PathBuf,
}

fn forward(text: &str) -> Result<Forward, String> {
    let ports = text.split_once(':').and_then(|(host, guest)| Some((host.parse().ok()?, guest.parse().ok()?)));
    ports.map(|(host, guest)| Forward { host, guest }).ok_or_else(|| "HOST:GUEST, two port numbers".to_owned())
}

impl Run {
    /// Boots, and again after each reset.
    pub(crate) fn run(self) -> Result<(), Failed> {
        std::fs::create_dir_all(&self.logs)?;
        let mut pi = Pi::new(self.board()?, &self.logs);
        let mut ending = Ending::PowerOff;
        loop {
            ending = self.follow(&mut pi, &ending)?;
            say(&format!("the board stopped: {ending:?}"));
            if self.once || ending.reset().is_none() {
                return Ok(());
            }
        }
    }

    fn board(&self) -> Result<Board, Failed> {
        let mut board = Board::new(&self.image);
        board.boot_disk.bus = self.bus.into();
        board.memory_mib = self.memory;
        board.lifetime = LIFETIME;
        // The image is quiet by itself; without TERM, systemd plays animations on the console.
        board.cmdline = ["TERM=dumb", "systemd.show_status=true"].map(str::to_owned).to_vec();
        if self.console {
            board.cmdline.push("systemd.journald.forward_to_console=true".to_owned());
        }
        board.cmdline.extend(self.append.clone());
        board.forwards = self.forward.clone();
        board.forwards.push(Forward { host: self.port, guest: DASHBOARD_PORT });
        for port in &board.forwards {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port.host))
                .map_err(|error| format!("port {} is not free ({error}); choose another", port.host))?;
        }
        if let Some(image) = &self.ssd {
            if !image.exists() {
                make_ssd(image, self.ssd_mib)?;
            }
            board.data_disk = Some(Disk::new(image, Bus::Nvme, "LUCID-SSD"));
        }
        Ok(board)
    }

    /// One boot, from switching on to its end.
    fn follow(&self, pi: &mut Pi, before: &Ending) -> Result<Ending, Failed> {
        let boot = pi.look(before.reset().unwrap_or_default())?;
        boot.log.iter().for_each(|line| say(&format!("EEPROM: {line}")));
        let mut run = pi.restart(before)?;
        say(&format!("console: {}", run.log().display()));
        let (ready, _stop) = await_ready(self.port);
        let mut shown = 0;
        while !run.console().ended() && !run.has_stopped() {
            let lines = run.console().next(shown, LOOK);
            shown += lines.len();
            for line in lines.iter().filter(|line| self.console || is_worth_showing(line)) {
                step(run.elapsed(), line);
            }
            if ready.try_recv().is_ok() {
                step(run.elapsed(), &format!("ready: https://127.0.0.1:{}/  (Ctrl-C pulls the plug)", self.port));
            }
        }
        Ok(run.wait_end()?)
    }
}

/// Asks the dashboard until it is ready, which the first channel tells, or until the second is dropped.
fn await_ready(port: u16) -> (Receiver<()>, Sender<()>) {
    let (tell, ready) = channel();
    let (stop, stopped) = channel();
    thread::spawn(move || {
        while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            if health::is_ready((Ipv4Addr::LOCALHOST, port)) {
                // Nobody may be left to be told.
                let _ = tell.send(());
                return;
            }
        }
    });
    (ready, stop)
}

/// systemd's milestones, and whatever is not the kernel's.
fn is_worth_showing(line: &str) -> bool {
    let is_kernel = line.trim_start().starts_with('[') && !line.contains("[  OK  ]") && !line.contains("[FAILED]");
    !line.trim().is_empty() && (!is_kernel || ["reboot:", "panic", "lucid"].iter().any(|word| line.contains(word)))
}

fn make_ssd(image: &Path, mib: u64) -> Result<(), Failed> {
    File::create_new(image)?.set_len(mib * 1024 * 1024)?;
    let made = Command::new("mke2fs").args(["-q", "-t", "ext4", "-L", "lucid-data"]).arg(image).output();
    let made = made.map_err(|error| format!("mke2fs cannot be run ({error}); run hw-tests/setup"))?;
    if made.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&made.stderr).into_owned().into()) }
}

/// Shows what the EEPROM would boot.
pub(crate) fn look(image: &Path, tryboot: bool, old_eeprom: bool) -> Result<(), Failed> {
    let mut board = Board::new(image);
    if old_eeprom {
        board.eeprom = Eeprom::OF_2024;
    }
    let boot = Pi::new(board, Path::new(".")).look(Reset { tryboot, partition: 0 })?;
    boot.log.iter().for_each(|line| say(line));
    say(&format!("kernel: {} bytes; walked: {}\ncommand line: {}", boot.kernel.len(), boot.walked, boot.cmdline));
    Ok(())
}
