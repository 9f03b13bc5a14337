//! What becomes of recordings when the account that made them is removed.

use serde_json::json;

use crate::{
    bench::{Owner, PASSWORD, Place, mix, send, text},
    crash::assert_no_panic,
    proof::assert_restored,
};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

#[test]
fn a_removed_accounts_recordings_stay_with_the_administrator() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    add(&owner, "zoe");
    let id = recorded_by(&place, &running.fingerprint(), "zoe");
    let sessions = |token: &str| get(&place, token, "/api/sessions").json()["sessions"].clone();
    let first = token(&place, "zoe");
    assert_eq!(sessions(&first)[0]["owner"]["name"], "zoe");
    owner.ask("DELETE", "/api/auth/accounts/zoe", &[], b"").expect(204);
    get(&place, &first, "/api/sessions").expect_problem(401, "token_revoked");

    // The name comes back, and is somebody else.
    add(&owner, "zoe");
    let second = token(&place, "zoe");
    assert_eq!(sessions(&second), json!([]));
    for tail in ["", "/content", "/export"] {
        get(&place, &second, &format!("/api/sessions/{id}{tail}")).expect_problem(404, "no_such_recording");
    }

    // For the administrator it is all there, under words that nobody can mistake, also after a restart.
    drop(running);
    let running = place.start();
    owner.wait_for_all();
    let found = owner.session(&id).unwrap();
    assert_eq!((&found["owner"]["name"], &found["owner"]["account"]), (&json!("zoe"), &json!("removed")));
    let listed = place.cli(&["sessions"]).expect(0).text();
    assert!(listed.contains("removed account zoe"), "{listed}");
    let cookie = format!("lucid_session={}", owner.access_token);
    let page = send(place.dashboard(), "GET", &format!("/sessions/{id}"), &[("Cookie", &cookie)], b"").expect(200);
    assert!(page.text().contains("removed account zoe"), "{}", page.text());
    assert_restored(&place, &id, &place.path("zoes.bin"), "restored.bin");
    place.cli(&["delete", &id, "--yes"]).expect(0);
    assert_no_panic(&running);
}

fn add(owner: &Owner, name: &str) {
    let body = json!({ "name": name, "password": PASSWORD, "role": "user" }).to_string();
    owner.ask("POST", "/api/auth/accounts", &JSON, body.as_bytes()).expect(201);
}

fn token(place: &Place, name: &str) -> String {
    let body = json!({ "name": name, "password": PASSWORD }).to_string();
    let reply = send(place.dashboard(), "POST", "/api/auth/login", &JSON, body.as_bytes()).expect(200).json();
    reply["access_token"].as_str().unwrap().to_owned()
}

fn get(place: &Place, token: &str, target: &str) -> crate::bench::Reply {
    send(place.dashboard(), "GET", target, &[("Authorization", &format!("Bearer {token}"))], b"")
}

/// Records with the command line as somebody else, whose home is elsewhere.
fn recorded_by(place: &Place, fingerprint: &str, name: &str) -> String {
    let home = place.path(&format!("home-of-{name}"));
    let file = place.file("zoes.bin", &mix(31, 1_500_000));
    let run = |arguments: &[&str], input: &str| {
        let mut command = place.lucid();
        command.env("HOME", &home).env("XDG_CONFIG_HOME", home.join(".config")).args(arguments);
        crate::bench::Program::run(&mut command, input).expect(0).text().trim().to_owned()
    };
    let server = place.server();
    let login = ["login", "--server", &server, "--fingerprint", fingerprint, "--password-stdin", name];
    run(&login, &format!("{PASSWORD}\n"));
    run(&["record", text(&file)], "")
}
