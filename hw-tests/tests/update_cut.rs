//! The power is cut while the booted appliance takes an update: whatever the two disks hold then, it comes up again by
//! itself with one of the two versions whole, never the new one before it was to be kept nor the old one after that was
//! told, and the update can be finished.
//!
//! The boot disk is a card and the data disk is on USB; both lose their power at the same moment, with writes lost and
//! torn. The firmware is played: how it and a real card take a cut is not shown.

mod scene;

use std::path::Path;

use lucid_hw_tests::crash::Cut;
use lucid_hw_tests::machine::Ending;
use lucid_hw_tests::probe::Probe;
use lucid_layout::Slot;
use serde_json::Value;

use crate::power;
use crate::updater::Appliance;
use scene::{Place, Scene, Stage, is_committed};

/// The version that was flashed, in slot A.
const OLD: &str = "0.1.0";

/// The version of the update, in slot B.
const NEW: &str = "0.1.1";

/// Cuts, unless `LUCID_CUTS` says otherwise.
const CUTS: usize = 2;

/// One cut of so many comes anywhere in its stage, the others where a disk has something to lose.
const ANYWHERE_EVERY: usize = 4;

/// After one cut of so many, the first among them, the update is taken to its end.
const WHOLE_EVERY: usize = 5;

/// Restarts by itself until the box rests: what was begun is finished.
const RESTARTS_MAX: u32 = 1;

/// A box that is up, or shuts down, has said so in this time; emulated, a boot takes a twentieth of it.
const UP_S_MAX: u64 = 600;

/// Cuts come in these stages by turns. Their number has no divisor with the two above, so that each stage meets both.
const STAGES: [Stage; 11] = [
    Stage::Writing,
    Stage::Committing,
    Stage::Armed,
    Stage::Starting,
    Stage::Trying,
    Stage::Written,
    Stage::Committing,
    Stage::Committed,
    Stage::Writing,
    Stage::Settled,
    Stage::Starting,
];

#[test]
fn power_cuts_of_an_update_leave_one_version_whole() {
    let mut random = power::random();
    let mut scene = Scene::play();
    let mut damaged = 0;
    for (number, place) in choose(&scene.places(), &mut random, power::cuts(CUTS)).into_iter().enumerate() {
        println!("cut {number}: {place:?}");
        damaged += cut(&mut scene, place, &mut random);
        check(&mut scene, place.stage, number % WHOLE_EVERY == 0);
    }
    assert!(damaged > 0, "no cut has damaged anything, so nothing is shown: run it again with more of LUCID_CUTS");
}

/// Where the power is cut.
fn choose(places: &[Place], random: &mut fastrand::Rng, count: usize) -> Vec<Place> {
    let of = |stage, only_open: bool| -> Vec<Place> {
        let places = places.iter().filter(|place| place.stage == stage && (place.is_open || !only_open));
        places.copied().collect()
    };
    for (number, stage) in STAGES.into_iter().enumerate() {
        if STAGES[..number].contains(&stage) {
            continue;
        }
        println!("{stage:?}: {} places, {} of them with writes to lose", of(stage, false).len(), of(stage, true).len());
    }
    let mut pick = |number: usize| {
        let stage = STAGES[number % STAGES.len()];
        let open = of(stage, number % ANYWHERE_EVERY != ANYWHERE_EVERY - 1);
        let among = if open.is_empty() { of(stage, false) } else { open };
        *random.choice(&among).unwrap_or_else(|| panic!("there are places while {stage:?}"))
    };
    (0..count).map(&mut pick).collect()
}

/// Makes both disks what they may hold after the power was cut. How many writes were lost or torn.
fn cut(scene: &mut Scene, place: Place, random: &mut fastrand::Rng) -> usize {
    let images = ["disk.img", "ssd.img"].map(|name| scene.box_.path(name));
    let cuts = place.records.map(|records| Cut { records, seed: random.u64(..) });
    let disks = scene.disks(place).iter_mut().zip(cuts).zip(&images);
    let damaged: usize = disks.map(|((disk, cut), image)| disk.cut(cut, image)).sum();
    println!("  {cuts:?}: {damaged} writes damaged");
    damaged
}

/// Boots what the cut has left, and goes on with the update; to its end if `is_whole`.
fn check(scene: &mut Scene, stage: Stage, is_whole: bool) {
    let Scene { box_, bundle, .. } = scene;
    let (first, restarts) = box_.comes_to_rest();
    box_.wait_healthy();
    let agent = box_.status()["agent"].clone();
    let running = running(&agent).expect("it rests on one of them");
    let (phase, last) = (&agent["phase"]["phase"], &agent["history"][0]);
    println!(
        "  boots slot {first:?}, restarts {restarts} times, runs {}; {phase}; history: {} {}; remark: {}",
        box_.version(running),
        last["version"],
        last["outcome"],
        agent["remark"]
    );
    assert_eq!(box_.committed(), running.boot().number(), "the slot that runs is the one that boots: {agent}");
    assert_eq!(box_.version(running), if running == Slot::A { OLD } else { NEW }, "{agent}");
    if let Some(expected) = expected(stage) {
        assert_eq!((first, running, restarts), (expected, expected, 0), "{stage:?}: {agent}");
    }
    match running {
        Slot::A => {
            assert_old(stage, &agent);
            finish(box_, bundle, phase == "written", is_whole);
        }
        Slot::B => {
            assert!(is_committed(&agent) && phase == "idle", "it runs, and is kept: {agent}");
            assert_eq!(agent["quarantine"], Value::Array(vec![]), "{agent}");
        }
    }
    let _ = box_.run.take().expect("it is switched on").cut_power();
}

