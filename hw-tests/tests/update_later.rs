//! What fails long after it was kept: the other slot takes over by itself, and where that fails too the box comes up in
//! rescue, which takes an update.

use lucid_hw_tests::machine::Ending;
use lucid_layout::Slot;
use lucid_layout::update::FAILED_BOOTS_MAX;
use lucid_layout::users::LUCID;
use serde_json::Value;

use crate::bench::{property, reboot, until};
use crate::isolation::{self, Expected};
use crate::supervised::code_on_screen;
use crate::updater::{Appliance, release};

/// The accounts: without them nobody can log in, and the box is never ready.
const STORE: &str = "/state/lucid/auth-service/auth-service.redb";
/// Where it is put aside.
const ASIDE: &str = "/state/lucid/auth-service/aside";

#[test]
fn a_kept_release_that_fails_days_later_is_left_for_the_other_slot() {
    let mut box_ = Appliance::set_up("update-second-day");
    box_.take("second-day", Slot::B, "0.2.8");
    box_.probe.save("/state/lucid/second-day", "").unwrap();
    reboot(&mut box_.probe, None);
    let mut ending = box_.wait_end();
    // Nobody's hand is on it: each boot ends because it is not ready in time, and the one after them leaves the slot.
    for boot in 0..=FAILED_BOOTS_MAX {
        assert_eq!(ending, Ending::Reboot(None), "boot {boot}");
        box_.boot(&ending, Slot::B);
        ending = box_.wait_end();
    }
    assert_eq!(ending, Ending::Reboot(None));
    box_.boot(&ending, Slot::A);
    box_.come_up();
    box_.wait_healthy();
    let agent = box_.status()["agent"].clone();
    let attempt = &agent["history"][0];
    assert_eq!((&agent["running"], &attempt["outcome"]["outcome"]), (&"a".into(), &"left_after_failed_boots".into()));
    assert_eq!((&attempt["version"], &attempt["outcome"]["failed_boots"]), (&"0.2.8".into(), &FAILED_BOOTS_MAX.into()));
    assert!(agent["quarantine"].as_array().unwrap().iter().any(|kept| kept["version"] == "0.2.8"), "{agent}");
    assert_eq!(box_.committed(), Slot::A.boot().number());
}

#[test]
fn slots_that_both_fail_on_one_store_end_in_rescue_which_takes_an_update() {
    let mut box_ = Appliance::set_up("update-rescue");
    box_.take("good", Slot::B, "0.1.1");
    damage_store(&mut box_);
    // In order, so that what was put aside is on the disk.
    reboot(&mut box_.probe, None);
    let mut ending = box_.wait_end();
    for _ in 0..FAILED_BOOTS_MAX {
        ending = fails(&mut box_, &ending, Slot::B);
    }
    box_.boot(&ending, Slot::B);
    ending = box_.wait_end();
    assert_eq!(ending, Ending::Reboot(None), "it leaves the slot by itself");
    for _ in 0..FAILED_BOOTS_MAX {
        ending = fails(&mut box_, &ending, Slot::A);
    }
    box_.boot(&ending, Slot::A);
    box_.come_into_rescue();
    let told = box_.rescue_status();
    let why = told["reason"].as_str().unwrap();
    assert!(why.contains("without becoming ready") && why.contains("was left for it"), "{why}");
    assert_eq!(told["agent"]["history"][0]["outcome"]["outcome"], "left_after_failed_boots", "{told}");
    assert_rescue_is_small(&mut box_);
    assert_diagnostics(&box_);

    mend_store(&mut box_);
    let (status, page) = box_.owner.send_form("/bundle", &release("better"));
    assert!(status < 400, "{status} {page}");
    until(box_.run.as_ref().unwrap(), "the bundle to be written", || {
        box_.rescue_status()["agent"]["phase"]["phase"] == "written"
    });
    let (status, page) = box_.owner.ask("POST", "/install", None);
    assert!(status < 400, "{status} {page}");
    let ending = box_.wait_end();
    assert_eq!(ending, Ending::Reboot(Some("0 tryboot".to_owned())));
    box_.boot(&ending, Slot::B);
    box_.come_up();
    box_.wait_committed("0.1.2");
}

