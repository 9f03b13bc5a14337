mod world;

use lucid_layout::boot::TrialBoot;

use super::*;
use crate::update::progress::Circumstances;
use world::{World, candidate, good, release, unfit};

fn actions(world: &World) -> Vec<Action> {
    decide(&world.scene()).actions
}

/// The newest outcome, and for which slot.
fn newest(world: &World) -> (Slot, &Outcome) {
    let attempt = world.history.attempts.first().expect("something happened");
    (attempt.slot, &attempt.outcome)
}

#[track_caller]
fn assert_rolled_back(world: &World, expected: Cause, words: &str) {
    let (slot, outcome) = newest(world);
    let Outcome::RolledBack { cause, why, .. } = outcome else { panic!("{outcome:?}") };
    assert!(slot == Slot::B && *cause == expected && why.contains(words), "{outcome:?}");
}

#[test]
fn where_all_fits_together_nothing_is_done() {
    let world = World::new();
    assert_eq!(decide(&world.scene()), Plan { actions: vec![], gate: false, remark: None });
    let mut written = World::new();
    written.progress = Progress::Written { what: candidate() };
    assert_eq!(actions(&written), []);
}

#[test]
fn a_release_that_was_asked_for_begins_its_trial() {
    let mut world = World::new();
    world.arm(Purpose::Update);
    world.restart(Restart::OnTrial);
    let plan = decide(&world.scene());
    let [Action::Progress(Progress::Trying { what, boot_id, last, soak_s: 7, .. })] = &*plan.actions else {
        panic!("{plan:?}")
    };
    assert!(plan.gate && *what == candidate() && *boot_id == "boot-2" && last.is_empty());
}

#[test]
fn an_agent_that_ends_on_trial_takes_the_release_back() {
    let mut world = World::new();
    world.arm(Purpose::Update);
    world.restart(Restart::OnTrial);
    world.start(None);
    assert!(matches!(world.progress, Progress::Trying { .. }));
    // The same boot, another agent.
    world.start(None);
    assert_rolled_back(&world, Cause::Agent, "agent");
    assert_eq!((world.running, world.trial, world.committed()), (Slot::A, false, Slot::A));
    assert!(world.is_quarantined() && world.progress == Progress::Idle);
    assert!(matches!(world.standing(Slot::B), Standing::Unfit { .. }));
    world.settles();
}

#[test]
fn a_trial_that_ended_without_a_word_is_told_by_what_it_left() {
    let counted = Some(TrialBoot { slot: Slot::B, boot_id: "boot-2".to_owned(), after: Some("boot-1".to_owned()) });
    let mut unheard = World::new();
    unheard.arm(Purpose::Update);
    unheard.restart(Restart::Plain);
    unheard.settles();
    assert_rolled_back(&unheard, Cause::NeverStarted, "nothing was heard of version 2");
    assert!(unheard.is_quarantined());

    let mut no_agent = World::new();
    no_agent.arm(Purpose::Update);
    no_agent.evidence.trial = counted.clone();
    no_agent.restart(Restart::Plain);
    no_agent.settles();
    assert_rolled_back(&no_agent, Cause::Interrupted, "the power was cut while version 2 started");

    let mut cut = World::new();
    cut.arm(Purpose::Update);
    cut.evidence.trial = counted;
    cut.restart(Restart::OnTrial);
    cut.start(None);
    cut.restart(Restart::Plain);
    cut.settles();
    assert_rolled_back(&cut, Cause::Interrupted, "the power was cut");
    assert!(!cut.is_quarantined(), "the release is not to blame");
    assert_eq!(cut.progress, Progress::Written { what: candidate() }, "and may be tried again");
}

/// The power fails in the middle of a trial.
fn cut_on_trial(world: &mut World, purpose: Purpose) {
    world.arm(purpose);
    let after = Some(world.boot_id());
    world.restart(Restart::OnTrial);
    world.evidence.trial = Some(TrialBoot { slot: Slot::B, boot_id: world.boot_id(), after });
    world.start(None);
    world.restart(Restart::Plain);
    world.settles();
    assert_rolled_back(world, Cause::Interrupted, "the power was cut");
}

