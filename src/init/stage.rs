//! The steps, in their order. Each one is contained: what goes wrong in it, a panic included, becomes a problem of the
//! report and a line in the kernel's log, and the next step runs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use lucid_error::chain;
use lucid_layout::boot::{Attempts, BootReport, Problem, RESCUE, StateCondition};
use lucid_layout::{Partition, Slot, cmdline, paths};

use crate::attempts::{self, Boot};
use crate::clock::{self, Clock};
use crate::disk::BootDisk;
use crate::error::Error;
use crate::fallback::{self, Autoboot, Way};
use crate::log::Log;
use crate::provisioning::{self, Outcome, Trouble};
use crate::root::Root;
use crate::system::System;
use crate::{eeprom, file, identity, mounts, network, state, timezone, trial, watchdog};

/// The kernel takes 2048 bytes at most on arm64; other machines take more.
const CMDLINE_BYTES_MAX: u64 = 16 * 1024;

/// A code for programs, and what the owner can do.
type Advice = (&'static str, &'static str);

const REFLASH: &str = "if it stays so over a restart, flash the image again, on another card if need be";
const LOCKED: &str = "the appliance is locked: check the card's sixth partition on a PC with e2fsck; if it can't be \
                      repaired, flash the image again and restore a backup";
const LOST: &str = "the appliance is locked, so that nobody takes it over: flash the image again to set it up anew, \
                    and restore a backup";
const NO_HARM: &str = "the appliance runs without it; if it stays so over a restart, report it";

const KERNEL_MOUNTS: Advice = ("kernel-mounts", REFLASH);
const SLOT: Advice = ("slot", REFLASH);
const TRIAL: Advice = ("trial", NO_HARM);
const BOOT_DISK: Advice = ("boot-disk", REFLASH);
const STATE_CHECK: Advice = ("state-check", LOCKED);
const STATE_MOUNT: Advice = ("state-mount", LOCKED);
const STATE_DIRECTORIES: Advice = ("state-directories", LOCKED);
const CLOCK: Advice = ("clock", "the time is wrong until a time server answers");
const VAR: Advice = ("var", REFLASH);
const PROVISIONING: Advice = ("provisioning", "restart the appliance; if it stays so, flash the image again");
const MACHINE_ID: Advice = ("machine-id", NO_HARM);
const SERIAL: Advice = ("serial", NO_HARM);
const EEPROM: Advice = ("eeprom", NO_HARM);
const HOST_NAME: Advice = ("host-name", "the appliance is found by its address");
const NETWORK: Advice = ("network", "the appliance asks the router for an address instead");
const NETWORK_FILE: Advice = ("network-file", REFLASH);
const TIMEZONE: Advice = ("timezone", "times are shown in UTC");
const ATTEMPTS: Advice = ("boot-count", NO_HARM);
const FALLBACK: Advice =
    ("fallback", "the appliance starts in rescue: install an update there, or flash the image again");
const RESCUE_MARK: Advice = ("rescue", REFLASH);
const REPORT: Advice = ("boot-report", REFLASH);
const WATCHDOG: Advice = ("watchdog", "a boot that hangs is not restarted; check that this is a supported board");

/// A boot on its way to systemd.
struct Stage<'a> {
    root: &'a Root,
    system: &'a dyn System,
    log: Log,
    report: BootReport,
}

/// Does everything up to the start of systemd, and tells how it went.
pub(crate) fn run(root: &Root, system: &dyn System) -> BootReport {
    let begin = Instant::now();
    let mut stage = Stage { root, system, log: Log::new(root), report: pessimist() };
    for wanted in &mounts::KERNEL {
        stage.step(KERNEL_MOUNTS, |stage| mounts::kernel(stage.root, stage.system, wanted));
    }
    let disk = stage.find_disk();
    let lasts = stage.mount_state(disk.as_ref());
    stage.step(CLOCK, Stage::advance_clock);
    stage.step(VAR, |stage| mounts::var(stage.root, stage.system));
    if lasts {
        stage.settle_provisioning(disk.as_ref());
    }
    stage.identify();
    stage.connect();
    if lasts && let Some(attempts) = stage.count() {
        stage.leave_if_failing(&attempts, disk.as_ref());
    }
    stage.step(WATCHDOG, |stage| watchdog::start(stage.root));
    stage.report.stage_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    stage.step(REPORT, Stage::write_report);
    stage.log.info(&summary(&stage.report));
    stage.report
}

