//! A machine to update: the world, what runs on it, and the EEPROM that boots it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use lucid_agent_protocol::update::{Phase, TrybootWay};
use lucid_agent_protocol::{Refusal, RefusalCode};
use lucid_device::Reading;
use lucid_layout::update::{DATA, SlotBook, Standing};
use lucid_layout::{Digest, Partition, Slot, autoboot};
use tempfile::TempDir;

use super::bundles::{self, Bundle, Content, NOW, autoboot_volume, content};
use super::world::{Lasting, World};
use crate::machine::{Machine, MachineError};
use crate::update::evidence::Archive;
use crate::update::files::{Files, Places};
use crate::update::mailbox::{MailboxError, Tryboot};
use crate::update::progress::{Circumstances, Progress};
use crate::update::slots::{Disk, Slots};
use crate::update::surroundings::{Conditions, Surroundings};
use crate::update::{Booted, Parts, Updates, Wish};

pub(super) const MIB: usize = 1024 * 1024;
const BOOT_BYTES: usize = 6 * MIB;
const ROOT_BYTES: usize = 10 * MIB;
pub(super) const BOOK: &str = "/state/boot/slots.json";

/// What was asked of the machine around.
#[derive(Default)]
pub(super) struct Asked {
    /// The last restart that was asked for: whether on trial.
    pub(super) restart: Option<bool>,
    /// The mailbox's flag.
    pub(super) flag: bool,
    pub(super) mailbox_fails: bool,
    pub(super) restart_fails: bool,
    pub(super) conditions: Option<Conditions>,
    pub(super) now_ms: u64,
}

/// The machine around; simulated.
#[derive(Clone)]
pub(super) struct Around(pub(super) Arc<Mutex<Asked>>);

/// A machine.
pub(super) struct Rig {
    pub(super) dir: TempDir,
    pub(super) world: World,
    pub(super) around: Around,
    pub(super) updates: Updates,
}

impl Machine for Around {
    fn reboot(&self) -> Result<(), MachineError> {
        self.0.lock().unwrap().restart = Some(false);
        Ok(())
    }

    fn try_boot(&self) -> Result<(), MachineError> {
        let mut asked = self.0.lock().unwrap();
        if asked.restart_fails {
            return Err(MachineError::Refused { status: 1, said: "no".to_owned() });
        }
        asked.restart = Some(true);
        Ok(())
    }

    fn power_off(&self) -> Result<(), MachineError> {
        Ok(())
    }

    fn end_trial(&self) -> Result<(), MachineError> {
        Ok(())
    }
}

impl Tryboot for Around {
    fn way(&self) -> TrybootWay {
        TrybootWay::Mailbox
    }

    fn set(&self, trial: bool) -> Result<(), MailboxError> {
        let mut asked = self.0.lock().unwrap();
        if asked.mailbox_fails && trial {
            return Err(MailboxError::NotKept);
        }
        asked.flag = trial;
        Ok(())
    }
}

impl Surroundings for Around {
    fn conditions(&self) -> Conditions {
        self.0.lock().unwrap().conditions.clone().unwrap_or(Conditions {
            undervoltage: Reading::Present(false),
            hottest_mc: Reading::Present(50_000),
            eeprom_s: Reading::Present(1_765_152_000),
            eeprom_updated_s: Reading::Present(0),
        })
    }

    fn circumstances(&self) -> io::Result<Circumstances> {
        let links = vec!["eth0".to_owned()];
        Ok(Circumstances { addressed: links.clone(), links, data_disk: None })
    }

    fn now_ms(&self) -> u64 {
        self.0.lock().unwrap().now_ms
    }
}

/// The release that runs in slot A.
pub(super) fn running() -> Content {
    content(10, "1.0.0", 3, 300_000, 64 * 1024)
}

/// The release in slot B.
pub(super) fn former() -> Content {
    content(9, "0.9.0", 3, 200_000, 64 * 1024)
}

/// The release to be installed: three pieces of root, two of boot, none with a round end.
pub(super) fn new() -> Content {
    content(11, "1.1.0", 4, 9 * MIB + 777, 5 * MIB)
}

/// A small one, of a piece each.
pub(super) fn small() -> Content {
    content(12, "1.2.0", 4, 5000, 64 * 1024)
}

