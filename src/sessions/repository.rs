//! Where recordings lie: rows in one redb file, chunks in one directory, keys wrapped by the vault.
//!
//! The order that makes a cut harmless: a chunk file is durable before the row that counts it, and a row is gone before
//! its chunk files are removed. What a cut leaves over is a file without a row, and those are swept when the upload or
//! the service starts again.

mod reading;
mod shredding;
mod states;

use std::{path::Path, sync::Arc};

use lucid_device::disk::free_space;
use lucid_ports::{RecordingState, SessionId};
use lucid_store::{Blobs, Options, Reader, Store};
use lucid_vault::Vault;
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};
use tokio_util::sync::CancellationToken;

use crate::attachments::Attachments;
use crate::ballast::Ballast;
use crate::repository_error::RepositoryError;
use crate::rows::{GENERATION, META, SCHEMA, SESSIONS};

#[cfg(test)]
pub(crate) use shredding::forget;
pub(crate) use states::NewChunk;

/// Room that no chunk may take: deletions, rows and blocks go on where recording stops.
pub(crate) const ROOM_BYTES_MIN: u64 = 16 * 1024 * 1024;

type Result<T, E = RepositoryError> = std::result::Result<T, E>;

/// All recordings. Lent by session-storage while it runs.
pub struct Repository {
    store: Store,
    blobs: Blobs,
    ballast: Ballast,
    vault: Vault,
    /// Held while keys are made or re-wrapped: a key wrapped with a generation that is being destroyed would be lost.
    keys: Mutex<()>,
    /// Held for reading by backups, for writing by deletions.
    stays: Arc<RwLock<()>>,
    attachments: Attachments,
    closing: CancellationToken,
}

impl Repository {
    /// Opens what lies in `data_dir`, finishes an interrupted deletion and sweeps chunks that no row counts. Blocking.
    ///
    /// # Errors
    /// The store's and the vault's; nothing is changed where it can't be read.
    pub fn open(data_dir: &Path, vault: Vault) -> Result<Self> {
        Self::open_with(data_dir, vault, Options::default())
    }

    /// The same with options of one's own for the store.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn open_with(data_dir: &Path, vault: Vault, options: Options) -> Result<Self> {
        let ballast = Ballast::of(data_dir);
        let open = || Store::open(&data_dir.join("session-storage.redb"), &SCHEMA, options);
        let store = match open() {
            Err(error) if error.is_disk_full() => {
                ballast.release().map_err(RepositoryError::Ballast)?;
                open()
            }
            opened => opened,
        }?;
        let blobs = Blobs::open(&data_dir.join("chunks"))?;
        let (keys, stays, attachments, closing) = Default::default();
        let repository = Self { store, blobs, ballast, vault, keys, stays, attachments, closing };
        repository.settle_keys()?;
        repository.sweep()?;
        Ok(repository)
    }

    /// The vault that wraps the sessions' keys.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The store, for backups.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The chunk files, for backups and exports.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// While the guard lives, nothing is deleted and no key is destroyed.
    pub async fn hold(&self) -> OwnedRwLockReadGuard<()> {
        self.stays.clone().read_owned().await
    }

    /// Who uploads to which recording.
    pub(crate) fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// Lays by the room that a deletion needs on a full disk, once there is room to spare. Blocking.
    pub(crate) fn lay_ballast(&self) -> Result<()> {
        self.ballast.lay().map_err(RepositoryError::Ballast)
    }

    /// Finishes or drops a rotation that was cut short, as the store says.
    fn settle_keys(&self) -> Result<()> {
        Ok(self.vault.settle(self.store.read(|tx| tx.get(&META, GENERATION))?)?)
    }

    /// Chunk files without a session are what a cut between the two halves of a deletion leaves; files that no row of
    /// their session counts are what a cut leaves of an upload.
    fn sweep(&self) -> Result<()> {
        for name in self.blobs.ids()? {
            let Ok(id) = name.parse::<SessionId>() else { continue };
            match self.store.read(|tx| tx.get(&SESSIONS, &id.bytes()))? {
                Some(row) if row.state == RecordingState::Recording => self.remove_from(id, row.chunks)?,
                Some(_) => {}
                None => {
                    tracing::info!(session = name, "removing chunks that an interrupted deletion left");
                    self.blobs.remove_all(&name)?;
                }
            }
        }
        Ok(())
    }

    fn remove_from(&self, id: SessionId, from: u64) -> Result<()> {
        for index in self.blobs.list(&id.to_string())? {
            if index >= from {
                self.blobs.remove(&id.to_string(), index)?;
            }
        }
        Ok(())
    }

    /// Cancelled when session-storage lets go of the store: who holds it must let go, too, or it can't be opened again.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Removes chunk files from `from` on: an upload that ended in the middle may have left some that no row counts.
    pub(crate) async fn discard_uncounted(self: &Arc<Self>, id: SessionId, from: u64) -> Result<()> {
        self.blocking(move |this| this.remove_from(id, from)).await
    }

    /// Makes the bytes of one chunk durable, and gives their memory back. No row counts them yet.
    pub(crate) async fn put_chunk<B>(self: &Arc<Self>, id: SessionId, index: u64, sealed: B) -> Result<B>
    where
        B: AsRef<[u8]> + Send + 'static,
    {
        self.blocking(move |this| {
            // storage-watch looks every few seconds, and a fast upload fills a disk in less.
            let space = free_space(this.blobs.dir()).map_err(RepositoryError::Space)?;
            if space.free_bytes < ROOM_BYTES_MIN + sealed.as_ref().len() as u64 {
                return Err(RepositoryError::NoRoom);
            }
            this.blobs.put(&id.to_string(), index, sealed.as_ref())?;
            Ok(sealed)
        })
        .await
    }

    /// The bytes of one chunk as they lie on disk.
    pub(crate) async fn get_chunk(self: &Arc<Self>, id: SessionId, index: u64) -> Result<Vec<u8>> {
        self.blocking(move |this| {
            this.blobs.get(&id.to_string(), index)?.ok_or(RepositoryError::ChunkMissing { id, index })
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this)).await.map_err(|_| RepositoryError::Panicked)?
    }
}

#[cfg(test)]
mod tests;