#[test]
fn a_release_is_innocent_of_one_power_cut_and_not_of_two() {
    let mut world = World::new();
    cut_on_trial(&mut world, Purpose::Update);
    assert!(!world.is_quarantined() && matches!(world.progress, Progress::Written { .. }));
    cut_on_trial(&mut world, Purpose::Update);
    assert!(world.is_quarantined() && world.progress == Progress::Idle, "it may be a hang that leaves no trace");
    assert!(matches!(world.standing(Slot::B), Standing::Unfit { .. }));
}

#[test]
fn a_power_cut_on_the_way_back_says_nothing_against_the_former_release() {
    let mut world = World::new();
    world.book = Some(world::book(Slot::A, good(1), good(2)));
    cut_on_trial(&mut world, Purpose::Return);
    assert!(*world.standing(Slot::B) == good(2) && !world.is_quarantined());
    assert_eq!(world.progress, Progress::Idle);
}

#[test]
fn a_restart_that_has_not_come_yet_is_asked_for_again() {
    let mut world = World::new();
    world.arm(Purpose::Update);
    assert_eq!(actions(&world), [Action::Restart(Restart::OnTrial)]);
}

#[test]
fn a_selftest_goes_there_and_back_and_commits_nothing() {
    let mut world = World::new();
    world.book = Some(world::book(Slot::A, good(1), good(1)));
    world.arm(Purpose::Selftest);
    world.restart(Restart::OnTrial);
    world.start(None);
    assert_eq!((world.running, world.committed()), (Slot::A, Slot::A));
    world.settles();
    let selftest = world.history.selftest.clone().expect("a result");
    assert!(selftest.passed && selftest.text.contains("slot B was started once"), "{selftest:?}");
    assert!(world.history.attempts.is_empty() && *world.standing(Slot::B) == good(1));

    world.arm(Purpose::Selftest);
    world.restart(Restart::Plain);
    world.settles();
    let selftest = world.history.selftest.clone().expect("a result");
    assert!(!selftest.passed && selftest.text.contains("nothing was heard"), "{selftest:?}");
    assert!(*world.standing(Slot::B) == good(1) && !world.is_quarantined());
}

#[test]
fn a_commit_that_was_cut_is_finished() {
    for (autoboot, running) in [(Slot::A, Slot::A), (Slot::B, Slot::B), (Slot::B, Slot::A)] {
        let mut world = World::new();
        world.progress = Progress::Committing { what: candidate(), purpose: Purpose::Update };
        (world.autoboot, world.running) = (Ok(autoboot), running);
        world.settles();
        assert_eq!((world.running, world.committed()), (Slot::B, Slot::B), "{autoboot:?} {running:?}");
        assert_eq!(newest(&world), (Slot::B, &Outcome::Committed {}));
        assert_eq!((world.history.attempts.len(), world.history.epoch_floor), (1, 5));
        assert_eq!(world.book.as_ref().unwrap().data_generation, 3);
        assert_eq!((world.standing(Slot::A), world.standing(Slot::B)), (&good(1), &good(2)));
    }
}

#[test]
fn a_torn_or_foreign_autoboot_is_put_right_and_told() {
    for (autoboot, words) in [(Err("torn".to_owned()), "torn"), (Ok(Slot::B), "autoboot.txt named slot B")] {
        let mut world = World::new();
        world.autoboot = autoboot;
        assert_eq!(actions(&world)[0], Action::Repair(Slot::A));
        world.settles();
        let (slot, Outcome::Repaired { why }) = newest(&world) else { panic!("{:?}", world.history) };
        assert!(slot == Slot::A && why.contains(words), "{why}");
        assert_eq!(world.autoboot, Ok(Slot::A));
    }
    let mut unfit_book = World::new();
    unfit_book.book = Some(world::book(Slot::B, good(1), unfit()));
    unfit_book.settles();
    assert_eq!(unfit_book.committed(), Slot::A, "a slot that the book calls unfit is not committed again");
}

