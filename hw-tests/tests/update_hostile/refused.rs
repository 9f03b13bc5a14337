//! Bundles over HTTP that must not be installed: each is refused with its reason, nothing of the slot that runs
//! changes, and the box goes on.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use lucid_hw_tests::machine::Ending;
use lucid_layout::Slot;
use serde_json::{Value, json};

use super::forged::{self, Bundle, key_list, new_key, release_key};
use super::{OTHER, RUNNING, digests};
use crate::bench::until;
use crate::updater::{Appliance, release};

/// The box, a bundle that it would take, and where wrong ones are made.
struct Scene {
    box_: Appliance,
    path: PathBuf,
    good: Bundle,
    folder: PathBuf,
    entered: Instant,
}

/// A log-in counts as just done for five minutes; a new one costs the emulated processor seconds.
const ENTERED_MAX: Duration = Duration::from_secs(120);

#[test]
fn hostile_bundles_are_refused_and_the_box_goes_on() {
    let box_ = Appliance::set_up("update-refused");
    let (path, folder) = (release("good"), box_.path("forged"));
    fs::create_dir(&folder).unwrap();
    let mut scene = Scene { box_, good: Bundle::read(&path), path, folder, entered: Instant::now() };
    let disk = scene.box_.bench.disk();
    let (running, other) = (digests(&disk, &RUNNING), digests(&disk, &OTHER));

    scene.no_bundles();
    scene.wrong_signatures();
    scene.not_for_this_box();
    assert_eq!(digests(&disk, &OTHER), other, "nothing was written until here");
    scene.wrong_offsets();
    scene.two_at_once();
    scene.broken_pieces();
    scene.is_taken(&scene.path.clone());
    scene.keys_change();
    assert_eq!(digests(&disk, &RUNNING), running, "autoboot.txt and slot A");
    let _ = scene.box_.run.take().unwrap().cut_power();
    scene.box_.boot(&Ending::PowerCut, Slot::A);
    scene.box_.come_up();
    scene.box_.wait_healthy();
    scene.keys_stay_changed();
}

impl Scene {
    /// Logs in again, if that was a while ago.
    fn enter(&mut self) {
        if self.entered.elapsed() > ENTERED_MAX {
            self.box_.owner.enter();
            self.entered = Instant::now();
        }
    }