/// Runs systemd-tmpfiles, the one program of the image that copies.
fn tmpfiles(box_: &mut Appliance, action: &str, lines: &str) {
    box_.probe.save("/run/test.conf", lines).unwrap();
    let ran = box_.probe.run("/usr/bin/systemd-tmpfiles", &[action, "/run/test.conf"]).unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// Garbage where the accounts are; what they were is put aside.
fn damage_store(box_: &mut Appliance) {
    let stopped = box_.probe.run("/usr/bin/systemctl", &["stop", "lucid-supervisor.service"]).unwrap();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    tmpfiles(box_, "--create", &format!("C {ASIDE} - - - - {STORE}\n"));
    box_.probe.save(STORE, &"garbage ".repeat(1000)).unwrap();
}

fn mend_store(box_: &mut Appliance) {
    tmpfiles(box_, "--remove", &format!("r {STORE}\n"));
    tmpfiles(box_, "--create", &format!("C {STORE} 0600 {LUCID} {LUCID} - {ASIDE}\n"));
}

/// A boot that does not become ready for the damaged store, and ends by the plug.
fn fails(box_: &mut Appliance, ending: &Ending, slot: Slot) -> Ending {
    box_.boot(ending, slot);
    box_.probe = box_.run().probe().unwrap();
    let (run, probe) = (box_.run.as_ref().unwrap(), &mut box_.probe);
    until(run, "the damaged store to be told", || {
        let said = ["--unit=lucid-supervisor.service", "--boot", "--output=json", "--output-fields=F_CAUSE"];
        let said = probe.run("/usr/bin/journalctl", &said).unwrap().stdout;
        said.lines().any(|line| line.contains("auth-service.redb") && line.contains("is damaged"))
    });
    assert_ne!(property(probe, "lucid-ready.target", "ActiveState"), "active");
    box_.run.take().unwrap().cut_power()
}

impl Appliance {
    fn come_into_rescue(&mut self) {
        self.probe = self.run().probe().unwrap();
        let (run, probe) = (self.run.as_ref().unwrap(), &mut self.probe);
        until(run, "the rescue", || property(probe, "lucid-rescue.service", "ActiveState") == "active");
        // The certificate is the box's own.
        self.meet();
    }

    fn rescue_status(&self) -> Value {
        let (status, text) = self.owner.ask("GET", "/api/rescue/status", None);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// The page and the agent run, and nothing else of ours; the page has no rights, and two ports are open.
fn assert_rescue_is_small(box_: &mut Appliance) {
    let (health, text) = box_.owner.ask("GET", "/health", None);
    assert!(health == 503 && text.contains("rescue"), "{health} {text}");
    let probe = &mut box_.probe;
    for unit in ["lucid-supervisor.service", "lucid-payments.service"] {
        assert_eq!(property(probe, unit, "ActiveState"), "inactive", "{unit}");
    }
    let page =
        Expected { unit: "lucid-rescue.service", uid: LUCID, capabilities: 0, own: &["ipc", "mnt", "user", "uts"] };
    let wrong = isolation::process(probe, &page);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let listening = isolation::listening(probe);
    let open: Vec<_> = listening.iter().filter(|(_, is_local)| !is_local).map(|(port, _)| *port).collect();
    assert_eq!(open, [80, 443]);
    let failed = probe.run("/usr/bin/systemctl", &["list-units", "--failed", "--plain", "--no-legend"]).unwrap();
    assert_eq!((failed.code, failed.stdout.trim()), (Some(0), ""));
}

/// Serial numbers and last lines are for whoever stands before the box.
fn assert_diagnostics(box_: &Appliance) {
    let code = code_on_screen(box_.run.as_ref().unwrap());
    let (status, text) = box_.owner.form("/diagnostics", &[("code", "AAAA-AAAA-AAAA-AAAA")]);
    assert!(status == 403 && !text.contains("lucid-init:"), "{status} {text}");
    let (status, text) = box_.owner.form("/diagnostics", &[("code", &code)]);
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("Linux version") && text.contains("lucid-init:"), "the kernel's log: {text}");
}