fn good(content: &Content) -> Standing {
    let release = &content.release;
    Standing::Good { version: release.version.clone(), build_id: release.build_id, data: release.data }
}

/// What is on the disk of a box that runs slot A and has been updated before.
fn lasting() -> Lasting {
    let mut lasting = Lasting::default();
    let filled = |content: &[u8], bytes| {
        let mut filled = content.to_vec();
        filled.resize(bytes, 0xee);
        filled
    };
    for (slot, content) in [(Slot::A, running()), (Slot::B, former())] {
        lasting.partitions.insert(slot.boot(), filled(&content.boot, BOOT_BYTES));
        lasting.partitions.insert(slot.root(), filled(&content.root, ROOT_BYTES));
    }
    lasting.partitions.insert(Partition::Autoboot, autoboot_volume(&autoboot::render(Slot::A)));
    let book =
        SlotBook { committed: Slot::A, a: good(&running()), b: good(&former()), data_generation: DATA.generation };
    lasting.files.insert(BOOK.into(), serde_json::to_vec(&book).unwrap());
    lasting.files.insert("/usr/update-root".into(), bundles::update_root());
    lasting
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::on(lasting())
    }

    /// A box that boots from what a power cut left.
    pub(super) fn on(lasting: Lasting) -> Self {
        let asked = Asked { now_ms: NOW * 1000, ..Asked::default() };
        let (dir, world, around) = (TempDir::new().unwrap(), World::of(lasting), Around(Arc::new(Mutex::new(asked))));
        let booted = boot(&world, false);
        let updates = updates(dir.path(), &world, &around, booted);
        updates.start();
        Self { dir, world, around, updates }
    }

    /// The next boot, if a restart was asked for; whether there was one.
    pub(super) fn restarted(&mut self) -> bool {
        let restart = self.asked(|asked| asked.restart.take());
        restart.is_some_and(|trial| {
            let flag = self.asked(|asked| std::mem::take(&mut asked.flag));
            assert_eq!(trial, flag, "the flag and the argument of the restart agree");
            self.boot(trial);
            true
        })
    }

    pub(super) fn boot(&mut self, trial: bool) {
        let booted = boot(&self.world, trial);
        self.updates = updates(self.dir.path(), &self.world, &self.around, booted);
        self.updates.start();
    }

    /// The agent alone starts again.
    pub(super) fn agent_restarted(&mut self) {
        let booted = self.updates.booted.clone();
        self.updates = updates(self.dir.path(), &self.world, &self.around, booted);
        self.updates.start();
    }

    pub(super) fn asked<T>(&self, look: impl FnOnce(&mut Asked) -> T) -> T {
        look(&mut self.around.0.lock().unwrap())
    }

    /// Sends a bundle from its beginning.
    pub(super) fn send(&self, bundle: &Bundle) -> Result<(), Refusal> {
        self.send_bytes(&bundle.bytes)
    }

    pub(super) fn send_bytes(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let wish = Wish { offset: 0, bundle: None, automatic: false };
        self.updates.begin(&wish)?.run(&mut &*bytes)
    }

    /// Sends what is missing of a bundle: from where the agent wants it.
    pub(super) fn send_rest(&self, bundle: &Bundle) -> Result<(), Refusal> {
        let Phase::Writing { offset, incoming, active: false, .. } = self.phase() else { return self.send(bundle) };
        if incoming.bundle != bundle.id() {
            return self.send(bundle);
        }
        let transfer = self.updates.begin(&Wish { offset, bundle: Some(bundle.id()), automatic: false })?;
        let from = usize::try_from(transfer.offset()).unwrap();
        transfer.run(&mut &bundle.bytes[from..])
    }

    pub(super) fn phase(&self) -> Phase {
        self.updates.report().phase
    }

    pub(super) fn book(&self) -> SlotBook {
        let bytes = self.world.with(|inner| inner.lasting.files[Path::new(BOOK)].clone());
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The gate says yes. Its own tests are elsewhere; here it is skipped, and what follows is the real thing.
    pub(super) fn pass_the_gate(&self) {
        let Progress::Trying { what, purpose, .. } = self.updates.progress() else {
            panic!("{:?}", self.updates.progress());
        };
        self.updates.keep(Progress::Committing { what, purpose }).unwrap();
        self.updates.reconcile();
    }

    /// Installs what is written and keeps it.
    pub(super) fn install(&mut self) {
        self.updates.install(180).unwrap();
        assert!(self.restarted(), "a restart on trial");
        self.pass_the_gate();
    }

    /// Which of `contents` a slot holds as a whole.
    pub(super) fn holds<'a>(&self, slot: Slot, contents: &'a [Content]) -> Option<&'a Content> {
        self.world.with(|inner| holds(&inner.lasting, slot, contents))
    }
}

