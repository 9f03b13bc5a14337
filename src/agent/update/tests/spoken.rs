//! The socket, with someone at its other end who may speak there and means no good: the supervisor, taken over.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;

use lucid_agent_protocol::update::{DATA_BYTES_MAX, Phase};
use lucid_agent_protocol::{Client, ClientError, FrameError, RefusalCode, Reply, Request, receive, send};
use lucid_layout::Slot;
use proptest::prelude::*;

use super::bundles::{STRANGER, authority, bundle};
use super::rig::{Rig, former, new, small};
use crate::serve::take_bundle;
use crate::update::Wish;

/// An agent that takes bundles, and nothing else.
struct Agent {
    rig: Arc<Rig>,
    client: Client,
}

impl Agent {
    fn start() -> Self {
        let rig = Arc::new(Rig::new());
        let socket = rig.dir.path().join("agent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answering = rig.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let rig = answering.clone();
                thread::spawn(move || talk(&stream.unwrap(), &rig));
            }
        });
        Self { rig, client: Client::new(&socket) }
    }

    /// Sends `bytes` in parts of `part` bytes.
    fn send(&self, bytes: &[u8], part: usize) -> Result<(), ClientError> {
        let upload = self.client.send_bundle(0, None, false)?;
        assert_eq!(upload.offset(), 0);
        bytes.chunks(part).try_for_each(|part| upload.send(part))?;
        upload.finish()
    }
}

fn talk(stream: &UnixStream, rig: &Rig) -> Result<(), FrameError> {
    while let Some(Request::Bundle { offset, bundle, automatic }) = receive(&mut &*stream)? {
        take_bundle(stream, &rig.updates, &Wish { offset, bundle, automatic })?;
    }
    Ok(())
}

#[track_caller]
fn code(outcome: Result<(), ClientError>) -> RefusalCode {
    match outcome {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bundle_comes_through_the_socket_and_goes_on_after_a_break() {
    let agent = Agent::start();
    let bundle = bundle(&new());
    let upload = agent.client.send_bundle(0, None, true).unwrap();
    upload.send(&bundle.bytes[..bundle.bytes.len() / 2]).unwrap();
    drop(upload);
    // The agent notices by the end of the connection, and makes durable what came.
    let interrupted = || match agent.rig.phase() {
        Phase::Writing { offset, active: false, .. } => Some(offset),
        _ => None,
    };
    let offset = loop {
        match interrupted() {
            Some(offset) => break offset,
            None => thread::yield_now(),
        }
    };
    let upload = loop {
        match agent.client.send_bundle(offset, Some(bundle.id()), true) {
            Ok(upload) => break upload,
            Err(ClientError::Refused(refusal)) if refusal.code == RefusalCode::Busy => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    upload.send(&bundle.bytes[usize::try_from(upload.offset()).unwrap()..]).unwrap();
    upload.finish().unwrap();
    assert!(matches!(agent.rig.phase(), Phase::Written { .. }));
    assert!(agent.rig.holds(Slot::B, &[new()]).is_some());
}

#[test]
fn who_is_refused_early_is_told_so_while_still_sending() {
    let agent = Agent::start();
    let forged = bundle(&new()).signed_anew(authority(), STRANGER);
    // Far more than the socket holds, of a bundle that is refused at its header.
    let endless = [&*forged.bytes, &vec![0; 64 * 1024 * 1024]].concat();
    assert_eq!(code(agent.send(&endless, 1024 * 1024)), RefusalCode::Untrusted);
    assert_eq!(code(agent.send(&forged.bytes, 7)), RefusalCode::Untrusted);
    assert!(agent.rig.holds(Slot::B, &[former()]).is_some());
    agent.send(&bundle(&small()).bytes, 100_000).unwrap();
}

#[test]
fn two_uploads_at_once_are_one_too_many() {
    let agent = Agent::start();
    let bytes = bundle(&small()).bytes;
    let first = agent.client.send_bundle(0, None, false).unwrap();
    first.send(&bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(code(agent.client.send_bundle(0, None, false).map(drop)), RefusalCode::Busy);
    first.send(&bytes[bytes.len() / 2..]).unwrap();
    first.finish().unwrap();
}

#[test]
fn a_frame_that_is_too_long_and_a_bundle_that_ends_early_are_refused() {
    let agent = Agent::start();
    let stream = UnixStream::connect(agent.rig.dir.path().join("agent.sock")).unwrap();
    send(&mut &stream, &Request::Bundle { offset: 0, bundle: None, automatic: false }).unwrap();
    assert_eq!(receive::<Reply>(&mut &stream).unwrap(), Some(Reply::Send { offset: 0 }));
    (&stream).write_all(&u32::try_from(DATA_BYTES_MAX + 1).unwrap().to_be_bytes()).unwrap();
    match receive::<Reply>(&mut &stream).unwrap() {
        Some(Reply::Refused(refusal)) => assert_eq!(refusal.code, RefusalCode::Malformed, "{refusal}"),
        other => panic!("{other:?}"),
    }
    let bytes = bundle(&new()).bytes;
    assert_eq!(code(agent.send(&bytes[..bytes.len() - 1], 100_000)), RefusalCode::Malformed);
    assert_eq!(code(agent.send(&bytes[..100], 100)), RefusalCode::Malformed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Frames of any length with any bytes, and bytes that are no frames: an answer or an end, no panic, and nothing is
    /// written that nobody signed.
    #[test]
    fn any_stream_has_an_answer(
        frames in prop::collection::vec((any::<Option<u32>>(), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
        genuine in 0..400_usize,
    ) {
        thread_local!(static GOOD: Vec<u8> = bundle(&small()).bytes);
        let (rig, (one, other)) = (Rig::new(), UnixStream::pair().unwrap());
        GOOD.with(|good| {
            let length = u32::try_from(genuine).unwrap();
            (&one).write_all(&[length.to_be_bytes().as_slice(), &good[..genuine]].concat()).unwrap();
        });
        for (length, bytes) in frames {
            let length = length.unwrap_or(bytes.len() as u32).to_be_bytes();
            (&one).write_all(&[length.as_slice(), &bytes].concat()).unwrap();
        }
        one.shutdown(std::net::Shutdown::Write).unwrap();
        // Whatever it is, it is refused, or the connection is at its end.
        let _ = take_bundle(&other, &rig.updates, &Wish { offset: 0, bundle: None, automatic: false });
        prop_assert!(rig.world.with(|inner| inner.opened.is_empty()));
        prop_assert!(rig.updates.work().is_ok(), "the next one may come");
    }
}
