//! What is to be done so that slots, autoboot.txt, book and progress fit together again: at the agent's start, and at
//! the end of a trial.
//!
//! ```text
//! committing ──────────────────────▶ finished
//! armed, and the slot runs on trial ▶ trying: the gate begins
//! armed or trying, and it does not ─▶ it ended without us: why, from what it left behind
//! otherwise ───────────────────────▶ autoboot.txt and the slot that runs are what the book commits, or are put right
//! ```
//!
//! Decides on a whole scene, and gives a plan whose every step may be the last before a power cut: the next start makes
//! the same of what is there then. Promises: a slot is committed only after its gate, or to repair what was committed;
//! whatever is wrong, a plan restarts the box at most once an hour. Pure: must never do anything itself.

mod act;
mod plan;

use lucid_agent_protocol::update::{Attempt, Cause, Outcome, Selftest};
use lucid_layout::update::{DATA, Fallback, SlotBook, Standing};
use lucid_layout::{Release, Slot};

use super::eeprom;
use super::evidence::{Evidence, Reached};
use super::progress::{Candidate, History, Progress, Purpose};
use super::trial::Failure;
pub(crate) use plan::{Action, Draft, Restart};

/// A restart to get back to the committed slot is tried once in this time.
const REPAIR_PERIOD_MS: u64 = 60 * 60 * 1000;

/// How everything is found.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// The slot that runs.
    pub(crate) running: Slot,
    /// The firmware started it once, on trial.
    pub(crate) trial: bool,
    /// The kernel's id of this boot.
    pub(crate) boot_id: String,
    /// Milliseconds since 1970, by a clock that is never behind what it was before.
    pub(crate) now_ms: u64,
    /// What autoboot.txt commits, or what is wrong with it.
    pub(crate) autoboot: Result<Slot, String>,
    /// None: there is none, or it can't be read.
    pub(crate) book: Option<SlotBook>,
    /// What the boot partitions say, A first; none where that can't be read.
    pub(crate) releases: [Option<Release>; 2],
    pub(crate) progress: Progress,
    pub(crate) history: History,
    pub(crate) fallback: Option<Fallback>,
    /// Another disk that looks like the one that was booted.
    pub(crate) twin: Option<String>,
    /// What a trial left behind, if one was asked for.
    pub(crate) evidence: Evidence,
    /// The EEPROM's build date, in seconds since 1970.
    pub(crate) eeprom_s: Option<u64>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In this order.
    pub(crate) actions: Vec<Action>,
    /// A trial begins: its gate is to be kept.
    pub(crate) gate: bool,
    /// For the owner.
    pub(crate) remark: Option<String>,
}

impl Scene {
    fn release(&self, slot: Slot) -> Option<&Release> {
        self.releases[usize::from(slot == Slot::B)].as_ref()
    }

    fn draft(&self) -> Draft {
        Draft::new(self.book.clone(), self.history.clone(), self.progress.clone())
    }

    /// What a slot's release is called, as far as anybody knows.
    fn version(&self, slot: Slot) -> String {
        match (self.book.as_ref().map(|book| book.standing(slot)), self.release(slot)) {
            (Some(Standing::Good { version, .. }), _) => version.clone(),
            (_, Some(release)) => release.version.clone(),
            (_, None) => "unknown".to_owned(),
        }
    }

    /// A release that has shown that it works here.
    fn good(&self, slot: Slot) -> Standing {
        self.release(slot).map_or(Standing::Unknown, |release| Standing::Good {
            version: release.version.clone(),
            build_id: release.build_id,
            data: release.data,
        })
    }

    fn attempt(&self, slot: Slot, outcome: Outcome) -> Attempt {
        let build_id = self.release(slot).map(|release| release.build_id);
        Attempt { at_ms: self.now_ms, version: self.version(slot), build_id, slot, outcome }
    }
}

/// The one place that decides.
pub(crate) fn decide(scene: &Scene) -> Plan {
    let mut draft = scene.draft();
    if let Some(twin) = &scene.twin {
        beside_a_twin(scene, &mut draft, twin);
        return draft.plan();
    }
    match &scene.progress {
        Progress::Committing { what, purpose } => {
            draft.commit(what, *purpose, scene.now_ms);
            draft.restart = (what.slot != scene.running).then_some(Restart::Plain);
        }
        Progress::Armed { what, .. } | Progress::Trying { what, .. } if scene.trial && what.slot == scene.running => {
            on_trial(scene, &mut draft);
        }
        // The restart that was asked for has not come yet.
        Progress::Armed { what, armed_in, .. } if *armed_in == scene.boot_id && what.slot != scene.running => {
            draft.restart = Some(Restart::OnTrial);
        }
        Progress::Armed { what, .. } | Progress::Trying { what, .. } if what.slot != scene.running => {
            ended(scene, &mut draft);
            settle(scene, &mut draft);
        }
        _ if scene.trial && scene.autoboot != Ok(scene.running) => unasked(scene, &mut draft),
        _ => {
            settle(scene, &mut draft);
            // Kept earlier in this boot, by an agent that ended since.
            draft.end_trial = scene.trial;
        }
    }
    draft.plan()
}

