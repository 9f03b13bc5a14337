use std::{
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{Mutex, mpsc},
    thread::JoinHandle,
};

use lucid_agent_protocol::{FrameError, Refusal, RefusalCode, SsdReport, receive, send};
use lucid_device::{BoardState, Reading};
use lucid_layout::provisioning::Consent;

use super::*;

/// An agent that answers by the book of the test, over the real protocol. Ends with the last connection to it.
pub(crate) struct FakeAgent {
    _folder: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) asked: Arc<Mutex<Vec<Request>>>,
    _answering: JoinHandle<()>,
}

impl FakeAgent {
    /// One whose answers `answer` makes; none: it hangs up.
    pub(crate) fn start(answer: impl Fn(&Request) -> Option<Reply> + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let kept = asked.clone();
        let answering = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request: Result<Option<Request>, FrameError> = receive(&mut stream);
                let Ok(Some(request)) = request else { continue };
                let reply = answer(&request);
                kept.lock().unwrap().push(request);
                if let Some(reply) = reply {
                    send(&mut stream, &reply).unwrap();
                }
            }
        });
        Self { _folder: folder, socket, asked, _answering: answering }
    }

    pub(crate) fn link(&self) -> AgentLink {
        AgentLink::new(Some(&self.socket))
    }
}

pub(crate) fn status(state: SsdState, reason: Option<&str>) -> Status {
    let ssd = SsdReport {
        state,
        reason: reason.map(str::to_owned),
        adopted: None,
        mount: None,
        check: None,
        consent: Consent::None,
    };
    let absent = || Reading::absent("test");
    let board = BoardState {
        model: absent(),
        pi_model: absent(),
        serial: absent(),
        kernel: absent(),
        uptime_ms: Reading::absent("test"),
        boot_id: absent(),
    };
    Status { ssd, boot: Reading::absent("test"), board }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_answer_comes_back_and_a_refusal_in_the_agents_words() {
    let agent = FakeAgent::start(|request| {
        Some(match request {
            Request::Status {} => Reply::status(status(SsdState::Mounted, None)),
            Request::Detach {} => Reply::Refused(Refusal::new(RefusalCode::Busy, "a recording runs: wait")),
            _ => Reply::Done,
        })
    });
    let link = agent.link();
    assert_eq!(link.status(PATIENCE).await.unwrap().ssd.state, SsdState::Mounted);
    let refused = link.ask(Request::Detach {}, PATIENCE).await.unwrap_err();
    assert_eq!(refused.to_string(), "a recording runs: wait");
    assert!(matches!(link.ask(Request::Ready {}, PATIENCE).await.unwrap(), Reply::Done));
}

#[tokio::test]
async fn an_agent_that_is_not_there_or_hangs_up_is_a_reason() {
    assert!(matches!(AgentLink::new(None).status(PATIENCE).await, Err(AgentError::Absent)));
    let gone = AgentLink::new(Some(Path::new("/nonexistent/agent.sock")));
    let error = gone.status(PATIENCE).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/agent.sock"), "{error}");
    let agent = FakeAgent::start(|_| None);
    let error = agent.link().status(PATIENCE).await.unwrap_err();
    assert!(error.to_string().contains("hung up"), "{error}");
    let agent = FakeAgent::start(|_| Some(Reply::Done));
    assert!(matches!(agent.link().status(PATIENCE).await, Err(AgentError::Unfit)));
}

#[tokio::test]
async fn an_agent_that_hangs_costs_so_many_threads_and_no_more() {
    let (let_go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let agent = FakeAgent::start(move |_| {
        // Ends with the sender, at the end of the test.
        let _ = held.lock().unwrap().recv();
        Some(Reply::Done)
    });
    let link = agent.link();
    let patience = Duration::from_millis(1);
    for _ in 0..UNDER_WAY_MAX {
        assert!(matches!(link.ask(Request::Ready {}, patience).await, Err(AgentError::Late { .. })));
    }
    assert!(matches!(link.ask(Request::Ready {}, patience).await, Err(AgentError::Busy)));
    drop(let_go);
    while !matches!(link.ask(Request::Ready {}, PATIENCE).await, Ok(Reply::Done)) {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_disk_that_can_not_be_used_is_explained_by_who_knows_best() {
    let seen = || "not there".to_owned();
    let explained = |state, reason| AgentView::Known(Box::new(status(state, reason))).explain(seen());
    assert_eq!(AgentView::Absent.explain(seen()), "not there");
    assert_eq!(explained(SsdState::Mounted, None), "not there");
    assert_eq!(explained(SsdState::NotAdopted, Some("foreign disk: ntfs")), "foreign disk: ntfs");
    assert_eq!(explained(SsdState::Failed, Some("damaged")), "damaged");
    assert!(explained(SsdState::Absent, None).contains("connect it"));
    let working = |for_s| explained(SsdState::Working { work: Work::Checking, for_s }, None);
    assert!(working(3).contains("is being checked") && working(3) == working(4));
    let gone = AgentView::Unreachable { reason: "nobody listens".to_owned() };
    assert!(gone.explain(seen()).contains("not there") && gone.explain(seen()).contains("nobody listens"));
}
