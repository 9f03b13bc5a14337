//! What whoever has taken the supervisor over can say to the agent: the frames of `src/agent_protocol`, made here by
//! hand, so that wrong ones can be made, too.

use data_encoding::BASE64;
use lucid_hw_tests::probe::Probe;
use lucid_hw_tests::probe::protocol::Speech;
use lucid_layout::{paths, users};
use serde_json::{Value, json};

/// How long to listen for the agent to hang up, in seconds: it looks at disks for some of its answers.
const LISTEN_S: u64 = 60;

/// Longest frame of a bundle's bytes that the agent takes.
const DATA_BYTES_MAX: usize = 256 * 1024;

/// A frame: its length, and these bytes.
pub(super) fn frame(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A request.
pub(super) fn request(request: &Value) -> Vec<u8> {
    frame(request.to_string().as_bytes())
}

/// An order to take a bundle, and its bytes; it ends where they do.
pub(super) fn bundle(bytes: &[u8]) -> Vec<u8> {
    let order = request(&json!({"request": "bundle", "offset": 0, "automatic": false}));
    let frames = bytes.chunks(DATA_BYTES_MAX).flat_map(frame);
    order.into_iter().chain(frames).chain(frame(&[])).collect()
}

/// What is said by the supervisor's user on so many connections, that are held for so many seconds at most.
pub(super) fn speech(bytes: &[u8], connections: usize, limit_s: u64) -> Speech {
    let (path, bytes) = (paths::AGENT_SOCKET.to_owned(), BASE64.encode(bytes));
    Speech { path, user: users::LUCID, bytes, connections, ends: false, limit_s }
}

/// Says it on one connection, and waits until the agent has answered everything and hangs up.
pub(super) fn say(probe: &mut Probe, bytes: &[u8]) -> Vec<Value> {
    let heard = probe.speak(Speech { ends: true, ..speech(bytes, 1, LISTEN_S) }).unwrap();
    assert!(heard[0].hung_up, "the agent neither ends the connection nor answers: {heard:?}");
    replies(&heard[0].bytes)
}

/// The answers in what was heard, which are whole.
pub(super) fn replies(heard: &str) -> Vec<Value> {
    let bytes = BASE64.decode(heard.as_bytes()).unwrap();
    let (mut replies, mut rest) = (Vec::new(), bytes.as_slice());
    while !rest.is_empty() {
        let (length, more) = rest.split_first_chunk().expect("a length of four bytes");
        let (json, more) = more.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
        replies.push(serde_json::from_slice(json).unwrap());
        rest = more;
    }
    replies
}

/// Asks one thing. Its answer.
pub(super) fn ask(probe: &mut Probe, asked: &Value) -> Value {
    let replies = say(probe, &request(asked));
    assert_eq!(replies.len(), 1, "{asked}: {replies:?}");
    replies.into_iter().next().expect("it is there")
}

/// The agent refuses what is said, last of all, with this code and a word of why.
pub(super) fn refused(probe: &mut Probe, bytes: &[u8], code: &str, word: &str) {
    let replies = say(probe, bytes);
    let last = replies.last().unwrap_or_else(|| panic!("no answer where `{word}` was expected"));
    assert_eq!((&last["reply"], &last["code"]), (&"refused".into(), &code.into()), "{word}: {replies:?}");
    let message = last["message"].as_str().unwrap();
    assert!(message.contains(word), "`{word}`: {message}");
    println!("refused: {message}");
}

/// How updates are, as the agent says.
pub(super) fn update_status(probe: &mut Probe) -> Value {
    let reply = ask(probe, &json!({"request": "update_status"}));
    assert_eq!(reply["reply"], "update", "{reply}");
    reply
}
