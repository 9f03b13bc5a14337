//! The box with the real agent, on a loop device for a data disk. Needs root.

use std::{fs, fs::File, path::PathBuf, process::Stdio};

use crate::{
    bench::{LONG, Owner, PASSWORD, Place, Program, SHORT, eventually, require_success, text, wait_for_health},
    crash::assert_no_panic,
};

/// What to do where it does not work.
const HINT: &str = "run the tests as root, on a Linux (or in a container) that allows mounts and loop devices";
/// Room for an ext4 with its journal, and above the reserve of the tests' settings.
const DISK_BYTES: u64 = 256 << 20;

/// A disk of zeros; taken off with what is mounted from it.
struct LoopDisk {
    name: String,
    mount_point: PathBuf,
}

impl LoopDisk {
    fn new(place: &Place) -> Self {
        let file = place.file("disk", b"");
        File::options().write(true).open(&file).unwrap().set_len(DISK_BYTES).unwrap();
        let device = require_success("losetup", &["--find", "--show", text(&file)], HINT);
        let name = device.trim().trim_start_matches("/dev/").to_owned();
        let mount_point = place.path("mnt");
        fs::create_dir(&mount_point).unwrap();
        Self { name, mount_point }
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let quiet = |program: &str, arguments: &[&str]| {
            let _ = std::process::Command::new(program).args(arguments).stderr(Stdio::null()).status();
        };
        quiet("umount", &["-l", text(&self.mount_point)]);
        quiet("losetup", &["-d", &format!("/dev/{}", self.name)]);
    }
}

fn start_agent(place: &Place, disk: &LoopDisk) -> Program {
    let (socket, state) = (place.path("agent.sock"), place.path("agent-state"));
    let mut command = place.lucid();
    command.args(["agent", "--user", "0", "--only-disk", &disk.name]).arg("--socket").arg(&socket);
    command.arg("--state-dir").arg(&state).arg("--mount-point").arg(&disk.mount_point);
    let path = std::env::vars_os().find(|(name, _)| name == "PATH").map(|(_, value)| value).unwrap_or_default();
    command.env("PATH", format!("{}:/usr/sbin:/sbin", path.to_string_lossy()));
    let agent = Program::start(&mut command, Stdio::null());
    eventually("the agent's socket", SHORT, || if socket.exists() { Ok(()) } else { Err(agent.said()) });
    agent
}

/// A place whose data disk is `disk`, and whose agent counts two boots that did not become ready.
fn prepare(disk: &LoopDisk, place: &mut Place) -> PathBuf {
    let attempts = place.path("agent-state/boot/attempts.json");
    for folder in ["agent-state/agent", "agent-state/boot"] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    fs::write(&attempts, r#"{"boots_without_ready":2,"boot_id":"this","slot":"a"}"#).unwrap();
    let socket = place.path("agent.sock");
    place.config.push_str("[boot]\nreport = 'none'\n[payments]\nsocket = 'none'\n");
    place.config.push_str(&format!("[agent]\nsocket = '{}'\n", text(&socket)));
    place.data = disk.mount_point.join("Lucid");
    attempts
}

/// Waits until storage-watch says why there is no disk, in these words.
#[track_caller]
fn waits_because(owner: &Owner, words: &str) {
    eventually(words, LONG, || {
        let service = owner.service("storage-watch")?;
        let reason = service["health"]["reason"].as_str().unwrap_or_default().to_owned();
        if reason.contains(words) { Ok(()) } else { Err(service.to_string()) }
    });
}

#[test]
fn a_disk_is_adopted_used_and_detached_on_the_dashboard() {
    let mut place = Place::new();
    let disk = LoopDisk::new(&place);
    let attempts = prepare(&disk, &mut place);
    let running = place.launch_as(place.server_command("run"));
    running.fingerprint();
    let owner = Owner::claim_at_once(&place, &running, running.claim_code());
    let reason = |words: &str| waits_because(&owner, words);
    reason("the agent can't be reached");
    let agent = start_agent(&place, &disk);
    eventually("the agent hears that the box is ready", LONG, || {
        let kept = fs::read_to_string(&attempts).unwrap();
        if kept.contains(r#""boots_without_ready":0"#) { Ok(()) } else { Err(kept) }
    });
    let page = eventually("the disk on the page", LONG, || {
        let page = owner.page("/storage").expect(200).text();
        if page.contains("Type its serial number") { Ok(page) } else { Err(page) }
    });
    assert!(page.contains("none adopted") && page.contains(&disk.name), "{page}");

    let fields = [("disk", disk.name.as_str()), ("confirmation", "another"), ("password", PASSWORD)];
    owner.submit("/storage", "/storage/adopt", &fields).expect(409);
    let fields = [("disk", disk.name.as_str()), ("confirmation", disk.name.as_str()), ("password", PASSWORD)];
    owner.submit("/storage", "/storage/adopt", &fields).expect(303);
    wait_for_health(place.port("session-storage"), "healthy");
    assert!(disk.mount_point.join("Lucid/data").is_dir());
    // The page shows what the agent said at the last look.
    let page = owner.wait_for_page("/storage", "in use");
    assert!(page.contains("the data disk"), "{page}");
    let audit = owner.get("/api/auth/audit").expect(200).text();
    assert!(audit.contains("disk adopted") && audit.contains("not done"), "{audit}");

    owner.submit("/storage", "/storage/detach", &[("password", PASSWORD)]).expect(303);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&format!("/dev/{} ", disk.name)), "{mounts}");
    reason("etached");

    owner.submit("/storage", "/storage/mount", &[("password", PASSWORD)]).expect(303);
    wait_for_health(place.port("session-storage"), "healthy");
    owner.submit("/storage", "/storage/detach", &[("password", PASSWORD)]).expect(303);
    reason("etached");

    agent.kill();
    reason("the agent can't be reached");
    let page = owner.page("/storage").expect(200).text();
    assert!(page.contains("The disks can't be shown"), "{page}");
    owner.page("/system").expect(200);
    owner.assert_others_healthy(&[
        "storage-watch",
        "update",
        "blockchain-engine",
        "session-anchoring",
        "block-manager",
        "session-storage",
        "session-pipeline",
        "session-api",
    ]);
    assert_no_panic(&running);
}