/// Which of two equal disks the firmware reads, and which one is mounted, nobody can tell.
fn beside_a_twin(scene: &Scene, draft: &mut Draft, twin: &str) {
    let why =
        format!("disk `{twin}` has partitions of the same ids and could be booted or written in its place: unplug it");
    if scene.trial && scene.autoboot != Ok(scene.running) {
        if let Some((what, purpose, armed_in)) = asked(&scene.progress) {
            let failure = Failure { cause: Cause::Interrupted, why: why.clone(), log: Vec::new() };
            draft.roll_back(what, purpose, armed_in, failure, scene.now_ms);
        }
        draft.restart = Some(Restart::Plain);
    }
    draft.remark(why);
}

/// What was asked to be tried.
fn asked(progress: &Progress) -> Option<(&Candidate, Purpose, &str)> {
    match progress {
        Progress::Armed { what, purpose, armed_in, .. } | Progress::Trying { what, purpose, armed_in, .. } => {
            Some((what, *purpose, armed_in))
        }
        Progress::Idle | Progress::Writing { .. } | Progress::Written { .. } | Progress::Committing { .. } => None,
    }
}

/// The slot that was asked for runs on trial.
fn on_trial(scene: &Scene, draft: &mut Draft) {
    match scene.progress.clone() {
        Progress::Armed { what, purpose, armed_in, soak_s, before } => {
            let boot_id = scene.boot_id.clone();
            draft.progress = Progress::Trying { what, purpose, armed_in, soak_s, before, boot_id, last: Vec::new() };
            draft.gate = !purpose.is_there_and_back();
            draft.restart = purpose.is_there_and_back().then_some(Restart::Plain);
        }
        Progress::Trying { purpose, .. } if purpose.is_there_and_back() => draft.restart = Some(Restart::Plain),
        Progress::Trying { what, purpose, armed_in, boot_id, last, .. } => {
            let failure = if boot_id == scene.boot_id {
                let why = "the agent, without which it can't be updated, ended while it was tried".to_owned();
                Failure { cause: Cause::Agent, why, log: Vec::new() }
            } else {
                scene.evidence.failure(&what.version, &armed_in, Reached::Trying(&last))
            };
            conclude(scene, draft, (&what, purpose, &armed_in), failure);
            draft.restart = Some(Restart::Plain);
        }
        _ => {}
    }
}

/// The other slot was asked for, and this one runs: the trial ended without a word of ours.
fn ended(scene: &Scene, draft: &mut Draft) {
    let Some((what, purpose, armed_in)) = asked(&scene.progress) else { return };
    let reached = match &scene.progress {
        Progress::Trying { last, .. } => Reached::Trying(last),
        _ => Reached::Armed,
    };
    let mut failure = scene.evidence.failure(&what.version, armed_in, reached);
    if scene.trial {
        // `[boot_partition=N]` is not known to EEPROMs before 2025-03-10: they take slot A's command line in any case.
        let why = format!(
            "the firmware started slot {:?} with the system of slot {:?}: update the EEPROM",
            what.slot, scene.running
        );
        failure = Failure { cause: Cause::NeverStarted, why, log: Vec::new() };
        draft.restart = Some(Restart::Plain);
    }
    conclude(scene, draft, (what, purpose, armed_in), failure);
}

/// What a trial that is over comes to.
fn conclude(scene: &Scene, draft: &mut Draft, asked: (&Candidate, Purpose, &str), failure: Failure) {
    let (what, purpose, armed_in) = asked;
    match purpose {
        Purpose::Update | Purpose::Return => return draft.roll_back(what, purpose, armed_in, failure, scene.now_ms),
        Purpose::Selftest => draft.history.selftest = Some(self_tested(scene, what, armed_in, failure)),
        Purpose::Eeprom { build_s } => {
            draft.history.eeprom = Some(eeprom::concluded(build_s, scene.eeprom_s, &failure.why, scene.now_ms));
        }
    }
    draft.progress = Progress::Idle;
}

/// What a self-test showed.
fn self_tested(scene: &Scene, what: &Candidate, armed_in: &str, failure: Failure) -> Selftest {
    let is_tried = matches!(scene.progress, Progress::Trying { .. }) || scene.evidence.was_counted(armed_in);
    let passed = is_tried && failure.cause != Cause::Panic && !scene.trial;
    let text = match passed {
        true => format!("slot {:?} was started once, and slot {:?} after it", what.slot, scene.running),
        false => failure.why,
    };
    Selftest { at_ms: scene.now_ms, passed, text }
}

/// A trial that nobody asked for, or whose asking was lost with `/state`, can't be kept.
fn unasked(scene: &Scene, draft: &mut Draft) {
    let why = format!("slot {:?} was started on trial, and nothing is known of why", scene.running);
    draft.history.add(scene.attempt(scene.running, Outcome::Repaired { why }));
    draft.restart = Some(Restart::Plain);
}

