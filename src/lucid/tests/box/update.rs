//! Updates, as far as the box has a part in them: what it tells while it is on trial, and what it leaves alone then.
//! The agent is one of the test's own behind the real protocol.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::Path,
    sync::{Arc, Mutex},
};

use lucid_agent_protocol::{
    Refusal, RefusalCode, Reply, Request, SsdReport, SsdState, Status, receive, send,
    update::{Cause, GateAnswer, GateReport},
};
use lucid_layout::provisioning::Consent;
use lucid_store::{Json, Migration, Options, Reader as _, Schema, Store, StoreError, Table};
use serde_json::json;

use crate::{
    bench::{LONG, Owner, Place, eventually, mix, text},
    crash::assert_no_panic,
    proof::{assert_restored, record},
};

/// An agent that takes note of reports, and has a data disk mounted. Its thread ends with the process.
fn start_agent(socket: &Path) -> Arc<Mutex<Vec<GateReport>>> {
    let listener = UnixListener::bind(socket).unwrap();
    let reports: Arc<Mutex<Vec<GateReport>>> = Arc::default();
    let kept = reports.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Ok(Some(request)) = receive(&mut stream) else { continue };
            // Who asked may have gone.
            let _ = send(&mut stream, &answer(request, &kept));
        }
    });
    reports
}

fn answer(request: Request, reports: &Mutex<Vec<GateReport>>) -> Reply {
    match request {
        Request::Gate { report } => {
            reports.lock().unwrap().push(report);
            Reply::Gate { answer: GateAnswer::Soaking }
        }
        Request::Status {} => Reply::status(mounted()),
        Request::Ready {} => Reply::Done,
        _ => Reply::Refused(Refusal::new(RefusalCode::WrongState, "this agent only takes note")),
    }
}

fn mounted() -> Status {
    let absent = || json!({"absent": {"reason": "test"}});
    let ssd = SsdReport {
        state: SsdState::Mounted,
        reason: None,
        adopted: None,
        mount: None,
        check: None,
        consent: Consent::None,
    };
    let board =
        ["model", "pi_model", "serial", "kernel", "uptime_ms", "boot_id"].map(|name| (name.to_owned(), absent()));
    let board: serde_json::Map<_, _> = board.into_iter().collect();
    let status = json!({ "ssd": ssd, "boot": absent(), "board": board });
    serde_json::from_value(status).expect("readings that are absent are one of their forms")
}

/// A place that boots on trial or not, with the agent above.
fn on_trial(place: &mut Place, trial: bool) -> Arc<Mutex<Vec<GateReport>>> {
    let report = json!({
        "slot": "b", "boot_count": 1, "first_boot": false, "state": "kept", "provisioned": true, "trial": trial,
        "serial": null, "problems": [],
    });
    let report = place.file("boot.json", report.to_string().as_bytes());
    let socket = place.path("agent.sock");
    place.config.push_str(&format!("[boot]\nreport = '{}'\n[agent]\nsocket = '{}'\n", text(&report), text(&socket)));
    start_agent(&socket)
}

#[test]
fn a_box_on_trial_reports_itself_fit_and_says_at_once_what_is_wrong() {
    let mut place = Place::new();
    let reports = on_trial(&mut place, true);
    let running = place.start();
    let last = |what: &str, is_so: &dyn Fn(&GateReport) -> bool| {
        eventually(what, LONG, || match reports.lock().unwrap().last() {
            Some(report) if is_so(report) => Ok(report.clone()),
            other => Err(format!("{other:?}")),
        })
    };
    let fit = last("a fit box", &|report| report.faults.is_empty());
    assert_eq!(fit.restarts, 0);
    // The disk goes away under the services, and the agent does not know.
    fs::rename(&place.data, place.path("elsewhere")).unwrap();
    let faulty = last("the lost disk", &|report| report.faults.iter().any(|fault| fault.cause == Cause::DataDisk));
    assert_eq!(faulty.supervisor, fit.supervisor, "one process has one name");
    assert_no_panic(&running);
    running.kill();
    let count = reports.lock().unwrap().len();
    fs::rename(place.path("elsewhere"), &place.data).unwrap();
    let _running = place.start();
    let other = last("another process", &|report| report.supervisor != fit.supervisor);
    assert!(reports.lock().unwrap().len() > count && other.restarts == 0);
}

