//! The service through its published value, on real directories.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use lucid_agent_protocol::{Reply, SsdState};
use lucid_kit::{Board, Handle, Spec, supervise, wire};
use lucid_ports::Storage;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::agent_link::tests::{FakeAgent, status};

const SPEC: Spec =
    Spec { name: StorageWatch::NAME, purpose: "test", needs: &[], critical: true, storage: false, stop_grace_s: 5 };

struct Bench {
    storage: watch::Receiver<Storage>,
    view: watch::Receiver<AgentView>,
    release: Release,
    _handle: Handle<StorageWatch>,
    _stop: tokio_util::sync::DropGuard,
}

fn start(config: Config) -> Bench {
    start_with(config, AgentLink::new(None))
}

fn start_with(config: Config, agent: AgentLink) -> Bench {
    let (sender, storage) = watch::channel(Storage::Waiting { reason: "not looked yet".to_owned() });
    let (handle, wired) = wire::<StorageWatch>();
    let stop = CancellationToken::new();
    let (agent_view, view) = watch::channel(AgentView::Absent);
    let release = Release::default();
    let deps = Deps { storage: sender, agent, release: release.clone(), agent_view };
    drop(supervise(SPEC, wired, config, deps, Vec::new(), &Board::default(), stop.clone()));
    Bench { storage, view, release, _handle: handle, _stop: stop.drop_guard() }
}

fn config(root: &Path) -> Config {
    Config { root: root.to_owned(), reserve_bytes: 1, absent: AbsentRoot::Wait, marker: None }
}

impl Bench {
    async fn until(&mut self, wanted: impl FnMut(&Storage) -> bool) -> Storage {
        let found = tokio::time::timeout(Duration::from_secs(60), self.storage.wait_for(wanted)).await;
        found.expect("the state came in time").unwrap().clone()
    }

    async fn until_waiting_for(&mut self, part: &str) {
        self.until(|storage| storage.waiting().is_some_and(|reason| reason.contains(part))).await;
    }

    async fn until_ready(&mut self) -> Storage {
        self.until(|storage| storage.waiting().is_none()).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_root_is_made_where_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b");
    let mut bench = start(Config { absent: AbsentRoot::Create, ..config(&root) });
    let ready = bench.until_ready().await;
    assert!(matches!(ready, Storage::Ready { root: found, free_bytes: 1.., low: false } if found == root));
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "the test file is removed");
}

#[tokio::test(start_paused = true)]
async fn a_root_that_comes_goes_and_is_replaced_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("disk");
    let mut bench = start(config(&root));
    bench.until_waiting_for("connect the SSD").await;
    fs::create_dir(&root).unwrap();
    bench.until_ready().await;
    fs::rename(&root, folder.path().join("pulled")).unwrap();
    fs::create_dir(&root).unwrap();
    bench.until_waiting_for("was replaced").await;
    bench.until_ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_at_the_root_and_a_missing_marker_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("disk");
    fs::write(&root, "x").unwrap();
    let mut bench = start(Config { marker: Some("adopted".to_owned()), ..config(&root) });
    bench.until_waiting_for("is a file").await;
    fs::remove_file(&root).unwrap();
    fs::create_dir(&root).unwrap();
    bench.until_waiting_for("was not adopted").await;
    fs::write(root.join("adopted"), "").unwrap();
    bench.until_ready().await;
}

fn health_of(storage: Storage) -> Health {
    StorageWatch::health(&Status { storage: Some(storage), size_bytes: None })
}

#[tokio::test(start_paused = true)]
async fn little_room_is_published_and_degrades_health() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = start(Config { reserve_bytes: u64::MAX / 2, ..config(folder.path()) });
    let storage = bench.until_ready().await;
    assert!(matches!(storage, Storage::Ready { low: true, .. }));
    assert!(matches!(health_of(storage), Health::Degraded { reason } if reason.contains("nearly full")));
}

/// A filesystem of the test's own; taken off when dropped. Needs root.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(what: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("mount").args(what).arg(folder.path()));
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: the service may be in the middle of a look.
        run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let hint = "run the tests as root, where mounts and loop devices are allowed";
    assert!(output.status.success(), "{command:?}: {said} ({hint})");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The watch must say so at its next look, long before writing is tried again.
