//! Ports and the console as systemd hands them over.

use std::process::Command;

use crate::{
    bench::{
        Given, Owner, Place, Program, SHORT, eventually, free_port, handing_over, require_success, send, text, try_send,
    },
    crash::assert_no_panic,
};

#[test]
fn the_ports_below_1024_come_from_systemd_and_the_code_goes_to_the_console() {
    let place = Place::new();
    let (https, http, console) = (free_port(), free_port(), place.path("console"));
    let given = [Given::Port("https", https), Given::Port("http", http), Given::File("console", console.clone())];
    let running = place.launch_as(handing_over(&place.server_command("dev"), &given));
    let fingerprint = running.fingerprint();
    let code = eventually("the one-time code on the console", SHORT, || {
        let shown = std::fs::read_to_string(&console).unwrap();
        shown.split_whitespace().find(|word| word.len() == 19).map(str::to_owned).ok_or(shown.clone())
    });
    let shown = std::fs::read_to_string(place.path("stdout")).unwrap();
    assert!(!shown.contains(&code) && !running.said().contains(&code), "{shown}{}", running.said());

    wait_for_claim_page(https);
    wait_for_claim_page(place.dashboard());
    assert_eq!(fingerprint, authority_shown_at(https));

    let owner = Owner::claim_with(&place, &running, code);
    let health = send(http, "GET", "/health", &[("Authorization", &owner.bearer())], b"").expect(200).json();
    assert_eq!(health["service"], "admin-interface", "{health}");
    assert!(health.get("reasons").is_none(), "on a port without encryption nobody is known: {health}");
    for (method, target) in [("GET", "/sessions?next=1"), ("GET", "/api/services"), ("POST", "/login")] {
        let led = send(http, method, target, &[("Authorization", &owner.bearer())], b"").expect(308);
        assert_eq!(led.header("location"), Some(format!("https://127.0.0.1{target}").as_str()));
    }
    assert_no_panic(&running);
}

/// Waits until a port shows where to enter the one-time code.
#[track_caller]
fn wait_for_claim_page(port: u16) {
    eventually("the claim page", SHORT, || {
        let page = try_send(port, "GET", "/claim", &[], b"").map_err(|error| error.to_string())?;
        if page.status == 200 && page.text().contains("One-time code") { Ok(()) } else { Err(page.text()) }
    });
}

/// The fingerprint of the authority that a port shows over TLS.
fn authority_shown_at(port: u16) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -showcerts </dev/null 2>/dev/null \
         | awk '/BEGIN/ {{ n++ }} n == 2' | openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//'"
    );
    require_success("bash", &["-c", &script], "install openssl").trim().to_owned()
}

#[test]
fn what_can_not_be_used_is_refused_with_its_name() {
    let place = Place::new();
    let start = |given: &[Given]| Program::run(&mut handing_over(&place.server_command("dev"), given), "");
    start(&[Given::File("https", place.path("file"))]).expect_error("`https`");
    start(&[Given::Port("http", free_port()), Given::Port("http", free_port())])
        .expect_error("two sockets are named `http`");
    let mut command = place.server_command("dev");
    Program::run(command.env("LISTEN_PID", "me").env("LISTEN_FDS", "1"), "").expect_error("LISTEN_PID");
}

#[test]
fn sockets_of_another_process_are_none_of_ours() {
    let mut place = Place::new();
    place.environment =
        [("LISTEN_PID", "1"), ("LISTEN_FDS", "2")].map(|(name, value)| (name.into(), value.into())).to_vec();
    let running = place.start();
    wait_for_claim_page(place.dashboard());
    assert_no_panic(&running);
}

/// On the appliance the name in the certificate is the machine's own.
#[test]
fn an_appliance_is_reached_under_its_own_name() {
    let mut place = Place::new();
    place.config.push_str("[boot]\nreport = 'none'\n[agent]\nsocket = 'none'\n[payments]\nsocket = 'none'\n");
    let running = place.launch_as(place.server_command("run"));
    running.fingerprint();
    let name = String::from_utf8(Command::new("uname").arg("-n").output().unwrap().stdout).unwrap();
    let name = name.trim().to_lowercase();
    let expected = if name.contains('.') { name } else { format!("{name}.local") };
    let leaf = place.state.join("tls/leaf.pem");
    let names = require_success("openssl", &["x509", "-in", text(&leaf), "-noout", "-ext", "subjectAltName"], "");
    for name in [expected.as_str(), "lucid.local"] {
        assert!(names.contains(&format!("DNS:{name}")), "{name}: {names}");
    }
    assert_no_panic(&running);
}
