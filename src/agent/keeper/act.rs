//! What the keeper does to disks: each step of [`super::decide`], and each order.
//!
//! Must never write to a disk before the intent is kept.

use std::io;

use lucid_agent_protocol::{Adopted, CheckOutcome, DiskId, Refusal, RefusalCode, Reply, Work};
use rustix::io::Errno;

use super::adopt::{self, Plan};
use super::decide::Step;
use super::intent::{Format, Intent};
use super::orders::{Command, Order};
use super::{Keeper, filesystem, mounting, mounts};
use crate::data_partition;
use crate::disks::Volume;

impl Keeper {
    /// Takes a step. What goes wrong is remembered, and tried again later.
    pub(super) fn act(&mut self, step: Step) {
        let outcome = match step {
            Step::Rest(..) => Ok(()),
            Step::Mount(volume) => self.mount(&volume),
            Step::Adopt(volume) => self.adopt(&volume),
            Step::Format(volume) => self.begin_format(&volume),
            Step::Finish(volume, format) => self.format(&volume, &format),
            Step::Partition => self.partition(),
        };
        if let Err(reason) = outcome {
            self.fail(reason);
        }
    }

    fn fail(&mut self, reason: String) {
        tracing::error!(reason, "the data disk");
        self.failure = Some((reason, std::time::Instant::now()));
    }

    fn keep(&mut self, intent: Intent) -> Result<(), String> {
        intent.keep(&self.config.intent).map_err(|error| error.to_string())?;
        self.intent = Ok(intent);
        Ok(())
    }

    /// Looks at what is on the disks, also if they are the same.
    fn refresh(&mut self) -> io::Result<()> {
        let mounts = mounts()?;
        if !self.look_at_disks(&mounts)? {
            self.look_again(&mounts);
        }
        Ok(())
    }

    fn adopt(&mut self, volume: &Volume) -> Result<(), String> {
        let uuid = volume.uuid().ok_or("the filesystem has no UUID: give it one with `tune2fs -U random`")?;
        tracing::info!(disk = %volume.disk, device = volume.name, uuid, "adopted");
        let (uuid, disk, model) = (uuid.to_owned(), volume.disk.clone(), volume.model.clone());
        self.keep(Intent::Use(Adopted { uuid, disk, model }))
    }

    fn begin_format(&mut self, volume: &Volume) -> Result<(), String> {
        let format = Format {
            disk: volume.disk.clone(),
            has_serial: volume.has_serial,
            model: volume.model.clone(),
            partition: volume.partition.as_ref().map(|(number, _)| *number),
            uuid: uuid::Uuid::new_v4().to_string(),
        };
        self.keep(Intent::Format(format.clone()))?;
        self.format(volume, &format)
    }

    fn format(&mut self, volume: &Volume, format: &Format) -> Result<(), String> {
        tracing::warn!(disk = %volume.disk, device = volume.name, uuid = format.uuid, "formatting");
        let formatted = self.board.working(Work::Formatting, || filesystem::format(&volume.path(), &format.uuid));
        formatted.map_err(|error| format!("formatting `{}`: {error}", volume.disk))?;
        self.keep(Intent::Use(format.adopted()))?;
        self.refresh().map_err(|error| format!("looking at the formatted disk: {error}"))
    }

    fn partition(&mut self) -> Result<(), String> {
        let disk = self.seen.iter().find(|disk| data_partition::has_room(disk)).ok_or("the system's disk is gone")?;
        tracing::warn!(disk = disk.block.name, "making the data partition");
        let made = self.board.working(Work::Partitioning, || data_partition::make(disk));
        made.map_err(|error| format!("making the data partition: {error}"))?;
        self.refresh().map_err(|error| format!("looking at the new partition: {error}"))
    }

    /// Checks and mounts. A write-protected disk can't be checked, and is mounted for reading.
    fn mount(&mut self, volume: &Volume) -> Result<(), String> {
        let device = volume.path();
        if !volume.read_only {
            let check = self.board.working(Work::Checking, || filesystem::check(&device));
            let (outcome, said) = (check.outcome, check.said.clone());
            self.check = Some(check);
            passed(outcome, &said)?;
        }
        let disk = self.disk_of(volume);
        let sequence = self.sequence(&disk);
        let mounted =
            self.board.working(Work::Mounting, || mounting::mount(&device, &self.config.mount_point, volume.read_only));
        mounted
            .map_err(|error| format!("mounting `{}`: {error}; replace the disk if that stays so", device.display()))?;
        self.mounted = Some((disk, sequence));
        if !volume.read_only {
            self.make_folders()?;
        }
        tracing::info!(device = %device.display(), read_only = volume.read_only, "mounted");
        Ok(())
    }

    fn disk_of(&self, volume: &Volume) -> String {
        let disk = self.seen.iter().find(|disk| disk.volumes.contains(volume));
        disk.map_or_else(|| volume.name.clone(), |disk| disk.block.name.clone())
    }

    /// A disk without its folders is of no use, and is not left half-ready.
    fn make_folders(&mut self) -> Result<(), String> {
        let point = &self.config.mount_point;
        let Err(error) = mounting::make_folders(point, self.config.user) else { return Ok(()) };
        if let Err(error) = mounting::unmount(point) {
            tracing::error!(%error, "a disk without folders could not be unmounted");
        }
        // ext4's word for damage; it has noted it in its superblock, so that the next check looks at everything.
        let remedy = match error.raw_os_error() == Some(Errno::UCLEAN.raw_os_error()) {
            true => "the filesystem is damaged, and is checked once more before the next try",
            false => "make room on another machine, or remove what is in their place",
        };
        Err(format!("making the folders `Lucid/…` on the disk: {error}; {remedy}"))
    }

