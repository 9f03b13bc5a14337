//! A whole update, played once with the writes of both disks recorded: sent, written, ordered, tried, kept, and the
//! first ordinary boot after it. Each boot has a record of its own, and the disks as they were before it.

use std::fs::File;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use lucid_hw_tests::crash::Moment;
use lucid_hw_tests::disk::DiskImage;
use lucid_hw_tests::machine::{Bus, Ending, Run};
use lucid_layout::{Partition, Slot};
use serde_json::{Value, json};

use super::NEW;
use crate::bench::{Bench, copy, property, reboot, until};
use crate::power::Recorded;
use crate::updater::{Appliance, SOAK_S, release};

/// Looks while nothing happens, at a time.
const LOOKS: usize = 4;

/// The pause between two looks that ask nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks without a question between two that ask, once the release may be kept at any moment, and the pause between.
const DENSE_LOOKS: usize = 20;
const DENSE_PAUSE: Duration = Duration::from_millis(10);

/// A bundle is sent and written in this time since the start of the boot; emulated, it takes a tenth of it.
const SENT_S_MAX: u64 = 600;

/// The probe is not there before: this much of a boot is looked at without asking it.
const UNASKED: Duration = Duration::from_secs(4);

/// What the agent keeps before it touches autoboot.txt.
const COMMITTING: &[u8] = br#""progress":"committing""#;

/// How far the update surely was at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The bundle is being sent.
    Writing,
    /// It was said to be written and read back.
    Written,
    /// The order to install it was taken.
    Armed,
    /// The new release starts, on trial.
    Starting,
    /// It was ready.
    Trying,
    /// Between the first step of keeping it and the word that it is kept.
    Committing,
    /// It was said to be kept.
    Committed,
    /// The first ordinary boot after it.
    Settled,
}

/// A moment, and how far everything was before it.
struct Look {
    moment: Moment,
    stage: Stage,
}

/// One boot, recorded.
struct Reel {
    /// Boot disk and data disk.
    disks: [Recorded; 2],
    looks: Vec<Look>,
    /// In the boot disk's record: where the release begins to be kept. Only the boot on trial has it.
    begun: Option<usize>,
}

/// Where the power may be cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The number of the boot.
    pub(super) boot: usize,
    /// Records of the boot disk and of the data disk that came before.
    pub(super) records: [usize; 2],
    pub(super) stage: Stage,
    /// Whether a disk has something to lose.
    pub(super) is_open: bool,
}

/// Everything that was recorded.
pub(super) struct Scene {
    pub(super) box_: Appliance,
    pub(super) bundle: PathBuf,
    reels: Vec<Reel>,
}

impl Scene {
    pub(super) fn play() -> Self {
        let mut bench = Bench::new("update-power-cuts");
        let board = bench.pi.board_mut();
        // NVMe can't be recorded.
        board.boot_disk.bus = Bus::Sd;
        board.data_disk.as_mut().unwrap().bus = Bus::Usb;
        let mut box_ = Appliance::set_up_on(bench);
        reboot(&mut box_.probe, None);
        let mut ending = box_.wait_end();
        let mut scene = Self { box_, bundle: release("good"), reels: vec![] };
        for (slot, act) in [(Slot::A, Self::send as Act), (Slot::B, Self::try_out), (Slot::B, Self::settle)] {
            ending = scene.record(&ending, slot, act);
        }
        scene
    }

