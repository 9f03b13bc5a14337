//! The socket: who is answered, and what becomes of those who do not keep to the protocol.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;

use lucid_agent_protocol::{Client, ClientError, RefusalCode, Reply, Request, SsdState, receive, send};
use rustix::fs::Uid;
use serde_json::json;

use super::rig::{Rig, SMALL};
use crate::machine::{Machine, MachineError};
use crate::serve::serve;

/// A machine that only notes what is asked of it: the one that runs the tests goes on.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<&'static str>>>);

impl Machine for Noted {
    fn reboot(&self) -> Result<(), MachineError> {
        self.0.lock().unwrap().push("reboot");
        Ok(())
    }

    fn try_boot(&self) -> Result<(), MachineError> {
        self.0.lock().unwrap().push("try boot");
        Ok(())
    }

    fn power_off(&self) -> Result<(), MachineError> {
        Err(MachineError::Refused { status: 1, said: "Access denied".to_owned() })
    }

    fn end_trial(&self) -> Result<(), MachineError> {
        self.0.lock().unwrap().push("end trial");
        Ok(())
    }
}

/// A boot that is in rescue.
const IN_RESCUE: &str = r#"{"slot":"a","boot_count":4,"first_boot":false,"state":"kept","provisioned":true,
                            "serial":null,"rescue":"it failed three times","problems":[]}"#;

#[test]
fn the_network_is_forgotten_when_the_box_is_in_rescue() {
    let agent = Agent::start();
    let network = &agent.rig.config.network;
    fs::write(network, "address = '192.0.2.7/24'").unwrap();
    let refused = agent.client.ask(&Request::ForgetNetwork {}).unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(refusal) if refusal.code == RefusalCode::WrongState), "{refused}");
    assert!(network.exists());
    fs::write(&agent.rig.config.boot_report, IN_RESCUE).unwrap();
    assert_eq!(agent.client.ask(&Request::ForgetNetwork {}).unwrap(), Reply::Done);
    assert!(!network.exists());
}

/// An agent that answers.
struct Agent {
    rig: Rig,
    client: Client,
    noted: Noted,
}

impl Agent {
    fn start() -> Self {
        let rig = Rig::new("none");
        let (config, noted) = (rig.config.clone(), Noted::default());
        let machine = noted.clone();
        // It never ends by itself, and ends with the test's process.
        thread::spawn(move || serve(config, Arc::new(machine)).map(drop));
        let client = Client::new(&rig.config.socket);
        let agent = Self { rig, client, noted };
        agent.until(|agent| agent.client.ask(&Request::Status {}).is_ok());
        agent
    }

