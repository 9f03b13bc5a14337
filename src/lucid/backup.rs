//! Backups: everything that the box keeps, consistent, taken while it runs, encrypted to the recovery key.
//!
//! A backup is an age file (age-encryption.org/v1) around a tar archive: `backup.json`, then `state/…` and `data/…` as
//! they lie on the disks, but each store as a snapshot of one moment (`….redb.snapshot`). The device secret is left out:
//! it belongs to one machine, and the recovery key stands in for it. Every other file is only ever replaced whole, so
//! that a plain copy of each is consistent. docs/backup.md tells the owner.

mod restore;
mod save;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use lucid_http::{AdminCaller, Problem, middleware, written};
use lucid_kit::{Slot, Unavailable};
use lucid_ports::{Accounts, AuditEntry};
use lucid_sessions::Repository;
use lucid_store::Store;
use tokio::sync::Semaphore;

pub(crate) use restore::restore;

/// Name of the first entry, and the format's version in it.
const HEAD: &str = "backup.json";
const FORMAT: &str = "lucid.backup/v1";
/// Where a store stands in the archive, behind its own name.
const SNAPSHOT: &str = "snapshot";
/// Files of the state directory that stay on their machine.
const LEFT_OUT: [&str; 1] = ["device.key"];
/// One backup at a time: it reads everything, and holds deletions up.
const BACKUPS_MAX: usize = 1;

/// One store that is saved as a snapshot.
#[derive(Clone)]
pub(crate) struct StoreSource {
    /// Where its file lies, from the top of the archive.
    pub(crate) place: &'static str,
    /// The store, while its service runs.
    pub(crate) store: Arc<dyn Fn() -> Result<Store, Unavailable> + Send + Sync>,
}

/// What a backup is made of.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) state_dir: PathBuf,
    pub(crate) data_root: PathBuf,
    /// In the order in which they are saved: the chain before the recordings. An anchor in the restored chain then
    /// always belongs to a recording that the restored store knows complete. One that was anchored in between is put
    /// back to waiting for its anchor; in the other order it would have fewer chunks than its anchor says, for ever.
    pub(crate) stores: Vec<StoreSource>,
    pub(crate) repository: Slot<Repository>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) clock: Arc<dyn lucid_device::Clock>,
}

#[derive(Clone)]
struct Api {
    sources: Sources,
    running: Arc<Semaphore>,
}

/// `GET /api/backup`, for administrators.
pub(crate) fn routes(sources: Sources) -> Router {
    let api = Api { sources, running: Arc::new(Semaphore::new(BACKUPS_MAX)) };
    middleware::streaming(Router::new().route("/api/backup", get(backup)).with_state(api))
}

async fn backup(State(api): State<Api>, AdminCaller(caller): AdminCaller) -> Result<Response, Problem> {
    let unavailable = |text: String| Problem::unavailable("service_unavailable", text).with_retry_after_s(5);
    let busy = |_| Problem::conflict("backup_running", "a backup is running already: wait until it has ended");
    let permit = api.running.clone().try_acquire_owned().map_err(busy)?;
    let repository = api.sources.repository.get().map_err(|error| unavailable(error.to_string()))?;
    in_step(repository.clone()).await.map_err(unavailable)?;
    if repository.vault().recovery_recipient().is_none() {
        return Err(Problem::conflict("no_recovery_key", "no recovery key was issued yet: issue one in the dashboard"));
    }
    let stays = repository.hold().await;
    let stores = save::open_stores(&api.sources).map_err(|error| unavailable(error.to_string()))?;
    note(&api.sources, &caller.user).await;
    let sources = api.sources;
    let body = written(move |writer| {
        let _held = (stays, permit);
        save::save(&sources, &stores, repository.vault(), writer)
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/age-encryption")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"lucid-backup.tar.age\"")),
    ];
    Ok((headers, body).into_response())
}

/// Lets the data disk follow a recovery key that was issued without it: a backup to a former one helps nobody.
async fn in_step(repository: Arc<Repository>) -> Result<(), String> {
    let follow = tokio::task::spawn_blocking(move || repository.vault().follow_state()).await;
    let followed = follow.map_err(|error| error.to_string())?;
    followed.map_err(|error| format!("the data disk does not follow the recovery key issued last: {error}"))
}

/// Who took a copy of everything is worth knowing. A backup does not fail for it.
async fn note(sources: &Sources, user: &str) {
    let entry = AuditEntry {
        at_ms: sources.clock.now().unix_ms,
        user: user.to_owned(),
        peer: String::new(),
        action: "backup".to_owned(),
        detail: "took an encrypted copy of everything".to_owned(),
    };
    if let Err(error) = sources.accounts.note(entry).await {
        tracing::warn!(%error, "a backup is not in the audit log");
    }
}

#[cfg(test)]
mod tests;
