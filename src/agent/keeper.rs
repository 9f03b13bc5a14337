//! The keeper of the data disk: one thread that looks, decides, acts, and says how it went.
//!
//! Owns what was decided ([`intent`]) and the mount. Looks once a second; [`decide`] says what to do. Whatever it does
//! may take as long as the disk takes: others see a [`Board`], which always answers.
//!
//! Must never do two things to disks at once, nor anything that was asked so long ago that nobody waits any more.

mod act;
mod adopt;
mod decide;
mod filesystem;
mod intent;
mod mounting;
mod orders;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lucid_agent_protocol::{Adopted, Check, SsdReport, SsdState, Work};
use lucid_device::Mount;
use lucid_layout::provisioning::Ssd;

use crate::disks::block::{self, Block};
use crate::disks::{self, Seen, Volume};
use crate::{Config, boot, data_partition};
pub(crate) use adopt::list;
use decide::{Scene, Step, decide};
use intent::Intent;
pub(crate) use mounting::mounts;
pub(crate) use orders::{BEGIN_MAX, Command, Order, Orders, orders};

/// How often it looks: plugging and unplugging is noticed within this. A look reads a few files of the kernel's.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// A disk is chosen once no other one has come or gone for so long: USB disks take seconds to appear.
const SETTLE: Duration = Duration::from_secs(10);
/// What failed is tried again after this, or once a disk comes or goes, or when the owner asks.
const RETRY: Duration = Duration::from_secs(60);
/// Steps in a row without a pause: partition, format, adopt, mount, rest.
const STEPS_MAX: u32 = 6;
/// Longest file of the provisioning's consent in bytes.
const CONSENT_BYTES_MAX: u64 = 4096;

/// What others see of the keeper.
pub(crate) struct Board {
    report: Mutex<SsdReport>,
    working: Mutex<Option<(Work, Instant)>>,
}

/// The keeper.
pub(crate) struct Keeper {
    config: Arc<Config>,
    board: Arc<Board>,
    /// A disk is chosen once no other one has come or gone for so long.
    pub(crate) settle: Duration,
    intent: Result<Intent, String>,
    consent: Result<Ssd, String>,
    /// The disks at the last look, and since when they have been the same.
    blocks: Vec<Block>,
    since: Instant,
    /// What was on them.
    seen: Vec<Seen>,
    /// What is mounted: the attachment that the mount belongs to, as long as this process made it.
    mounted: Option<(String, Option<u64>)>,
    /// The owner asked for it to be unmounted.
    detached: bool,
    /// The box is in rescue: no disk is mounted, checked or formatted, since it may be what the box fails on.
    in_rescue: bool,
    /// What went wrong, and when.
    failure: Option<(String, Instant)>,
    check: Option<Check>,
}

impl Board {
    /// One that knows nothing yet.
    fn new() -> Self {
        let report = SsdReport {
            state: SsdState::NotAdopted,
            reason: Some("looking for disks".to_owned()),
            adopted: None,
            mount: None,
            check: None,
            consent: lucid_layout::provisioning::Consent::None,
        };
        Self { report: Mutex::new(report), working: Mutex::new(None) }
    }

    /// How the data disk is, without asking it.
    pub(crate) fn report(&self) -> SsdReport {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((work, since)) = *self.working.lock().unwrap_or_else(PoisonError::into_inner) {
            report.state = SsdState::Working { work, for_s: since.elapsed().as_secs() };
        }
        report
    }

    fn publish(&self, report: SsdReport) {
        let former =
            std::mem::replace(&mut *self.report.lock().unwrap_or_else(PoisonError::into_inner), report.clone());
        if (&former.state, &former.reason) != (&report.state, &report.reason) {
            tracing::info!(state = ?report.state, reason = report.reason, "the data disk");
        }
    }

    /// Does `work`, and lets others see that it is being done.
    pub(crate) fn working<T>(&self, work: Work, body: impl FnOnce() -> T) -> T {
        let set = |now| *self.working.lock().unwrap_or_else(PoisonError::into_inner) = now;
        set(Some((work, Instant::now())));
        let outcome = body();
        set(None);
        outcome
    }
}

