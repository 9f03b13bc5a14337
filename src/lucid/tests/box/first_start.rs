//! What the provisioning and the stage before systemd leave for the first start: code, certificate authority, a report.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    bench::{
        Owner, PASSWORD, Place, Program, Running, SHORT, eventually, login, require_success, send, text, try_send,
    },
    crash::assert_no_panic,
};

/// A code as flash.sh makes them.
const CODE: &str = "K7QM-3XWT-9HBD-E2RS";

/// An authority made by flash.sh itself, put where the stage before systemd puts it; gives the fingerprint it prints.
fn provision(place: &Place) -> String {
    let tls = place.state.join("tls");
    fs::create_dir_all(&tls).unwrap();
    let flash = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../flash.sh");
    let script = "set -euo pipefail; eval \"$(sed -n '/^make_authority()/,/^}/p' \"$1\")\"; make_authority \"$2\"";
    let hint = "install openssl; is there still a function `make_authority` in flash.sh?";
    let printed = require_success("bash", &["-c", script, "bash", text(&flash), text(&tls)], hint);
    fs::remove_file(tls.join("ca.conf")).unwrap();
    for (path, content) in [(tls.join("ca.key"), None), (place.state.join("claim.code"), Some(CODE))] {
        content.map_or(Ok(()), |content| fs::write(&path, content)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    printed.trim().to_owned()
}

#[test]
fn a_provisioned_box_has_the_certificate_and_takes_the_code_that_flash_printed() {
    let place = Place::new();
    let printed = provision(&place);
    let running = place.start();
    assert_eq!(running.fingerprint(), printed);
    let (port, ca) = (place.dashboard().to_string(), place.state.join("tls/ca.pem"));
    for check in ["-verify_ip 127.0.0.1", "-verify_hostname lucid.local"] {
        let script = format!(
            "openssl s_client -connect 127.0.0.1:{port} -CAfile '{}' -verify_return_error {check} </dev/null",
            ca.display()
        );
        let said = require_success("bash", &["-c", &script], "the leaf is not the authority's");
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    }

    let file = place.state.join("claim.code");
    let shown = fs::read_to_string(place.path("stdout")).unwrap();
    assert!(!shown.contains("one-time code"), "a code that was handed in is not shown, nor another made: {shown}");
    let owner = Owner::claim_with(&place, &running, CODE.to_owned());
    eventually("the end of the code", SHORT, || if file.exists() { Err("still there".to_owned()) } else { Ok(()) });
    let body = format!(r#"{{"code":"{CODE}","name":"mallory","password":"{}"}}"#, PASSWORD);
    let json = [("Content-Type", "application/json")];
    send(place.dashboard(), "POST", "/api/auth/claim", &json, body.as_bytes()).expect_problem(409, "already_claimed");
    assert!(!running.said().contains(CODE), "{}", running.said());
    owner.wait_for_all();
    assert_no_panic(&running);
    running.kill();

    let running = place.start();
    assert_eq!(running.fingerprint(), printed, "the authority stays");
    login(&place, &running);
}

fn report(place: &mut Place, state: &str) {
    let report = format!(
        r#"{{"slot":"a","boot_count":1,"first_boot":false,"state":"{state}","provisioned":true,"serial":"10000000deadbeef",
            "problems":[{{"code":"state-{state}","text":"the state is {state}: flash again"}}]}}"#
    );
    let path = place.file("boot.json", report.as_bytes());
    place.config.push_str(&format!("[boot]\nreport = '{}'\n", text(&path)));
}

/// Nobody can claim it: not with a provisioned code, not with any; and it says why, on every way in.
#[track_caller]
fn assert_locked(place: &Place, running: &Running, words: &str) {
    let json = [("Content-Type", "application/json")];
    let body = format!(r#"{{"code":"{CODE}","name":"mallory","password":"{}"}}"#, PASSWORD);
    eventually("auth-service", SHORT, || {
        let health = try_send(place.port("auth-service"), "GET", "/health", &[], b"");
        let health = health.map_err(|error| error.to_string())?;
        let waits = health.status == 503 && health.json()["status"] == "waiting";
        if waits { Ok(()) } else { Err(health.text()) }
    });
    for (method, body) in [("GET", ""), ("POST", body.as_str())] {
        let refused = send(place.dashboard(), method, "/api/auth/claim", &json, body.as_bytes());
        let problem = refused.expect_problem(423, "locked").json();
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
    for path in ["/", "/claim", "/login", "/sessions"] {
        let page = send(place.dashboard(), "GET", path, &[("Accept", "text/html")], b"").expect(423).text();
        assert!(page.contains("This appliance is locked") && page.contains(words), "{path}: {page}");
    }
    let said = running.said();
    assert!(said.contains("locked: nobody can claim this appliance") && said.contains(words), "{said}");
    let shown = fs::read_to_string(place.path("stdout")).unwrap();
    assert!(!shown.contains("one-time code"), "{shown}");
    assert!(place.state.join("claim.code").exists(), "the code is not used up");
}

#[test]
fn a_box_that_lost_its_state_is_locked() {
    for state in ["lost", "unmountable"] {
        let mut place = Place::new();
        provision(&place);
        report(&mut place, state);
        let running = place.start();
        assert_locked(&place, &running, "flash.sh");
        assert_no_panic(&running);
        running.kill();
        // A restart of the program changes nothing.
        let running = place.start();
        assert_locked(&place, &running, "flash.sh");
    }
}

#[test]
fn a_box_whose_start_is_not_known_is_locked() {
    let mut place = Place::new();
    provision(&place);
    place.config.push_str("[boot]\nreport = '/nonexistent/boot.json'\n");
    let running = place.start();
    assert_locked(&place, &running, "/nonexistent/boot.json");
    assert_no_panic(&running);
}

#[test]
fn a_box_that_has_its_accounts_is_not_locked_and_tells_of_its_start() {
    let mut place = Place::new();
    provision(&place);
    report(&mut place, "kept");
    let running = place.start();
    let owner = Owner::claim_with(&place, &running, CODE.to_owned());
    for words in ["slot A", "the state is kept: flash again", "The provisioning is used up."] {
        owner.wait_for_page("/", words);
    }
    running.kill();
    let report = fs::read_to_string(place.path("boot.json")).unwrap();
    place.file("boot.json", report.replace("\"state\":\"kept\"", "\"state\":\"lost\"").as_bytes());
    let running = place.start();
    login(&place, &running);
    assert_no_panic(&running);
}

/// The owner's own settings come over the appliance's; a mistake in them is told and keeps nobody out.
#[test]
fn a_mistake_in_the_owners_settings_keeps_nobody_out() {
    let place = Place::new();
    fs::create_dir_all(&place.state).unwrap();
    let owners = place.state.join("lucid.toml");
    fs::write(&owners, "[session-pipeline]\nchunk_size_mib = 2\n").unwrap();
    let mut command = place.lucid();
    let config = place.file("lucid.toml", place.config.as_bytes());
    command.args(["config", "show", "--config", text(&config)]).env("LUCID_STATE_DIR", &place.state);
    let said = Program::run(&mut command, "").expect(0).text();
    assert!(said.contains(&format!("chunk_size_mib = 2  # {}:2", owners.display())), "{said}");
    assert!(said.contains(&format!("chunk_close_s = 1  # {}", config.display())), "{said}");

    fs::write(&owners, "state_dir = '/elsewhere'\n[session-pipeline]\nchunk_size_mib = 200\n").unwrap();
    let mut command = place.lucid();
    command.args(["config", "check", "--config", text(&config)]).env("LUCID_STATE_DIR", &place.state);
    let said = Program::run(&mut command, "").expect(1).all();
    for words in ["`state_dir` can't be set in a file that lies in it", "chunk_size_mib` is `200`"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let page = owner.wait_for_page("/", "your own settings have no effect");
    assert!(page.contains("chunk_size_mib` is `200`"), "{page}");
    assert_no_panic(&running);
}
