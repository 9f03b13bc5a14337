//! Updates over the air: ones that work are kept, ones that do not are taken back with the reason, with no hand on the
//! box.

use lucid_hw_tests::machine::{Bus, Ending};
use lucid_layout::Slot;

use crate::bench::{Bench, main_pid, reboot};
use crate::updater::{Appliance, SOAK_S, release};

const SUPERVISOR: &str = "lucid-supervisor.service";
const KILL: i32 = 9;
const STOP: i32 = 19;

/// Pushes a release that is broken, and expects slot A back.
fn taken_back(box_: &mut Appliance, name: &str, version: &str, cause: &str, expected: impl Fn(&Ending) -> bool) {
    let bundle = release(name);
    box_.push(&bundle);
    let ending = box_.install();
    box_.boot(&ending, Slot::B);
    let mut ending = box_.wait_end();
    assert!(expected(&ending), "{name}: {ending:?}");
    // Whatever ended the trial, what comes next is the committed slot.
    if ending.reset().is_none() {
        ending = Ending::PowerOff;
    }
    box_.boot(&ending, Slot::A);
    box_.come_up();
    box_.assert_rolled_back(version, cause);
    assert_eq!(box_.version(Slot::A), "0.1.0");
}

#[test]
fn an_update_is_kept_and_one_that_fails_a_service_is_taken_back() {
    let mut box_ = Appliance::set_up("update");
    box_.take("good", Slot::B, "0.1.1");
    assert_eq!(box_.committed(), Slot::B.boot().number(), "autoboot.txt commits the new slot");
    reboot(&mut box_.probe, None);
    let ending = box_.wait_end();
    box_.boot(&ending, Slot::B);
    box_.come_up();
    box_.wait_healthy();
    assert_eq!((box_.version(Slot::A).as_str(), box_.version(Slot::B).as_str()), ("0.1.0", "0.1.1"));

    // And one that does not do its work, into the other slot.
    box_.push(&release("squatted"));
    let ending = box_.install();
    box_.boot(&ending, Slot::A);
    let ending = box_.wait_end();
    assert_eq!(ending, Ending::Reboot(None));
    box_.boot(&ending, Slot::B);
    box_.come_up();
    let outcome = box_.assert_rolled_back("0.2.6", "service");
    assert!(outcome["why"].as_str().unwrap().contains("blockchain-engine"), "{outcome}");
    assert_eq!(box_.version(Slot::B), "0.1.1");
}

#[test]
fn a_power_cut_while_a_release_is_written_or_tried_leaves_the_former_one() {
    let mut box_ = Appliance::set_up("update-cut");
    let bundle = release("good");
    let half = box_.changed(&bundle, "half.bundle", |bytes| bytes.truncate(bytes.len() / 2));
    box_.owner.enter();
    let (status, text) = box_.owner.send_file("/api/update/bundle", &half);
    assert!(status >= 400, "half a bundle: {status} {text}");
    let _ = box_.run.take().unwrap().cut_power();
    box_.boot(&Ending::PowerCut, Slot::A);
    box_.come_up();
    box_.wait_healthy();
    assert_eq!(box_.status()["agent"]["phase"]["phase"], "writing", "it goes on where it was");
    box_.push(&bundle);
    let ending = box_.install();
    box_.boot(&ending, Slot::B);
    // The power fails in the middle of the trial.
    box_.come_ready();
    let _ = box_.run.take().unwrap().cut_power();
    box_.boot(&Ending::PowerCut, Slot::A);
    box_.come_up();
    // Whoever pulls the plug says nothing against the release: it lies there whole, and may be tried again.
    let agent = box_.status()["agent"].clone();
    assert_eq!(agent["history"][0]["outcome"]["cause"], "interrupted", "{agent}");
    assert_eq!(
        (&agent["phase"]["phase"], &agent["quarantine"]),
        (&"written".into(), &serde_json::json!([])),
        "{agent}"
    );
    box_.wait_healthy();
    let ending = box_.install();
    box_.boot(&ending, Slot::B);
    box_.come_up();
    box_.wait_committed("0.1.1");
}