/// The slot that has to run; none where it may be either.
fn expected(stage: Stage) -> Option<Slot> {
    match stage {
        Stage::Writing | Stage::Written | Stage::Armed | Stage::Starting | Stage::Trying => Some(Slot::A),
        Stage::Committing => None,
        Stage::Committed | Stage::Settled => Some(Slot::B),
    }
}

/// The old version runs: what is said of the new one is what was known of it.
fn assert_old(stage: Stage, agent: &Value) {
    let (phase, last) = (agent["phase"]["phase"].as_str().expect("a phase"), &agent["history"][0]["outcome"]);
    let is_written = phase == "written";
    match last["cause"].as_str() {
        // The order to install it had not reached the disk.
        None => {
            assert!(matches!(stage, Stage::Writing | Stage::Written), "a trial was asked for, and is told of: {agent}");
            let is_less = stage == Stage::Writing && matches!(phase, "idle" | "writing");
            assert!(last.is_null() && (is_written || is_less), "{agent}");
        }
        // Whoever pulls the plug says nothing against the release.
        Some("interrupted") => {
            assert!(matches!(stage, Stage::Armed | Stage::Starting | Stage::Trying | Stage::Committing), "{agent}");
            assert!(is_written && agent["quarantine"] == Value::Array(vec![]), "{agent}");
        }
        // Before it was counted, nothing tells a cut from a release that does not start.
        Some("never_started") => {
            assert!(matches!(stage, Stage::Written | Stage::Armed | Stage::Starting), "{agent}");
            assert!(phase == "idle" && agent["quarantine"][0]["version"] == NEW, "{agent}");
        }
        Some(cause) => panic!("{stage:?}: nothing is wrong with the release, and it is told as {cause}: {agent}"),
    }
}

/// The update goes on where it was, or is started over.
fn finish(box_: &mut Appliance, bundle: &Path, is_written: bool, is_whole: bool) {
    if !is_written {
        box_.push(bundle);
    }
    if is_whole {
        let ending = box_.install();
        box_.boot(&ending, Slot::B);
        box_.come_up();
        box_.wait_committed(NEW);
        assert_eq!(box_.committed(), Slot::B.boot().number(), "it is kept");
    }
}

/// The slot that runs, if it is the one that was kept, and not on trial.
fn running(agent: &Value) -> Option<Slot> {
    let is_kept = agent["committed"]["present"] == agent["running"] && agent["trial"] == false;
    let slot = Slot::ALL.into_iter().find(|slot| agent["running"] == slot.letter().to_string().as_str());
    slot.filter(|_| is_kept)
}

/// What becomes of a boot.
enum Turn {
    Starting,
    Up,
    Stopping,
}

impl Turn {
    /// Asks the first process. A probe that does not answer is that of a box that stops, or it is asked again.
    fn look(probe: &mut Probe) -> Self {
        let mut systemctl = |arguments: &[&str]| Some(probe.run("/usr/bin/systemctl", arguments).ok()?.stdout);
        let is_ready = systemctl(&["is-active", "lucid-ready.target"]).is_some_and(|state| state.trim() == "active");
        match systemctl(&["is-system-running"]) {
            Some(state) if state.trim() == "stopping" => Self::Stopping,
            Some(_) if is_ready => Self::Up,
            _ => Self::Starting,
        }
    }
}

impl Appliance {
    /// Switches it on and waits until it is up and stays so; signs in. The slot that booted first, and how often the
    /// box restarted by itself.
    fn comes_to_rest(&mut self) -> (Slot, u32) {
        let run = self.bench.pi.power_on().unwrap();
        let booted = |partition| Slot::ALL.into_iter().find(|slot| slot.boot().number() == partition);
        let (first, mut restarts) = (booted(run.partition()).expect("it boots a slot"), 0);
        self.run = Some(run);
        while let Some(ending) = self.comes_up_or_ends() {
            restarts += 1;
            assert!(restarts <= RESTARTS_MAX && ending == Ending::Reboot(None), "restart {restarts}: {ending:?}");
            self.run = Some(self.bench.pi.restart(&ending).unwrap());
        }
        (first, restarts)
    }

    /// Waits until the boot is up, for good; how it ended, if it ends instead.
    fn comes_up_or_ends(&mut self) -> Option<Ending> {
        self.probe = self.run().probe().unwrap();
        loop {
            if self.run().has_stopped() {
                return Some(self.wait_end());
            }
            assert!(self.run().elapsed().as_secs() < UP_S_MAX, "it does not come up; see {:?}", self.run().log());
            match Turn::look(&mut self.probe) {
                Turn::Starting => {}
                Turn::Stopping => return Some(self.wait_end()),
                Turn::Up => break,
            }
        }
        self.owner.enter();
        // The agent answers once it has put right what it found; then it restarts the box, or everything fits.
        running(&self.status()["agent"]).is_none().then(|| self.wait_end())
    }
}
