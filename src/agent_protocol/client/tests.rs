use std::os::unix::net::UnixListener;
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::RefusalCode;

/// What the client makes of an agent that hears one request and does `then`.
fn ask(then: impl FnOnce(UnixStream) + Send + 'static) -> Result<Reply, ClientError> {
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let agent = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(receive::<Request>(&mut stream).unwrap(), Some(Request::Ready {}));
        then(stream);
    });
    let reply = Client::new(&socket).ask(&Request::Ready {});
    agent.join().unwrap();
    reply
}

#[test]
fn an_answer_a_refusal_and_silence_are_told_apart() {
    let done = ask(|mut stream| send(&mut stream, &Reply::Done).unwrap());
    assert_eq!(done.unwrap(), Reply::Done);
    let refusal = Reply::Refused(Refusal::new(RefusalCode::Busy, "the disk is being checked"));
    let refused = ask(move |mut stream| send(&mut stream, &refusal).unwrap());
    assert!(matches!(refused, Err(ClientError::Refused(refusal)) if refusal.code == RefusalCode::Busy));
    assert!(matches!(ask(drop), Err(ClientError::HungUp)));
    let garbage = ask(|mut stream| send(&mut stream, &"what?").unwrap());
    assert!(matches!(garbage, Err(ClientError::Exchange(FrameError::Meaning(_)))));
}

#[test]
fn an_agent_that_is_not_there_is_named() {
    let missing = Path::new("/nowhere/agent.sock");
    let error = Client::new(missing).ask(&Request::Status {}).unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }) && error.to_string().contains("/nowhere/agent.sock"));
}