    /// Waits for a state; a test that never sees it is ended by its runner.
    fn until(&self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            thread::yield_now();
        }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.rig.config.socket).unwrap()
    }

    fn ask(&self, request: &Request) -> Reply {
        self.client.ask(request).unwrap()
    }

    #[track_caller]
    fn refused(&self, request: &Request, code: RefusalCode) -> String {
        match self.client.ask(request) {
            Err(ClientError::Refused(refusal)) if refusal.code == code => refusal.message,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_question_has_its_answer() {
    let agent = Agent::start();
    let config = &agent.rig.config;
    let Reply::Status(status) = agent.ask(&Request::Status {}) else { panic!("no status") };
    assert_eq!(status.ssd.state, SsdState::NotAdopted);
    assert!(status.boot.is_absent() && status.board.kernel.present().is_some());
    let boot = json!({"slot": "a", "boot_count": 1, "first_boot": true, "state": "fresh", "provisioned": false,
        "serial": null, "problems": []});
    fs::write(&config.boot_report, boot.to_string()).unwrap();
    let Reply::BootFacts { boot } = agent.ask(&Request::BootFacts {}) else { panic!("no facts") };
    assert!(boot.present().is_some_and(|boot| boot.first_boot));
    fs::write(&config.attempts, r#"{"boots_without_ready":3,"boot_id":"b","slot":"a"}"#).unwrap();
    assert_eq!(agent.ask(&Request::Ready {}), Reply::Done);
    assert!(fs::read_to_string(&config.attempts).unwrap().contains("\"boots_without_ready\":0"));
    fs::write(&config.attempts, "{").unwrap();
    agent.refused(&Request::Ready {}, RefusalCode::Failed);
    let reason = || "asked for on the dashboard".parse().unwrap();
    assert_eq!(agent.ask(&Request::Reboot { reason: reason() }), Reply::Done);
    assert_eq!(*agent.noted.0.lock().unwrap(), ["reboot"]);
    let message = agent.refused(&Request::PowerOff { reason: reason() }, RefusalCode::Failed);
    assert!(message.contains("Access denied"), "{message}");
}

#[test]
fn disks_are_listed_and_adopted_through_the_socket() {
    let agent = Agent::start();
    let disk = agent.rig.plugged("SERIAL1", SMALL);
    let Reply::Disks { disks, omitted: 0 } = agent.ask(&Request::Disks {}) else { panic!("no disks") };
    assert_eq!((disks.len(), &disks[0].id, disks[0].system), (1, &disk.id(), false));
    assert_eq!(disks[0].drive.size_bytes.present(), Some(&SMALL));
    let Reply::Smart { smart } = agent.ask(&Request::Smart { disk: disk.id() }) else { panic!("no answer") };
    assert!(smart.is_absent(), "a loop device has no SMART: {smart:?}");
    let unknown = "SERIAL2".parse().unwrap();
    agent.refused(&Request::Smart { disk: unknown }, RefusalCode::NotFound);
    for nothing in [Request::Mount {}, Request::Detach {}, Request::Repair { confirmation: disk.id() }] {
        agent.refused(&nothing, RefusalCode::WrongState);
    }
    agent.refused(&Request::Adopt { disk: disk.id(), confirmation: None }, RefusalCode::NotConfirmed);
    let adopt = Request::Adopt { disk: disk.id(), confirmation: Some(disk.id()) };
    assert_eq!(agent.ask(&adopt), Reply::Accepted);
    // Many looks are many connections, and one too many is hung up on.
    let is = |agent: &Agent, state: &SsdState| {
        let asked = agent.client.ask(&Request::Status {});
        asked.is_ok_and(|reply| matches!(reply, Reply::Status(status) if status.ssd.state == *state))
    };
    agent.until(|agent| is(agent, &SsdState::Mounted));
    agent.until(|agent| match agent.client.ask(&Request::Detach {}) {
        Err(ClientError::HungUp) => false,
        detached => detached.unwrap() == Reply::Done,
    });
    assert!(matches!(agent.ask(&Request::Status {}), Reply::Status(status) if status.ssd.state == SsdState::Detached));
}

#[test]
fn what_is_no_request_is_answered_and_ends_the_connection() {
    let agent = Agent::start();
    let framed = |body: &[u8]| [u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), body].concat();
    let oversized = [&(16 * 1024_u32 + 1).to_be_bytes()[..], &[b'x'; 64]].concat();
    for bytes in
        [framed(b"{}"), framed(b"\xff\xfe"), framed(br#"{"request":"run","program":"sh"}"#), vec![0; 4], oversized]
    {
        let mut stream = agent.connect();
        stream.write_all(&bytes).unwrap();
        let reply = receive::<Reply>(&mut stream).unwrap();
        assert!(matches!(&reply, Some(Reply::Refused(refusal)) if refusal.code == RefusalCode::Malformed), "{reply:?}");
        // Hung up: at its end, or with an error where bytes were left unread.
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
    let mut stream = agent.connect();
    stream.write_all(&framed(b"{}")[..2]).unwrap();
    drop(stream);
    let mut stream = agent.connect();
    for _ in 0..100 {
        send(&mut stream, &Request::BootFacts {}).unwrap();
        assert!(matches!(receive(&mut stream).unwrap(), Some(Reply::BootFacts { .. })));
    }
}

#[test]
fn a_ninth_connection_is_ended_and_a_place_becomes_free() {
    let agent = Agent::start();
    let answered = |stream: &mut UnixStream| {
        let sent = send(stream, &Request::BootFacts {});
        sent.is_ok() && matches!(receive::<Reply>(stream), Ok(Some(_)))
    };
    let mut open: Vec<UnixStream> = Vec::new();
    // The last question's connection may still hold a place.
    agent.until(|agent| {
        let mut stream = agent.connect();
        answered(&mut stream)
    });
    while open.len() < 8 {
        let mut stream = agent.connect();
        if answered(&mut stream) {
            open.push(stream);
        }
    }
    assert!(!answered(&mut agent.connect()));
    assert!(open.iter_mut().all(answered), "those that were there go on");
    open.pop();
    agent.until(|agent| answered(&mut agent.connect()));
}

#[test]
fn another_user_is_turned_away_by_the_file_and_by_the_kernels_word() {
    let agent = Agent::start();
    let metadata = fs::metadata(&agent.rig.config.socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    fs::set_permissions(agent.rig.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let (owner, stranger) = (agent.rig.config.user, 12345);
    let as_user = |user: u32| {
        let client = agent.client.clone();
        let asked = thread::spawn(move || {
            let user = Uid::from_raw(user);
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
            client.ask(&Request::BootFacts {})
        });
        asked.join().unwrap()
    };
    assert!(matches!(as_user(owner), Ok(Reply::BootFacts { .. })));
    assert!(matches!(as_user(stranger), Err(ClientError::Connect { .. })), "by the file");
    fs::set_permissions(&agent.rig.config.socket, Permissions::from_mode(0o666)).unwrap();
    let refused = as_user(stranger);
    assert!(matches!(refused, Err(ClientError::HungUp | ClientError::Exchange(_))), "{refused:?}");
}

#[test]
fn a_second_agent_does_not_take_the_socket_and_a_dead_ones_is_replaced() {
    let agent = Agent::start();
    let second = serve(agent.rig.config.clone(), Arc::new(Noted::default())).map(drop);
    assert!(second.unwrap_err().to_string().contains("listens at"));
    let rig = Rig::new("none");
    drop(std::os::unix::net::UnixListener::bind(&rig.config.socket).unwrap());
    let listener = crate::socket::listener(&rig.config).unwrap();
    UnixStream::connect(&rig.config.socket).unwrap();
    drop(listener);
    let mut nowhere = rig.config.clone();
    nowhere.socket = "/nowhere/agent.sock".into();
    assert!(crate::socket::listener(&nowhere).unwrap_err().to_string().contains("/nowhere"));
}
