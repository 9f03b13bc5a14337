//! The power is cut while the booted appliance records: whatever the two disks hold then, it comes up again, its chain
//! is valid, and every byte that was acknowledged is there.
//!
//! The boot disk is a card and the data disk is on USB; both lose their power at the same moment, with writes lost and
//! torn. A recording comes from outside, over TLS, by the command line.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lucid_hw_tests::crash::{Cut, Moment};
use lucid_hw_tests::machine::{Bus, Run};
use serde_json::Value;

use crate::appliance::wait_until_healthy;
use crate::bench::{Bench, copy, ready, until};
use crate::flash::{Flashed, flash};
use crate::owner::Owner;
use crate::power::{self, Recorded};

const HOST_NAME: &str = "lucid-power";

/// Cuts, unless `LUCID_CUTS` says otherwise.
const CUTS: usize = 2;

/// Looks at what is acknowledged before the source ends.
const LOOKS: usize = 60;

/// The longest pause between a look and the power cut that belongs to it.
const PAUSE_MS_MAX: u64 = 400;

/// What the source gives at a time, in bytes, and how often: slower than an emulated processor records.
const STEP_BYTES: usize = 160 * 1024;
const STEP: Duration = Duration::from_millis(400);

/// One cut of so many comes anywhere, the others where a disk has something to lose.
const ANYWHERE_EVERY: usize = 4;

/// What was acknowledged before a moment.
struct Look {
    moment: Moment,
    durable_bytes: u64,
    state: String,
    height: u64,
}

/// One appliance, recorded for all cuts.
struct Scene {
    bench: Bench,
    flashed: Flashed,
    port: u16,
    /// Boot disk and data disk.
    disks: [Recorded; 2],
    looks: Vec<Look>,
    /// A recording that was anchored before.
    kept: String,
    /// The one that runs.
    running: String,
}

#[test]
fn power_cuts_while_recording_lose_nothing_that_was_acknowledged() {
    let mut random = power::random();
    let mut scene = Scene::play(&mut random);
    let mut damaged = 0;
    for (number, place) in scene.choose(&mut random, power::cuts(CUTS)).into_iter().enumerate() {
        damaged += scene.cut(place, &mut random);
        let Look { durable_bytes, state, height, .. } = &scene.looks[place];
        println!(
            "cut {number} after look {place}: {durable_bytes} bytes, {state}, height {height}; damaged: {damaged}"
        );
        scene.check(place);
    }
    assert!(damaged > 0, "no cut has damaged anything, so nothing is shown: run it again with more of LUCID_CUTS");
}

impl Scene {
    fn play(random: &mut fastrand::Rng) -> Self {
        let mut bench = Bench::new("recording-cut");
        let flashed = flash(&bench, HOST_NAME);
        for disk in ["disk", "ssd"] {
            copy(&bench.path(&format!("{disk}.img")), &bench.path(&format!("{disk}.base")));
            File::create(bench.path(&format!("{disk}.log"))).unwrap();
        }
        let port = bench.forward(443);
        let (boot_log, data_log) = (bench.path("disk.log"), bench.path("ssd.log"));
        let board = bench.pi.board_mut();
        (board.boot_disk.bus, board.boot_disk.record) = (Bus::Sd, Some(boot_log));
        let data_disk = board.data_disk.as_mut().unwrap();
        (data_disk.bus, data_disk.record) = (Bus::Usb, Some(data_log));

        let (run, mut owner) = boot(&mut bench, port, &flashed);
        owner.claim(&flashed.code);
        wait_until_healthy(&run, &owner);
        owner.login();
        fs::write(owner.path("kept.bin"), bytes(1, STEP_BYTES * 8)).unwrap();
        let kept = owner.lucid(&["record", "kept.bin"]);
        fs::write(owner.path("trusted-key"), owner.lucid(&["key"])).unwrap();
        let (running, looks) = record(&run, &owner, random);
        let _ = run.cut_power();

        let board = bench.pi.board_mut();
        board.boot_disk.record = None;
        board.data_disk.as_mut().unwrap().record = None;
        let disks = ["disk", "ssd"]
            .map(|disk| Recorded::read(&bench.path(&format!("{disk}.base")), &bench.path(&format!("{disk}.log"))));
        Self { bench, flashed, port, disks, looks, kept, running }
    }

    /// The looks after which the power is cut.
    fn choose(&self, random: &mut fastrand::Rng, count: usize) -> Vec<usize> {
        let all: Vec<usize> = (0..self.looks.len()).collect();
        let is_open = |place: &usize| {
            let lengths = self.looks[*place].moment.lengths().iter();
            self.disks.iter().zip(lengths).any(|(disk, length)| disk.log.unflushed(disk.log.records_at(*length)) > 0)
        };
        let open: Vec<usize> = all.iter().copied().filter(is_open).collect();
        println!("{} moments, {} of them with writes that are not flushed", all.len(), open.len());
        let pick = |number: usize| if number % ANYWHERE_EVERY == ANYWHERE_EVERY - 1 { &all } else { &open };
        (0..count).map(|number| *random.choice(pick(number)).expect("some writes are not flushed")).collect()
    }

    /// Makes both disks what they may hold after the power was cut. How many writes were lost or torn.
    fn cut(&mut self, place: usize, random: &mut fastrand::Rng) -> usize {
        let images = ["disk.img", "ssd.img"].map(|name| self.bench.path(name));
        let lengths = self.looks[place].moment.lengths();
        let disks = self.disks.iter_mut().zip(lengths).zip(&images);
        let cut = |((disk, length), image): ((&mut Recorded, &u64), &PathBuf)| {
            let records = disk.log.records_at(*length);
            disk.cut(Cut { records, seed: random.u64(..) }, image)
        };
        disks.map(cut).sum()
    }

