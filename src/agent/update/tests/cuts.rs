//! Power cuts: what a whole update wrote and flushed, replayed up to a random point, with a random and torn subset of
//! what was not flushed. Then the box boots, says what it has, and the update is finished.

use std::collections::BTreeMap;

use lucid_agent_protocol::update::{Outcome, Phase};
use lucid_device::Reading;
use lucid_layout::update::Standing;
use lucid_layout::{Partition, Slot};

use super::bundles::{Bundle, Content, bundle};
use super::rig::{Rig, eeprom, former, holds, new, running, walk};
use super::world::{Event, Lasting, SECTOR};
use crate::update::progress::Progress;

/// Cuts in one run. More by `LUCID_CUTS` when the tests are built.
const CUTS: usize = 1000;

/// Restarts until a box has come to rest: a trial that ended, a repair.
const BOOTS_MAX: u32 = 4;

/// A recorded update: what there was before, and everything that happened.
pub(super) struct Recorded {
    pub(super) before: Lasting,
    pub(super) log: Vec<Event>,
}

impl Recorded {
    /// What is there when the power goes while event `at` is under way.
    pub(super) fn cut(&self, at: usize, random: &mut fastrand::Rng) -> Lasting {
        let mut medium = Medium { durable: self.before.clone(), pending: BTreeMap::new() };
        (0..at).for_each(|passed| medium.pass(&self.log, passed));
        medium.cut(&self.log, at, random)
    }
}

/// An update that was interrupted once, and then installed and kept.
fn record(bundle: &Bundle) -> Recorded {
    let mut rig = Rig::new();
    let before = rig.world.with(|inner| {
        inner.log.clear();
        inner.lasting.clone()
    });
    assert!(rig.send_bytes(&bundle.bytes[..bundle.bytes.len() * 2 / 3]).is_err());
    rig.agent_restarted();
    assert_eq!(rig.send_rest(bundle), Ok(()));
    rig.install();
    assert_eq!(rig.updates.report().committed, Reading::Present(Slot::B));
    let log = rig.world.with(|inner| inner.log.clone());
    Recorded { before, log }
}

/// What is on the medium for sure, and what may be, as the log goes on.
struct Medium {
    durable: Lasting,
    pending: BTreeMap<Partition, Vec<usize>>,
}

impl Medium {
    /// An event that came to its end.
    fn pass(&mut self, log: &[Event], at: usize) {
        match &log[at] {
            Event::Write { partition, .. } => self.pending.entry(*partition).or_default().push(at),
            Event::Flush { partition } => {
                for write in self.pending.remove(partition).unwrap_or_default() {
                    land(&mut self.durable, &log[write], |_| true);
                }
            }
            Event::Replace { path, bytes } => {
                self.durable.files.insert(path.clone(), bytes.to_vec());
            }
            Event::Remove { path } => {
                self.durable.files.remove(path);
            }
        }
    }

    /// What is there when the power goes while event `at` is under way.
    fn cut(&self, log: &[Event], at: usize, random: &mut fastrand::Rng) -> Lasting {
        let mut left = self.durable.clone();
        let under_way = log.get(at).into_iter().filter(|event| matches!(event, Event::Write { .. }));
        let pending = self.pending.values().flatten().map(|write| &log[*write]);
        let mut writes: Vec<_> = pending.chain(under_way).collect();
        // A disk writes in the order that it likes.
        random.shuffle(&mut writes);
        for write in writes {
            let Event::Write { bytes, .. } = write else { continue };
            let sectors = bytes.len() / SECTOR;
            let (kind, until, share) = (random.u8(0..4), random.usize(0..=sectors), random.f64());
            let kept: Vec<bool> = (0..sectors)
                .map(|sector| match kind {
                    0 => false,
                    1 => true,
                    2 => sector < until,
                    _ => random.f64() < share,
                })
                .collect();
            land(&mut left, write, |sector| kept[sector]);
        }
        match log.get(at) {
            Some(Event::Replace { path, bytes }) if random.bool() => {
                left.files.insert(path.clone(), bytes.to_vec());
            }
            Some(Event::Remove { path }) if random.bool() => {
                left.files.remove(path);
            }
            _ => {}
        }
        left
    }
}

