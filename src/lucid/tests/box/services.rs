//! One service that can't run disturbs nobody else, says why, and comes back by itself.

use std::net::TcpListener;

use crate::bench::{LONG, Owner, Place, eventually, mix, send};
use crate::crash::assert_no_panic;
use crate::proof::{assert_restored, record};

#[test]
fn a_taken_port_holds_up_one_service_until_it_is_free() {
    let place = Place::new();
    let port = place.port("block-manager");
    let squatter = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let waiting = owner.wait_for("block-manager", "waiting");
    let reason = waiting["health"]["reason"].as_str().unwrap();
    for word in [&port.to_string(), "in use", "block-manager.port"] {
        assert!(reason.contains(word), "`{word}` is not in: {reason}");
    }
    owner.assert_others_healthy(&["block-manager"]);
    let id = record(&place, "recording.bin", &mix(8, 1_500_000));
    drop(squatter);
    owner.wait_for("block-manager", "healthy");
    send(port, "GET", "/health", &[], b"").expect(200);
    owner.validate_chain();
    assert_restored(&place, &id, &place.path("recording.bin"), "restored.bin");
    assert_no_panic(&running);
}

/// A store is damaged while the box is off: its service says so, stays down, and never begins an empty one.
#[test]
fn a_damaged_store_is_told_and_never_replaced() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "recording.bin", &mix(9, 1_500_000));
    running.terminate(LONG);

    let store = place.data.join("data/session-storage/session-storage.redb");
    let sound = std::fs::read(&store).unwrap();
    let mut damaged = sound.clone();
    damaged.iter_mut().skip(4096).step_by(512).for_each(|byte| *byte ^= 0xff);
    std::fs::write(&store, &damaged).unwrap();

    let _running = place.start();
    let reason = owner.wait_for("session-storage", "unhealthy")["health"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("session-storage.redb"), "{reason}");
    assert!(reason.contains("damaged"), "{reason}");
    owner.wait_for("blockchain-engine", "healthy");
    owner.get("/api/sessions").expect_problem(503, "service_unavailable");
    owner.get("/api/auth/me").expect(200);
    send(place.dashboard(), "GET", "/login", &[], b"").expect(200);
    let head = owner.head()["height"].as_u64().unwrap();
    owner.wait_for_block_above(head + 1);
    assert_eq!(std::fs::read(&store).unwrap().len(), damaged.len(), "the damaged store was changed");

    std::fs::write(&store, &sound).unwrap();
    owner.ask("POST", "/api/services/session-storage/restart", &[], b"").expect(202);
    owner.wait_for("session-storage", "healthy");
    eventually("the recording", LONG, || owner.session(&id));
    assert_restored(&place, &id, &place.path("recording.bin"), "restored.bin");
}
