//! Bytes on their way to the agent: whole, resumed, interrupted, refused, endless.

use futures_util::stream;
use lucid_agent_protocol::update::Phase;
use lucid_agent_protocol::{Refusal, RefusalCode};
use tokio::sync::Semaphore;

use super::*;
use crate::update::tests::agent::Agent;
use crate::update::tests::bundle;

async fn turn() -> Turn {
    Arc::new(Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap())
}

fn pieces(bytes: &[u8], size: usize) -> BoxStream<'static, io::Result<Bytes>> {
    let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

fn start(offset: u64, bundle: Option<Digest>, skip: u64) -> Start {
    Start { offset, bundle, automatic: false, skip }
}

async fn relayed(agent: &Agent, start: Start, bytes: BoxStream<'static, io::Result<Bytes>>) -> Result<(), UpdateError> {
    relay(Client::new(&agent.socket()), Part { start, bytes }, Arc::default(), turn().await).await
}

#[tokio::test]
async fn a_bundle_arrives_byte_for_byte_in_whatever_pieces() {
    let (bundle, id) = bundle(1_000_000);
    for size in [1000, 65_536, 700_000, 5_000_000] {
        let agent = Agent::start(id);
        let done = Arc::new(AtomicU64::new(7));
        let part = Part { start: start(0, None, 0), bytes: pieces(&bundle, size) };
        relay(Client::new(&agent.socket()), part, done.clone(), turn().await).await.unwrap();
        assert!(agent.world().received == bundle, "in pieces of {size}");
        assert_eq!(done.load(Ordering::Relaxed), bundle.len() as u64);
        assert!(matches!(agent.world().report.phase, Phase::Written { .. }));
    }
}

#[tokio::test]
async fn it_goes_on_where_the_agent_wants_it() {
    let (bundle, id) = bundle(300_000);
    let have = |bytes: usize| {
        let agent = Agent::start(id);
        agent.world().received = bundle[..bytes].to_vec();
        agent
    };
    let agent = have(100_000);
    relayed(&agent, start(100_000, Some(id), 0), pieces(&bundle[100_000..], 7000)).await.unwrap();
    assert!(agent.world().received == bundle);
    let agent = have(100_000);
    relayed(&agent, start(40_000, Some(id), 0), pieces(&bundle[40_000..], 7000)).await.unwrap();
    assert!(agent.world().received == bundle, "what the agent has is passed over");
    let agent = have(100_000);
    relayed(&agent, start(100_000, Some(id), 100_000), pieces(&bundle, 7000)).await.unwrap();
    assert!(agent.world().received == bundle, "so is what a server would not leave out");
    let agent = have(100_000);
    let refused = relayed(&agent, start(120_000, Some(id), 0), pieces(&bundle[120_000..], 7000)).await.unwrap_err();
    assert!(matches!(refused, UpdateError::WrongOffset { wanted: 100_000 }), "{refused}");
    assert_eq!(agent.world().received.len(), 100_000);
}

#[tokio::test]
async fn what_breaks_off_is_never_taken_for_the_whole() {
    let (bundle, id) = bundle(300_000);
    let agent = Agent::start(id);
    let broken = stream::iter([Ok(Bytes::copy_from_slice(&bundle[..200_000])), Err(io::Error::other("the cable"))]);
    let error = relayed(&agent, start(0, None, 0), broken.boxed()).await.unwrap_err();
    assert!(matches!(&error, UpdateError::BrokenOff(why) if why.to_string() == "the cable"), "{error}");
    let agent = Agent::start(id);
    let half = stream::iter([Ok(Bytes::copy_from_slice(&bundle[..200_000]))]).chain(stream::pending());
    let sending = relayed(&agent, start(0, None, 0), half.boxed());
    let arrived = async {
        while agent.world().received.len() < 200_000 {
            tokio::task::yield_now().await;
        }
    };
    // Whoever sends goes away in the middle: the future is dropped.
    assert!(matches!(select(pin!(sending), pin!(arrived)).await, Either::Right(_)));
    assert!(matches!(agent.world().report.phase, Phase::Writing { .. }));
}

#[tokio::test]
async fn a_refusal_in_the_middle_ends_it_in_the_agents_words() {
    let (bundle, id) = bundle(30_000_000);
    let agent = Agent::start(id);
    agent.world().refuses_at = Some((1000, Refusal::new(RefusalCode::Untrusted, "nobody signed this")));
    let error = relayed(&agent, start(0, None, 0), pieces(&bundle, 60_000)).await.unwrap_err();
    assert_eq!(error.to_string(), "nobody signed this");
    assert!(agent.world().received.len() < 10_000_000, "the rest is not sent");
    assert!(!error.is_worth_a_retry());
    let agent = Agent::start(id);
    agent.world().refuses_at = Some((1000, Refusal::new(RefusalCode::Untrusted, "nobody signed this")));
    let slow = stream::iter([Ok(Bytes::copy_from_slice(&bundle[..2000])), Ok(Bytes::new())]);
    let ended = relayed(&agent, start(0, None, 0), slow.boxed()).await.unwrap_err();
    assert_eq!(ended.to_string(), "nobody signed this");
}

#[tokio::test]
async fn an_endless_bundle_ends() {
    let (pieces_in, mut taken) = mpsc::channel(1);
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 30_000]))).boxed();
    // The last bytes that may come, so that the test need not send them all.
    let pumping = tokio::spawn(pump(endless, pieces_in, BUNDLE_BYTES_MAX - 100_000));
    let mut bytes = 0;
    while let Some(Ok(piece)) = taken.recv().await {
        bytes += piece.len();
    }
    assert!(bytes <= 100_000, "{bytes}");
    assert!(matches!(pumping.await.unwrap(), Err(UpdateError::TooLarge)));
}

#[tokio::test]
async fn without_an_agent_nothing_is_waited_for() {
    let client = Client::new(std::path::Path::new("/nonexistent/agent.sock"));
    let part = Part { start: start(0, None, 0), bytes: stream::pending().boxed() };
    let error = relay(client, part, Arc::default(), turn().await).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/agent.sock"), "{error}");
}
