//! A data disk that another appliance wrote, taken over on the dashboard.

use crate::{
    bench::{Outcome, Owner, PASSWORD, Place, Running, login, mix},
    crash::assert_no_panic,
    proof::{assert_restored, export, key, record, verify},
};

const BYTES: usize = 2_500_000;

/// What a form of the dashboard came to: its status, and where it led or what it said.
fn take_over(owner: &Owner, fields: &[(&str, &str)]) -> (u16, String) {
    let reply = owner.submit("/storage", "/storage/take-over", fields);
    let led = reply.header("location").map(str::to_owned);
    (reply.status, led.unwrap_or_else(|| reply.text()))
}

fn refused(owner: &Owner, key: &str, ticked: &str, password: &str, words: &str) {
    let fields = [("recovery_key", key), ("give_up_identity", ticked), ("password", password)];
    let (status, said) = take_over(owner, &fields);
    assert!((400..500).contains(&status) && said.contains(words), "{status} {said}");
}

/// A box that starts anew beside the disk of another: up, with the reason shown, and nothing written to the disk.
fn stranger(place: &Place) -> (Running, Owner) {
    let running = place.start();
    place.cli(&["logout"]);
    let owner = Owner::claim_at_once(place, &running, running.claim_code());
    owner.wait_for("session-storage", "waiting");
    owner.wait_for("blockchain-engine", "waiting");
    owner.wait_for_page("/", "page Storage");
    owner.wait_for_page("/storage", "written by another appliance");
    (running, owner)
}

#[test]
fn a_card_flashed_anew_goes_on_with_the_disk_of_the_former_one() {
    let mut place = Place::new();
    let running = place.start();
    let former = Owner::claim(&place, &running);
    let id = record(&place, "recording.bin", &mix(7, BYTES));
    let verifier = key(&place, "key");
    let height = former.head()["height"].as_u64().unwrap();
    running.kill();

    place.state = place.path("state-2");
    let (running, owner) = stranger(&place);
    let own = owner.recovery_key.clone();
    refused(&owner, &former.recovery_key, "yes", "not-the-password", "password is wrong");
    refused(&owner, "garbage", "yes", PASSWORD, "not a recovery key");
    refused(&owner, &own, "yes", PASSWORD, "does not open it");
    refused(&owner, &former.recovery_key, "no", PASSWORD, "tick the box");
    let right = [("recovery_key", &*former.recovery_key), ("give_up_identity", "yes"), ("password", PASSWORD)];
    assert_eq!(take_over(&owner, &right), (303, "/storage?done=taken-over-restart".to_owned()));
    owner.wait_for_page("/", "restart the appliance");
    assert_eq!(owner.service("session-storage").unwrap()["health"]["state"], "waiting", "not under two names");
    assert!(!running.said().contains(&former.recovery_key) && !running.said().contains(PASSWORD));
    assert_no_panic(&running);
    running.kill();

    let running = place.start();
    let owner = Owner::enter(&place);
    login(&place, &running);
    owner.wait_for_all();
    assert!(!owner.page("/storage").expect(200).text().contains("take-over"));
    assert_restored(&place, &id, &place.path("recording.bin"), "restored.bin");
    owner.wait_for_block_above(height + 1);
    owner.validate_chain();
    verify(&place, &export(&place, &id, "exported"), Some(&verifier), 0, "PROVEN");
    let audit = owner.page("/audit").expect(200).text();
    assert!(audit.contains("disk taken over") && audit.contains("not done"), "{audit}");
    let again = record(&place, "later.bin", &mix(8, BYTES));
    verify(&place, &export(&place, &again, "exported-later"), Some(&verifier), 0, "PROVEN");
    assert_no_panic(&running);
    running.kill();

    in_force(&place, &former.recovery_key).expect(0);
    in_force(&place, &own).expect_error("recover");
}

/// Whether the disk opens with this key elsewhere.
fn in_force(place: &Place, key: &str) -> Outcome {
    let (data, state) = (place.data.display().to_string(), place.path("state-3").display().to_string());
    place.cli_with(&["recover", "--data-dir", &data, "--state-dir", &state], &format!("{key}\n"))
}
