//! The power is cut while the provisioning is applied, and around the claim: from the record of a first boot's writes,
//! with writes lost and torn.
//!
//! Of many disks the two places are compared that tell who may come in, as `lucid init` finds them; some are booted.

use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use lucid_hw_tests::crash::Cut;
use lucid_hw_tests::disk::DiskImage;
use lucid_hw_tests::eeprom::BootFiles;
use lucid_hw_tests::machine::{Bus, Run};
use lucid_layout::provisioning::is_consumed;
use lucid_layout::{Partition, paths};

use crate::first_boot::Fresh;
use crate::power::{self, Recorded};

/// Disks that are booted, unless `LUCID_CUTS` says otherwise.
const CUTS: usize = 3;

/// Disks that are looked at for each one that is booted: a look takes a moment, a boot half a minute.
const LOOKS_PER_CUT: usize = 40;

/// Records around the overwriting of the file in which a cut counts as one during it.
const AROUND: usize = 6;

/// A first boot and a claim, with everything that was written to the disk.
struct Scene {
    fresh: Fresh,
    /// As flash.sh wrote it.
    provisioning: Vec<u8>,
    recorded: Recorded,
    /// From the first write to the state partition to the provisioning file's last.
    applying: RangeInclusive<usize>,
    /// The end of it: from the state's last files to the provisioning file's last.
    erasing: RangeInclusive<usize>,
    /// From the claim's question to its answer.
    claiming: RangeInclusive<usize>,
    /// After its answer.
    claimed: RangeInclusive<usize>,
}

#[test]
fn power_cuts_while_the_provisioning_is_applied_leave_one_way_in() {
    let mut random = power::random();
    let mut scene = Scene::play();
    let cuts = power::cuts(CUTS);
    scene.look_at_many(&mut random, cuts * LOOKS_PER_CUT);
    for number in 0..cuts {
        let (range, expected) = match number % 4 {
            0 => (scene.applying.clone(), Some(false)),
            1 => (scene.erasing.clone(), Some(false)),
            2 => (scene.claiming.clone(), None),
            _ => (scene.claimed.clone(), Some(true)),
        };
        let cut = Cut { records: random.usize(range), seed: random.u64(..) };
        let damaged = scene.recorded.cut(cut, &scene.fresh.bench.disk());
        let consumed = is_consumed(&scene.fresh.provisioning());
        let (run, mut owner) = scene.fresh.comes_up();
        let was_claimed = scene.fresh.is_claimed_once(&mut owner);
        println!("{cut:?}: {damaged} writes damaged, consumed: {consumed}, claimed: {was_claimed}");
        assert!(expected.is_none_or(|expected| expected == was_claimed), "{cut:?}: claimed: {was_claimed}");
        let _ = run.cut_power();
    }
}

impl Scene {
    fn play() -> Self {
        let mut fresh = Fresh::new("provisioning-cut");
        let provisioning = fresh.provisioning();
        let record = fresh.bench.path("writes.log");
        File::create(&record).unwrap();
        let board = fresh.bench.pi.board_mut();
        // Not recorded, and not needed.
        board.data_disk = None;
        (board.boot_disk.bus, board.boot_disk.record) = (Bus::Sd, Some(record.clone()));
        let (run, mut owner) = fresh.comes_up();
        let length = |run: &Run| run.moment().unwrap().lengths()[0];
        let before = length(&run);
        owner.claim(&fresh.flashed.code);
        let answered = length(&run);
        assert!(fresh.is_claimed_once(&mut owner));
        let _ = run.cut_power();
        fresh.bench.pi.board_mut().boot_disk.record = None;

        let recorded = Recorded::read(&fresh.bench.path("pristine.img"), &record);
        let [before, answered] = [before, answered].map(|length| recorded.log.records_at(length));
        let claimed = answered..=recorded.log.records().len();
        let [applying, erasing] = applying(&fresh, &recorded);
        assert!(*applying.end() < before && before < answered, "{applying:?}, {before}..={answered}");
        println!("records: applying {applying:?} ({erasing:?}), claiming {before}..={answered}, claimed {claimed:?}");
        Self { fresh, provisioning, recorded, applying, erasing, claiming: before..=answered, claimed }
    }

