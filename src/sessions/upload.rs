//! The orchestrator of one upload: drives its bytes through chunker, encryptor and Merkle builder onto the disk.
//!
//! Two halves run side by side. One cuts the stream and starts the sealing of each chunk; the other waits for the
//! sealed chunks in their order and counts them. Between them at most [`under_way_max`] chunks are under way, of all
//! uploads together: when the disk or the cores can't keep up, the cutting stops, the connection is not read, and the
//! sender is held back.

use std::sync::Arc;

use bytes::Bytes;
use lucid_device::Clock;
use lucid_kit::{Class, Pool};
use lucid_ports::{SessionId, Storage};
use lucid_proof::{
    hash::{Hash, LeafHasher},
    manifest::CHUNKS_MAX,
};
use lucid_store::BlobBuffer;
use lucid_vault::SessionKey;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    chunk::ChunkError,
    chunk_memory::ChunkMemory,
    chunker::{Chunker, Cut},
    progress::stamp,
    repository::{NewChunk, Repository},
    uploads::UploadError,
};

/// Chunks that may be on their way to the disk while the computing threads seal others: a disk reaches its speed only
/// when the next file lies ready before the last one is synced.
const WRITING: usize = 4;
/// Most chunks that are sealed or written at once: enough for the four cores of a Raspberry Pi. Each costs two chunk
/// sizes of memory.
const UNDER_WAY_MAX: usize = 6;

/// How many chunks of all uploads may be sealed or written at once, with so many computing threads.
#[must_use]
pub fn under_way_max(threads: usize) -> usize {
    (threads + WRITING).min(UNDER_WAY_MAX)
}

/// What a connection hands over.
pub(crate) enum Piece {
    /// Bytes, in order.
    Data(Bytes),
    /// The body ended as it should. Without it, the connection broke.
    End,
}

/// One upload and all it may use.
pub(crate) struct Upload {
    pub(crate) id: SessionId,
    pub(crate) key: Arc<SessionKey>,
    /// Chunks counted before this upload began.
    pub(crate) first: u64,
    pub(crate) cut: Cut,
    pub(crate) memory: Arc<ChunkMemory>,
    pub(crate) repository: Arc<Repository>,
    pub(crate) pool: Pool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) storage: watch::Receiver<Storage>,
}

type Sealing = JoinHandle<Result<NewChunk, UploadError>>;

impl Upload {
    /// Runs until the body ends, breaks or `cancel` comes; what has arrived by then is made durable in each case.
    /// Gives whether the body ended as it should.
    pub(crate) async fn drive(
        self,
        body: mpsc::Receiver<Piece>,
        cancel: CancellationToken,
    ) -> Result<bool, UploadError> {
        // One more is in the hands of who counts. More would not be under way at once.
        let (sealing, sealed) = mpsc::channel(under_way_max(self.pool.width()) - 1);
        let upload = Arc::new(self);
        // The halves are joined, not raced: when one fails its end of the queue closes, and the other ends, too.
        let (cut, counted) = tokio::join!(upload.cut(body, cancel, sealing), upload.count(sealed));
        upload.memory.release();
        counted?;
        cut
    }

    /// The chunker's half.
    async fn cut(
        self: &Arc<Self>,
        mut body: mpsc::Receiver<Piece>,
        cancel: CancellationToken,
        sealing: mpsc::Sender<Sealing>,
    ) -> Result<bool, UploadError> {
        let mut chunker = Chunker::new(self.cut, self.memory.clone());
        let mut index = self.first;
        let complete = loop {
            let deadline = chunker.deadline().unwrap_or_else(|| Instant::now() + self.cut.age);
            // The upload also ends when session-storage lets go of the store that it holds.
            let piece = self.repository.closing().run_until_cancelled(timeout_at(deadline, body.recv()));
            match cancel.run_until_cancelled(piece).await.flatten() {
                Some(Ok(Some(Piece::Data(mut bytes)))) => {
                    while !bytes.is_empty() {
                        if let Some(plain) = chunker.fill(&mut bytes) {
                            self.pass_on(&mut index, plain, &sealing).await?;
                        }
                    }
                }
                Some(Ok(Some(Piece::End))) => break true,
                Some(Err(_elapsed)) => {
                    self.memory.release();
                    if let Some(plain) = chunker.close() {
                        self.pass_on(&mut index, plain, &sealing).await?;
                    }
                }
                Some(Ok(None)) | None => break false,
            }
        };
        if let Some(plain) = chunker.close() {
            self.pass_on(&mut index, plain, &sealing).await?;
        }
        Ok(complete)
    }

