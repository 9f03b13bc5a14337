//! What each request comes to.
//!
//! Must never let a request name a path, a program or an option: only a disk by its id, and words for the journal.

use std::io;
use std::sync::Arc;

use lucid_agent_protocol::{Disk, DiskId, Refusal, RefusalCode, Reply, Request, Status};
use lucid_device::{DataPlace, Host, Linux, Reading, SmartState};

use crate::boot;
use crate::disks::{self, block};
use crate::keeper::{self, Board, Command, Orders};
use crate::machine::{Machine, MachineError};
use crate::update::Updates;
use crate::{Config, network, smart};

/// What answers need.
pub(crate) struct Answers {
    pub(crate) config: Arc<Config>,
    pub(crate) board: Arc<Board>,
    pub(crate) orders: Orders,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) updates: Updates,
}

impl Answers {
    /// The answer to `request`.
    pub(crate) fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Status {} => Reply::status(self.status()),
            Request::Disks {} => self.disks().map_or_else(Reply::Refused, Reply::disks),
            Request::Smart { disk } => self.smart(&disk).map_or_else(Reply::Refused, |smart| Reply::Smart { smart }),
            Request::BootFacts {} => Reply::BootFacts { boot: boot::report(&self.config.boot_report) },
            Request::Adopt { disk, confirmation } => self.orders.place(Command::Adopt { disk, confirmation }),
            Request::Mount {} => self.orders.place(Command::Mount),
            Request::Detach {} => self.orders.place(Command::Detach),
            Request::Repair { confirmation } => self.orders.place(Command::Repair { confirmation }),
            Request::Reboot { .. } | Request::PowerOff { .. } if self.updates.is_restarting() => {
                let why = "the box restarts on trial just now: ask again when it is back, or in a minute";
                Reply::Refused(Refusal::new(RefusalCode::Busy, why))
            }
            Request::Reboot { reason } => {
                tracing::warn!(reason = reason.as_str(), "restarting the box");
                machine(self.machine.reboot())
            }
            Request::PowerOff { reason } => {
                tracing::warn!(reason = reason.as_str(), "switching the box off");
                machine(self.machine.power_off())
            }
            Request::ForgetNetwork {} => self.forget_network(),
            Request::Ready {} => match boot::ready(&self.config.attempts) {
                Ok(()) => done(self.updates.became_ready()),
                Err(error) => failed(error.to_string()),
            },
            Request::UpdateStatus {} => Reply::update(self.updates.report()),
            // Its bytes follow, which whoever serves the connection takes.
            Request::Bundle { .. } => {
                failed("a bundle comes on a connection of its own: connect and ask again".to_owned())
            }
            Request::InstallUpdate { soak_s } => done(self.updates.install(soak_s)),
            Request::DiscardUpdate {} => done(self.updates.discard()),
            Request::ReturnToOther { soak_s } => done(self.updates.return_to_other(soak_s)),
            Request::Selftest {} => done(self.updates.selftest()),
            Request::InstallEeprom { build_s } => done(self.updates.install_eeprom(build_s)),
            Request::Gate { report } => self.updates.gate(&report),
            Request::Channel { file } => match self.updates.channel(&file) {
                Ok(report) => Reply::Channel(Box::new(report)),
                Err(refusal) => refused(refusal),
            },
        }
    }

    fn forget_network(&self) -> Reply {
        let report = boot::report(&self.config.boot_report);
        network::forget(&self.config.network, &report).map_or_else(Reply::Refused, |()| Reply::Done)
    }

    fn status(&self) -> Status {
        Status {
            ssd: self.board.report(),
            boot: boot::report(&self.config.boot_report),
            board: Linux::new(DataPlace::MountPoint(self.config.mount_point.clone())).board(),
        }
    }

    fn disks(&self) -> Result<Vec<Disk>, Refusal> {
        let adopted = self.board.report().adopted;
        keeper::list(&self.config, adopted.as_ref()).map_err(looking)
    }

    fn smart(&self, id: &DiskId) -> Result<Reading<SmartState>, Refusal> {
        let blocks = block::list(&self.config.sys, &self.config.managed).map_err(looking)?;
        let mut found = blocks.iter().map(|block| (block, disks::identity(block)));
        match found.find(|(_, identity)| identity.id == *id) {
            Some((block, identity)) => Ok(smart::read(&block::path(&block.name), identity.drive.transport)),
            None => Err(Refusal::new(RefusalCode::NotFound, format!("no disk `{id}` is connected: connect it"))),
        }
    }
}

fn looking(error: io::Error) -> Refusal {
    Refusal::new(RefusalCode::Failed, format!("looking at the disks failed ({error}): ask again"))
}

fn machine(outcome: Result<(), MachineError>) -> Reply {
    outcome.map_or_else(|error| failed(error.to_string()), |()| Reply::Done)
}

fn done(outcome: Result<(), Refusal>) -> Reply {
    outcome.map_or_else(refused, |()| Reply::Done)
}

fn refused(refusal: Refusal) -> Reply {
    tracing::warn!(code = ?refusal.code, message = refusal.message, "an update's request was refused");
    Reply::Refused(refusal)
}

fn failed(message: String) -> Reply {
    tracing::error!(message, "a request failed");
    Reply::Refused(Refusal::new(RefusalCode::Failed, message))
}
