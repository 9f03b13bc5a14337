//! The ways by which a release comes in and another one comes back, as their owner goes them: the command line, a web
//! server that knows ranges, a channel; the return by hand, and the self-test.
//!
//! The command line stays through the restarts, as for an owner: while it waits here, the bench plays the board.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lucid_hw_tests::machine::{Ending, Peer};
use lucid_layout::Slot;
use serde_json::Value;

use crate::bench::{Bench, until};
use crate::updater::{Appliance, begin, release, succeeded};

/// Where the guest finds the web server.
const WEB: &str = "10.0.2.100";

/// A folder that a web server shows to the guest.
struct Web(PathBuf);

impl Web {
    fn new(bench: &mut Bench) -> Self {
        let folder = bench.path("web");
        fs::create_dir_all(folder.join("files")).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("serve");
        let command = format!("{} {}", program.display(), folder.display());
        bench.pi.board_mut().peers.push(Peer { address: format!("{WEB}:80").parse().unwrap(), command });
        Self(folder)
    }

    fn offer(&self, name: &str, file: &Path) -> String {
        fs::copy(file, self.0.join("files").join(name)).unwrap();
        format!("http://{WEB}/{name}")
    }

    /// The next answer ends after so many bytes.
    fn break_next(&self, bytes: u64) {
        fs::write(self.0.join("break"), bytes.to_string()).unwrap();
    }

    /// From where on files were asked for, with each request.
    fn asked_from(&self) -> Vec<u64> {
        let requests = fs::read_to_string(self.0.join("requests")).unwrap();
        let offset = |head: &str| {
            let range = head.to_ascii_lowercase().split_once("range: bytes=").map(|(_, rest)| rest.to_owned());
            range.map_or(0, |range| range.split('-').next().unwrap().parse().unwrap())
        };
        requests.split("\n\n").filter(|head| head.starts_with("GET ")).map(offset).collect()
    }
}

impl Appliance {
    /// Plays the board through a restart on trial that a command, or the box itself, has begun.
    fn tries(&mut self, slot: Slot) {
        let ending = self.wait_end();
        assert_eq!(ending, Ending::Reboot(Some("0 tryboot".to_owned())), "a trial is asked for");
        self.boot(&ending, slot);
        self.come_up();
    }

    fn wait_phase(&self, phase: &str) {
        let run = self.run.as_ref().expect("it is switched on");
        until(run, phase, || {
            let status = self.status();
            let problem = &status["transfer"]["problem"];
            assert!(problem.is_null() || problem.as_str().unwrap().contains("tried again"), "{status}");
            status["agent"]["phase"]["phase"] == phase
        });
    }

    fn runs(&self) -> (Slot, String) {
        let agent = self.status()["agent"].clone();
        assert_eq!(agent["running"], agent["committed"]["present"], "{agent}");
        let slot = if agent["running"] == "a" { Slot::A } else { Slot::B };
        (slot, self.version(slot))
    }
}

#[test]
fn releases_come_by_command_line_web_server_and_channel_and_go_back_by_hand() {
    let mut bench = Bench::new("update-ways");
    let web = Web::new(&mut bench);
    let mut box_ = Appliance::set_up_on(bench);
    box_.owner.login();

    let push = begin(&box_, &["push", &release("good").display().to_string()]);
    box_.tries(Slot::B);
    assert!(succeeded(push).contains("0.1.1 runs, and is kept"));

    pulled(&mut box_, &web);

    box_.wait_healthy();
    let back = begin(&box_, &["rollback"]);
    box_.tries(Slot::B);
    assert!(succeeded(back).contains("0.1.1 runs again"));
    assert_eq!(box_.runs(), (Slot::B, "0.1.1".to_owned()));
    assert_eq!(box_.status()["agent"]["history"][0]["outcome"]["outcome"], "returned");

    box_.wait_healthy();
    tested(&mut box_);

    offered(&mut box_, &web);
}

/// Fetched from a web server whose connection breaks, and gone on with where it broke.
fn pulled(box_: &mut Appliance, web: &Web) {
    let bundle = release("better");
    let half = fs::metadata(&bundle).unwrap().len() / 2;
    web.break_next(half);
    let url = web.offer("better.bundle", &bundle);
    let told = succeeded(begin(box_, &["pull", &url]));
    assert!(told.contains(&url), "{told}");
    box_.wait_phase("written");
    let asked = web.asked_from();
    assert_eq!((asked[0], asked.len() >= 2), (0, true), "{asked:?}");
    let last = *asked.last().unwrap();
    assert!(last > half / 2 && last <= half, "it goes on at the last piece that is safe: {asked:?}, {half}");
    let install = begin(box_, &["install"]);
    box_.tries(Slot::A);
    assert!(succeeded(install).contains("0.1.2 runs, and is kept"));
    assert_eq!(box_.runs(), (Slot::A, "0.1.2".to_owned()));
}

/// The self-test boots the other slot once, which restarts at once, without a hand on it.
fn tested(box_: &mut Appliance) {
    let before = box_.runs();
    let test = begin(box_, &["selftest"]);
    let ending = box_.wait_end();
    assert_eq!(ending, Ending::Reboot(Some("0 tryboot".to_owned())));
    box_.boot(&ending, before.0.other());
    let ending = box_.wait_end();
    assert_eq!(ending, Ending::Reboot(None));
    box_.boot(&ending, before.0);
    box_.come_up();
    assert!(succeeded(test).contains("the self-test passed"));
    assert_eq!(box_.runs(), before);
}

/// Offered by a channel, and installed without anybody's word; news that are older than what was seen are not believed.
fn offered(box_: &mut Appliance, web: &Web) {
    let bundle = release("newest");
    web.offer("newest.bundle", &bundle);
    let [old, new] = [1, 2].map(|sequence| channel(box_, &bundle, sequence));
    let url = web.offer("channel", &new);
    box_.configure(&format!("channel = \"{url}\"\nautomatic = true\n"));
    succeeded(begin(box_, &["check"]));
    box_.tries(Slot::A);
    box_.wait_committed("0.1.3");
    assert_eq!(box_.runs(), (Slot::A, "0.1.3".to_owned()));

    web.offer("channel", &old);
    succeeded(begin(box_, &["check"]));
    let run = box_.run.as_ref().expect("it is switched on");
    let mut channel = Value::Null;
    until(run, "the old news to be refused", || {
        channel = box_.status()["channel"].clone();
        channel["text"].as_str().is_some_and(|text| text.contains("The last look failed"))
    });
    assert_eq!(channel["report"]["sequence"], 2, "{channel}");
}

/// A channel file that offers a bundle.
fn channel(box_: &Appliance, bundle: &Path, sequence: u64) -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let (tool, keys) = (place.join("debug/lucid-image"), place.join("pi/keys"));
    let (description, out) = (box_.path("channel.toml"), box_.path(&format!("channel-{sequence}")));
    let url = format!("http://{WEB}/newest.bundle");
    let text = format!(
        "sequence = {sequence}\nissued = 2026-01-01T00:00:00Z\nexpires = 2099-01-01T00:00:00Z\n[[releases]]\n\
         bundle = \"{}\"\nurl = \"{url}\"\npercent = 100\nhold = false\nnotes = \"\"\n",
        bundle.display()
    );
    fs::write(&description, text).unwrap();
    let mut make = Command::new(tool);
    make.arg("channel").arg("--describe").arg(&description).arg("--out").arg(&out);
    for (option, name) in [("--update-root", "update-root"), ("--keys", "keys"), ("--key", "release.key")] {
        make.arg(option).arg(keys.join(name));
    }
    let made = make.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    out
}
