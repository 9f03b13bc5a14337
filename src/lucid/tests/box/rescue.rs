//! The page of a box that does not come up, as its unit starts it: sockets, console and the kernel's log handed over.
//! The agent is one of the test's own behind the real protocol.

use std::{
    fs,
    io::Read as _,
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use lucid_agent_protocol::{
    DataReader, Refusal, RefusalCode, Reply as Answer, Request, receive, send as send_frame,
    update::{EepromReport, Phase, TrustReport, TrybootWay, UpdateReport},
};
use lucid_http::{CertificateNames, DeviceCertificate};
use lucid_layout::Slot;
use serde_json::{Value, json};

use crate::{
    bench::{
        Given, Place, Program, Reply, Running, SHORT, eventually, free_port, handing_over, mix, require_success, send,
        text,
    },
    crash::assert_no_panic,
};

const WHY: &str = "slot A did not become ready in three starts";
/// A record of the kernel's log, as /dev/kmsg has it.
const RECORD: &[u8] = b"3,7,1500000,-;mmc0: card went away\n SUBSYSTEM=mmc\n";

/// What the agent was asked, but for looks, and the bytes that it took.
#[derive(Default)]
struct Told {
    asked: Vec<Request>,
    taken: Vec<u8>,
}

/// Its thread ends with the process.
fn start_agent(socket: &Path) -> Arc<Mutex<Told>> {
    let listener = UnixListener::bind(socket).unwrap();
    let told: Arc<Mutex<Told>> = Arc::default();
    let shared = told.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, told) = (stream.unwrap(), shared.clone());
            std::thread::spawn(move || answer(stream, &told));
        }
    });
    told
}

fn answer(mut stream: UnixStream, told: &Mutex<Told>) {
    let Ok(Some(request)) = receive::<Request>(&mut stream) else { return };
    let reply = match &request {
        Request::UpdateStatus {} => Answer::update(report()),
        Request::Status {} => {
            Answer::Refused(Refusal::new(RefusalCode::Failed, "this agent does not look at the board"))
        }
        Request::Bundle { .. } => {
            send_frame(&mut stream, &Answer::Send { offset: 0 }).unwrap();
            let mut bytes = Vec::new();
            if DataReader::new(&stream).read_to_end(&mut bytes).is_err() {
                return;
            }
            told.lock().unwrap().taken = bytes;
            Answer::Done
        }
        _ => Answer::Done,
    };
    if !matches!(request, Request::UpdateStatus {} | Request::Status {}) {
        told.lock().unwrap().asked.push(request);
    }
    // Who asked may have gone.
    let _ = send_frame(&mut stream, &reply);
}

fn report() -> UpdateReport {
    let absent = || json!({"absent": {"reason": "test"}});
    UpdateReport {
        running: Some(Slot::A),
        trial: false,
        remark: None,
        committed: serde_json::from_value(absent()).unwrap(),
        slots: Vec::new(),
        phase: Phase::Idle {},
        history: Vec::new(),
        quarantine: Vec::new(),
        trust: TrustReport { root_version: Some(1), keys_version: None, is_test: true, problem: None },
        tryboot: TrybootWay::Mailbox,
        eeprom_s: serde_json::from_value(absent()).unwrap(),
        eeprom: EepromReport { carried: serde_json::from_value(absent()).unwrap(), hindrance: None, last: None },
        epoch_floor: 1,
        selftest: None,
    }
}

/// The page under way, with all that its unit gives it.
struct Rescue {
    https: u16,
    http: u16,
    console: std::path::PathBuf,
    /// Until nobody listens any more.
    notify: Option<UnixDatagram>,
    running: Running,
}

impl Rescue {
    fn start(place: &Place) -> Self {
        let boot = json!({
            "slot": "a", "boot_count": 4, "first_boot": false, "state": "kept", "provisioned": true, "rescue": WHY,
            "serial": null, "problems": [],
        });
        let boot = place.file("boot.json", boot.to_string().as_bytes());
        let (https, http, console) = (free_port(), free_port(), place.path("console"));
        let given = [
            Given::Port("https", https),
            Given::Port("http", http),
            Given::File("console", console.clone()),
            Given::Readable("kmsg", place.file("kmsg", RECORD)),
        ];
        let socket = place.path("notify");
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(SHORT)).unwrap();
        let mut command = place.lucid();
        command.arg("rescue").arg("--boot-report").arg(boot).arg("--state-dir").arg(&place.state);
        command.arg("--agent-socket").arg(place.path("agent.sock"));
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "500000");
        let running = Running::start(handing_over(&command, &given), place.path("stdout"), place.path("stderr"));
        let rescue = Self { https, http, console, notify: Some(notify), running };
        rescue.hear("READY=1");
        rescue
    }

    /// Listens no more. A socket that nobody reads fills up, and holds up who writes to it.
    fn unheard(self) -> Self {
        Self { notify: None, ..self }
    }

    /// Waits until systemd is told this.
    #[track_caller]
    fn hear(&self, words: &str) {
        let (mut heard, notify) = (String::new(), self.notify.as_ref().expect("somebody listens"));
        while !heard.contains(words) {
            let mut buffer = [0; 4096];
            let length = notify.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}; heard {heard}"));
            heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// The code that stands last on the console, and is not `former`.
    fn code(&self, former: &str) -> String {
        eventually("the one-time code on the console", SHORT, || {
            let shown = fs::read_to_string(&self.console).unwrap();
            let is_code = |word: &&str| word.len() == 19 && word.split('-').count() == 4;
            let last = shown.split_whitespace().rfind(is_code).filter(|code| *code != former).map(str::to_owned);
            last.ok_or(shown)
        })
    }

    fn post(&self, path: &'static str, body: &str) -> Reply {
        let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "same-origin")];
        send(self.https, "POST", path, &form, body.as_bytes())
    }

    fn upload(&self, bundle: &[u8]) -> Reply {
        let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b\"\r\n\r\n";
        let body = [head.as_bytes(), bundle, b"\r\n--edge--\r\n"].concat();
        send(self.https, "POST", "/bundle", &[("Content-Type", "multipart/form-data; boundary=edge")], &body)
    }

    fn status(&self) -> Value {
        send(self.https, "GET", "/api/rescue/status", &[], b"").expect(200).json()
    }
}

