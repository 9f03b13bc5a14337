//! The server is killed again and again during one recording, at moments drawn at random.

use std::{
    fs::File,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    bench::{LONG, Media, Owner, Place, Program, Running, eventually, pause, seed, text},
    proof::{assert_restored, export, key, verify},
};

/// How often, unless `LUCID_KILLS` says otherwise.
const KILLS: u64 = 8;
/// A power cut every so often comes while the box still starts.
const EARLY_EVERY: u64 = 3;
/// Within this time after its start a box is killed early; a start takes some 300 ms.
const EARLY_MS: u64 = 600;
/// Bytes between two kills at most: more than the chunks that are in memory at once.
const BETWEEN_BYTES: u64 = 4_000_000;
/// How far the source runs ahead of what is durable: more than the client's and the server's buffers together.
const AHEAD_BYTES: u64 = 12_000_000;

#[test]
fn a_recording_survives_a_server_that_is_killed_at_random() {
    let kills = std::env::vars().find(|(name, _)| name == "LUCID_KILLS").map(|(_, value)| value.parse().unwrap());
    let kills = kills.unwrap_or(KILLS);
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let mut running = place.start();
    let owner = Owner::claim(&place, &running);
    let mut client = Program::start(place.lucid().args(["record", "-", "--label", "killed"]), Stdio::piped());
    let source = Pour::start(&mut client, &place, seed);
    let id = announced(&client);

    for kill in 0..kills {
        let durable = durable_beyond(&owner, &id, 0);
        let wanted = durable + random.u64(1..BETWEEN_BYTES);
        source.allow(wanted + AHEAD_BYTES);
        durable_beyond(&owner, &id, wanted);
        // The kill's own moment: between two system calls, wherever the box is then.
        pause(Duration::from_millis(random.u64(0..300)));
        running.kill();
        if kill % EARLY_EVERY == EARLY_EVERY - 1 {
            let short_lived = place.launch();
            pause(Duration::from_millis(random.u64(0..EARLY_MS)));
            short_lived.kill();
        }
        running = place.start();
    }
    source.finish();
    assert_eq!(client.end(LONG).expect(0).text().trim(), id);

    let session = owner.session(&id).unwrap();
    let original = place.path("poured.bin");
    assert_eq!(session["durable_bytes"], original.metadata().unwrap().len(), "{session}");
    assert_restored(&place, &id, &original, "restored.bin");
    owner.validate_chain();
    let exported = export(&place, &id, "exported");
    verify(&place, &exported, Some(&key(&place, "key")), 0, "PROVEN");
    owner.wait_for_all();
    assert_no_panic(&running);
}

/// A source that pours media into a client, as far ahead as it is allowed to, and keeps a copy.
pub(crate) struct Pour {
    allowed: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    poured: Arc<AtomicU64>,
    task: Option<JoinHandle<u64>>,
}

impl Pour {
    /// Pours into `client`, and into `poured.bin`.
    pub(crate) fn start(client: &mut Program, place: &Place, seed: u64) -> Self {
        let (allowed, ends) = (Arc::new(AtomicU64::new(AHEAD_BYTES)), Arc::new(AtomicBool::new(false)));
        let (mut pipe, mut copy) = (client.stdin(), File::create(place.path("poured.bin")).unwrap());
        let poured = Arc::new(AtomicU64::new(0));
        let (until, end, told) = (allowed.clone(), ends.clone(), poured.clone());
        let work = move || {
            let enough = |poured| {
                told.store(poured, Ordering::Relaxed);
                while poured >= until.load(Ordering::Relaxed) && !end.load(Ordering::Relaxed) {
                    pause(Duration::from_millis(5));
                }
                end.load(Ordering::Relaxed)
            };
            Media::new(seed).pour(&mut pipe, &mut copy, enough).unwrap()
        };
        Self { allowed, ends, poured, task: Some(std::thread::spawn(work)) }
    }

    /// Lets it go on up to `bytes`.
    pub(crate) fn allow(&self, bytes: u64) {
        self.allowed.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Waits until it has poured all that it may, and the box has made that durable; gives how much it is.
    #[track_caller]
    pub(crate) fn settle(&self, owner: &Owner, id: &str) -> u64 {
        eventually("everything poured is durable", LONG, || self.settled(owner, id))
    }

    /// How much it has poured, if that is all it may and all of it is durable.
    pub(crate) fn settled(&self, owner: &Owner, id: &str) -> Result<u64, String> {
        let poured = self.poured.load(Ordering::Relaxed);
        let durable = owner.session(id)?["durable_bytes"].as_u64();
        let settled = poured >= self.allowed.load(Ordering::Relaxed) && durable == Some(poured);
        if settled { Ok(poured) } else { Err(format!("{durable:?} of {poured}")) }
    }

    /// Ends the stream; gives its length.
    pub(crate) fn finish(mut self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        self.task.take().unwrap().join().unwrap()
    }
}

impl Drop for Pour {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// The id that a recording client has announced.
#[track_caller]
pub(crate) fn announced(client: &Program) -> String {
    eventually("the id of the recording", LONG, || {
        let said = client.said();
        let id = said.split("--resume ").nth(1).and_then(|rest| rest.split(' ').next());
        id.map(str::to_owned).ok_or(said)
    })
}

/// Waits until more than `bytes` are durable; gives how many are.
#[track_caller]
pub(crate) fn durable_beyond(owner: &Owner, id: &str, bytes: u64) -> u64 {
    eventually("durable bytes", LONG, || {
        let session = owner.session(id)?;
        let durable = session["durable_bytes"].as_u64().ok_or("no number of durable bytes")?;
        if durable > bytes { Ok(durable) } else { Err(format!("{durable} of {bytes}: {session}")) }
    })
}

/// Asserts that nothing in the box panicked.
#[track_caller]
pub(crate) fn assert_no_panic(running: &Running) {
    let said = running.said();
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_killed_client_is_resumed_from_the_file() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    // A pipe under a name: the first client gets the first half of the file, and no end.
    let whole = crate::bench::mix(3, 9_000_000);
    let file = place.file("whole.bin", &whole);
    let mut client = Program::start(place.lucid().args(["record", "/dev/stdin", "--label", "cut"]), Stdio::piped());
    let mut pipe = client.stdin();
    std::io::Write::write_all(&mut pipe, &whole[..5_000_000]).unwrap();
    let id = announced(&client);
    durable_beyond(&owner, &id, 3_000_000);
    client.kill();
    drop(pipe);

    let shorter = place.file("shorter.bin", &whole[..1_000_000]);
    place.cli(&["record", "--resume", &id, text(&shorter)]).expect_error("shorter");
    assert_eq!(owner.session(&id).unwrap()["state"], "recording");
    place.cli(&["record", "--resume", &id, text(&file)]).expect(0);
    assert_restored(&place, &id, &file, "restored.bin");
    // Once more has nothing left to do.
    let again = place.cli(&["record", "--resume", &id, text(&file)]);
    assert_eq!(again.code, Some(0), "{}", again.all());
    owner.wait_for_all();
}
