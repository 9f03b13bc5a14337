//! Exports: everything that proves a recording to somebody outside, as docs/formats.md specifies it.

use std::{
    io::{self, Cursor, Read, Write},
    sync::Arc,
};

use bytes::Bytes;
use lucid_ports::{Chain, ChainError, RecordingState, SessionId};
use lucid_proof::{
    export::{CHECKPOINT, Files, LEAVES, MANIFEST, PROOF, ProofError, chunk_index, chunk_name, leaf_line},
    verify::{Report, Trust, verify},
};
use tokio::sync::mpsc;

use crate::repository::{Repository, RepositoryError};

/// Parts of the archive that may wait for the connection.
const PARTS_MAX: usize = 4;
/// Bytes of one such part.
const PART_BYTES: usize = 256 * 1024;

/// An export can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The recording is not in a block yet.
    #[error("recording {0} is not anchored yet: wait for the next block")]
    NotAnchored(SessionId),
    /// The chain gave no answer.
    #[error("the chain gave no proof")]
    Chain(#[from] ChainError),
    /// The proof can't be written.
    #[error("writing the proof failed")]
    Proof(#[from] ProofError),
    /// The repository failed.
    #[error("the recordings' store failed")]
    Repository(#[from] RepositoryError),
}

/// One recording with its proof, ready to be archived or verified.
pub struct Export {
    id: SessionId,
    ended_s: u64,
    chunks: u64,
    manifest: String,
    leaves: String,
    proof: String,
    checkpoint: String,
    repository: Arc<Repository>,
}

impl Export {
    /// Gathers the proof of an anchored recording, for the present checkpoint and for those in `also`.
    ///
    /// # Errors
    /// [`ExportError::NotAnchored`] before the recording is in a block.
    pub async fn gather(
        repository: Arc<Repository>,
        chain: &dyn Chain,
        id: SessionId,
        also: &[String],
    ) -> Result<Self, ExportError> {
        let row = repository.row(id)?;
        let (RecordingState::Anchored, Some(manifest)) = (row.state, row.manifest) else {
            return Err(ExportError::NotAnchored(id));
        };
        let evidence = chain.evidence(id, also).await?.ok_or(ExportError::NotAnchored(id))?;
        let mut leaves = String::new();
        repository.leaves(id, |leaf| leaves.push_str(&leaf_line(leaf)))?;
        let (proof, checkpoint) = (evidence.proof.encode()?, evidence.checkpoint);
        let ended_s = row.ended_ms.unwrap_or(row.last_ms) / 1000;
        Ok(Self { id, ended_s, chunks: row.chunks, manifest, leaves, proof, checkpoint, repository })
    }

    /// Verifies the recording as it lies on the disk. Blocking; reads every chunk.
    pub fn verify(&self, trust: &Trust) -> Report {
        verify(self, trust, &mut |_| {})
    }

    /// The recording as a tar archive (POSIX ustar), in parts. Ends early where a chunk can't be read: the reader sees a
    /// cut archive, never a whole-looking one.
    pub fn archive(self) -> mpsc::Receiver<io::Result<Bytes>> {
        let (parts, archive) = mpsc::channel(PARTS_MAX);
        tokio::task::spawn_blocking(move || {
            let writer = Parts { parts: parts.clone(), open: Vec::with_capacity(PART_BYTES) };
            if let Err(error) = self.write(writer) {
                tracing::warn!(session = %self.id, %error, "an export ended early");
                // A reader that has gone is told nothing.
                let _ = parts.blocking_send(Err(error));
            }
        });
        archive
    }

    fn write(&self, writer: Parts) -> io::Result<()> {
        let mut archive = tar::Builder::new(writer);
        for (name, text) in self.texts() {
            self.entry(&mut archive, name, text.len() as u64, text.as_bytes())?;
        }
        for index in 0..self.chunks {
            let chunk = self.chunk(index)?;
            self.entry(&mut archive, &chunk_name(index), chunk.metadata()?.len(), chunk)?;
        }
        archive.into_inner()?.flush()
    }

    fn entry(&self, archive: &mut tar::Builder<Parts>, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes);
        header.set_mode(0o644);
        header.set_mtime(self.ended_s);
        archive.append_data(&mut header, name, content)
    }

    fn texts(&self) -> [(&'static str, &str); 4] {
        [(MANIFEST, &self.manifest), (LEAVES, &self.leaves), (PROOF, &self.proof), (CHECKPOINT, &self.checkpoint)]
    }

    fn chunk(&self, index: u64) -> io::Result<std::fs::File> {
        let found = self.repository.blobs().reader(&self.id.to_string(), index).map_err(io::Error::other)?;
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("chunk {index} is missing on the disk")))
    }
}

impl Files for Export {
    fn list(&self) -> io::Result<Vec<String>> {
        let texts = self.texts().into_iter().map(|(name, _)| name.to_owned());
        Ok(texts.chain((0..self.chunks).map(chunk_name)).collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        if let Some(index) = chunk_index(name) {
            return Ok(Box::new(self.chunk(index)?));
        }
        let text = self.texts().into_iter().find(|(text, _)| *text == name);
        let (_, text) = text.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name.to_owned()))?;
        Ok(Box::new(Cursor::new(text.to_owned())))
    }
}

/// Hands what is written to a channel, in parts of one size. Waits while the channel is full.
struct Parts {
    parts: mpsc::Sender<io::Result<Bytes>>,
    open: Vec<u8>,
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.open.len());
        self.open.extend_from_slice(&bytes[..taken]);
        if self.open.len() == PART_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let part = std::mem::replace(&mut self.open, Vec::with_capacity(PART_BYTES));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone");
        self.parts.blocking_send(Ok(part.into())).map_err(gone)
    }
}