impl Keeper {
    /// One that knows what was decided, and has not looked yet.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let intent = Intent::read(&config.intent).map_err(|error| error.to_string());
        let consent = consent(&config).map_err(|error| format!("reading `{}`: {error}", config.consent.display()));
        let in_rescue = boot::report(&config.boot_report).present().is_some_and(|report| report.rescue.is_some());
        Self {
            config,
            board: Arc::new(Board::new()),
            settle: SETTLE,
            intent,
            consent,
            blocks: Vec::new(),
            since: Instant::now(),
            seen: Vec::new(),
            mounted: None,
            detached: false,
            in_rescue,
            failure: None,
            check: None,
        }
    }

    /// What others see.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Keeps the disk until nobody can order anything any more.
    pub(crate) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            self.look_and_act();
            match orders.recv_timeout(LOOK_PERIOD) {
                Ok(order) => self.obey(&order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Acts until there is nothing more to do, and says how it is.
    pub(crate) fn look_and_act(&mut self) {
        for _ in 0..STEPS_MAX {
            let step = match self.look() {
                Ok(step) => step,
                Err(error) => Some(Step::Rest(SsdState::Failed, format!("looking for disks failed: {error}"))),
            };
            match step {
                None => return,
                Some(Step::Rest(state, reason)) => return self.publish(state, Some(reason)),
                Some(step) => self.act(step),
            }
        }
        tracing::warn!("the data disk does not come to rest; will look again in a second");
    }

    /// What is to be done; nothing if all is well, which is then published.
    fn look(&mut self) -> io::Result<Option<Step>> {
        let mounts = mounts()?;
        if let Some(mount) = mounting::at(&mounts, &self.config.mount_point).cloned() {
            return Ok(self.look_at_mount(&mount));
        }
        self.mounted = None;
        if self.in_rescue {
            return Ok(Some(Step::Rest(SsdState::Detached, "the box is in rescue: no data disk is used".to_owned())));
        }
        self.look_at_disks(&mounts)?;
        let consent = match (&self.intent, &self.consent) {
            (Err(error), _) => return Ok(Some(Step::Rest(SsdState::Failed, error.clone()))),
            // Without the provisioning's word nothing is chosen; what was adopted before is mounted all the same.
            (Ok(Intent::None), Err(error)) => return Ok(Some(Step::Rest(SsdState::Failed, error.clone()))),
            (Ok(_), consent) => consent.as_ref().ok().cloned().unwrap_or_default(),
        };
        if let Some((reason, at)) = &self.failure
            && at.elapsed() < RETRY
        {
            return Ok(Some(Step::Rest(SsdState::Failed, reason.clone())));
        }
        Ok(Some(decide(&Scene {
            intent: self.intent.as_ref().unwrap_or(&Intent::None),
            consent: &consent,
            volumes: &self.volumes(),
            settled: self.since.elapsed() >= self.settle,
            detached: self.detached,
            room_on_system_disk: self.seen.iter().any(data_partition::has_room),
        })))
    }

    /// Looks at what is on the disks, if they are not those of the last look; whether they were others.
    fn look_at_disks(&mut self, mounts: &[Mount]) -> io::Result<bool> {
        let blocks = block::list(&self.config.sys, &self.config.managed)?;
        if blocks == self.blocks {
            return Ok(false);
        }
        tracing::info!(disks = ?blocks.iter().map(|block| &block.name).collect::<Vec<_>>(), "disks came or went");
        // Plugged in anew, it is wanted again.
        self.detached &= blocks.iter().any(|block| self.blocks.contains(block) && self.is_adopted(block));
        self.since = Instant::now();
        self.failure = None;
        self.blocks = blocks;
        self.look_again(mounts);
        Ok(true)
    }

    /// Looks at what is on the disks.
    fn look_again(&mut self, mounts: &[Mount]) {
        self.seen = disks::look(&self.blocks, &block::system(&self.config.sys, mounts), mounts);
    }

    fn is_adopted(&self, block: &Block) -> bool {
        let adopted = self.adopted();
        let seen = self.seen.iter().find(|seen| seen.block.name == block.name);
        seen.is_some_and(|seen| adopted.is_some_and(|adopted| seen.id == adopted.disk))
    }

    fn volumes(&self) -> Vec<Volume> {
        self.seen.iter().flat_map(|disk| disk.volumes.clone()).collect()
    }

    fn adopted(&self) -> Option<Adopted> {
        match &self.intent {
            Ok(Intent::Use(adopted)) => Some(adopted.clone()),
            Ok(Intent::Format(format)) => Some(format.adopted()),
            Ok(Intent::None) | Err(_) => None,
        }
    }

    /// Lets go of a disk that is gone; says how one is that is there.
    fn look_at_mount(&mut self, mount: &Mount) -> Option<Step> {
        let same_attachment = match &self.mounted {
            Some((disk, sequence)) => self.sequence(disk) == *sequence,
            None => true,
        };
        if same_attachment && block::is_there(&self.config.sys, &mount.device) {
            let report = mounting::report(mount, &self.config.sys);
            let (state, reason) = match report.read_only {
                true => (SsdState::ReadOnly, Some(self.why_read_only(mount))),
                false => (SsdState::Mounted, None),
            };
            self.board.publish(SsdReport { mount: Some(report), ..self.report(state, reason) });
            return None;
        }
        tracing::warn!(device = mount.source, "the data disk is gone: unmounting what is left of it");
        let let_go = self.board.working(Work::Unmounting, || mounting::let_go(&self.config.mount_point));
        self.mounted = None;
        match let_go {
            Ok(()) => Some(Step::Rest(SsdState::Absent, "the data disk was unplugged: connect it again".to_owned())),
            Err(error) => Some(Step::Rest(
                SsdState::Failed,
                format!("the data disk is gone, but can't be unmounted ({error}): restart the box"),
            )),
        }
    }

    fn sequence(&self, disk: &str) -> Option<u64> {
        block::sequence(&self.config.sys, disk)
    }

    fn why_read_only(&self, mount: &Mount) -> String {
        match block::is_read_only(&self.config.sys, &mount.device) {
            true => "the disk is write-protected: use another one, or take the protection off".to_owned(),
            false => {
                "the filesystem has met an error and stopped writing: save what is on it, detach and mount it again \
                      to have it checked, and replace the disk if that happens again"
                    .to_owned()
            }
        }
    }

    fn report(&self, state: SsdState, reason: Option<String>) -> SsdReport {
        let consent = self.consent.as_ref().map_or_else(|_| Ssd::default().consent, |ssd| ssd.consent);
        SsdReport { state, reason, adopted: self.adopted(), mount: None, check: self.check.clone(), consent }
    }

    fn publish(&self, state: SsdState, reason: Option<String>) {
        self.board.publish(self.report(state, reason));
    }
}

/// What the owner allowed. No file: the box was not provisioned, and nothing is allowed.
fn consent(config: &Config) -> io::Result<Ssd> {
    let Some(bytes) = lucid_file::read(&config.consent, CONSENT_BYTES_MAX)? else { return Ok(Ssd::default()) };
    let text = str::from_utf8(&bytes).map_err(io::Error::other)?;
    toml::from_str(text).map_err(io::Error::other)
}
