//! The clock is set, forwards and a day back, while the box runs.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    bench::{LONG, Owner, Place, eventually, mix, send, try_send},
    crash::assert_no_panic,
    proof::{export, key, record, verify},
};

/// Life of a token: longer than the test, also on a slow machine.
const TOKEN_S: &str = "600";

#[test]
fn a_clock_set_back_by_a_day_holds_time_and_breaks_nothing() {
    let mut place = Place::new();
    let offset = place.file("clock", b"+0\n");
    let library = faketime().to_str().unwrap().to_owned();
    let environment = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
        ("JWT_EXPIRATION", TOKEN_S),
    ];
    place.environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let running = place.start();
    let old = Owner::claim(&place, &running);
    let before = block(&old.wait_for_block_above(0));

    // Twelve minutes on: the first token is spent.
    std::fs::write(&offset, "+720s\n").unwrap();
    expired(&place, &old);
    let owner = Owner::enter(&place);
    let ahead = block(&eventually("a block of the new time", LONG, || {
        let head = owner.head();
        if block(&head).1 >= before.1 + 715_000 { Ok(head) } else { Err(head.to_string()) }
    }));

    // A day back: nothing that was spent is good again, and nothing that is good is spent.
    std::fs::write(&offset, "-1d\n").unwrap();
    let held = eventually("a held block", LONG, || {
        let head = owner.head();
        if head["time"]["trust"] == "held" { Ok(head) } else { Err(head.to_string()) }
    });
    assert!(block(&held).1 > ahead.1, "time ran back from {ahead:?} to {held}");
    let later = owner.wait_for_block_above(block(&held).0);
    assert!(block(&later).1 > block(&held).1, "{later}");
    expired(&place, &old);
    owner.get("/api/auth/me").expect(200);
    let fresh = Owner::enter(&place);
    fresh.get("/api/auth/me").expect(200);

    let id = record(&place, "recording.bin", &mix(18, 1_500_000));
    fresh.validate_chain();
    verify(&place, &export(&place, &id, "exported"), Some(&key(&place, "key")), 0, "clock held");
    assert_no_panic(&running);

    // Over a restart, too.
    running.terminate(LONG);
    let running = place.start();
    crate::bench::wait_for_health(place.port("session-api"), "healthy");
    expired(&place, &old);
    let again = fresh.wait_for_block_above(block(&later).0);
    assert!(block(&again).1 > block(&later).1, "{again}");
    fresh.validate_chain();
    assert_no_panic(&running);
    // In order, so that the library takes its shared memory with it.
    running.terminate(LONG);
}

/// Height and time of a block.
fn block(head: &Value) -> (u64, u64) {
    (head["height"].as_u64().unwrap(), head["time"]["unix_ms"].as_u64().unwrap())
}

/// Asserts that the owner's token has run out. auth-service may be about to come up.
#[track_caller]
fn expired(place: &Place, owner: &Owner) {
    let bearer = owner.bearer();
    eventually("an answer about the token", LONG, || {
        let reply = try_send(place.dashboard(), "GET", "/api/auth/me", &[("Authorization", &bearer)], b"");
        let status = reply.map_err(|error| error.to_string())?.status;
        if status == 503 { Err("503".to_owned()) } else { Ok(()) }
    });
    let reply = send(place.dashboard(), "GET", "/api/auth/me", &[("Authorization", &bearer)], b"");
    reply.expect_problem(401, "token_expired");
}

/// Debian's libfaketime.
fn faketime() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let library = found.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    library.expect("install Debian's package `faketime`")
}
