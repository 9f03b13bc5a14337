//! What lies where on the data disk, once there is one.

use std::{path::Path, time::Duration};

use lucid_ports::Storage;
use tokio::{sync::watch, task::JoinHandle};

use super::Ground;

/// `data/`, `logs/` and `backup/` under the root, and in `data/` one directory for each service that keeps bulk data.
const DIRECTORIES: [&str; 5] = ["data", "data/blockchain-engine", "data/session-storage", "logs", "backup"];
/// A disk that refuses its directories is tried again this often.
const RETRY: Duration = Duration::from_secs(2);

/// The data disk as the services see it: usable only once its directories are there.
pub(super) fn prepared(mut raw: watch::Receiver<Storage>, ground: &Ground) -> watch::Receiver<Storage> {
    let (tell, prepared) = watch::channel(raw.borrow().clone());
    let root = ground.data_root.clone();
    tokio::spawn(async move {
        loop {
            let seen = raw.borrow_and_update().clone();
            let refused = match &seen {
                Storage::Ready { .. } if tell.borrow().waiting().is_some() => make(&root).await.err(),
                _ => None,
            };
            let retry = refused.is_some();
            let next = refused.map_or(seen, |reason| Storage::Waiting { reason });
            tell.send_if_modified(|told| std::mem::replace(told, next.clone()) != next);
            if !changed(&mut raw, retry).await {
                return;
            }
        }
    });
    prepared
}

/// Waits for news, or for the next try. False when there will be none.
async fn changed(raw: &mut watch::Receiver<Storage>, retry: bool) -> bool {
    if retry {
        tokio::time::timeout(RETRY, raw.changed()).await.is_ok_and(|changed| changed.is_ok())
            || raw.has_changed().is_ok()
    } else {
        raw.changed().await.is_ok()
    }
}

async fn make(root: &Path) -> Result<(), String> {
    let root = root.to_owned();
    let made = tokio::task::spawn_blocking(move || {
        DIRECTORIES.iter().try_for_each(|name| {
            let directory = root.join(name);
            std::fs::create_dir_all(&directory)
                .map_err(|error| format!("can't make `{}`: {error}", directory.display()))
        })
    });
    made.await.map_err(|_| "making the directories panicked".to_owned())?
}

/// Log files are written to the data disk while it is there.
pub(super) fn logs_follow(mut raw: watch::Receiver<Storage>, ground: &Ground) -> JoinHandle<()> {
    let (observe, logs) = (ground.observe.clone(), ground.data_root.join("logs"));
    let wanted = ground.settings.flag(&crate::config::keys::LOG_FILE);
    tokio::spawn(async move {
        let mut open = false;
        loop {
            let ready = wanted && raw.borrow_and_update().waiting().is_none();
            if ready != open {
                open = ready;
                observe.set_log_dir(ready.then(|| logs.clone()));
            }
            if raw.changed().await.is_err() {
                return;
            }
        }
    })
}
