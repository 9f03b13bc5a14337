//! An agent that keeps what it is sent in memory, over the real protocol.

use std::collections::VecDeque;
use std::io::Read as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use lucid_agent_protocol::update::{
    ChannelReport, EepromReport, GateAnswer, Incoming, Phase, SlotReport, TrustReport, TrybootWay, UpdateReport,
};
use lucid_agent_protocol::{DataReader, Refusal, Reply, Request, SsdState, receive, send};
use lucid_device::Reading;
use lucid_layout::update::{DATA, Standing};
use lucid_layout::{Digest, Release, Slot};

use crate::AgentLink;
use crate::agent_link::tests::status;

/// What runs where it is not said.
pub(crate) const VERSION: &str = "1.2.0";

/// What the agent knows, and how it behaves.
pub(crate) struct World {
    pub(crate) report: UpdateReport,
    pub(crate) ssd: SsdState,
    /// Everything it was asked, but for looks.
    pub(crate) asked: Vec<Request>,
    /// The bundle that it has safe, from its first byte on.
    pub(crate) received: Vec<u8>,
    /// It refuses once it has so many bytes.
    pub(crate) refuses_at: Option<(usize, Refusal)>,
    /// It hangs up once it has so many bytes, and only once.
    pub(crate) breaks_at: Option<usize>,
    /// Answers to reports of the gate; the last one again and again.
    pub(crate) gate: VecDeque<GateAnswer>,
    pub(crate) channel: Result<ChannelReport, Refusal>,
    /// What it says to an order; done, unless set.
    pub(crate) refuses_orders: Option<Refusal>,
}

/// The agent. Its threads end with the process.
pub(crate) struct Agent {
    folder: tempfile::TempDir,
    world: Arc<Mutex<World>>,
}

impl Agent {
    /// One that trusts the bundle called `bundle`.
    pub(crate) fn start(bundle: Digest) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("agent.sock")).unwrap();
        let nothing = Refusal::new(lucid_agent_protocol::RefusalCode::Untrusted, "nothing is published");
        let world = Arc::new(Mutex::new(World {
            report: report(VERSION),
            ssd: SsdState::Mounted,
            asked: Vec::new(),
            received: Vec::new(),
            refuses_at: None,
            breaks_at: None,
            gate: VecDeque::from([GateAnswer::NotOnTrial]),
            channel: Err(nothing),
            refuses_orders: None,
        }));
        let shared = world.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, world) = (stream.unwrap(), shared.clone());
                std::thread::spawn(move || answer(stream, &world, bundle));
            }
        });
        Self { folder, world }
    }

    pub(crate) fn link(&self) -> AgentLink {
        AgentLink::new(Some(&self.socket()))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

fn answer(mut stream: UnixStream, world: &Mutex<World>, bundle: Digest) {
    let Ok(Some(request)) = receive::<Request>(&mut stream) else { return };
    if let Request::Bundle { bundle: resumed, .. } = &request {
        world.lock().unwrap().asked.push(request.clone());
        return take_bundle(stream, world, bundle, *resumed == Some(bundle));
    }
    let reply = replied(&mut world.lock().unwrap(), &request);
    // Whoever asked may have gone.
    let _ = send(&mut stream, &reply);
}

fn replied(world: &mut World, request: &Request) -> Reply {
    match request {
        Request::UpdateStatus {} => return Reply::Update(Box::new(world.report.clone())),
        Request::Status {} => return Reply::status(status(world.ssd.clone(), None)),
        _ => world.asked.push(request.clone()),
    }
    if let Some(refusal) = &world.refuses_orders {
        return Reply::Refused(refusal.clone());
    }
    match request {
        Request::Gate { .. } => {
            let answer = world.gate[0];
            if world.gate.len() > 1 {
                world.gate.pop_front();
            }
            Reply::Gate { answer }
        }
        Request::Channel { .. } => match &world.channel {
            Ok(news) => Reply::Channel(Box::new(news.clone())),
            Err(refusal) => Reply::Refused(refusal.clone()),
        },
        Request::DiscardUpdate {} => {
            world.report.phase = Phase::Idle {};
            world.received.clear();
            Reply::Done
        }
        Request::InstallUpdate { .. } => {
            world.report.phase = Phase::Armed { incoming: None };
            Reply::Accepted
        }
        _ => Reply::Accepted,
    }
}

fn take_bundle(mut stream: UnixStream, world: &Mutex<World>, bundle: Digest, is_resumed: bool) {
    let offset = {
        let mut world = world.lock().unwrap();
        if !is_resumed {
            world.received.clear();
        }
        world.received.len() as u64
    };
    send(&mut stream, &Reply::Send { offset }).unwrap();
    let writer = stream.try_clone().unwrap();
    let mut reader = DataReader::new(&stream);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = reader.read(&mut buffer);
        let mut world = world.lock().unwrap();
        let count = read.unwrap_or(0);
        world.received.extend_from_slice(&buffer[..count]);
        let safe = world.received.len();
        let (incoming, offset) = (incoming(bundle), safe as u64);
        if let Some((_, refusal)) = world.refuses_at.clone().filter(|(at, _)| safe >= *at) {
            world.report.phase = Phase::Idle {};
            drop(world);
            let _ = send(&mut &writer, &Reply::Refused(refusal));
            // Hanging up on bytes that were not read would take the answer away.
            while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
            return;
        }
        let is_broken = world.breaks_at.is_some_and(|at| safe >= at);
        world.report.phase = Phase::Writing { incoming: incoming.clone(), offset, bundle_bytes: 0, active: false };
        if is_broken {
            world.breaks_at = None;
            return;
        }
        if reader.is_ended() {
            world.report.phase = Phase::Written { incoming };
            let _ = send(&mut &writer, &Reply::Done);
            return;
        }
        if count == 0 {
            return;
        }
    }
}

/// A release on its way in.
pub(crate) fn incoming(bundle: Digest) -> Incoming {
    let (version, build_id, slot) = ("1.3.0".to_owned(), Digest([3; 32]), Slot::B);
    Incoming { version, build_id, bundle, slot, notes: "better".to_owned() }
}

/// How updates are on a box that runs `version` and does nothing.
pub(crate) fn report(version: &str) -> UpdateReport {
    let (build_id, root_hash) = (Digest([1; 32]), Digest([2; 32]));
    let release = Release { version: version.to_owned(), build_id, root_hash, epoch: 1, data: DATA };
    let standing = Standing::Good { version: version.to_owned(), build_id, data: DATA };
    let slot = |slot| SlotReport { slot, release: Reading::Present(release.clone()), standing: standing.clone() };
    UpdateReport {
        running: Some(Slot::A),
        trial: false,
        remark: None,
        committed: Reading::Present(Slot::A),
        slots: vec![slot(Slot::A), slot(Slot::B)],
        phase: Phase::Idle {},
        history: Vec::new(),
        quarantine: Vec::new(),
        trust: TrustReport { root_version: Some(1), keys_version: None, is_test: true, problem: None },
        tryboot: TrybootWay::Mailbox,
        eeprom_s: Reading::absent("test"),
        eeprom: EepromReport { carried: Reading::absent("test"), hindrance: None, last: None },
        epoch_floor: 1,
        selftest: None,
    }
}