    /// Looks at many disks that a cut while the provisioning is applied may leave.
    fn look_at_many(&mut self, random: &mut fastrand::Rng, count: usize) {
        let disk = self.fresh.bench.path("look.img");
        let (mut marked, mut begun) = (0, 0);
        for _ in 0..count {
            let range = if random.bool() { &self.applying } else { &self.erasing };
            let cut = Cut { records: random.usize(range.clone()), seed: random.u64(..) };
            self.recorded.cut(cut, &disk);
            let (is_marked, is_begun) = self.look(&disk, cut);
            (marked, begun) = (marked + usize::from(is_marked), begun + usize::from(is_begun));
        }
        println!("{count} disks: the state says done on {marked}, the file is no longer whole on {begun}");
        assert!(0 < begun && begun <= marked && marked < count, "cuts before, between and after");
    }

    /// Whether the state says that the provisioning was applied, and whether its file is no longer what it was. Never
    /// the second without the first, which would lock the box; and never the first without everything provisioned.
    fn look(&self, disk: &Path, cut: Cut) -> (bool, bool) {
        let file = DiskImage::open(disk).unwrap().read(Partition::Autoboot.number(), "lucid.toml").unwrap();
        let state = State::repaired(disk, cut);
        let is_marked = state.holds(paths::PROVISIONED).is_some();
        let is_begun = file != self.provisioning;
        assert!(is_marked || !is_begun, "{cut:?}: the file is used up, and the state does not know");
        if is_marked {
            assert_eq!(state.holds(paths::CLAIM_CODE).as_deref(), Some(self.fresh.flashed.code.as_bytes()), "{cut:?}");
            for path in [paths::HOSTNAME, paths::SSD, paths::CA_CERTIFICATE, paths::CA_KEY] {
                assert!(state.holds(path).is_some_and(|content| !content.is_empty()), "{cut:?}: {path}");
            }
        }
        (is_marked, is_begun)
    }
}

/// From the first write to the state partition to a few after the last to the provisioning file; and the end of it.
fn applying(fresh: &Fresh, recorded: &Recorded) -> [RangeInclusive<usize>; 2] {
    let image = DiskImage::open(&fresh.bench.disk()).unwrap();
    let records = recorded.log.records();
    let touching = |partition: Partition| {
        let (start, bytes) = image.place(partition.number()).expect("the image has it");
        let places = records.iter().enumerate().filter(move |(_, record)| record.touches(start, start + bytes));
        places.map(|(index, _)| index)
    };
    let first = touching(Partition::State).next().expect("the state is written");
    let mut erased = touching(Partition::Autoboot);
    let erase = erased.next().expect("the file is overwritten");
    let end = erased.next_back().unwrap_or(erase) + AROUND;
    [first..=end, erase.saturating_sub(AROUND)..=end]
}

/// A copy of a disk's state partition, checked and repaired as `lucid init` does before it mounts it.
struct State(PathBuf);

impl State {
    fn repaired(disk: &Path, cut: Cut) -> Self {
        let state = Self(disk.with_extension("state"));
        let (start, bytes) = DiskImage::open(disk).unwrap().place(Partition::State.number()).unwrap();
        let copied = Command::new("dd")
            .args(["bs=1M", "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none"])
            .args([format!("skip={start}"), format!("count={bytes}")])
            .args([format!("if={}", disk.display()), format!("of={}", state.0.display())])
            .status();
        assert!(copied.unwrap().success(), "cannot copy the state partition of {}", disk.display());
        let repaired = Command::new("e2fsck").arg("-p").arg(&state.0).output().unwrap();
        assert!(matches!(repaired.status.code(), Some(0 | 1)), "{cut:?}: {repaired:?}");
        state
    }

    /// What a file holds, by its path while the appliance runs; nothing if it is not there.
    fn holds(&self, path: &str) -> Option<Vec<u8>> {
        let path = path.strip_prefix(paths::STATE).expect("it is on the state partition");
        let stat = self.debugfs(&format!("stat {path}"));
        String::from_utf8_lossy(&stat).contains("Type: regular").then(|| self.debugfs(&format!("cat {path}")))
    }

    fn debugfs(&self, request: &str) -> Vec<u8> {
        let shown = Command::new("debugfs").args(["-R", request]).arg(&self.0).output().unwrap();
        assert!(shown.status.success(), "{request}: {shown:?}");
        shown.stdout
    }
}
