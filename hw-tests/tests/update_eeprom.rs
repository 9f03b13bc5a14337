//! The EEPROM's release that the image carries, installed with the owner's consent. The bench plays the firmware that
//! updates itself.

use lucid_hw_tests::eeprom::{Eeprom, Reset};
use lucid_layout::Slot;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::update_hostile::{RUNNING, digests};
use crate::updater::{Appliance, begin, release, succeeded};

impl Appliance {
    fn eeprom(&self) -> Value {
        self.status()["agent"]["eeprom"].clone()
    }

    fn sees(&self, eeprom: &Eeprom) {
        let agent = self.status()["agent"].clone();
        assert_eq!(agent["eeprom_s"]["present"], eeprom.build_timestamp, "{agent}");
    }

    /// It takes no update, and says what is in the way.
    fn refuses_an_update(&mut self) {
        self.owner.enter();
        let (status, text) = self.owner.send_file("/api/update/bundle", &release("good"));
        assert!((400..500).contains(&status) && text.contains("update the EEPROM first"), "{status} {text}");
    }

    /// Nothing happens to the EEPROM unless the owner names the release.
    fn asks_for_consent(&mut self, build_s: u64) {
        self.owner.enter();
        let order = json!({ "build_s": build_s + 1 });
        let (status, text) = self.owner.ask("POST", "/api/update/eeprom", Some(&order));
        assert!((400..500).contains(&status) && text.contains("another release"), "{status} {text}");
        let trial = Reset { tryboot: true, partition: 0 };
        let boot = self.bench.pi.look(trial).unwrap();
        assert!(boot.log.iter().all(|line| !line.contains("updates itself")), "{:?}", boot.log);
    }
}

#[test]
fn an_eeprom_of_2024_is_brought_up_to_date_with_consent_and_then_takes_an_update() {
    let mut bench = Bench::new("update-eeprom");
    bench.pi.board_mut().eeprom = Eeprom::OF_2024;
    let mut box_ = Appliance::set_up_on(bench);
    box_.owner.login();
    box_.sees(&Eeprom::OF_2024);
    box_.refuses_an_update();
    let eeprom = box_.eeprom();
    assert_eq!((&eeprom["hindrance"], &eeprom["last"]), (&Value::Null, &Value::Null), "{eeprom}");
    let build_s = eeprom["carried"]["present"]["build_s"].as_u64().unwrap_or_else(|| panic!("{eeprom}"));
    box_.asks_for_consent(build_s);

    let before = digests(&box_.bench.disk(), &RUNNING);
    let order = begin(&box_, &["eeprom", "--install", "2026-05-26"]);
    let ending = box_.wait_end();
    // The firmware finds it in the other slot, installs it, and by then has forgotten that a trial was asked for.
    box_.boot(&ending, Slot::A);
    let now = box_.bench.pi.board_mut().eeprom.clone();
    assert_eq!(u64::from(now.build_timestamp), build_s, "the board's EEPROM");
    box_.come_up();
    assert!(succeeded(order).contains("the EEPROM is installed"));
    box_.sees(&now);
    let eeprom = box_.eeprom();
    assert_eq!((&eeprom["last"]["done"], &eeprom["last"]["build_s"]), (&true.into(), &build_s.into()), "{eeprom}");
    assert!(eeprom["hindrance"].as_str().is_some_and(|why| why.contains("nothing is to be done")), "{eeprom}");
    assert!(before == digests(&box_.bench.disk(), &RUNNING), "the slot that runs was not written");

    // The firmware finds nothing on later trials, of which the next one is an update.
    box_.wait_healthy();
    box_.take("good", Slot::B, "0.1.1");
    assert_eq!(box_.bench.pi.board_mut().eeprom, now);
}