/// Which of `contents` a slot holds as a whole.
pub(super) fn holds<'a>(lasting: &Lasting, slot: Slot, contents: &'a [Content]) -> Option<&'a Content> {
    let (boot, root) = (&lasting.partitions[&slot.boot()], &lasting.partitions[&slot.root()]);
    contents.iter().find(|content| boot.starts_with(&content.boot) && root.starts_with(&content.root))
}

/// The slot that the EEPROM starts: by autoboot.txt, or the first boot partition that looks like one.
pub(super) fn eeprom(lasting: &Lasting, trial: bool) -> Option<Slot> {
    let volume = View(&lasting.partitions[&Partition::Autoboot]);
    let sector = lucid_fat::read(&volume, "autoboot.txt", 512).ok();
    let named = sector.and_then(|sector| autoboot::committed(&sector).ok());
    let chosen = named.map(|slot| if trial { slot.other() } else { slot });
    chosen.filter(|slot| is_bootable(lasting, *slot)).or_else(|| walk(lasting).first().copied())
}

/// The boot partitions that the EEPROM's walk takes, in its order.
pub(super) fn walk(lasting: &Lasting) -> Vec<Slot> {
    Slot::ALL.into_iter().filter(|slot| is_bootable(lasting, *slot)).collect()
}

fn is_bootable(lasting: &Lasting, slot: Slot) -> bool {
    lasting.partitions[&slot.boot()][510..512] == [0x55, 0xaa]
}

/// A volume in memory.
pub(super) struct View<'a>(pub(super) &'a [u8]);

impl lucid_fat::ReadAt for View<'_> {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let begin = usize::try_from(offset).unwrap();
        let found = self.0.get(begin..begin + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(found);
        Ok(())
    }
}

fn boot(world: &World, trial: bool) -> Booted {
    // No two boots have the same id, as with the kernel's.
    static BOOTS: AtomicU32 = AtomicU32::new(1);
    let number = BOOTS.fetch_add(1, Ordering::Relaxed);
    let slot = eeprom(&world.lasting(), trial).expect("a slot boots");
    world.with(|inner| inner.mounted = Some(slot));
    Booted { slot: Some(slot), trial, id: format!("boot {number}"), eeprom_settings: None }
}

fn updates(dir: &Path, world: &World, around: &Around, booted: Booted) -> Updates {
    updates_on(Box::new(world.clone()), dir, world, around, booted)
}

/// Those on another disk.
pub(super) fn updates_on(disk: Box<dyn Disk>, dir: &Path, world: &World, around: &Around, booted: Booted) -> Updates {
    let places = Places {
        folder: "/state/agent/update".into(),
        book: BOOK.into(),
        fallback: "/state/boot/fallback.json".into(),
        update_root: "/usr/update-root".into(),
    };
    Updates::new(Parts {
        files: Files::new(Box::new(world.clone()), places),
        slots: Some(Slots::new(disk)),
        booted,
        machine: Arc::new(around.clone()),
        tryboot: Box::new(around.clone()),
        surroundings: Box::new(around.clone()),
        archive: Archive::new(&dir.join("attempts.json"), &dir.join("update")),
    })
}

/// The refusal has this code and these words.
#[track_caller]
pub(super) fn refused(outcome: Result<(), Refusal>, code: RefusalCode, words: &str) {
    let refusal = outcome.expect_err(words);
    assert!(refusal.code == code && refusal.message.contains(words), "{words}: {refusal:?}");
}

/// What the boot partition of a slot says.
pub(super) fn build(rig: &Rig, slot: Slot) -> Digest {
    let slots = rig.updates.slots.as_ref().unwrap();
    match slots.release(slot) {
        Reading::Present(release) => release.build_id,
        other => panic!("{other:?}"),
    }
}
