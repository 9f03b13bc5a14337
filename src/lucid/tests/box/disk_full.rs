//! A disk that fills up: recording stops with room to spare for everything else, and goes on when there is room.

use std::process::Stdio;

use crate::{
    bench::{LONG, Mount, Owner, Place, Program, SHORT, eventually, mix, send},
    crash::{Pour, announced, assert_no_panic},
    proof::{assert_restored, record},
};

/// Incompressible and compressible in equal parts, so that about half of it is stored.
const FIRST_BYTES: usize = 80_000_000;
/// How much is recorded between two looks at the disk: less than the reserve, which is there for what a look misses.
const STEP_BYTES: u64 = 12_000_000;
/// What the client says when the box refuses for want of room.
const FULL: &str = "status 507, disk_full";

#[test]
fn a_recording_that_fills_the_disk_is_resumed_when_there_is_room() {
    let place = Place::new();
    let _mount = Mount::tmpfs(&place.data, "size=80m");
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let first = record(&place, "first.bin", &mix(15, FIRST_BYTES));
    let mut client = Program::start(place.lucid().args(["record", "-"]), Stdio::piped());
    let source = Pour::start(&mut client, &place, 16);
    let id = announced(&client);
    fill(&owner, &client, &source, &id);
    source.finish();

    // The others have room, and work.
    let engine = owner.wait_for("blockchain-engine", "healthy");
    assert_eq!(engine["restarts"], 0, "the chain ran into the full disk: {engine}");
    let height = owner.head()["height"].as_u64().unwrap();
    owner.wait_for_block_above(height + 1);
    owner.assert_others_healthy(&["storage-watch"]);
    let session = owner.session(&id).unwrap();
    assert_eq!(session["state"], "recording", "{session}");
    let durable = session["durable_bytes"].as_u64().unwrap();
    assert!(durable > 0, "{session}");
    let json = [("Content-Type", "application/json")];
    eventually("the refusal of another recording", LONG, || {
        let reply = owner.ask("POST", "/api/sessions", &json, b"{\"label\":\"late\"}");
        if reply.status == 507 { Ok(reply.expect_problem(507, "disk_full")) } else { Err(reply.text()) }
    });
    // The waiting client tries again and again, and may move the offset in between.
    eventually("the refusal of more bytes", LONG, || {
        let offset = owner.session(&id).unwrap()["durable_bytes"].to_string();
        let partial = [
            ("Content-Type", "application/partial-upload"),
            ("Upload-Offset", offset.as_str()),
            ("Upload-Complete", "?0"),
        ];
        let reply = owner.ask("PATCH", &format!("/api/sessions/{id}/stream"), &partial, &mix(0, 2_000_000));
        if reply.status == 507 { Ok(reply.expect_problem(507, "disk_full")) } else { Err(reply.text()) }
    });
    assert_restored(&place, &first, &place.path("first.bin"), "restored-1.bin");

    // With room again, it goes on by itself: to the client it was a pause.
    place.cli(&["delete", &first, "--yes"]).expect(0);
    client.end(LONG).expect(0);
    assert_restored(&place, &id, &place.path("poured.bin"), "restored-2.bin");
    owner.validate_chain();
    owner.wait_for_all();
    assert_no_panic(&running);
}

/// Records until the disk is full, no faster than the disk is looked at.
fn fill(owner: &Owner, client: &Program, source: &Pour, id: &str) {
    let free = || owner.service("storage-watch").map(|service| service["status"]["free_bytes"].as_u64());
    // Before the bytes that change it are let through.
    let mut before = None;
    while !client.said().contains(FULL) {
        let poured = eventually("the step is durable, or refused", LONG, || {
            if client.said().contains(FULL) { Ok(0) } else { source.settled(owner, id) }
        });
        eventually("another look at the disk", LONG, || {
            if client.said().contains(FULL) || free()? != before { Ok(()) } else { Err(format!("{before:?}")) }
        });
        before = free().unwrap();
        source.allow(poured + STEP_BYTES);
    }
}

#[test]
fn a_disk_that_is_full_at_the_start_holds_its_services_up() {
    let place = Place::new();
    let mount = Mount::tmpfs(&place.data, "size=2m");
    let running = place.start();
    crate::bench::wait_for_health(place.port("session-storage"), "waiting");
    crate::bench::wait_for_health(place.port("blockchain-engine"), "waiting");
    crate::bench::wait_for_health(place.port("auth-service"), "healthy");
    send(place.dashboard(), "GET", "/claim", &[], b"").expect(200);
    eventually("the full disk is told", SHORT, || match running.said().contains("full") {
        true => Ok(()),
        false => Err(running.said()),
    });
    mount.remount("size=64m");
    let owner = Owner::claim(&place, &running);
    owner.wait_for_all();
    record(&place, "recording.bin", &mix(17, 1_500_000));
    assert_no_panic(&running);
}

#[test]
fn a_disk_without_a_byte_left_still_lets_a_recording_be_deleted_also_after_a_restart() {
    let place = Place::new();
    let _mount = Mount::tmpfs(&place.data, "size=80m");
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    owner.wait_for_all();
    let ids = [18, 19].map(|seed| record(&place, "recording.bin", &mix(seed, 6_000_000)));
    let ballast = place.data.join("data/session-storage/ballast");
    eventually("room is laid by", LONG, || if ballast.exists() { Ok(()) } else { Err("no ballast".to_owned()) });
    let filler = place.data.join("filler");
    fill_up(&filler);
    place.cli(&["delete", &ids[0], "--yes"]).expect(0);
    assert!(!ballast.exists(), "it was given up");
    running.terminate(LONG);

    fill_up(&filler);
    let running = place.start();
    let owner = Owner::enter(&place);
    owner.wait_for("session-storage", "healthy");
    place.cli(&["delete", &ids[1], "--yes"]).expect(0);
    std::fs::remove_file(&filler).unwrap();
    eventually("room is laid by again", LONG, || if ballast.exists() { Ok(()) } else { Err("no ballast".to_owned()) });
    owner.wait_for("blockchain-engine", "healthy");
    owner.validate_chain();
    assert_no_panic(&running);
}

/// Leaves no byte on the disk.
fn fill_up(filler: &std::path::Path) {
    use std::io::{ErrorKind, Write as _};
    let mut file = std::fs::File::options().append(true).create(true).open(filler).unwrap();
    for block in [1 << 20, 4096] {
        let zeros = vec![0; block];
        let error = std::iter::repeat_with(|| file.write_all(&zeros)).find_map(Result::err).unwrap();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