#[test]
fn the_wrong_slot_is_left_once_and_kept_if_the_firmware_insists() {
    let mut world = World::new();
    (world.running, world.book) = (Slot::B, Some(world::book(Slot::A, good(1), good(2))));
    world.start(None);
    assert_eq!((world.running, world.restarts), (Slot::A, 1));
    world.settles();

    // An EEPROM that starts slot B whatever autoboot.txt says.
    let mut stubborn = World::new();
    (stubborn.running, stubborn.insists) = (Slot::B, Some(Slot::B));
    stubborn.book = Some(world::book(Slot::A, good(1), good(2)));
    stubborn.settles();
    assert_eq!((stubborn.restarts, stubborn.committed()), (1, Slot::B));
    assert!(matches!(stubborn.standing(Slot::A), Standing::Unfit { reason } if reason.contains("firmware")));

    // The same with a slot that nobody knows: nothing is changed, and it is said.
    let mut unknown = World::new();
    (unknown.running, unknown.insists) = (Slot::B, Some(Slot::B));
    unknown.book = Some(world::book(Slot::A, good(1), Standing::Unknown));
    for _ in 0..3 {
        unknown.start(None);
    }
    assert_eq!((unknown.restarts, unknown.committed()), (1, Slot::A));
    assert!(decide(&unknown.scene()).remark.unwrap().contains("not known to be good"));
    unknown.now_ms += REPAIR_PERIOD_MS;
    unknown.start(None);
    assert_eq!(unknown.restarts, 2, "an hour later it is tried once more");
}

#[test]
fn a_new_or_lost_state_takes_what_runs() {
    let mut world = World::new();
    (world.book, world.history) = (None, History::default());
    world.settles();
    assert_eq!(world.committed(), Slot::A);
    assert_eq!((world.standing(Slot::A), world.standing(Slot::B)), (&good(1), &Standing::Unknown));
    assert_eq!(world.history.epoch_floor, 4, "no release below the one that runs");

    let mut same = World::new();
    (same.book, same.releases) = (None, [Some(release(1)), Some(release(1))]);
    same.settles();
    assert_eq!(same.standing(Slot::B), &good(1), "the same build");

    let mut unreadable = World::new();
    (unreadable.book, unreadable.releases) = (None, [None, None]);
    unreadable.settles();
    assert_eq!((unreadable.standing(Slot::A), unreadable.standing(Slot::B)), (&Standing::Unknown, &Standing::Unknown));

    let mut torn = World::new();
    (torn.book, torn.autoboot, torn.running) = (None, Err("torn".to_owned()), Slot::B);
    torn.settles();
    assert_eq!((torn.committed(), torn.autoboot), (Slot::B, Ok(Slot::B)));

    let mut other = World::new();
    (other.book, other.autoboot) = (None, Ok(Slot::B));
    other.settles();
    assert_eq!((other.restarts, other.running, other.committed()), (1, Slot::B, Slot::B), "autoboot.txt is believed");
}

#[test]
fn a_state_that_is_lost_on_trial_ends_the_trial() {
    let mut world = World::new();
    world.arm(Purpose::Update);
    world.restart(Restart::OnTrial);
    (world.book, world.history, world.progress) = (None, History::default(), Progress::Idle);
    world.start(None);
    assert_eq!((world.running, world.restarts), (Slot::A, 1));
    world.settles();
    assert_eq!(world.committed(), Slot::A);
}

#[test]
fn a_slot_that_was_left_is_unfit_and_its_release_not_taken_again_by_itself() {
    let mut world = World::new();
    world.book = Some(world::book(Slot::A, good(1), good(2)));
    (world.running, world.autoboot) = (Slot::B, Ok(Slot::B));
    world.fallback = Some(Fallback { from: Slot::A, failed_boots: 3, boot_id: "boot-9".to_owned() });
    let remark = decide(&world.scene()).remark.unwrap();
    assert!(remark.contains("version 1 was started 3 times") && remark.contains("version 2 runs"), "{remark}");
    world.settles();
    world.settles();
    assert_eq!(newest(&world), (Slot::A, &Outcome::LeftAfterFailedBoots { failed_boots: 3 }));
    assert_eq!((world.history.attempts.len(), world.history.quarantine.len()), (1, 1), "noted once");
    assert_eq!((world.committed(), world.restarts), (Slot::B, 0));
    assert!(matches!(world.standing(Slot::A), Standing::Unfit { .. }));
    assert!(world.fallback.is_some(), "it goes once the slot is ready");
}