    /// Records one boot.
    fn record(&mut self, ending: &Ending, slot: Slot, act: Act) -> Ending {
        let number = self.reels.len();
        let bench = &mut self.box_.bench;
        let [bases, logs] =
            ["base", "log"].map(|kind| ["disk", "ssd"].map(|disk| bench.path(&format!("{disk}-{number}.{kind}"))));
        for ((disk, base), log) in ["disk.img", "ssd.img"].iter().zip(&bases).zip(&logs) {
            copy(&bench.path(disk), base);
            File::create(log).unwrap();
        }
        set_records(&mut self.box_, logs.clone().map(Some));
        self.box_.boot(ending, slot);
        let mut looks = vec![];
        let ending = act(self, &mut looks);
        set_records(&mut self.box_, [None, None]);
        let [disk, ssd] = [0, 1].map(|which| Recorded::read(&bases[which], &logs[which]));
        let mut reel = Reel { disks: [disk, ssd], looks, begun: None };
        reel.begun = reel.find_begun(&self.box_);
        println!("boot {number} of slot {slot:?}: {:?} records, {} looks", reel.lengths(), reel.looks.len());
        self.reels.push(reel);
        ending
    }

    /// The bundle is sent and written, and the order to install it given.
    fn send(&mut self, looks: &mut Vec<Look>) -> Ending {
        self.box_.come_up();
        self.box_.wait_healthy();
        let (box_, owner, bundle) = (&self.box_, &self.box_.owner, &self.bundle);
        let run = box_.run.as_ref().expect("it is switched on");
        thread::scope(|scope| {
            let sending = scope.spawn(move || owner.send_file("/api/update/bundle", bundle));
            while !sending.is_finished() {
                looks.push(Look::take(run, Stage::Writing));
                let phase = box_.status()["agent"]["phase"].clone();
                assert!(run.elapsed().as_secs() < SENT_S_MAX, "the bundle is not written: {phase}");
            }
            let (status, text) = sending.join().unwrap();
            assert!((200..300).contains(&status), "{status} {text}");
            assert_eq!(box_.status()["agent"]["phase"]["phase"], "written", "what was sent is written and read back");
        });
        rest(run, Stage::Written, looks);
        self.box_.owner.enter();
        let (status, text) = self.box_.owner.ask("POST", "/api/update/install", Some(&json!({"when": "now"})));
        assert!((200..300).contains(&status), "{status} {text}");
        self.restarts(Stage::Armed, looks)
    }

    /// The release runs on trial, and is kept.
    fn try_out(&mut self, looks: &mut Vec<Look>) -> Ending {
        self.starts(Stage::Starting, looks);
        let (box_, mut stage) = (&self.box_, Stage::Trying);
        let run = box_.run.as_ref().expect("it is switched on");
        until(run, "the release to be kept", || {
            let agent = box_.status()["agent"].clone();
            if is_committed(&agent) {
                stage = Stage::Committed;
            }
            looks.push(Look::take(run, stage));
            if agent["phase"]["fit_for_s"].as_u64().is_some_and(|fit_s| fit_s + 1 >= SOAK_S) {
                looks.extend((0..DENSE_LOOKS).map(|_| Look::after(DENSE_PAUSE, run, stage)));
            }
            stage == Stage::Committed
        });
        rest(run, stage, looks);
        reboot(&mut self.box_.probe, None);
        self.restarts(stage, looks)
    }

    /// It runs, as any other.
    fn settle(&mut self, looks: &mut Vec<Look>) -> Ending {
        self.starts(Stage::Settled, looks);
        self.box_.wait_healthy();
        rest(self.box_.run(), Stage::Settled, looks);
        self.box_.run.take().expect("it is switched on").cut_power()
    }

    /// Looks at a boot until it is ready; the owner comes back.
    fn starts(&mut self, stage: Stage, looks: &mut Vec<Look>) {
        let run = self.box_.run();
        while run.elapsed() < UNASKED {
            looks.push(Look::after(PAUSE, run, stage));
        }
        let mut probe = run.probe().unwrap();
        until(run, "lucid-ready.target", || {
            looks.push(Look::take(run, stage));
            property(&mut probe, "lucid-ready.target", "ActiveState") == "active"
        });
        self.box_.probe = probe;
        self.box_.owner.enter();
    }

    /// Looks at a boot that was told to end, until it does.
    fn restarts(&mut self, stage: Stage, looks: &mut Vec<Look>) -> Ending {
        while !self.box_.run().has_stopped() {
            looks.push(Look::after(PAUSE, self.box_.run(), stage));
        }
        looks.push(Look::take(self.box_.run(), stage));
        self.box_.wait_end()
    }