#[test]
fn a_machine_without_an_agent_says_so() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let status = owner.get("/api/update/status").expect(200).json();
    assert!(status["agent"].is_null(), "{status}");
    assert!(status["agent_problem"].as_str().unwrap().contains("no agent"), "{status}");
    let json_body = [("Content-Type", "application/json")];
    owner.ask("POST", "/api/update/install", &json_body, br#"{"when":"now"}"#).expect_problem(409, "no_agent");
    owner.ask("POST", "/api/update/rollback", &[], b"").expect_problem(409, "no_agent");
    owner.ask("POST", "/api/update/eeprom", &json_body, br#"{"build_s":1}"#).expect_problem(409, "no_agent");
    let audit = owner.get("/api/auth/audit").expect(200).text();
    assert!(audit.contains("update installed") && audit.contains("not done"), "{audit}");
    owner.wait_for("update", "healthy");
}

/// What the next release adds to each store, as far as this test goes.
const NEXT: Table<u64, Json<String>> = Table::new("of_the_next_release");

/// What the next release does to the rows, once it is kept.
fn migrate(tx: &mut lucid_store::WriteTx<'_>) -> Result<(), StoreError> {
    tx.put(&NEXT, &0, &"in a way that the former release can't read".to_owned())
}

macro_rules! next_of {
    ($schema:path) => {{
        static STEPS: [Migration; 1] = [Migration { from: $schema.version, to: $schema.version + 1, run: migrate }];
        static NEXT: Schema = Schema {
            name: $schema.name,
            version: $schema.version + 1,
            migrations: &STEPS,
            readable_by_previous: false,
        };
        &NEXT
    }};
}

/// The stores of a box, each with the schema of the next release.
fn stores(place: &Place) -> [(std::path::PathBuf, &'static Schema); 3] {
    [
        (place.state.join("auth-service/auth-service.redb"), next_of!(lucid_foundation::auth_service::SCHEMA)),
        (place.data.join("data/blockchain-engine/blockchain-engine.redb"), next_of!(lucid_chain::SCHEMA)),
        (place.data.join("data/session-storage/session-storage.redb"), next_of!(lucid_sessions::SCHEMA)),
    ]
}

/// What the next release does with the stores. Whether it migrated them.
fn run_next_release(place: &Place, is_kept: bool) -> Vec<bool> {
    let runs = stores(place).map(|(path, schema)| {
        let options = Options { migrate: is_kept, ..Options::default() };
        let store = Store::open(&path, schema, options).unwrap();
        let write = |tx: &mut lucid_store::WriteTx<'_>| tx.put(&NEXT, &1, &"written by the next release".to_owned());
        store.write_blocking::<_, StoreError, _>(write).unwrap();
        store.read(|tx| tx.get(&NEXT, &0)).unwrap().is_some()
    });
    runs.to_vec()
}

/// Forward to a release with newer schemas, on trial; writing; and back. Kept, there is no way back, and nothing is
/// made anew over what can't be read.
#[test]
fn a_release_on_trial_leaves_data_that_the_former_one_reads() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "recording.bin", &mix(9, 1_500_000));
    running.terminate(LONG);

    assert_eq!(run_next_release(&place, false), [false; 3], "on trial nothing is migrated");
    let running = place.start();
    for service in ["auth-service", "blockchain-engine", "session-storage", "session-api"] {
        owner.wait_for(service, "healthy");
    }
    assert_restored(&place, &id, &place.path("recording.bin"), "restored.bin");
    record(&place, "second.bin", &mix(10, 1_500_000));
    assert_no_panic(&running);
    running.terminate(LONG);

    let chain_and_recordings = &stores(&place)[1..];
    for (path, schema) in chain_and_recordings {
        drop(Store::open(path, schema, Options::default()).unwrap());
    }
    let running = place.start();
    for service in ["blockchain-engine", "session-storage"] {
        let refused = owner.wait_for(service, "unhealthy")["health"]["reason"].as_str().unwrap().to_owned();
        assert!(refused.contains("newer"), "{refused}");
    }
    assert_no_panic(&running);
}