#[test]
fn leaving_that_did_not_happen_changes_nothing() {
    let mut world = World::new();
    world.fallback = Some(Fallback { from: Slot::A, failed_boots: 3, boot_id: "boot-9".to_owned() });
    world.settles();
    assert_eq!((world.committed(), world.history.attempts.len()), (Slot::A, 0));
    // autoboot.txt was changed, and the firmware starts this slot all the same.
    world.autoboot = Ok(Slot::B);
    world.settles();
    assert_eq!((world.committed(), world.autoboot.clone()), (Slot::A, Ok(Slot::A)));
}

#[test]
fn recovery_may_run_what_may_not_be_installed_and_says_so() {
    let mut world = World::new();
    world.history.epoch_floor = 9;
    let plan = decide(&world.scene());
    assert!(plan.remark.unwrap().contains("epoch 4 of at least 9") && plan.actions.is_empty());
}

#[test]
fn beside_a_twin_nothing_is_written_and_a_trial_ends() {
    let mut world = World::new();
    (world.twin, world.autoboot) = (Some("sdb".to_owned()), Err("torn".to_owned()));
    let plan = decide(&world.scene());
    assert!(plan.actions.is_empty() && plan.remark.unwrap().contains("sdb"));
    world.autoboot = Ok(Slot::A);
    world.arm(Purpose::Update);
    world.restart(Restart::OnTrial);
    world.start(None);
    assert_eq!((world.running, world.restarts), (Slot::A, 1));
    assert_rolled_back(&world, Cause::Interrupted, "sdb");
}

#[test]
fn an_old_eeprom_that_mixes_the_slots_ends_the_trial() {
    let mut world = World::new();
    world.arm(Purpose::Update);
    world.restart(Restart::OnTrial);
    // The flag is there, and the root is slot A's.
    world.running = Slot::A;
    world.start(None);
    assert_eq!((world.restarts, world.trial), (1, false));
    assert_rolled_back(&world, Cause::NeverStarted, "update the EEPROM");
    world.settles();
}

#[test]
fn what_names_the_running_slot_as_the_idle_one_is_dropped() {
    let what = Candidate { slot: Slot::A, ..candidate() };
    let (before, armed_in) = (Circumstances::default(), "boot-0".to_owned());
    for progress in [
        Progress::Written { what: what.clone() },
        Progress::Armed { what, purpose: Purpose::Update, armed_in, soak_s: 5, before },
    ] {
        let mut world = World::new();
        world.progress = progress;
        world.settles();
        assert_eq!((world.committed(), &world.progress), (Slot::A, &Progress::Idle));
    }
}

#[test]
fn an_agent_that_ended_after_the_commit_takes_the_bounds_away() {
    let mut world = World::new();
    world.arm(Purpose::Update);
    world.restart(Restart::OnTrial);
    world.start(None);
    world.commit(None);
    assert!(world.trial && world.progress == Progress::Idle);
    assert_eq!(actions(&world), [Action::EndTrial]);
}

/// Every scene that a cut could leave, and each cut of what is then done about it: it comes to rest, on a committed
/// slot that runs, after at most two restarts of its own.
#[test]
fn whatever_is_cut_it_comes_to_rest() {
    let mut cuts = 0;
    for begin in world::every() {
        for first in 0..12 {
            for second in 0..12 {
                let mut world = begin.clone();
                let whole = world.start(Some(first)) && world.start(Some(second));
                world.settles();
                cuts += 1;
                if whole {
                    break;
                }
            }
        }
    }
    assert!(cuts > 1000, "{cuts}");
}

/// The gate's own steps, cut at each: the release is kept or not, and never half.
#[test]
fn a_commit_and_a_roll_back_are_cut_anywhere() {
    for purpose in [Purpose::Update, Purpose::Return] {
        for cut in 0..9 {
            let mut world = World::on_trial(purpose);
            world.commit(Some(cut));
            world.settles();
            let kept = world.committed() == Slot::B;
            assert_eq!(kept, cut > 0, "from the first step on it is kept: {cut}");
            assert_eq!(world.history.attempts.len(), 1, "{cut}: {:?}", world.history.attempts);

            let mut world = World::on_trial(purpose);
            world.roll_back(cut);
            world.settles();
            assert_eq!((world.committed(), world.history.attempts.len()), (Slot::A, 1), "{cut}");
            assert_eq!(world.is_quarantined(), purpose == Purpose::Update && cut > 0, "{cut}");
        }
    }
}