/// Asks over TLS as somebody who trusts the authority in `tls`, by the name that every appliance has.
fn page_over_tls(port: u16, authority: &Path) -> String {
    let url = format!("https://lucid.local:{port}/");
    let resolve = format!("lucid.local:{port}:127.0.0.1");
    let arguments = ["--silent", "--show-error", "--cacert", text(authority), "--resolve", &resolve, &url];
    require_success("curl", &arguments, "install curl")
}

#[test]
fn it_runs_beside_nothing_and_brings_an_update_to_the_agent() {
    let place = Place::new();
    let told = start_agent(&place.path("agent.sock"));
    fs::create_dir(&place.state).unwrap();
    let (tls, now) = (place.state.join("tls"), SystemTime::now());
    let own = DeviceCertificate::open(&tls, &CertificateNames::new("lucid.local", []), now, now).unwrap();
    let rescue = Rescue::start(&place);
    rescue.hear("WATCHDOG=1");
    let rescue = rescue.unheard();
    assert!(page_over_tls(rescue.https, &tls.join("ca.pem")).contains("did not become ready in three starts"));
    let code = rescue.code("");
    let shown = fs::read_to_string(&rescue.console).unwrap();
    assert!(shown.contains(WHY) && shown.contains(own.ca_fingerprint_sha256()), "{shown}");

    for port in [rescue.https, rescue.http] {
        let health = send(port, "GET", "/health", &[], b"").expect(503).json();
        assert_eq!((&health["status"], &health["reasons"][0]), (&json!("rescue"), &json!(WHY)));
    }
    let led = send(rescue.http, "GET", "/x", &[], b"").expect(308);
    assert_eq!(led.header("location"), Some("https://127.0.0.1/x"));

    let bundle = mix(3, 3_000_000);
    assert_eq!(rescue.upload(&bundle).expect(303).header("location"), Some("/?done=sent"));
    assert!(told.lock().unwrap().taken == bundle);
    rescue.post("/install", "").expect(303);
    rescue.post("/network", "code=0000-0000-0000-0000").expect(403);
    let saved = rescue.post("/diagnostics", &format!("code={code}")).expect(200).text();
    assert!(saved.contains(WHY) && saved.contains("[    1.500000] mmc0: card went away"), "{saved}");
    let code = rescue.code(&code);
    rescue.post("/network", &format!("code={code}")).expect(303);
    rescue.post("/restart", "").expect(303);
    let asked = told.lock().unwrap().asked.clone();
    assert!(matches!(asked[0], Request::Bundle { offset: 0, .. }), "{asked:?}");
    assert_eq!(asked[1..3], [Request::InstallUpdate { soak_s: 180 }, Request::ForgetNetwork {}]);
    assert!(matches!(asked[3], Request::Reboot { .. }), "{asked:?}");

    assert!(!rescue.running.said().contains(&code), "{}", rescue.running.said());
    assert_no_panic(&rescue.running);
    assert!(rescue.running.terminate(SHORT).success());
    let left: Vec<_> = fs::read_dir(&place.state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["tls"], "it writes nothing there");
}

#[test]
fn without_agent_and_certificate_it_is_there_and_says_so() {
    let place = Place::new();
    let rescue = Rescue::start(&place).unheard();
    let status = rescue.status();
    assert!(status["agent_problem"].as_str().unwrap().contains("agent.sock"), "{status}");
    assert!(status["certificate_problem"].as_str().unwrap().contains("made for this start"), "{status}");
    let page = send(rescue.https, "GET", "/", &[], b"").expect(200).text();
    for words in ["Not its usual certificate", "three starts", "agent can't be reached"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    rescue.code("");
    assert!(fs::read_to_string(&rescue.console).unwrap().contains("made for this start"));
    rescue.upload(b"x").expect(503);
    rescue.post("/restart", "").expect(503);
    rescue.post("/diagnostics", &"x".repeat(10_000)).expect(413);
    assert!(!place.state.exists());
    assert_no_panic(&rescue.running);
    // An agent that comes later is found.
    let told = start_agent(&place.path("agent.sock"));
    rescue.post("/restart", "").expect(303);
    assert_eq!(told.lock().unwrap().asked.len(), 1);
}

#[test]
fn without_its_sockets_it_says_how_it_is_started() {
    let place = Place::new();
    Program::run(place.lucid().args(["rescue", "--state-dir", text(&place.state)]), "")
        .expect_error("lucid-rescue.target");
}
