//! The payments plane as a process of its own, and the supervisor that shows it. Needs root: three users take part.

use std::{
    os::unix::{fs::PermissionsExt, fs::chown, net::UnixDatagram},
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    bench::{Given, Outcome, Owner, Place, Program, Running, SHORT, eventually, handing_over, text},
    crash::assert_no_panic,
};

/// The supervisor's user.
const LUCID: u32 = 65532;
/// The plane's.
const PAYMENTS: u32 = 65533;

/// Connects to `argv[1]` as user `argv[2]`, sends `argv[3]` as a frame, and prints the frame that comes back.
const ASK: &str = r#"
import os, socket, struct, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
plane = socket.socket(socket.AF_UNIX)
plane.settimeout(30)
plane.connect(sys.argv[1])
try:
    plane.sendall(struct.pack(">I", len(sys.argv[3])) + sys.argv[3].encode())
    answer = plane.makefile("rb").read()
except (BrokenPipeError, ConnectionResetError):
    answer = b""
print(answer[4:].decode())
"#;

fn ask(socket: &Path, user: u32, request: &str) -> Outcome {
    let mut command = Command::new("python3");
    Program::run(command.args(["-c", ASK, text(socket), &user.to_string(), request]), "").expect(0)
}

/// The plane, with everybody let into its directory.
fn start(place: &Place, more: Vec<Given>) -> Running {
    let _ = place.file("nothing", b"");
    let directory = place.path("nothing").parent().unwrap().to_owned();
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = place.lucid();
    command.args(["run", "--plane", "payments"]);
    command.envs(place.environment.iter().map(|(name, value)| (name, value)));
    let given: Vec<Given> = [Given::Socket("payments", place.path("payments.sock"))].into_iter().chain(more).collect();
    let command = handing_over(&command, &given);
    let plane = Running::start(command, place.path("plane-stdout"), place.path("plane-stderr"));
    eventually("the plane listens", SHORT, || {
        let said = plane.said();
        if said.contains("the payments plane is idle") { Ok(()) } else { Err(said) }
    });
    plane
}

fn expected() -> serde_json::Value {
    let version = env!("CARGO_PKG_VERSION");
    serde_json::json!({ "reply": "status", "plane": "payments", "state": "idle", "version": version })
}

#[test]
fn it_answers_the_supervisors_user_and_nobody_else() {
    let mut place = Place::new();
    let path = place.path("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(SHORT)).unwrap();
    place.environment = vec![("NOTIFY_SOCKET".to_owned(), text(&path).to_owned())];
    let plane = start(&place, Vec::new());
    let mut heard = String::new();
    while !(heard.contains("READY=1") && heard.contains("WATCHDOG=1")) {
        let mut buffer = [0; 4096];
        let length = notify.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}; heard {heard}"));
        heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    // One that nobody reads fills up, and holds up who writes to it.
    drop(notify);
    let socket = place.path("payments.sock");
    let status = r#"{"request":"status"}"#;
    let answer: serde_json::Value = serde_json::from_str(&ask(&socket, LUCID, status).text()).unwrap();
    assert_eq!(answer, expected());
    for user in [0, 1000, PAYMENTS, 65534] {
        assert_eq!(ask(&socket, user, status).text().trim(), "", "user {user} was answered");
    }
    eventually("the log", SHORT, || match plane.said().contains("turned away") {
        true => Ok(()),
        false => Err(plane.said()),
    });
    for garbage in ["", "{}", r#"{"request":"pay"}"#, &"x".repeat(20_000)] {
        assert_eq!(ask(&socket, LUCID, garbage).text().trim(), "", "{garbage:.40}");
    }
    let answer = ask(&socket, LUCID, status).text();
    assert!(answer.contains("idle"), "it lives on: {answer}");
    assert_no_panic(&plane);
}

/// As on the appliance, where the plane sees no users but root and itself.
#[test]
fn in_a_namespace_of_its_own_it_answers_neither_root_nor_itself() {
    let place = Place::new();
    let plane = start(&place, vec![Given::AloneAs(PAYMENTS)]);
    let socket = place.path("payments.sock");
    let status = r#"{"request":"status"}"#;
    assert!(ask(&socket, LUCID, status).text().contains("idle"), "{}", plane.said());
    for user in [0, PAYMENTS] {
        assert_eq!(ask(&socket, user, status).text().trim(), "", "user {user} was answered");
    }
    assert_no_panic(&plane);
}

#[test]
fn without_its_socket_it_says_how_it_is_started() {
    let place = Place::new();
    place.cli(&["run", "--plane", "payments"]).expect_error("lucid-payments.socket");
}

#[test]
fn the_dashboard_shows_it_idle_and_says_when_it_is_gone() {
    let mut place = Place::new();
    let socket = place.path("payments.sock");
    place.config.push_str(&format!("[payments]\nsocket = '{}'\n", text(&socket)));
    let plane = start(&place, Vec::new());
    for directory in [&place.data, &place.state, &place.path("home")] {
        std::fs::create_dir_all(directory).unwrap();
        chown(directory, Some(LUCID), Some(LUCID)).unwrap();
    }
    let server = place.server_command("dev");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65532", "--regid", "65532", "--clear-groups"]).arg(server.get_program());
    command.args(server.get_args()).env_clear().current_dir(place.path("home"));
    command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    let running = place.launch_as(command);
    let owner = Owner::claim(&place, &running);
    owner.wait_for_page("/", "idle (not yet in use)");
    plane.kill();
    owner.wait_for_page("/", "the payments plane does not answer");
    assert_no_panic(&running);
}
