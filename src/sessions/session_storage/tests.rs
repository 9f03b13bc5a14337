use std::{fs, path::Path, time::Duration};

use lucid_kit::{Board, Handle, Health, Life, Service as _, Slot, Spec, slot, supervise, wire};
use lucid_vault::{Identity, OnOtherIdentity, Vault, issue_recovery};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{SessionStorage, SessionStorageDeps, SessionStorageStatus};
use crate::Repository;

/// A bench that can't be set up fails here and not in some runner's time-out.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A boot disk and a data disk.
fn disks() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["state", "data/session-storage", "elsewhere"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    dir
}

/// A running service.
struct Running {
    handle: Handle<SessionStorage>,
    repository: Slot<Repository>,
    stop: CancellationToken,
    /// Dropped, it would end the wait between two starts: over it a restart is asked for.
    board: Board,
    task: JoinHandle<()>,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let (lender, repository) = slot(SessionStorage::NAME);
        let deps = SessionStorageDeps {
            data_dir: dir.join("data"),
            state_dir: dir.join("state"),
            identity: Identity::open(&dir.join("state")).unwrap(),
            repository: lender,
            migrate: true,
        };
        let (handle, wired) = wire::<SessionStorage>();
        let spec = Spec {
            name: SessionStorage::NAME,
            purpose: "under test",
            needs: &[],
            critical: true,
            storage: false,
            stop_grace_s: 10,
        };
        let (stop, board) = (CancellationToken::new(), Board::default());
        let task = supervise(spec, wired, (), deps, Vec::new(), &board, stop.clone());
        Self { handle, repository, stop, board, task }
    }

    /// Waits until the life is as `is` wants it.
    async fn lives(&self, is: impl FnMut(&Life) -> bool) {
        let mut life = self.handle.life();
        let seen = tokio::time::timeout(WAIT_MAX, life.wait_for(is)).await;
        seen.expect("it comes to this life").expect("the service is supervised");
    }

    /// Waits for a status as `is` wants it, and gives it.
    async fn says(&self, is: impl Fn(&SessionStorageStatus) -> bool) -> SessionStorageStatus {
        let mut status = self.handle.watch();
        let seen = tokio::time::timeout(WAIT_MAX, status.wait_for(|status| is(status))).await;
        let seen = seen.expect("it comes to this status").expect("the service is supervised");
        SessionStorageStatus::clone(&seen)
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn the_data_disk_follows_a_recovery_key_that_was_issued_before_it_was_there() {
    let dir = disks();
    let key = issue_recovery(&dir.path().join("state")).unwrap();
    let running = Running::start(dir.path());
    running.says(|status| status.recovery_issued).await;
    assert!(running.repository.get().unwrap().vault().recovery_recipient().is_some());
    running.stop().await;
    let data = dir.path().join("data");
    Vault::recover(&dir.path().join("elsewhere"), &data, key.expose(), OnOtherIdentity::Refuse).unwrap();
}

#[tokio::test]
async fn it_runs_degraded_while_the_recovery_key_can_not_be_followed_and_follows_when_it_can() {
    let dir = disks();
    let recipient = dir.path().join("state/recovery.pub");
    fs::write(&recipient, "rotten").unwrap();
    let running = Running::start(dir.path());
    let behind = running.says(|status| status.behind.is_some()).await;
    assert!(matches!(SessionStorage::health(&behind), Health::Degraded { .. }));
    assert_eq!(running.repository.get().unwrap().count().unwrap(), 0, "recordings do not depend on it");
    issue_recovery(&dir.path().join("state")).unwrap();
    let followed = running.says(|status| status.behind.is_none() && status.recovery_issued).await;
    assert_eq!(SessionStorage::health(&followed), Health::Healthy);
    running.stop().await;
}

#[tokio::test]
async fn a_recovery_key_issued_past_it_is_followed_at_the_next_tick() {
    let dir = disks();
    let running = Running::start(dir.path());
    running.says(|status| !status.recovery_issued && status.behind.is_none()).await;
    let key = issue_recovery(&dir.path().join("state")).unwrap();
    running.says(|status| status.recovery_issued).await;
    running.stop().await;
    let data = dir.path().join("data");
    Vault::recover(&dir.path().join("elsewhere"), &data, key.expose(), OnOtherIdentity::Refuse).unwrap();
}

#[tokio::test]
async fn a_foreign_data_disk_is_not_opened_and_not_written() {
    let (dir, other) = (disks(), disks());
    let theirs = Running::start(other.path());
    theirs.lives(|life| *life == Life::Running).await;
    theirs.stop().await;
    fs::remove_dir_all(dir.path().join("data")).unwrap();
    fs::rename(other.path().join("data"), dir.path().join("data")).unwrap();
    let document = dir.path().join("data/keys/master.json");
    let before = fs::read(&document).unwrap();
    issue_recovery(&dir.path().join("state")).unwrap();
    let running = Running::start(dir.path());
    running.lives(|life| matches!(life, Life::Waiting { reason } if reason.contains("another device secret"))).await;
    assert!(running.repository.get().is_err());
    running.stop().await;
    assert_eq!(fs::read(&document).unwrap(), before);
}

#[tokio::test]
async fn nothing_is_opened_while_the_identity_is_another_than_at_the_start() {
    let (dir, other) = (disks(), disks());
    let state = dir.path().join("state");
    let key = issue_recovery(&other.path().join("state")).unwrap();
    let theirs = Running::start(other.path());
    theirs.says(|status| status.recovery_issued).await;
    theirs.stop().await;
    let running = Running::start(dir.path());
    running.lives(|life| *life == Life::Running).await;
    fs::remove_dir_all(dir.path().join("data")).unwrap();
    fs::rename(other.path().join("data"), dir.path().join("data")).unwrap();
    Vault::recover(&state, &dir.path().join("data"), key.expose(), OnOtherIdentity::Replace).unwrap();
    running.board.restart(SessionStorage::NAME).unwrap();
    running.lives(|life| matches!(life, Life::Waiting { reason } if reason.contains("restart the appliance"))).await;
    assert!(running.repository.get().is_err());
    running.stop().await;
    let running = Running::start(dir.path());
    running.lives(|life| *life == Life::Running).await;
    running.stop().await;
}
