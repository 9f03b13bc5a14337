//! A disk that fails, and a `/state` that is full: at every write, every flush, every file.

use lucid_agent_protocol::RefusalCode;
use lucid_agent_protocol::update::{Outcome, Phase};
use lucid_layout::{Partition, Slot};

use super::bundles::bundle;
use super::rig::{Rig, former, holds, new, refused, running, walk};
use super::world::Faults;

/// Lets the first `after` calls of a kind succeed, and none after that; and then sees whether all is well once the
/// fault is gone. Whether the fault was met.
fn survives(fault: impl Fn(usize) -> Faults, after: usize) -> bool {
    let mut rig = Rig::new();
    let (content, bundle) = (new(), bundle(&new()));
    rig.world.with(|inner| inner.faults = fault(after));
    let outcome = rig.send(&bundle);
    rig.world.with(|inner| inner.faults = Faults::default());
    let lasting = rig.world.lasting();
    let all = [running(), former(), content.clone()];
    assert!(walk(&lasting).into_iter().all(|slot| holds(&lasting, slot, &all).is_some()), "{after}: {outcome:?}");
    assert!(holds(&lasting, Slot::A, &all[..1]).is_some());
    if outcome.is_ok() {
        return false;
    }
    assert!(outcome.as_ref().is_err_and(|refusal| refusal.code == RefusalCode::Failed), "{after}: {outcome:?}");
    rig.agent_restarted();
    assert_eq!(rig.send_rest(&bundle), Ok(()), "{after}");
    assert!(rig.holds(Slot::B, &all[2..]).is_some(), "{after}");
    true
}

fn all_of(fault: impl Fn(usize) -> Faults, at_least: usize) {
    let met = (0..200).take_while(|after| survives(&fault, *after)).count();
    assert!((at_least..200).contains(&met), "{met} places");
}

#[test]
fn every_write_may_fail() {
    // The zero sector, three pieces of root, two of boot, the first sector.
    all_of(|after| Faults { writes: Some(after), ..Faults::default() }, 7);
}

#[test]
fn every_flush_may_fail() {
    all_of(|after| Faults { flushes: Some(after), ..Faults::default() }, 6);
}

#[test]
fn state_may_be_full_at_every_file() {
    all_of(|after| Faults { files: Some(after), ..Faults::default() }, 6);
}

#[test]
fn what_does_not_read_back_is_given_up() {
    for partition in [Partition::RootB, Partition::BootB] {
        let mut rig = Rig::new();
        rig.world.with(|inner| inner.faults.flipped = Some(partition));
        refused(rig.send(&bundle(&new())), RefusalCode::Failed, "does not read as it was written");
        assert_eq!(rig.phase(), Phase::Idle {});
        assert_eq!(walk(&rig.world.lasting()), [Slot::A]);
        rig.agent_restarted();
        let history = rig.updates.report().history;
        assert!(
            matches!(&history[0].outcome, Outcome::Discarded { why } if why.contains("flash another")),
            "{history:?}"
        );
    }
    let rig = Rig::new();
    rig.world.with(|inner| inner.faults.unreadable = Some(Partition::RootB));
    refused(rig.send(&bundle(&new())), RefusalCode::Failed, "can't be read back");
    assert_eq!(walk(&rig.world.lasting()), [Slot::A]);
}

#[test]
fn files_that_make_no_sense_are_begun_anew_and_said() {
    for (file, words) in
        [("progress.json", "progress.json"), ("history.json", "history.json"), ("trust.json", "damaged")]
    {
        let mut rig = Rig::new();
        let path = format!("/state/agent/update/{file}");
        rig.world.with(|inner| inner.lasting.files.insert(path.into(), b"{\"zeros\":\0\0".to_vec()));
        rig.agent_restarted();
        let report = rig.updates.report();
        let said = [report.remark, report.trust.problem].into_iter().flatten().collect::<String>();
        assert!(said.contains(words), "{file}: {said}");
        assert_eq!(rig.send(&bundle(&new())), Ok(()), "{file}");
    }
    let mut rig = Rig::new();
    rig.world.with(|inner| inner.lasting.files.insert("/usr/update-root".into(), b"zeros".to_vec()));
    rig.agent_restarted();
    refused(rig.send(&bundle(&new())), RefusalCode::Untrusted, "trusts no keys");
}
