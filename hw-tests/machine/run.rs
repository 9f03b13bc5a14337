//! One boot of a board: a QEMU from its start to its end.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::arguments::{self, DATA_DISK};
use super::qemu::{Qemu, create, prepare, qemu_failed, spawn};
use super::{Board, Console, Ending, Event, MachineError, Qmp, QmpError};
use crate::crash::Moment;
use crate::eeprom::Boot;
use crate::probe::Probe;

/// The longest that the guest may take to let go of a disk that is unplugged.
const UNPLUG_MAX: Duration = Duration::from_secs(120);

/// What a kernel that has taken the watchdog over gives the first process to open it (`watchdog.open_timeout` of the
/// command line). QEMU's watchdog stands still until then, so that the bench plays this part, too.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// A board that is running. Dropped, its QEMU is killed, as when the thread that started it ends. That is no power cut,
/// because the host keeps what was written.
pub struct Run {
    board: Board,
    qemu: Qemu,
    qmp: Qmp,
    console: Console,
    reader: Option<JoinHandle<()>>,
    probe: Option<UnixStream>,
    partition: u32,
    /// Until when the system must have come up, or the firmware's watchdog resets the board; with a probe only, by
    /// which the bench sees that it has.
    hang_max: Option<Duration>,
    began: Instant,
    log: PathBuf,
}

impl Run {
    pub(super) fn start(
        board: &Board,
        boot: &Boot,
        memory: &OwnedFd,
        folder: &Path,
        boots: u32,
    ) -> Result<Self, MachineError> {
        let cmdline = prepare(board, boot, folder, boots)?;
        let log = folder.join(format!("console-{boots}.log"));
        let qemu_log = folder.join(format!("qemu-{boots}.log"));
        let (mut qemu, [monitor, probe]) = spawn(memory, create(&qemu_log)?, |inherited| {
            arguments::boot(board, folder, &cmdline, boot.initramfs.is_some(), inherited)
        })?;
        let stdout = qemu.console().ok_or_else(|| qemu_failed("it has no console".to_owned()))?;
        let (console, reader) = Console::read(stdout, create(&log)?);
        // A QEMU that does not like its arguments says so and ends.
        let qmp = Qmp::open(monitor).map_err(|source| match fs::read_to_string(&qemu_log) {
            Ok(text) if !text.trim().is_empty() => qemu_failed(text.trim().to_owned()),
            _ => MachineError::Monitor { log: log.clone(), source },
        })?;
        Ok(Self {
            board: board.clone(),
            qemu,
            qmp,
            console,
            reader: Some(reader),
            probe: board.probe.is_some().then_some(probe),
            partition: boot.partition,
            hang_max: (boot.config.kernel_watchdog_s > 0 && board.probe.is_some())
                .then(|| Duration::from_secs(boot.config.kernel_watchdog_s) + OPEN_MAX),
            began: Instant::now(),
            log,
        })
    }

    /// The partition that the EEPROM booted.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What the guest prints.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The console's log, with times.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// QEMU's monitor.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// Waits until the console says `wanted`, for the board's lifetime at most.
    ///
    /// # Errors
    /// If it does not, or the board stops before.
    pub fn wait_console(&mut self, wanted: &str) -> Result<(), MachineError> {
        let left = self.left();
        match self.console.wait(0, wanted, left) {
            Some(_) => Ok(()),
            None => Err(self.missed(&format!("the console to say `{wanted}`"))),
        }
    }

    /// Connects to the probe; waits until it is there.
    ///
    /// # Errors
    /// If the board has none, or it does not answer within the board's lifetime.
    pub fn probe(&mut self) -> Result<Probe, MachineError> {
        let left = self.left();
        let stream = self.probe.take().ok_or_else(|| self.missed("a probe that the board does not have"))?;
        Probe::open(stream, left).map_err(|error| self.missed(&format!("the probe ({error})")))
    }