    /// Sends a bundle, as a file of that name. Status and problem.
    fn send(&mut self, name: &str, bytes: &[u8]) -> (u16, Value) {
        let path = self.folder.join(name);
        fs::write(&path, bytes).unwrap();
        self.enter();
        let (status, text) = self.box_.owner.send_file("/api/update/bundle", &path);
        fs::remove_file(path).unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error} in {text}")))
    }

    /// It is refused with this status, code and a word of the reason.
    fn refused(&mut self, name: &str, bytes: &[u8], (expected, code): (u16, &str), word: &str) {
        let (status, problem) = self.send(name, bytes);
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == expected && detail.contains(word), "{name}, where `{word}` was expected: {status} {problem}");
        assert!(problem.to_string().contains(code), "{name}: {problem}");
        println!("{name}: {status} {detail}");
    }

    fn untrusted(&mut self, name: &str, bundle: &Bundle, word: &str) {
        self.refused(name, &bundle.to_bytes(), (422, "untrusted"), word);
    }

    /// The good bundle, changed.
    fn with(&self, change: impl FnOnce(&mut Bundle)) -> Bundle {
        let mut bundle = self.good.clone();
        change(&mut bundle);
        bundle
    }

    fn agent(&self) -> Value {
        self.box_.status()["agent"].clone()
    }

    fn discard(&mut self) {
        self.box_.owner.enter();
        let (status, text) = self.box_.owner.ask("POST", "/api/update/discard", None);
        assert_eq!(status, 200, "{text}");
        assert_eq!(self.agent()["phase"]["phase"], "idle");
    }

    /// It is accepted until it is written; and discarded.
    fn is_taken(&mut self, bundle: &std::path::Path) {
        self.box_.push(bundle);
        assert_eq!(self.agent()["running"], "a");
        self.discard();
    }

    /// Files that are no bundles, or end early, or claim lengths that no memory has.
    fn no_bundles(&mut self) {
        let malformed = (422, "malformed");
        let bytes = self.good.to_bytes();
        self.refused("empty", b"", malformed, "ends early");
        self.refused("text", b"this is no bundle, and long enough to be read", malformed, "is no");
        let header = self.good.header().len();
        for end in [1, 8, 12, header / 2, header - 1] {
            self.refused(&format!("first {end} bytes"), &bytes[..end], malformed, "ends early");
        }
        for (at, what) in [(8, "header"), (13, "root set")] {
            let mut oversized = bytes.clone();
            oversized[at..at + 4].fill(0xff);
            self.refused(&format!("oversized {what}"), &oversized, malformed, "are allowed");
        }
        let mut magic = bytes;
        magic[3] ^= 1;
        self.refused("flipped magic", &magic, malformed, "is no");
    }

    /// Documents that were damaged, and signatures of those who may not.
    fn wrong_signatures(&mut self) {
        for (name, bundle, word) in forged::untrusted(&self.good, &self.folder) {
            self.untrusted(name, &bundle, word);
        }
    }

    /// Signed by the key that is trusted, and not for this box.
    fn not_for_this_box(&mut self) {
        let manifest = self.good.manifest();
        let running = self.agent()["slots"][0]["release"]["present"]["build_id"].as_str().unwrap().to_owned();
        let build = manifest["build_id"].as_str().unwrap().to_owned();
        let bytes = manifest["payloads"][0]["bytes"].as_u64().unwrap();
        assert!(bytes > 0 && build != running, "{manifest}");
        let cases = [
            (
                "compatible",
                "\"compatible\":\"lucid-pi5\"".to_owned(),
                "\"compatible\":\"lucid-pi6\"".to_owned(),
                "lucid-pi6",
            ),
            ("epoch", "\"epoch\":1".to_owned(), "\"epoch\":0".to_owned(), "epoch 0"),
            ("build", build, running, "runs already"),
            (
                "data",
                "\"generation\":2,\"reads_from\":2".to_owned(),
                "\"generation\":9,\"reads_from\":9".to_owned(),
                "read data",
            ),
        ];
        for (name, from, to, word) in cases {
            let bundle = self.good.signed(&self.folder, &release_key(), &[(&from, &to)]);
            self.refused(name, &bundle.to_bytes(), (422, "unsuitable"), word);
        }
        assert_eq!(self.agent()["phase"]["phase"], "idle");
    }

    /// Rests of bundles that are not wanted.
    fn wrong_offsets(&mut self) {
        let rest = self.folder.join("rest");
        fs::write(&rest, &self.good.pieces[..1000]).unwrap();
        let bundle = "00".repeat(32);
        self.enter();
        let no = |target: &str, expected: u16, word: &str| {
            let (status, text) = self.box_.owner.send_file(&format!("/api/update/bundle?{target}"), &rest);
            assert!(status == expected && text.contains(word), "{target}: {status} {text}");
        };
        no("offset=1000", 422, "which bundle goes on");
        no(&format!("offset=1000&bundle={bundle}"), 409, "no bundle was interrupted");
        no("offset=-1", 400, "");
        // Half of one, and then more than its half, or the half of another.
        let half = self.good.to_bytes();
        let (status, problem) = self.send("half", &half[..half.len() / 2]);
        assert!(status >= 400 && problem.to_string().contains("ended early"), "{status} {problem}");
        println!("half: {status} {}", problem["detail"]);
        let phase = self.agent()["phase"].clone();
        let (offset, incoming) =
            (phase["offset"].as_u64().unwrap(), phase["incoming"]["bundle"].as_str().unwrap().to_owned());
        let no = |target: &str, word: &str| {
            let (status, text) = self.box_.owner.send_file(&format!("/api/update/bundle?{target}"), &rest);
            assert!(status == 409 && text.contains(word), "{target}: {status} {text}");
        };
        no(&format!("offset={}&bundle={incoming}", offset + 1), &format!("from byte {offset} on"));
        no(&format!("offset={offset}&bundle={bundle}"), "another bundle was interrupted");
        assert_eq!(self.agent()["phase"]["offset"], offset, "what is there stays there");
        self.discard();
    }

    fn two_at_once(&mut self) {
        self.box_.owner.enter();
        let (owner, path) = (&self.box_.owner, &self.path);
        let run = self.box_.run.as_ref().expect("it is switched on");
        thread::scope(|scope| {
            let first = scope.spawn(|| owner.send_file("/api/update/bundle", path));
            until(run, "the first to come in", || self.agent()["phase"]["active"] == true);
            let (status, text) = owner.send_file("/api/update/bundle", path);
            assert!(status == 409 && text.contains("busy") && text.contains("wait"), "{status} {text}");
            let (status, text) = first.join().unwrap();
            assert_eq!(status, 200, "the first is not disturbed: {text}");
        });
        self.discard();
    }

    /// A bit of one piece of each payload: it is told from the signed one before it is unpacked.
    fn broken_pieces(&mut self) {
        for (payload, name) in [(0, "piece of the root"), (1, "piece of the boot partition")] {
            let (start, bytes) = self.good.piece(payload, 1);
            let broken = self.with(|bundle| bundle.pieces[start + bytes / 2] ^= 1);
            self.untrusted(name, &broken, "not the one that was signed");
            let phase = self.agent()["phase"].clone();
            assert_eq!(
                phase["offset"],
                (self.good.header().len() + start) as u64,
                "it goes on where it broke: {phase}"
            );
            let (status, text) = self.box_.owner.ask("POST", "/api/update/install", Some(&json!({"when": "now"})));
            assert!(status == 409 && text.contains("no release is written"), "{status} {text}");
            self.discard();
        }
        let endless = [self.good.to_bytes(), vec![0]].concat();
        self.refused("one byte more", &endless, (422, "malformed"), "followed by bytes");
        self.discard();
    }

    /// A key list that revokes the key of all bundles so far.
    fn keys_change(&mut self) {
        let old = self.old_key();
        let ((new_file, new), (expired_file, expired)) =
            (new_key(&self.folder, "new"), new_key(&self.folder, "expired"));
        let keys = [("new", new.as_str(), "2099-12-31"), ("expired", &expired, "2020-01-01")];
        let list = key_list(&self.folder, 2, &keys, &[&old]);
        let rotated = self.good.under(&list);
        let bundle = rotated.signed(&self.folder, &new_file, &[]);
        let path = self.folder.join("rotated.bundle");
        fs::write(&path, bundle.to_bytes()).unwrap();
        self.is_taken(&path);
        assert_eq!(self.agent()["trust"]["keys_version"], 2);
        self.untrusted("expired key", &rotated.signed(&self.folder, &expired_file, &[]), "ended");
        self.untrusted("revoked key", &rotated, "revoked");
        self.keys_stay_changed();
    }

    /// What the revoked key has signed is refused, with the new list and with the old one.
    fn keys_stay_changed(&mut self) {
        let rotated = self.good.under(&self.folder.join("keys-2"));
        self.untrusted("revoked key", &rotated, "revoked");
        let former = self.good.clone();
        self.untrusted("former key list", &former, "is older than 2");
        assert_eq!(self.agent()["trust"]["keys_version"], 2);
        assert_eq!(self.agent()["phase"]["phase"], "idle");
    }

    /// The key that the image's list names.
    fn old_key(&self) -> String {
        let list: Value = serde_json::from_slice(&self.good.keys.json).unwrap();
        list["keys"][0]["key"].as_str().unwrap().to_owned()
    }
}