#[test]
fn releases_that_do_not_come_up_are_taken_back() {
    let mut box_ = Appliance::set_up("update-dead");
    let panics = |ending: &Ending| matches!(ending, Ending::Panic | Ending::Watchdog);
    taken_back(&mut box_, "no-init", "0.2.1", "panic", panics);
    taken_back(&mut box_, "hang-init", "0.2.2", "never_started", |ending| *ending == Ending::Watchdog);
    taken_back(&mut box_, "hang-kernel", "0.2.3", "never_started", |ending| *ending == Ending::Watchdog);
    let reboots = |ending: &Ending| matches!(ending, Ending::Reboot(None) | Ending::Reset);
    taken_back(&mut box_, "no-agent", "0.2.4", "agent", reboots);
    taken_back(&mut box_, "hang-supervisor", "0.2.5", "not_ready", reboots);
    taken_back(&mut box_, "no-network", "0.2.7", "network", reboots);
}

#[test]
fn a_release_that_ends_and_is_started_over_and_over_is_taken_back() {
    let mut box_ = Appliance::set_up("update-restarts");
    taken_back(&mut box_, "restarts", "0.2.9", "restarted", |ending| *ending == Ending::Reboot(None));
}

#[test]
fn whatever_goes_wrong_while_it_has_to_be_fit_takes_it_back() {
    let mut bench = Bench::new("update-soak");
    // On USB it is gone at once, while the guest takes its time to let go of an NVMe disk.
    bench.pi.board_mut().data_disk.as_mut().unwrap().bus = Bus::Usb;
    let mut box_ = Appliance::set_up_on(bench);
    let bundle = release("good");
    // From the moment on from which it has to run through.
    let begun = |box_: &mut Appliance| {
        box_.push(&bundle);
        let ending = box_.install();
        box_.boot(&ending, Slot::B);
        box_.come_up();
        box_.wait_fit(0);
    };
    let back = |box_: &mut Appliance, cause: &str| {
        let ending = box_.wait_end();
        assert_eq!(ending, Ending::Reboot(None), "{cause}");
        box_.boot(&ending, Slot::A);
        box_.come_up();
        box_.assert_rolled_back("0.1.1", cause);
        box_.wait_healthy();
    };
    for signal in [KILL, STOP] {
        begun(&mut box_);
        let pid = main_pid(&mut box_.probe, SUPERVISOR);
        box_.probe.signal(pid, signal).unwrap();
        back(&mut box_, "restarted");
    }
    begun(&mut box_);
    // One second before the end.
    box_.wait_fit(SOAK_S - 1);
    box_.run().unplug_data_disk().unwrap();
    back(&mut box_, "data_disk");
}

#[test]
fn a_damaged_commit_is_put_right() {
    use lucid_hw_tests::disk::DiskImage;
    use lucid_layout::{Partition, autoboot};
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    let mut box_ = Appliance::set_up("update-torn");
    box_.take("good", Slot::B, "0.1.1");
    let at = |box_: &Appliance| {
        let (start, bytes) = DiskImage::open(&box_.bench.disk()).unwrap().place(Partition::Autoboot.number()).unwrap();
        let disk = File::options().read(true).write(true).open(box_.bench.disk()).unwrap();
        let mut partition = vec![0; usize::try_from(bytes).unwrap()];
        disk.read_exact_at(&mut partition, start).unwrap();
        let sector = partition.chunks(512).position(|sector| sector == autoboot::render(Slot::B)).unwrap();
        (disk, start + 512 * sector as u64)
    };
    let (new, old) = (autoboot::render(Slot::B), autoboot::render(Slot::A));
    let torn: Vec<u8> = [&new[..256], &old[256..]].concat();
    for (sector, boots, is_repaired) in [(torn, Slot::B, false), (vec![0; 512], Slot::A, true)] {
        let _ = box_.run.take().unwrap().cut_power();
        let (disk, offset) = at(&box_);
        disk.write_all_at(&sector, offset).unwrap();
        box_.boot(&Ending::PowerOff, boots);
        if is_repaired {
            // It comes up on the wrong slot, puts autoboot.txt right, and restarts into the right one.
            let ending = box_.wait_end();
            assert_eq!(ending, Ending::Reboot(None));
            box_.boot(&ending, Slot::B);
        }
        box_.come_up();
        box_.wait_healthy();
        let agent = box_.status()["agent"].clone();
        assert_eq!(agent["running"], "b", "{agent}");
        let is_told = agent["history"][0]["outcome"]["outcome"] == "repaired";
        assert_eq!(is_told, is_repaired, "{agent}");
    }
}