/// No trial is under way.
fn settle(scene: &Scene, draft: &mut Draft) {
    drop_what_can_not_be(scene, draft);
    let mut book = draft.book.take().unwrap_or_else(|| new_book(scene));
    take_over(scene, draft, &mut book);
    if scene.autoboot != Ok(book.committed) {
        repair_autoboot(scene, draft, &mut book);
    }
    if scene.running != book.committed {
        go_home(scene, draft, &mut book);
    } else if let Some(release) = scene.release(scene.running) {
        remark_age(draft, release);
        draft.history.epoch_floor = draft.history.epoch_floor.max(release.epoch);
    }
    draft.book = Some(book);
}

/// Older than what may be installed: only recovery brings that back.
fn remark_age(draft: &mut Draft, release: &Release) {
    let floor = draft.history.epoch_floor;
    if release.epoch < floor {
        draft.remark(format!(
            "version {} is older than what may still be installed (epoch {} of at least {floor}): it runs because \
             nothing newer does; install an update",
            release.version, release.epoch
        ));
    }
}

/// Progress that names the slot that runs as the one that is written or tried.
fn drop_what_can_not_be(scene: &Scene, draft: &mut Draft) {
    let slot = match &draft.progress {
        Progress::Writing { incoming, .. } => Some(incoming.slot),
        progress => progress.candidate().map(|what| what.slot),
    };
    if slot == Some(scene.running) {
        draft.progress = Progress::Idle;
        draft.forget_header = true;
    }
}

/// A new state, or one that was lost. The other slot is good only if it is the same release.
fn new_book(scene: &Scene) -> SlotBook {
    let other = scene.running.other();
    let build = |slot| scene.release(slot).map(|release| release.build_id);
    let is_same = build(other).is_some() && build(other) == build(scene.running);
    let committed = scene.autoboot.clone().unwrap_or(scene.running);
    let mut book = SlotBook { committed, a: Standing::Unknown, b: Standing::Unknown, data_generation: DATA.generation };
    *book.standing_mut(scene.running) = scene.good(scene.running);
    if is_same {
        *book.standing_mut(other) = scene.good(other);
    }
    book
}

/// The stage before systemd left the other slot for this one.
fn take_over(scene: &Scene, draft: &mut Draft, book: &mut SlotBook) {
    let Some(Fallback { from, failed_boots, boot_id }) = scene.fallback.as_ref().filter(|it| it.from != scene.running)
    else {
        return;
    };
    let (version, running) = (scene.version(*from), scene.version(scene.running));
    if draft.history.settled.as_ref() != Some(boot_id) {
        let attempt = scene.attempt(*from, Outcome::LeftAfterFailedBoots { failed_boots: *failed_boots });
        if let Some(build_id) = attempt.build_id {
            draft.history.quarantine(&version, build_id, scene.now_ms);
        }
        draft.history.add(attempt);
        draft.history.settled = Some(boot_id.clone());
    }
    book.committed = scene.running;
    let reason = format!("version {version} was started {failed_boots} times in a row without becoming ready");
    draft.remark(format!("{reason}, so version {running} runs from slot {:?}", scene.running));
    *book.standing_mut(*from) = Standing::Unfit { reason };
}

fn repair_autoboot(scene: &Scene, draft: &mut Draft, book: &mut SlotBook) {
    let why = match &scene.autoboot {
        // What the book calls unfit is not committed again, whatever autoboot.txt says.
        Ok(slot) if matches!(book.standing(book.committed), Standing::Unfit { .. }) => {
            book.committed = *slot;
            return;
        }
        Ok(slot) => format!("autoboot.txt named slot {slot:?}, and slot {:?} is what was kept", book.committed),
        Err(problem) => problem.clone(),
    };
    draft.autoboot = Some(book.committed);
    draft.history.add(scene.attempt(book.committed, Outcome::Repaired { why }));
}

/// The slot that runs is not the committed one, and not on trial.
fn go_home(scene: &Scene, draft: &mut Draft, book: &mut SlotBook) {
    let (running, committed) = (scene.running, book.committed);
    let is_recent = |at_ms: u64| at_ms.abs_diff(scene.now_ms) < REPAIR_PERIOD_MS;
    let was_tried = draft.history.repaired_ms.is_some_and(is_recent);
    if !was_tried && !matches!(book.standing(committed), Standing::Unfit { .. }) {
        let why = format!("slot {running:?} was started, and slot {committed:?} is committed: the box was restarted");
        draft.history.add(scene.attempt(committed, Outcome::Repaired { why }));
        draft.history.repaired_ms = Some(scene.now_ms);
        draft.restart = Some(Restart::Plain);
        return;
    }
    let why = format!("slot {committed:?} is committed, and the firmware starts slot {running:?} all the same");
    if book.may_take_over(running) {
        book.committed = running;
        *book.standing_mut(committed) = Standing::Unfit { reason: why.clone() };
        draft.autoboot = Some(running);
        draft.history.add(scene.attempt(running, Outcome::Repaired { why: format!("{why}: it is kept instead") }));
    } else {
        draft.remark(format!("{why}, which is not known to be good: flash the box again"));
    }
}

#[cfg(test)]
mod tests;
