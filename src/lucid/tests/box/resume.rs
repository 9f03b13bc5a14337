//! A recording outlives restarts of the services under it.

use std::process::Stdio;

use crate::{
    bench::{LONG, Owner, Place, Program, eventually},
    crash::{Pour, announced, assert_no_panic, durable_beyond},
    proof::assert_restored,
};

/// What lies between an upload and the disk.
const RESTARTED: [&str; 5] =
    ["session-api", "session-pipeline", "session-storage", "session-anchoring", "blockchain-engine"];
/// How far the recording must get after each restart.
const STEP_BYTES: u64 = 2_000_000;
/// How far the source may run ahead.
const AHEAD_BYTES: u64 = 16_000_000;

#[test]
fn restarts_of_services_do_not_break_a_recording() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let mut client = Program::start(place.lucid().args(["record", "-"]), Stdio::piped());
    let source = Pour::start(&mut client, &place, 4);
    let id = announced(&client);
    let goes_on = || {
        let durable = durable_beyond(&owner, &id, 0);
        source.allow(durable + AHEAD_BYTES);
        durable_beyond(&owner, &id, durable + STEP_BYTES);
    };
    for name in RESTARTED {
        goes_on();
        restarted(&owner, name, || {
            owner.ask("POST", &format!("/api/services/{name}/restart"), &[], b"").expect(202);
        });
    }
    goes_on();
    restarted(&owner, "session-api", || press_the_button(&owner, "session-api"));
    goes_on();
    source.finish();
    client.end(LONG).expect(0);
    assert_restored(&place, &id, &place.path("poured.bin"), "restored.bin");
    owner.validate_chain();
    owner.wait_for_all();
    assert_no_panic(&running);
}

/// Asks for a restart, and waits until it was done and the service is well.
#[track_caller]
fn restarted(owner: &Owner, name: &str, ask: impl FnOnce()) {
    let restarts = owner.service(name).unwrap()["restarts"].as_u64().unwrap();
    ask();
    eventually(&format!("the restart of {name}"), LONG, || {
        let service = owner.service(name)?;
        let again = service["restarts"].as_u64() > Some(restarts) && service["health"]["state"] == "healthy";
        if again { Ok(()) } else { Err(service.to_string()) }
    });
}

/// The button on the service's page.
fn press_the_button(owner: &Owner, name: &str) {
    let cookie = format!("lucid_session={}", owner.access_token);
    let page = owner.ask("GET", &format!("/services/{name}"), &[("Cookie", &cookie)], b"").expect(200).text();
    let field = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let body = format!("csrf={}", field.unwrap_or_else(|| panic!("no token in {page}")));
    let headers = [("Cookie", cookie.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    owner.ask("POST", &format!("/services/{name}/restart"), &headers, body.as_bytes()).expect(303);
}