async fn is_seen_read_only_at_once(mut bench: Bench, turn_read_only: impl FnOnce()) {
    bench.until_ready().await;
    let begin = Instant::now();
    turn_read_only();
    bench.until_waiting_for("is read-only").await;
    assert!(begin.elapsed() <= StorageWatch::PERIOD, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_remounted_read_only_is_seen_at_the_next_look() {
    let mount = Mount::new(&["-t", "tmpfs", "-o", "size=64m", "lucid-test"]);
    let turn = || drop(run(Command::new("mount").args(["-o", "remount,ro"]).arg(mount.path())));
    is_seen_read_only_at_once(start(config(mount.path())), turn).await;
}

#[tokio::test(start_paused = true)]
async fn an_ext4_that_stops_writing_after_an_error_is_seen_at_the_next_look() {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(32 << 20).unwrap();
    run(Command::new("mkfs.ext4").arg("-q").arg(image.path()));
    let mount = Mount::new(&["-o", "loop,errors=remount-ro", image.path().to_str().unwrap()]);
    let device = run(Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(mount.path()));
    let error = format!("/sys/fs/ext4/{}/trigger_fs_error", device.trim_start_matches("/dev/"));
    is_seen_read_only_at_once(start(config(mount.path())), || fs::write(error, "test").unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_waited_for_only_while_nothing_lies_on_it() {
    let mount = Mount::new(&["-t", "tmpfs", "-o", "size=2m", "lucid-test"]);
    let mut bench = start(config(mount.path()));
    bench.until_waiting_for("is full").await;
    // A directory that nothing lies in was made for a service that could not begin.
    fs::create_dir_all(mount.path().join("data/store")).unwrap();
    tokio::time::sleep(StorageWatch::PERIOD * 3).await;
    bench.until_waiting_for("is full").await;
    fs::write(mount.path().join("data/store/rows"), "rows").unwrap();
    let storage = bench.until_ready().await;
    assert!(matches!(storage, Storage::Ready { low: true, .. }), "{storage:?}");
    assert!(matches!(health_of(storage), Health::Degraded { reason } if reason.contains("is full (")));
}

#[test]
fn something_in_the_way_of_the_test_file_is_a_fault_of_writing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".lucid-write-test")).unwrap();
    let seen = probe::look(folder.path(), None, true);
    assert!(matches!(seen, Seen::Directory { writing: Some(Err(probe::WriteFault::Other(_))), .. }), "{seen:?}");
}

#[tokio::test]
async fn the_agent_says_why_a_disk_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("disk");
    let said = Arc::new(Mutex::new((SsdState::NotAdopted, Some("the disk holds ntfs: connect an empty one"))));
    let saying = said.clone();
    let agent = FakeAgent::start(move |_| {
        let (state, reason) = saying.lock().unwrap().clone();
        Some(Reply::status(status(state, reason)))
    });
    let mut bench = start_with(config(&root), agent.link());
    bench.until_waiting_for("holds ntfs").await;
    *said.lock().unwrap() = (SsdState::Mounted, None);
    bench.until_waiting_for("connect the SSD").await;
    fs::create_dir(&root).unwrap();
    bench.until_ready().await;
    // An agent that is late with its answer is told of at the next look.
    let is_mounted = |view: &AgentView| view.status().is_some_and(|status| status.ssd.state == SsdState::Mounted);
    let seen = tokio::time::timeout(Duration::from_secs(60), bench.view.wait_for(is_mounted)).await;
    seen.expect("the agent's word is shown").expect("storage-watch runs");
}

#[tokio::test]
async fn an_agent_that_is_gone_takes_no_disk_away() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("disk");
    let mut bench = start_with(config(&root), AgentLink::new(Some(&folder.path().join("agent.sock"))));
    bench.until_waiting_for("what is in the way is not known: the agent can't be reached").await;
    fs::create_dir(&root).unwrap();
    bench.until_ready().await;
    assert!(matches!(&*bench.view.borrow_and_update(), AgentView::Unreachable { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_disk_to_be_detached_is_let_go_of_until_then_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = start(config(folder.path()));
    bench.until_ready().await;
    let released = bench.release.begin();
    bench.until_waiting_for("being let go of").await;
    drop(released);
    bench.until_ready().await;
}
