//! Exports: everything that proves a recording to somebody outside, as docs/formats.md specifies it.

use std::{
    io::{self, Cursor, Read, Write},
    sync::Arc,
};

use lucid_ports::{Chain, ChainError, RecordingState, SessionId};
use lucid_proof::{
    export::{CHECKPOINT, Files, LEAVES, MANIFEST, PROOF, ProofError, chunk_index, chunk_name, leaf_line},
    verify::{Report, Trust, verify},
};

use lucid_store::Blobs;

use crate::{repository::Repository, repository_error::RepositoryError};

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
    blobs: Blobs,
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
        // Not the repository: a slow reader must not keep its store from being opened again.
        let blobs = repository.blobs().clone();
        Ok(Self { id, ended_s, chunks: row.chunks, manifest, leaves, proof, checkpoint, blobs })
    }

    /// Verifies the recording as it lies on the disk. Blocking; reads every chunk.
    pub fn verify(&self, trust: &Trust) -> Report {
        verify(self, trust, &mut |_| {})
    }

    /// Writes the recording as a tar archive (POSIX ustar). Blocking.
    ///
    /// # Errors
    /// When a chunk can't be read or `writer` refuses; what was written is then not whole.
    pub fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(writer);
        for (name, text) in self.texts() {
            self.entry(&mut archive, name, text.len() as u64, text.as_bytes())?;
        }
        for index in 0..self.chunks {
            let chunk = self.chunk(index)?;
            self.entry(&mut archive, &chunk_name(index), chunk.metadata()?.len(), chunk)?;
        }
        archive.finish()
    }

    fn entry(
        &self,
        archive: &mut tar::Builder<&mut dyn Write>,
        name: &str,
        bytes: u64,
        content: impl Read,
    ) -> io::Result<()> {
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
        let found = self.blobs.reader(&self.id.to_string(), index).map_err(io::Error::other)?;
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