    /// Every place where the power may be cut.
    pub(super) fn places(&self) -> Vec<Place> {
        self.reels.iter().enumerate().flat_map(|(boot, reel)| reel.places(boot)).collect()
    }

    /// The disks of the boot that `place` is in.
    pub(super) fn disks(&mut self, place: Place) -> &mut [Recorded; 2] {
        &mut self.reels[place.boot].disks
    }
}

/// What is played in a boot.
type Act = fn(&mut Scene, &mut Vec<Look>) -> Ending;

/// Whether the new release was kept, as the agent tells.
pub(super) fn is_committed(agent: &Value) -> bool {
    let history = agent["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    history.iter().any(|attempt| attempt["version"] == NEW && attempt["outcome"]["outcome"] == "committed")
}

fn set_records(box_: &mut Appliance, [disk, ssd]: [Option<PathBuf>; 2]) {
    let board = box_.bench.pi.board_mut();
    board.boot_disk.record = disk;
    board.data_disk.as_mut().unwrap().record = ssd;
}

/// Looks at a box that has nothing to do.
fn rest(run: &Run, stage: Stage, looks: &mut Vec<Look>) {
    looks.extend((0..LOOKS).map(|_| Look::after(PAUSE, run, stage)));
}

impl Look {
    fn take(run: &Run, stage: Stage) -> Self {
        Self { moment: run.moment().unwrap(), stage }
    }

    fn after(pause: Duration, run: &Run, stage: Stage) -> Self {
        thread::park_timeout(pause);
        Self::take(run, stage)
    }
}

impl Reel {
    fn lengths(&self) -> [usize; 2] {
        [0, 1].map(|disk: usize| self.disks[disk].log.records().len())
    }

    /// Records of both disks at a look.
    fn at(&self, look: &Look) -> [usize; 2] {
        let lengths = look.moment.lengths();
        [0, 1].map(|disk| self.disks[disk].log.records_at(lengths[disk]))
    }

    /// The first record that says that the release is to be kept; none but in the boot in which it is.
    fn find_begun(&mut self, box_: &Appliance) -> Option<usize> {
        self.looks.iter().find(|look| look.stage == Stage::Trying)?;
        let (start, bytes) = DiskImage::open(&box_.bench.disk()).unwrap().place(Partition::State.number()).unwrap();
        let log = &mut self.disks[0].log;
        let found = (0..log.records().len()).find(|index| {
            let record = log.records()[*index];
            record.touches(start, start + bytes)
                && log.data(record).unwrap().windows(COMMITTING.len()).any(|window| window == COMMITTING)
        });
        Some(found.expect("a release was kept, and the agent has written that it keeps it"))
    }

    /// Each look is one, and so is every write to the boot disk while the data disk had none: what was told of at a
    /// look holds until the next.
    fn places(&self, boot: usize) -> impl Iterator<Item = Place> {
        let ends = self.looks.iter().skip(1).map(Some).chain([None]);
        let places = self.looks.iter().zip(ends).flat_map(move |(look, next)| {
            let [begin, data] = self.at(look);
            let end = next.map(|next| self.at(next)).filter(|[_, later]| *later == data).map_or(begin, |[end, _]| end);
            (begin..end.max(begin + 1)).map(move |records| (look.stage, [records, data]))
        });
        places.map(move |(stage, records)| Place {
            boot,
            records,
            stage: self.stage(stage, records[0]),
            is_open: self.disks.iter().zip(records).any(|(disk, records)| disk.log.unflushed(records) > 0),
        })
    }

    /// How far it was, told more exactly by what was written.
    fn stage(&self, told: Stage, records: usize) -> Stage {
        let is_begun = self.begun.is_some_and(|begun| records > begun);
        if told == Stage::Trying && is_begun { Stage::Committing } else { told }
    }
}
