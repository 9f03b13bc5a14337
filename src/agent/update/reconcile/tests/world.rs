//! A box as far as slots go: a firmware, a disk, a state, and a power switch. Simulated; the agent's own code decides.

use lucid_layout::Digest;
use lucid_layout::update::DataFormat;

use super::*;

/// A box.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) running: Slot,
    pub(super) trial: bool,
    pub(super) autoboot: Result<Slot, String>,
    pub(super) book: Option<SlotBook>,
    pub(super) releases: [Option<Release>; 2],
    pub(super) progress: Progress,
    pub(super) history: History,
    pub(super) fallback: Option<Fallback>,
    pub(super) twin: Option<String>,
    pub(super) evidence: Evidence,
    pub(super) now_ms: u64,
    /// The slot that the firmware starts whatever it is told.
    pub(super) insists: Option<Slot>,
    /// How often the agent restarted it.
    pub(super) restarts: u32,
    boot: u32,
}

fn build(number: u8) -> Digest {
    Digest([number; 32])
}

const fn data(number: u32) -> DataFormat {
    DataFormat { generation: number + 1, reads_from: 1 }
}

/// Release 1 is of epoch 4 and writes generation 2, release 2 of epoch 5 and 3.
pub(super) fn release(number: u8) -> Release {
    Release {
        version: number.to_string(),
        build_id: build(number),
        root_hash: build(0),
        epoch: 3 + u64::from(number),
        data: data(number.into()),
    }
}

pub(super) fn good(number: u8) -> Standing {
    Standing::Good { version: number.to_string(), build_id: build(number), data: data(number.into()) }
}

pub(super) fn unfit() -> Standing {
    Standing::Unfit { reason: "it is being written".to_owned() }
}

pub(super) fn book(committed: Slot, a: Standing, b: Standing) -> SlotBook {
    SlotBook { committed, a, b, data_generation: 2 }
}

/// Release 2 in slot B.
pub(super) fn candidate() -> Candidate {
    let Release { version, build_id, epoch, data, .. } = release(2);
    Candidate { slot: Slot::B, version, build_id, incoming: None, epoch, data }
}

/// In the boot in which a release was kept, every start of the agent takes the trial's bounds away once more.
fn is_rest(plan: &Plan) -> bool {
    plan.actions.iter().all(|action| *action == Action::EndTrial) && !plan.gate
}

fn failure() -> Failure {
    Failure { cause: Cause::Service, why: "a service failed".to_owned(), log: vec![] }
}

impl World {
    /// Release 1 is committed in slot A and runs; release 2 was written to slot B.
    pub(super) fn new() -> Self {
        Self {
            running: Slot::A,
            trial: false,
            autoboot: Ok(Slot::A),
            book: Some(book(Slot::A, good(1), unfit())),
            releases: [Some(release(1)), Some(release(2))],
            progress: Progress::Idle,
            history: History { epoch_floor: 4, ..History::default() },
            fallback: None,
            twin: None,
            evidence: Evidence::default(),
            now_ms: 1_000_000_000_000,
            insists: None,
            restarts: 0,
            boot: 1,
        }
    }

    /// Release 2 runs on trial.
    pub(super) fn on_trial(purpose: Purpose) -> Self {
        let mut world = Self::new();
        world.arm(purpose);
        world.restart(Restart::OnTrial);
        world.start(None);
        world
    }

    pub(super) fn arm(&mut self, purpose: Purpose) {
        let (armed_in, before) = (self.boot_id(), crate::update::progress::Circumstances::default());
        self.progress = Progress::Armed { what: candidate(), purpose, armed_in, soak_s: 7, before };
    }

    pub(super) fn boot_id(&self) -> String {
        format!("boot-{}", self.boot)
    }

    pub(super) fn scene(&self) -> Scene {
        Scene {
            running: self.running,
            trial: self.trial,
            boot_id: self.boot_id(),
            now_ms: self.now_ms,
            autoboot: self.autoboot.clone(),
            book: self.book.clone(),
            releases: self.releases.clone(),
            progress: self.progress.clone(),
            history: self.history.clone(),
            fallback: self.fallback.clone(),
            twin: self.twin.clone(),
            evidence: self.evidence.clone(),
            eeprom_s: None,
        }
    }

    /// What the firmware does.
    pub(super) fn restart(&mut self, restart: Restart) {
        // Without an autoboot.txt it walks the partitions, and finds slot A first.
        let committed = self.autoboot.clone().unwrap_or(Slot::A);
        self.trial = restart == Restart::OnTrial;
        let chosen = if self.trial { committed.other() } else { committed };
        self.running = self.insists.unwrap_or(chosen);
        self.boot += 1;
        self.now_ms += 60_000;
    }

    /// An agent starts and does what it decides, until the power is cut after so many steps. Whether nothing was cut.
    pub(super) fn start(&mut self, cut: Option<usize>) -> bool {
        let plan = decide(&self.scene());
        self.perform(plan.actions, cut)
    }