    /// Carries out an order, unless it comes too late.
    pub(crate) fn obey(&mut self, order: &Order) {
        if order.until < std::time::Instant::now() {
            tracing::warn!(command = ?order.command, "an order came too late and is not carried out");
            return;
        }
        tracing::info!(command = ?order.command, "ordered");
        let refused = match &order.command {
            Command::Adopt { disk, confirmation } => self.obey_adopt(order, disk, confirmation.as_ref()),
            Command::Mount => self.obey_mount(order),
            Command::Detach => self.obey_detach(order),
            Command::Repair { confirmation } => self.obey_repair(order, confirmation),
        };
        if let Err(refusal) = refused {
            order.answer(Reply::Refused(refusal));
        }
    }

    fn obey_adopt(&mut self, order: &Order, id: &DiskId, confirmation: Option<&DiskId>) -> Result<(), Refusal> {
        self.refresh().map_err(failed)?;
        let plan = adopt::plan(adopt::find(&self.seen, id)?, self.adopted().as_ref())?;
        let is_mounted = mounting::at(&mounts().map_err(failed)?, &self.config.mount_point).is_some();
        if is_mounted && plan != Plan::Adopted {
            let message = "another data disk is mounted: detach it first";
            return Err(Refusal::new(RefusalCode::WrongState, message));
        }
        if matches!(plan, Plan::Format(_)) && confirmation != Some(id) {
            let message = format!("everything on the disk would be lost: confirm by typing `{id}`");
            return Err(Refusal::new(RefusalCode::NotConfirmed, message));
        }
        order.answer(Reply::Accepted);
        (self.failure, self.detached, self.check) = (None, false, None);
        match plan {
            Plan::Adopted => {}
            Plan::AsItIs(volume) => self.act(Step::Adopt(volume)),
            Plan::Format(volume) => self.act(Step::Format(volume)),
        }
        Ok(())
    }

    fn obey_mount(&mut self, order: &Order) -> Result<(), Refusal> {
        self.adopted().ok_or_else(nothing_adopted)?;
        self.refresh().map_err(failed)?;
        (self.failure, self.detached) = (None, false);
        order.answer(Reply::Accepted);
        Ok(())
    }

    fn obey_detach(&mut self, order: &Order) -> Result<(), Refusal> {
        self.adopted().ok_or_else(nothing_adopted)?;
        self.refresh().map_err(failed)?;
        if mounting::at(&mounts().map_err(failed)?, &self.config.mount_point).is_some() {
            let unmounted = self.board.working(Work::Unmounting, || mounting::unmount(&self.config.mount_point));
            unmounted.map_err(not_unmounted)?;
        }
        self.detached = true;
        self.look_and_act();
        order.answer(Reply::Done);
        Ok(())
    }

    fn obey_repair(&mut self, order: &Order, confirmation: &DiskId) -> Result<(), Refusal> {
        let adopted = self.adopted().ok_or_else(nothing_adopted)?;
        if *confirmation != adopted.disk {
            let message = format!("what is damaged beyond repair would be lost: confirm by typing `{}`", adopted.disk);
            return Err(Refusal::new(RefusalCode::NotConfirmed, message));
        }
        self.refresh().map_err(failed)?;
        let volumes = self.volumes();
        let found: Vec<_> = volumes.iter().filter(|volume| volume.uuid() == Some(&*adopted.uuid)).collect();
        let [volume] = found.as_slice() else {
            return Err(Refusal::new(
                RefusalCode::NotFound,
                "the data disk is not connected, or twice: connect it alone",
            ));
        };
        if volume.in_use {
            return Err(Refusal::new(RefusalCode::WrongState, "the data disk is mounted: detach it first"));
        }
        order.answer(Reply::Accepted);
        self.failure = None;
        self.repair(volume);
        Ok(())
    }

    fn repair(&mut self, volume: &Volume) {
        tracing::warn!(device = volume.name, "repairing");
        let check = self.board.working(Work::Repairing, || filesystem::repair(&volume.path()));
        if let Err(reason) = passed(check.outcome, &check.said) {
            self.fail(reason);
        }
        self.check = Some(check);
    }
}

fn passed(outcome: CheckOutcome, said: &str) -> Result<(), String> {
    match outcome {
        CheckOutcome::Clean | CheckOutcome::Corrected => Ok(()),
        CheckOutcome::Uncorrected => Err(format!(
            "the filesystem is damaged in a way that can't be mended without losing something ({said}): have it \
             repaired, or adopt another disk"
        )),
        CheckOutcome::Failed => {
            Err(format!("checking the filesystem failed ({said}): replace the disk if that stays so"))
        }
    }
}

fn failed(error: io::Error) -> Refusal {
    Refusal::new(RefusalCode::Failed, format!("looking at the disks failed ({error}): ask again"))
}

fn nothing_adopted() -> Refusal {
    Refusal::new(RefusalCode::WrongState, "no disk was adopted: adopt one first")
}

fn not_unmounted(error: io::Error) -> Refusal {
    if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) {
        return Refusal::new(RefusalCode::Busy, "files on the data disk are open: stop what uses it, and ask again");
    }
    Refusal::new(RefusalCode::Failed, format!("unmounting failed ({error}): restart the box"))
}