/// What holds until a step has shown otherwise: a box that nobody may claim.
fn pessimist() -> BootReport {
    BootReport {
        slot: None,
        boot_count: None,
        first_boot: false,
        state: StateCondition::Unmountable,
        provisioned: false,
        trial: false,
        rescue: None,
        serial: None,
        eeprom_settings: None,
        host_name: None,
        boot_disk: None,
        stage_ms: 0,
        problems: Vec::new(),
    }
}

fn summary(report: &BootReport) -> String {
    let problems = report.problems.len();
    format!("state {:?}, {problems} problems, {} ms; starting systemd", report.state, report.stage_ms)
}

impl Stage<'_> {
    /// Runs one step. `None` if it failed, which is in the report then.
    fn step<T>(&mut self, advice: Advice, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => self.problem(advice, &chain(&error)),
            Err(panic) => self.problem(advice, &format!("this step panicked ({})", words(&*panic))),
        }
        None
    }

    fn problem(&mut self, (code, advice): Advice, cause: &str) {
        let text = format!("{cause}; {advice}");
        self.log.error(&format!("{code}: {text}"));
        self.report.problems.push(Problem { code: code.to_owned(), text });
    }

    fn find_disk(&mut self) -> Option<BootDisk> {
        self.report.slot = self.step(SLOT, |stage| slot(stage.root));
        self.report.trial = self.step(TRIAL, |stage| trial::is_trial(stage.root)).unwrap_or(false);
        if self.report.trial {
            self.step(TRIAL, |stage| trial::bound_ready(stage.root));
            self.step(TRIAL, |stage| trial::bound_commit(stage.root));
        }
        let disk = self.step(BOOT_DISK, |stage| {
            let top = stage.root.at("/");
            let device = stage.system.device_of(&top).map_err(Error::io("look at", &top))?;
            BootDisk::find(stage.root, device)
        })?;
        if let Some(slot) = self.report.slot {
            self.step(SLOT, |_| disk.confirm(slot));
        }
        self.report.boot_disk = Some(disk.name.clone());
        Some(disk)
    }

    /// Whether what is written to `/state` lasts.
    fn mount_state(&mut self, disk: Option<&BootDisk>) -> bool {
        let device = disk.and_then(|disk| self.step(BOOT_DISK, |_| disk.device(Partition::State)));
        let lasts = device.is_some_and(|device| self.mount_partition(device));
        if !lasts {
            self.step(STATE_MOUNT, |stage| state::mount_stand_in(stage.root, stage.system));
        }
        self.step(STATE_DIRECTORIES, |stage| state::make_directories(stage.root)).is_some() && lasts
    }

    fn mount_partition(&mut self, device: &Path) -> bool {
        let mut is_hopeless = false;
        let repaired = self.step(STATE_CHECK, |stage| {
            let checked = state::check(stage.root, stage.system, device);
            is_hopeless = matches!(checked, Err(Error::Uncorrected { .. }));
            checked
        });
        if repaired == Some(true) {
            self.log.info("the state's file system was repaired");
        }
        !is_hopeless && self.step(STATE_MOUNT, |stage| state::mount(stage.root, stage.system, device)).is_some()
    }

    fn advance_clock(&mut self) -> Result<(), Error> {
        if let Clock::Advanced(by) = clock::advance(self.root, self.system)? {
            self.log
                .info(&format!("the clock was {} s behind what is known of the time, and is set to it", by.as_secs()));
        }
        Ok(())
    }

    /// Until this has an answer, the state counts as lost: nobody may claim the box.
    fn settle_provisioning(&mut self, disk: Option<&BootDisk>) {
        self.report.state = StateCondition::Lost;
        let Some(disk) = disk else { return };
        let outcome =
            self.step(PROVISIONING, |stage| Ok(provisioning::settle(stage.root, disk.device(Partition::Autoboot))));
        let Some(Outcome { state, is_done, trouble }) = outcome else { return };
        (self.report.state, self.report.provisioned) = (state, is_done);
        if let Some(trouble) = trouble {
            self.problem(advice(&trouble), &chain(&trouble));
        }
    }

    fn identify(&mut self) {
        let is_new = self.step(MACHINE_ID, |stage| identity::ensure_machine_id(stage.root)).unwrap_or(false);
        self.report.first_boot = is_new && self.report.state == StateCondition::Fresh;
        self.step(MACHINE_ID, |stage| mounts::machine_id(stage.root, stage.system));
        self.report.serial = self.step(SERIAL, |stage| identity::serial(stage.root)).flatten();
        self.report.eeprom_settings = self.step(EEPROM, |stage| eeprom::settings(stage.root)).flatten();
        let chosen = self.step(HOST_NAME, |stage| identity::provisioned_host_name(stage.root)).flatten();
        let name = chosen.unwrap_or_else(|| identity::default_host_name(self.report.serial.as_deref()));
        let set = self.step(HOST_NAME, |stage| {
            let path = stage.root.at("/proc/sys/kernel/hostname");
            stage.system.set_host_name(&name).map_err(Error::io("set the host name by", &path))
        });
        self.report.host_name = set.map(|()| name);
    }

    fn connect(&mut self) {
        let network = self.step(NETWORK, |stage| network::provisioned(stage.root)).flatten();
        self.step(NETWORK_FILE, |stage| network::write(stage.root, network.as_ref()));
        let zone = self.step(TIMEZONE, |stage| timezone::provisioned(stage.root)).flatten();
        self.step(TIMEZONE, |stage| timezone::write(stage.root, zone.as_ref()));
    }

    fn count(&mut self) -> Option<Attempts> {
        let boot = match (self.report.slot, self.report.trial) {
            (Some(slot), true) => Boot::Trial(slot),
            (slot, _) => Boot::Plain(slot),
        };
        let (attempts, damage) = self.step(ATTEMPTS, |stage| attempts::count(stage.root, boot))?;
        self.report.boot_count = Some(attempts.boots_without_ready);
        if let Some(damage) = damage {
            self.problem(ATTEMPTS, &chain(&damage));
        }
        Some(attempts)
    }

    /// A committed slot that fails again and again makes room for the other one. A trial ends by itself.
    fn leave_if_failing(&mut self, attempts: &Attempts, disk: Option<&BootDisk>) {
        if self.report.trial {
            return;
        }
        let way = self.step(FALLBACK, |stage| {
            let disk = disk.ok_or(Error::Absent("the boot disk was not found"));
            let autoboot = disk.and_then(|disk| Autoboot::open(disk.device(Partition::Autoboot)?));
            Ok(fallback::settle(stage.root, attempts, autoboot))
        });
        match way {
            None => {}
            Some(Way::On) => drop(self.step(TRIAL, |stage| trial::bound_ready_ordinary(stage.root))),
            Some(Way::Restart(slot)) => self.restart_into(slot),
            Some(Way::Rescue { why, trouble }) => {
                if let Some(trouble) = trouble {
                    self.problem(FALLBACK, &chain(&trouble));
                }
                self.enter_rescue(why);
            }
        }
    }

    /// Does not return where the machine is a real one.
    fn restart_into(&mut self, slot: Slot) {
        self.log.error(&format!("this slot did not become ready too often: slot {slot:?} is committed; restarting"));
        let restarted = self.step(FALLBACK, |stage| {
            stage.system.restart().map_err(Error::io("restart, to leave", &stage.root.at("/")))
        });
        if restarted.is_none() {
            self.enter_rescue(format!("slot {slot:?} is to take over, and the restart into it failed"));
        }
    }

    fn enter_rescue(&mut self, why: String) {
        self.log.error(&format!("starting in rescue: {why}"));
        self.step(RESCUE_MARK, |stage| file::write_volatile(&stage.root.at(RESCUE), &why));
        self.report.rescue = Some(why);
    }

    fn write_report(&mut self) -> Result<(), Error> {
        let path = self.root.at(paths::BOOT_REPORT);
        let json = serde_json::to_string(&self.report).map_err(|error| file::damaged(&path, &error.to_string()))?;
        file::write_volatile(&path, &json)
    }
}

/// The slot that the kernel command line names.
fn slot(root: &Root) -> Result<Slot, Error> {
    let path = root.at("/proc/cmdline");
    let line = file::read(&path, CMDLINE_BYTES_MAX)?.unwrap_or_default();
    // The layout's own error also says what to do, as the step does.
    cmdline::slot(line.trim_end()).map_err(|_| file::damaged(&path, "it names no slot of this appliance"))
}

fn advice(trouble: &Trouble) -> Advice {
    match trouble {
        Trouble::Mistake(_) => {
            ("provisioning-mistake", "nothing of it is applied, and it is read again at the next start")
        }
        Trouble::NotApplied(_) => PROVISIONING,
        Trouble::NotErased(_) => (
            "provisioning-not-erased",
            "its secrets can be read by whoever takes the card; it is tried again at each start: see that the card is \
             not write-protected, or worn out",
        ),
        Trouble::Lost => ("state-lost", LOST),
        Trouble::Unknown(_) => ("state-unknown", LOST),
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

#[cfg(test)]
mod tests;