/// A write reaches the medium, sector by sector.
fn land(lasting: &mut Lasting, write: &Event, kept: impl Fn(usize) -> bool) {
    let Event::Write { partition, offset, bytes } = write else { return };
    let content = lasting.partitions.get_mut(partition).unwrap();
    for (number, sector) in bytes.chunks(SECTOR).enumerate().filter(|(number, _)| kept(*number)) {
        let at = offset + number * SECTOR;
        content[at..at + SECTOR].copy_from_slice(sector);
    }
}

/// Whatever the firmware may start is whole.
fn assert_whole(left: &Lasting, all: &[Content], place: &str) {
    let slot = eeprom(left, false).unwrap_or_else(|| panic!("{place}: nothing boots"));
    assert!(holds(left, slot, all).is_some(), "{place}: slot {slot:?} boots and is not whole");
    for slot in walk(left) {
        assert!(holds(left, slot, all).is_some(), "{place}: a walk starts slot {slot:?}, which is not whole");
    }
}

/// Boots what is left, and updates to the end.
fn finishes(left: Lasting, bundle: &Bundle, new: &Content, place: &str) -> Rig {
    let mut rig = Rig::on(left);
    for _ in 0..BOOTS_MAX {
        if !rig.restarted() {
            break;
        }
    }
    assert!(!rig.restarted(), "{place}: restarts without an end");
    let running = rig.updates.report().running;
    assert_eq!(rig.updates.report().committed.present().copied(), running, "{place}");
    assert!(!matches!(rig.updates.progress(), Progress::Armed { .. } | Progress::Trying { .. }), "{place}");
    if running == Some(Slot::A) {
        if !matches!(rig.phase(), Phase::Written { .. }) {
            assert_eq!(rig.send_rest(bundle), Ok(()), "{place}");
        }
        rig.install();
    }
    let report = rig.updates.report();
    assert_eq!(report.committed, Reading::Present(Slot::B), "{place}");
    assert_eq!(report.phase, Phase::Idle {}, "{place}");
    assert!(rig.holds(Slot::B, std::slice::from_ref(new)).is_some(), "{place}");
    assert!(matches!(rig.book().b, Standing::Good { ref version, .. } if *version == "1.1.0"), "{place}");
    rig
}

#[test]
fn after_a_thousand_cuts_one_of_the_two_versions_is_whole_and_the_update_finishes() {
    let cuts = option_env!("LUCID_CUTS").map_or(CUTS, |text| text.parse().expect("LUCID_CUTS is a number"));
    let seed = fastrand::u64(..);
    let (mut random, new) = (fastrand::Rng::with_seed(seed), new());
    let (all, bundle) = ([running(), former(), new.clone()], bundle(&new));
    let Recorded { before, log } = record(&bundle);
    let mut places: Vec<_> = (0..cuts).map(|_| random.usize(0..=log.len())).collect();
    places.sort_unstable();
    let mut medium = Medium { durable: before, pending: BTreeMap::new() };
    let (mut passed, mut kinds) = (0, BTreeMap::new());
    for place in places {
        (passed..place).for_each(|at| medium.pass(&log, at));
        passed = place;
        let left = medium.cut(&log, place, &mut random);
        let name = format!("seed {seed}, cut at {place} of {}: {:?}", log.len(), log.get(place).map(kind));
        assert_whole(&left, &all, &name);
        let rig = finishes(left, &bundle, &new, &name);
        let outcome = rig.updates.report().history.first().map(|attempt| attempt.outcome.clone());
        assert!(matches!(outcome, Some(Outcome::Committed {})), "{name}: {outcome:?}");
        *kinds.entry(log.get(place).map_or("end", kind)).or_insert(0_usize) += 1;
    }
    println!("{cuts} cuts among {} events: {kinds:?}", log.len());
    assert!(cuts < CUTS || kinds.len() >= 4, "cuts in each kind of event: {kinds:?}");
}

/// The control: the checks above do find a slot that is not whole.
#[test]
#[should_panic(expected = "which is not whole")]
fn a_half_written_slot_that_can_be_booted_is_found() {
    let all = [running(), former()];
    let mut left = Rig::new().world.lasting();
    left.partitions.get_mut(&Partition::RootB).unwrap()[4096] ^= 1;
    assert_whole(&left, &all, "control");
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Write { .. } => "write",
        Event::Flush { .. } => "flush",
        Event::Replace { .. } => "file",
        Event::Remove { .. } => "removal",
    }
}