    /// Boots what the cut has left.
    fn check(&mut self, place: usize) {
        let (run, mut owner) = boot(&mut self.bench, self.port, &self.flashed);
        owner.enter();
        wait_until_healthy(&run, &owner);
        self.assert_acknowledged(&self.looks[place], &owner);
        // The recording is taken up again, and everything is as if nothing had been.
        owner.login();
        owner.lucid(&["record", "--resume", &self.running, "poured.bin"]);
        for (id, original) in [(&self.running, "poured.bin"), (&self.kept, "kept.bin")] {
            assert_proven_and_whole(&owner, id, original);
        }
        assert_chain_valid(&run, &owner);
        let _ = run.cut_power();
    }

    fn assert_acknowledged(&self, look: &Look, owner: &Owner) {
        let height = height(owner);
        assert!(height >= look.height, "block {} was told of, and the chain ends at {height}", look.height);
        let session = get(owner, &format!("/api/sessions/{}", self.running));
        let durable = session["durable_bytes"].as_u64().unwrap();
        assert!(durable >= look.durable_bytes, "{} bytes were acknowledged: {session}", look.durable_bytes);
        if look.state != "recording" {
            assert_ne!(session["state"], "recording", "its end was acknowledged: {session}");
        }
        assert_eq!(get(owner, &format!("/api/sessions/{}", self.kept))["state"], "anchored");
    }
}

fn boot(bench: &mut Bench, port: u16, flashed: &Flashed) -> (Run, Owner) {
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    let owner = Owner::meet(bench, port, &format!("{HOST_NAME}.local"), Some(&flashed.fingerprint));
    (run, owner)
}

/// Records a stream, and looks again and again at what is acknowledged. The recording, and the looks.
fn record(run: &Run, owner: &Owner, random: &mut fastrand::Rng) -> (String, Vec<Look>) {
    let mut command = owner.program(&["record", "-"]);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (stream, is_over) = (client.stdin.take().unwrap(), AtomicBool::new(false));
    let (id, mut looks) = thread::scope(|scope| {
        let copy = File::create(owner.path("poured.bin")).unwrap();
        scope.spawn(|| pour(stream, copy, &is_over));
        let _end = End(&is_over);
        let id = running(run, owner);
        let looks: Vec<_> = (0..LOOKS).map(|_| Look::take(run, owner, &id, random)).collect();
        (id, looks)
    });
    let done = client.wait_with_output().unwrap();
    assert!(done.status.success(), "lucid record: {done:?}");
    looks.push(Look::take(run, owner, &id, random));
    (id, looks)
}

/// Ends the source, also after a failure.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pours into a stream, and into a file that keeps all of it, until it is over.
fn pour(mut stream: ChildStdin, mut copy: File, is_over: &AtomicBool) {
    for seed in 2.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let step = bytes(seed, STEP_BYTES);
        copy.write_all(&step).unwrap();
        stream.write_all(&step).unwrap();
        thread::park_timeout(STEP);
    }
}

/// The recording that runs.
fn running(run: &Run, owner: &Owner) -> String {
    let mut id = None;
    until(run, "the recording to begin", || {
        let listed = get(owner, "/api/sessions");
        let sessions = listed["sessions"].as_array().unwrap().iter();
        id = sessions
            .filter(|session| session["state"] == "recording")
            .find_map(|one| Some(one["id"].as_str()?.to_owned()));
        id.is_some()
    });
    id.expect("it was waited for")
}

impl Look {
    /// Asks first, and takes the moment after a pause: whatever was answered was acknowledged before it.
    fn take(run: &Run, owner: &Owner, id: &str, random: &mut fastrand::Rng) -> Self {
        let height = height(owner);
        let session = get(owner, &format!("/api/sessions/{id}"));
        thread::park_timeout(Duration::from_millis(random.u64(0..PAUSE_MS_MAX)));
        Self {
            moment: run.moment().unwrap(),
            durable_bytes: session["durable_bytes"].as_u64().unwrap(),
            state: session["state"].as_str().unwrap().to_owned(),
            height,
        }
    }
}

/// Half of it is random, the other half compresses.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(seed % 256).expect("it is below 256"); count];
    fastrand::Rng::with_seed(seed).fill(&mut bytes[..count / 2]);
    bytes
}

fn get(owner: &Owner, target: &str) -> Value {
    let (status, text) = owner.ask("GET", target, None);
    assert_eq!(status, 200, "{target}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn height(owner: &Owner) -> u64 {
    get(owner, "/api/chain/head")["height"].as_u64().unwrap()
}

fn assert_proven_and_whole(owner: &Owner, id: &str, original: &str) {
    let (evidence, again) = ("evidence", "again.bin");
    owner.lucid(&["export", id, evidence]);
    owner.lucid(&["verify", evidence, "--trust", "trusted-key"]);
    owner.lucid(&["restore", id, "--output", again]);
    let same = fs::read(owner.path(again)).unwrap() == fs::read(owner.path(original)).unwrap();
    assert!(same, "{original} comes back as it was recorded");
    fs::remove_dir_all(owner.path(evidence)).unwrap();
    fs::remove_file(owner.path(again)).unwrap();
}

fn assert_chain_valid(run: &Run, owner: &Owner) {
    let (status, text) = owner.ask("POST", "/api/chain/validate", None);
    assert_eq!(status, 202, "{text}");
    until(run, "the chain's validation", || {
        let validation = get(owner, "/api/chain/validation");
        assert_ne!(validation["state"], "invalid", "{validation}");
        validation["state"] == "valid"
    });
}
