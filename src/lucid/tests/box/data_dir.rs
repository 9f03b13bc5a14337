//! The data directory goes away, or turns read-only, while the box runs.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    bench::{LONG, Mount, Owner, Place, Program, login, mix, require_success, send, text},
    crash::{Pour, announced, assert_no_panic, durable_beyond},
    proof::{assert_restored, record},
};

/// The services that need the disk.
const ON_DISK: [&str; 6] =
    ["blockchain-engine", "session-anchoring", "block-manager", "session-storage", "session-pipeline", "session-api"];

#[test]
fn a_data_directory_that_vanishes_and_returns_loses_nothing() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "first.bin", &mix(10, 1_500_000));
    let mut client = Program::start(place.lucid().args(["record", "-"]), Stdio::piped());
    let source = Pour::start(&mut client, &place, 11);
    let open = announced(&client);
    let durable = source.settle(&owner, &open);

    let away = place.path("away");
    std::fs::rename(&place.data, &away).unwrap();
    all_wait(&place, &owner, "not there");
    assert!(!place.data.exists(), "something made the data directory anew");
    std::fs::rename(&away, &place.data).unwrap();
    all_return(&owner);

    source.allow(durable + 30_000_000);
    durable_beyond(&owner, &open, durable + 1_000_000);
    source.finish();
    client.end(LONG).expect(0);
    assert_restored(&place, &id, &place.path("first.bin"), "restored-1.bin");
    assert_restored(&place, &open, &place.path("poured.bin"), "restored-2.bin");
    owner.validate_chain();
    assert_no_panic(&running);
}

/// Another disk is mounted over the right one, read-only and empty, and taken off again.
#[test]
fn a_foreign_read_only_disk_is_not_taken_for_the_right_one() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "first.bin", &mix(12, 1_500_000));
    let foreign = Mount::tmpfs(&place.data, "size=8m,ro");
    all_wait(&place, &owner, "");
    drop(foreign);
    all_return(&owner);
    assert_restored(&place, &id, &place.path("first.bin"), "restored.bin");
    owner.validate_chain();
    assert_no_panic(&running);
}

/// ext4 meets an error and turns read-only under open files, as it does on a failing disk.
#[test]
fn a_disk_that_turns_read_only_holds_its_services_up() {
    let place = Place::new();
    let image = place.path("disk.img");
    make_disk(&image);
    let mount = Mount::image(&image, &place.data);
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "first.bin", &mix(13, 1_500_000));
    mount.fail();
    all_wait(&place, &owner, "read-only");
    mount.take_off();
    repair(&image);
    let _mount = Mount::image(&image, &place.data);
    all_return(&owner);
    login(&place, &running);
    assert_restored(&place, &id, &place.path("first.bin"), "restored.bin");
    let second = record(&place, "second.bin", &mix(14, 1_500_000));
    assert_restored(&place, &second, &place.path("second.bin"), "restored-2.bin");
    owner.validate_chain();
    assert_no_panic(&running);
}

fn make_disk(image: &Path) {
    std::fs::File::create(image).unwrap().set_len(96 << 20).unwrap();
    require_success("mkfs.ext4", &["-q", "-e", "remount-ro", text(image)], "install `e2fsprogs`");
}

/// Checks the filesystem as it is checked before a mount; what had to be mended is no failure.
fn repair(image: &Path) {
    let status = Command::new("e2fsck").args(["-p", "-f"]).arg(image).status().expect("install `e2fsprogs`");
    assert!(matches!(status.code(), Some(0 | 1)), "e2fsck: {status}");
}

/// Every service that needs the disk waits, with this in its reason; the dashboard is there.
#[track_caller]
fn all_wait(place: &Place, owner: &Owner, words: &str) {
    for name in ON_DISK {
        let waiting = owner.wait_for(name, "waiting");
        let reason = waiting["health"]["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{name}: `{words}` is not in: {reason}");
    }
    send(place.dashboard(), "GET", "/login", &[], b"").expect(200);
    owner.get("/api/auth/me").expect(200);
    owner.get("/api/sessions").expect_problem(503, "service_unavailable");
    let others = [&ON_DISK[..], &["storage-watch"]].concat();
    owner.assert_others_healthy(&others);
}

/// Every service comes back by itself, and blocks go on.
#[track_caller]
fn all_return(owner: &Owner) {
    owner.wait_for_all();
    let height = owner.head()["height"].as_u64().unwrap();
    owner.wait_for_block_above(height);
}