    /// Waits until the board stops by itself, and tells why. A system that does not come up is reset by the watchdog
    /// that config.txt asks the firmware for.
    ///
    /// # Errors
    /// If it runs longer than its lifetime.
    pub fn wait_end(mut self) -> Result<Ending, MachineError> {
        if self.hangs() {
            self.finish(Qemu::kill);
            return Ok(Ending::Watchdog);
        }
        let left = self.left();
        if !self.qmp.wait_event("SHUTDOWN", left) && self.is_running() {
            return Err(self.missed("the board to stop"));
        }
        // QEMU pauses after its last event; what the console has said is then complete.
        match self.qmp.execute("quit", json!({})) {
            Ok(_) | Err(QmpError::Closed | QmpError::Write(_)) => {}
            Err(source) => return Err(MachineError::Monitor { log: self.log.clone(), source }),
        }
        self.finish(Qemu::wait);
        Ok(Ending::read(self.qmp.events(), &self.console.lines()))
    }

    /// Plays the watchdog that the firmware starts: whether the system has not come up in its time. Until then QEMU's
    /// own has not been started by anybody.
    fn hangs(&mut self) -> bool {
        let Some(limit) = self.hang_max else { return false };
        let came_up = |event: &Event| event.name == "VSERPORT_CHANGE" && event.data["open"] == true;
        let left = limit.saturating_sub(self.began.elapsed());
        !self.qmp.events().iter().any(came_up)
            && !self.qmp.wait_event("SHUTDOWN", left)
            && !self.qmp.events().iter().any(came_up)
            && self.is_running()
    }

    /// Whether the board has stopped by itself; its QEMU then waits for [`Self::wait_end`].
    pub fn has_stopped(&mut self) -> bool {
        self.qmp.wait_event("SHUTDOWN", Duration::ZERO) || !self.is_running()
    }

    /// This moment of the recorded disks, the boot disk first: all that the guest has been told is in their records.
    ///
    /// # Errors
    /// If the board has stopped, or a record is not there.
    pub fn moment(&self) -> Result<Moment, MachineError> {
        let disks = std::iter::once(&self.board.boot_disk).chain(&self.board.data_disk);
        let records: Vec<_> = disks.filter_map(|disk| disk.record.clone()).collect();
        let process = self.qemu.process().ok_or_else(|| qemu_failed("it has ended".to_owned()))?;
        Moment::take(process, &records).map_err(MachineError::file(&self.log))
    }

    /// Pulls the plug.
    #[must_use]
    pub fn cut_power(mut self) -> Ending {
        self.finish(Qemu::kill);
        Ending::PowerCut
    }

    /// Unplugs the data disk. A USB disk is gone at once, an NVMe disk when the guest has let go of its slot.
    ///
    /// # Errors
    /// If there is none, or the guest holds on to it.
    pub fn unplug_data_disk(&mut self) -> Result<(), MachineError> {
        self.monitor("device_del", json!({"id": DATA_DISK}))?;
        if self.qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX) {
            return Ok(());
        }
        Err(self.missed("the guest to let go of the data disk"))
    }

    /// Plugs the data disk in again.
    ///
    /// # Errors
    /// If the board has none, or it is plugged in.
    pub fn plug_data_disk(&mut self) -> Result<(), MachineError> {
        let disk = self.board.data_disk.clone();
        let disk = disk.ok_or_else(|| self.missed("a data disk that the board does not have"))?;
        self.monitor("device_add", arguments::disk_device(&disk, DATA_DISK))?;
        Ok(())
    }

    fn monitor(&mut self, command: &str, arguments: Value) -> Result<Value, MachineError> {
        let log = self.log.clone();
        self.qmp.execute(command, arguments).map_err(|source| MachineError::Monitor { log, source })
    }

    fn left(&self) -> Duration {
        self.board.lifetime.saturating_sub(self.began.elapsed())
    }

    fn is_running(&mut self) -> bool {
        self.qemu.is_running()
    }

    fn missed(&mut self, what: &str) -> MachineError {
        let (what, log, tail) = (what.to_owned(), self.log.clone(), self.console.tail());
        if self.is_running() {
            MachineError::Late { what, seconds: self.began.elapsed().as_secs(), log, tail }
        } else {
            MachineError::Stopped { what, log, tail }
        }
    }

    /// Takes leave of a QEMU that has quit or is killed, and waits for the rest of the console.
    fn finish(&mut self, leave: impl FnOnce(&mut Qemu)) {
        leave(&mut self.qemu);
        if let Some(reader) = self.reader.take() {
            // The reader keeps its own error in the console; it does not panic.
            let _ = reader.join();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.finish(Qemu::kill);
    }
}
