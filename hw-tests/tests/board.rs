//! The board itself: what the EEPROM chooses, and how each kind of reset ends.

use lucid_hw_tests::eeprom::Eeprom;
use lucid_hw_tests::machine::Ending;

use crate::bench::{Bench, cell, reboot, until};

#[test]
fn a_trial_boots_the_other_slot_once() {
    let mut bench = Bench::new("trial");
    let mut ending = Ending::PowerOff;
    let boots = [(2, 0, Some("0 tryboot")), (3, 1, None), (2, 0, None)];
    for (partition, tryboot, argument) in boots {
        let mut run = bench.pi.restart(&ending).unwrap();
        let mut probe = run.probe().unwrap();
        assert_eq!(run.partition(), partition);
        assert_eq!(cell(&mut probe, "chosen/bootloader/partition"), partition);
        assert_eq!(cell(&mut probe, "chosen/bootloader/tryboot"), tryboot);
        let slot = if partition == 2 { "lucid.slot=a" } else { "lucid.slot=b" };
        assert!(probe.text("/proc/cmdline").unwrap().contains(slot));
        // Nobody asked for a trial, so the agent ends it by itself.
        if tryboot == 0 {
            reboot(&mut probe, argument);
        }
        ending = run.wait_end().unwrap();
        assert_eq!(ending, Ending::Reboot(argument.map(str::to_owned)));
    }
}

#[test]
fn a_panic_resets_the_board_and_leaves_its_last_words() {
    let mut bench = Bench::new("panic");
    let mut run = bench.pi.power_on().unwrap();
    run.probe().unwrap().panic().unwrap();
    let ending = run.wait_end().unwrap();
    assert!(matches!(ending, Ending::Panic | Ending::Watchdog), "{ending:?}");

    let mut run = bench.pi.restart(&ending).unwrap();
    let mut probe = run.probe().unwrap();
    let kept = |probe: &mut lucid_hw_tests::probe::Probe| {
        let folders = ["/sys/fs/pstore", "/var/lib/systemd/pstore"];
        folders.iter().any(|folder| probe.list(folder).is_ok_and(|names| !names.is_empty()))
    };
    until(&run, "the panic's record in pstore", || kept(&mut probe));

    // Without power, memory forgets.
    drop(run);
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    until(&run, "pstore", || probe.text("/proc/mounts").unwrap().contains(" /sys/fs/pstore "));
    assert_eq!(probe.list("/sys/fs/pstore").unwrap(), Vec::<String>::new());
}

#[test]
fn a_first_process_that_stands_still_is_ended_by_the_watchdog() {
    let mut bench = Bench::new("watchdog");
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    until(&run, "systemd to feed the watchdog", || {
        probe.text("/sys/class/watchdog/watchdog0/state").unwrap().trim() == "active"
            && probe.list("/proc/1/fd").unwrap().iter().any(|fd| {
                probe.link(&format!("/proc/1/fd/{fd}")).is_ok_and(|target| target.starts_with("/dev/watchdog"))
            })
    });
    probe.freeze("init.scope").unwrap();
    assert_eq!(run.wait_end().unwrap(), Ending::Watchdog);
}

#[test]
fn an_eeprom_of_2024_boots_slot_a_whichever_partition_is_committed() {
    let mut bench = Bench::new("old");
    bench.pi.board_mut().eeprom = Eeprom::OF_2024;
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    assert!(probe.text("/proc/cmdline").unwrap().contains("lucid.slot=a"));
    assert!(cell(&mut probe, "chosen/bootloader/build-timestamp") < 1_735_689_600, "before 2025");
    reboot(&mut probe, Some("0 tryboot"));
    let mut run = bench.pi.restart(&run.wait_end().unwrap()).unwrap();
    assert_eq!(run.partition(), 3);
    let cmdline = run.probe().unwrap().text("/proc/cmdline").unwrap();
    assert!(cmdline.contains("lucid.slot=a"), "it knows no [boot_partition=N]: {cmdline}");
}