    fn perform(&mut self, actions: Vec<Action>, cut: Option<usize>) -> bool {
        let is_whole = cut.is_none_or(|cut| cut >= actions.len());
        for action in actions.into_iter().take(cut.unwrap_or(usize::MAX)) {
            self.step(action);
        }
        if !is_whole {
            self.restart(Restart::Plain);
        }
        is_whole
    }

    fn step(&mut self, action: Action) {
        match action {
            Action::Progress(progress) => self.progress = progress,
            Action::Autoboot(slot) | Action::Repair(slot) => self.autoboot = Ok(slot),
            Action::Book(book) => self.book = Some(book),
            Action::History(history) => self.history = history,
            Action::ForgetFallback => self.fallback = None,
            Action::ForgetHeader | Action::EndTrial => {}
            Action::Restart(restart) => {
                self.restarts += 1;
                self.restart(restart);
            }
        }
    }

    /// The gate keeps what is on trial, until the power is cut after so many steps.
    pub(super) fn commit(&mut self, cut: Option<usize>) {
        let mut draft = Draft::new(self.book.clone(), self.history.clone(), self.progress.clone());
        let Progress::Trying { what, purpose, .. } = self.progress.clone() else { panic!("{:?}", self.progress) };
        draft.commit(&what, purpose, self.now_ms);
        self.perform(draft.plan().actions, cut);
    }

    /// The gate takes back what is on trial, until the power is cut after so many steps.
    pub(super) fn roll_back(&mut self, cut: usize) {
        let mut draft = Draft::new(self.book.clone(), self.history.clone(), self.progress.clone());
        let Progress::Trying { what, purpose, armed_in, .. } = self.progress.clone() else {
            panic!("{:?}", self.progress)
        };
        draft.roll_back(&what, purpose, &armed_in, failure(), self.now_ms);
        draft.restart = Some(Restart::Plain);
        self.perform(draft.plan().actions, Some(cut));
    }

    /// Starts until nothing more is to be done, and looks whether all fits together then.
    #[track_caller]
    pub(super) fn settles(&mut self) {
        let restarts = self.restarts;
        for _ in 0..8 {
            let plan = decide(&self.scene());
            if is_rest(&plan) {
                break;
            }
            let armed = plan.actions.contains(&Action::Restart(Restart::OnTrial));
            self.perform(plan.actions, None);
            // A trial that goes on from here is nobody's in this test: its box is switched off and on.
            if plan.gate || armed {
                self.restart(Restart::Plain);
            }
        }
        let plan = decide(&self.scene());
        assert!(is_rest(&plan), "no rest: {plan:?} in {self:#?}");
        assert_eq!((&self.autoboot, self.running), (&Ok(self.committed()), self.committed()), "{self:#?}");
        assert!(matches!(self.progress, Progress::Idle | Progress::Written { .. }), "{self:#?}");
        assert!(self.restarts - restarts <= 3, "{} restarts", self.restarts - restarts);
    }

    pub(super) fn committed(&self) -> Slot {
        self.book.as_ref().expect("a book").committed
    }

    pub(super) fn standing(&self, slot: Slot) -> &Standing {
        self.book.as_ref().expect("a book").standing(slot)
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.history.is_quarantined(&build(2))
    }
}

/// Boxes in every combination of what a cut, a lost state or a stranger could leave.
pub(super) fn every() -> Vec<World> {
    let mut all = Vec::new();
    for progress in 0..6 {
        for running in Slot::ALL {
            for autoboot in [Ok(Slot::A), Ok(Slot::B), Err("torn".to_owned())] {
                for books in 0..3 {
                    for left in [None, Some(Slot::A), Some(Slot::B)] {
                        let mut world = World::new();
                        (world.running, world.autoboot) = (running, autoboot.clone());
                        world.book = match books {
                            0 => None,
                            1 => Some(book(Slot::A, good(1), good(2))),
                            _ => Some(book(Slot::B, good(1), good(2))),
                        };
                        let of = |from| Fallback { from, failed_boots: 3, boot_id: "boot-0".to_owned() };
                        world.fallback = left.map(of);
                        set_progress(&mut world, progress);
                        all.push(world);
                    }
                }
            }
        }
    }
    all
}

fn set_progress(world: &mut World, kind: u8) {
    let (what, purpose, before) = (candidate(), Purpose::Update, crate::update::progress::Circumstances::default());
    let armed_in = "boot-0".to_owned();
    world.progress = match kind {
        0 => Progress::Idle,
        1 => Progress::Written { what },
        2 => Progress::Armed { what, purpose, armed_in, soak_s: 7, before },
        3 => {
            let boot_id = "boot-0.5".to_owned();
            Progress::Trying { what, purpose, armed_in, soak_s: 7, before, boot_id, last: vec![] }
        }
        4 => Progress::Committing { what, purpose },
        _ => {
            world.trial = true;
            Progress::Armed { what, purpose, armed_in, soak_s: 7, before }
        }
    };
}
