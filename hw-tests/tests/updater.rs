//! An appliance whose owner sends it updates: claimed once, then restarted, tried and restarted again on one bench.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lucid_hw_tests::eeprom::Reset;
use lucid_hw_tests::machine::{Ending, Run};
use lucid_hw_tests::probe::Probe;
use lucid_layout::{Slot, paths};
use serde_json::{Value, json};

use crate::bench::{Bench, ready, until};
use crate::flash::flash;
use crate::owner::{Owner, PASSWORD};

const HOST_NAME: &str = "lucid-update";

/// How long a release has to be fit here, in seconds.
pub(crate) const SOAK_S: u64 = 10;

/// An appliance that runs.
pub(crate) struct Appliance {
    pub(crate) bench: Bench,
    pub(crate) run: Option<Run>,
    pub(crate) probe: Probe,
    pub(crate) owner: Owner,
    port: u16,
    fingerprint: String,
}

/// The bundle of a release for tests, built where it is not there.
pub(crate) fn release(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("release");
    let built = Command::new(script).arg(name).output().unwrap();
    assert!(built.status.success(), "hw-tests/release {name}: {}", String::from_utf8_lossy(&built.stderr));
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
}

/// A command of the owner's that goes on while the box restarts.
pub(crate) fn begin(box_: &Appliance, arguments: &[&str]) -> Child {
    let arguments = [&["update"], arguments, &["--password-stdin"]].concat();
    let mut command = box_.owner.program(&arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    child
}

/// What the command said at its end, which is a good one.
pub(crate) fn succeeded(child: Child) -> String {
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    said
}

fn configure(run: &Run, probe: &mut Probe, lines: &str) {
    probe.save(paths::LUCID_CONFIG, &format!("[update]\nsoak_s = {SOAK_S}\n{lines}")).unwrap();
    let restarted = probe.run("/usr/bin/systemctl", &["restart", "lucid-supervisor.service"]).unwrap();
    assert_eq!(restarted.code, Some(0), "{}", restarted.stderr);
    ready(run, probe);
}

impl Appliance {
    /// A flashed appliance, claimed, with a short soak time.
    pub(crate) fn set_up(name: &str) -> Self {
        Self::set_up_on(Bench::new(name))
    }

    /// The same on a bench that is not as usual.
    pub(crate) fn set_up_on(mut bench: Bench) -> Self {
        let flashed = flash(&bench, HOST_NAME);
        let port = bench.forward(443);
        let mut run = bench.pi.power_on().unwrap();
        let mut probe = run.probe().unwrap();
        ready(&run, &mut probe);
        configure(&run, &mut probe, "");
        let mut owner = Owner::meet(&bench, port, &format!("{HOST_NAME}.local"), Some(&flashed.fingerprint));
        owner.claim(&flashed.code);
        let mut appliance = Self { bench, run: Some(run), probe, owner, port, fingerprint: flashed.fingerprint };
        appliance.wait_healthy();
        appliance
    }

    /// Adds lines to the section `[update]` of the settings.
    pub(crate) fn configure(&mut self, lines: &str) {
        configure(self.run.as_ref().expect("it is switched on"), &mut self.probe, lines);
        self.owner.enter();
        self.wait_healthy();
    }

    pub(crate) fn run(&mut self) -> &mut Run {
        self.run.as_mut().expect("it is switched on")
    }

    /// Waits until every critical service is healthy; the virtual board has no thermometer.
    pub(crate) fn wait_healthy(&mut self) {
        let well = |service: &Value| {
            let state = &service["health"]["state"];
            state == "healthy" || state == "degraded"
        };
        let (run, owner) = (self.run.as_ref().expect("it is switched on"), &self.owner);
        until(run, "every service to be healthy", || owner.services().iter().all(well));
    }

    /// How updates are, once the agent answers: under load it may not in time.
    pub(crate) fn status(&self) -> Value {
        let (run, mut told) = (self.run.as_ref().expect("it is switched on"), Value::Null);
        until(run, "the agent's answer", || {
            let (status, text) = self.owner.ask("GET", "/api/update/status", None);
            assert_eq!(status, 200, "{text}");
            told = serde_json::from_str(&text).unwrap();
            !told["agent"].is_null()
        });
        told
    }

    /// Sends a bundle and waits until it is written and read back.
    pub(crate) fn push(&mut self, bundle: &Path) {
        self.owner.enter();
        let (status, text) = self.owner.send_file("/api/update/bundle", bundle);
        assert!((200..300).contains(&status), "{status} {text}");
        let run = self.run.as_ref().expect("it is switched on");
        let owner = &self.owner;
        until(run, "the bundle to be written", || {
            let (_, text) = owner.ask("GET", "/api/update/status", None);
            let phase = serde_json::from_str::<Value>(&text).unwrap()["agent"]["phase"].clone();
            assert_ne!(phase["phase"], "idle", "the agent gave it up: {text}");
            phase["phase"] == "written"
        });
    }

    /// Restarts into what is written; gives how the boot ended.
    pub(crate) fn install(&mut self) -> Ending {
        self.owner.enter();
        let (status, text) = self.owner.ask("POST", "/api/update/install", Some(&json!({"when": "now"})));
        assert!((200..300).contains(&status), "{status} {text}");
        let ending = self.run.take().expect("it is switched on").wait_end().unwrap();
        assert_eq!(ending, Ending::Reboot(Some("0 tryboot".to_owned())), "a trial is asked for");
        ending
    }

    /// Takes a release that is well into `slot`, to the end.
    pub(crate) fn take(&mut self, name: &str, slot: Slot, version: &str) {
        self.push(&release(name));
        let ending = self.install();
        self.boot(&ending, slot);
        self.come_up();
        self.wait_committed(version);
    }

    /// The next boot after `ending`, which must be of `slot`; it need not come up.
    pub(crate) fn boot(&mut self, ending: &Ending, slot: Slot) {
        let run = self.bench.pi.restart(ending).unwrap();
        assert_eq!(
            run.partition(),
            slot.boot().number(),
            "the slot that boots after {ending:?}; see {}",
            run.log().display()
        );
        self.run = Some(run);
    }

    /// Waits until the boot is ready.
    pub(crate) fn come_ready(&mut self) {
        self.probe = self.run().probe().unwrap();
        ready(self.run.as_ref().expect("it is switched on"), &mut self.probe);
    }

    /// Waits until the boot is ready, and signs in again.
    pub(crate) fn come_up(&mut self) {
        self.come_ready();
        self.meet();
        self.owner.enter();
    }

    /// Looks at the certificate, which must be the one that was printed.
    pub(crate) fn meet(&mut self) {
        self.owner = Owner::meet(&self.bench, self.port, &format!("{HOST_NAME}.local"), Some(&self.fingerprint));
    }

    /// Waits until the trial of the boot that is up has ended with a commit.
    pub(crate) fn wait_committed(&mut self, version: &str) {
        let run = self.run.as_ref().expect("it is switched on");
        let mut last = Value::Null;
        let owner = &self.owner;
        until(run, "the release to be kept", || {
            let (_, text) = owner.ask("GET", "/api/update/status", None);
            let agent = serde_json::from_str::<Value>(&text).unwrap()["agent"].clone();
            if agent["phase"] != last {
                println!("{:4} s: {}", run.elapsed().as_secs(), agent["phase"]);
                last = agent["phase"].clone();
            }
            agent["phase"]["phase"] == "idle" && agent["history"][0]["version"] == version
        });
        let attempt = self.status()["agent"]["history"][0].clone();
        assert_eq!(attempt["outcome"]["outcome"], "committed", "{attempt}");
    }

    /// Waits until the release on trial has been fit for so many seconds.
    pub(crate) fn wait_fit(&mut self, seconds: u64) {
        let run = self.run.as_ref().expect("it is switched on");
        let owner = &self.owner;
        until(run, "the release to be fit", || {
            let (_, text) = owner.ask("GET", "/api/update/status", None);
            let status: Value = serde_json::from_str(&text).unwrap();
            let phase = &status["agent"]["phase"];
            assert!(phase["phase"] == "trying" || phase.is_null(), "{text}");
            phase["fit_for_s"].as_u64().is_some_and(|fit_s| fit_s >= seconds)
        });
    }

    /// Waits for the end of a boot on trial that nobody ends by hand.
    pub(crate) fn wait_end(&mut self) -> Ending {
        self.run.take().expect("it is switched on").wait_end().unwrap()
    }

    /// The slot that a plain reset would boot now.
    pub(crate) fn committed(&self) -> u32 {
        self.bench.pi.look(Reset::default()).unwrap().partition
    }

    /// The newest attempt was taken back for `cause`, in words, and the release is in quarantine.
    pub(crate) fn assert_rolled_back(&self, version: &str, cause: &str) -> Value {
        let agent = self.status()["agent"].clone();
        let attempt = agent["history"][0].clone();
        assert_eq!(attempt["version"], version, "{agent}");
        assert_eq!(attempt["outcome"]["outcome"], "rolled_back", "{attempt}");
        assert_eq!(attempt["outcome"]["cause"], cause, "{attempt}");
        assert!(attempt["outcome"]["why"].as_str().is_some_and(|why| why.len() > 20), "in words: {attempt}");
        assert_eq!(agent["phase"]["phase"], "idle", "{agent}");
        assert!(agent["quarantine"].as_array().unwrap().iter().any(|kept| kept["version"] == version), "{agent}");
        println!("{version}: {cause}: {}", attempt["outcome"]["why"]);
        attempt["outcome"].clone()
    }

    /// The version of a slot, as its boot partition says.
    pub(crate) fn version(&self, slot: Slot) -> String {
        let agent = self.status()["agent"].clone();
        let letter = slot.letter().to_string();
        let slots = agent["slots"].as_array().unwrap();
        let found = slots.iter().find(|found| found["slot"] == letter.as_str()).unwrap_or_else(|| panic!("{agent}"));
        found["release"]["present"]["version"].as_str().unwrap_or_else(|| panic!("{agent}")).to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }

    /// A changed copy of a bundle.
    pub(crate) fn changed(&self, bundle: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = fs::read(bundle).unwrap();
        change(&mut bytes);
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}