    /// Starts the sealing of one chunk. Waits while as many are under way as may be: this is the back-pressure.
    async fn pass_on(
        self: &Arc<Self>,
        index: &mut u64,
        plain: Vec<u8>,
        sealing: &mpsc::Sender<Sealing>,
    ) -> Result<(), UploadError> {
        self.require_space()?;
        if *index >= CHUNKS_MAX {
            return Err(UploadError::TooLong);
        }
        let room = sealing.reserve().await.map_err(|_| UploadError::Interrupted)?;
        let turn = self.memory.turn().await;
        room.send(tokio::spawn(self.clone().seal(*index, plain, turn)));
        *index += 1;
        Ok(())
    }

    /// The encryptor and the Merkle builder's leaf, on a computing thread; then the file.
    async fn seal(
        self: Arc<Self>,
        index: u64,
        plain: Vec<u8>,
        _turn: OwnedSemaphorePermit,
    ) -> Result<NewChunk, UploadError> {
        let bytes = plain.len() as u64;
        // Not `self`: begun work outlives an upload that is dropped, and must not keep the store open.
        let (memory, key, id) = (self.memory.clone(), self.key.clone(), self.id);
        let work = move || compute(&memory, &key, id, index, plain);
        let (leaf, sealed) = self.pool.run(Class::Recording, work).await??;
        let stored_bytes = sealed.len() as u64;
        let sealed = self.repository.put_chunk(self.id, index, sealed).await?;
        self.memory.sealed_done(sealed);
        Ok(NewChunk { index, bytes, stored_bytes, leaf })
    }

    /// Counts sealed chunks in their order. On a failure the rest of the queue is waited for, so that no chunk file of
    /// this upload is written after it has ended.
    async fn count(&self, mut sealed: mpsc::Receiver<Sealing>) -> Result<(), UploadError> {
        let mut result = Ok(());
        while let Some(sealing) = sealed.recv().await {
            let chunk = sealing.await.map_err(|_| UploadError::Interrupted).flatten();
            if result.is_ok() {
                result = match chunk {
                    Ok(chunk) => self.count_one(chunk).await,
                    Err(error) => Err(error),
                };
                if result.is_err() {
                    sealed.close();
                }
            }
        }
        result
    }

    async fn count_one(&self, chunk: NewChunk) -> Result<(), UploadError> {
        metrics::counter!("lucid_recording_bytes_total").increment(chunk.bytes);
        metrics::counter!("lucid_recording_stored_bytes_total").increment(chunk.stored_bytes);
        self.repository.count_chunk(self.id, chunk, stamp(&*self.clock)).await?;
        Ok(())
    }

    /// Recording stops while there is still room for the rows and the chain: a full disk is reached by nobody.
    fn require_space(&self) -> Result<(), UploadError> {
        match &*self.storage.borrow() {
            Storage::Ready { low: false, .. } => Ok(()),
            Storage::Ready { .. } => Err(UploadError::DiskFull),
            Storage::Waiting { reason } => Err(UploadError::StorageGone(reason.clone())),
        }
    }
}

/// Seals one chunk and hashes it as a leaf.
fn compute(
    memory: &ChunkMemory,
    key: &SessionKey,
    id: SessionId,
    index: u64,
    plain: Vec<u8>,
) -> Result<(Hash, BlobBuffer), ChunkError> {
    let (mut sealer, mut sealed) = (memory.sealer()?, memory.sealed());
    sealer.seal(key, id, index, &plain, &mut sealed)?;
    memory.sealer_done(sealer);
    memory.plain_done(plain);
    let mut leaf = LeafHasher::new();
    leaf.update(&sealed);
    Ok((leaf.finish(), sealed))
}
