//! What proves an anchor, or a header, to somebody outside.
//!
//! Each answer comes from one state of the store, so that paths and checkpoint always belong together. Costs O(log n)
//! look-ups and one block. Must never prove against a checkpoint that this chain did not sign.

use lucid_ports::Evidence;
use lucid_proof::{
    block::Block,
    checkpoint::{Checkpoint, CheckpointError},
    export::{Also, AssembleError, Proof},
    hash::{Hash, Sha256},
    merkle::{consistency_from, inclusion_from, root_from},
};
use lucid_store::{ReadTx, Reader};

use crate::{
    ChainStore, ReadError,
    chain_store::{LogNodes, block, checkpoint, head_row, proof_error},
    rows::{ANCHORS, RECEIPTS},
};

/// Most further checkpoints of one proof, as `proof.json` takes them.
const ALSO_MAX: usize = 100;

/// Proof that a header stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// Size of the log: height of the head plus one.
    pub size: u64,
    /// Inclusion path (RFC 9162, SHA-256) of the header.
    pub path: Vec<Hash>,
    /// The signed checkpoint (C2SP tlog-checkpoint) of that size.
    pub checkpoint: String,
}

impl ChainStore {
    /// Proof that the header at `height` is in the log, against the present head.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] above the head.
    pub fn log_proof(&self, height: u64) -> Result<LogProof, ReadError> {
        self.store().read(|tx| {
            let size = head_row(tx)?.log.size();
            let path = inclusion_from::<Sha256, _>(&LogNodes(tx), height, size).map_err(proof_error)?;
            Ok(LogProof { size, path, checkpoint: checkpoint(tx)? })
        })
    }

    /// Proof that the log of `new` headers extends the log of `old` headers.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] if they are in the wrong order or `new` is beyond the head.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ReadError> {
        self.store().read(|tx| {
            let size = head_row(tx)?.log.size();
            if new > size {
                return Err(ReadError::OutOfRange(format!("the log has {size} headers, not {new}")));
            }
            consistency_from::<Sha256, _>(&LogNodes(tx), old, new).map_err(proof_error)
        })
    }

    /// What proves the anchor of `session`, against the present head; nothing while it is in no block. `also` are
    /// checkpoints of this chain for which the proof is to hold, too; those older than the block are left out.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] for too many or foreign checkpoints.
    pub fn evidence(&self, session: &[u8; 16], also: &[String]) -> Result<Option<Evidence>, ReadError> {
        if also.len() > ALSO_MAX {
            let problem = format!("{} further checkpoints were given, a proof takes {ALSO_MAX}", also.len());
            return Err(ReadError::OutOfRange(problem));
        }
        self.store().read(|tx| {
            let Some(place) = tx.get(&ANCHORS, session)? else { return Ok(None) };
            let height = place.height;
            let block = block(tx, height)?.ok_or(ReadError::Hole { what: "header", height })?;
            let mut proof = self.assemble(tx, &block, place.index)?;
            for note in also {
                proof.also.extend(self.also(tx, height, note)?);
            }
            Ok(Some(Evidence { proof, checkpoint: checkpoint(tx)? }))
        })
    }

    fn assemble(&self, tx: &ReadTx<'_>, block: &Block, index: u32) -> Result<Proof, ReadError> {
        let height = block.header.height;
        let receipts = tx.range(&RECEIPTS, (height, 0)..=(height, u32::MAX), usize::MAX)?;
        let receipts: Vec<_> = receipts.into_iter().map(|(_, receipt)| receipt).collect();
        let size = head_row(tx)?.log.size();
        let proof = Proof::assemble(self.genesis(), block, &receipts, index as usize, &LogNodes(tx), size);
        proof.map_err(|error| match error {
            AssembleError::Log { source, .. } => proof_error(source),
            // Blocks come from the store whole, so a part that does not fit was damaged there.
            AssembleError::Transaction { .. } | AssembleError::Path { .. } => {
                ReadError::Hole { what: "complete list of receipts", height }
            }
        })
    }

    /// The path to one further checkpoint, or nothing if it is older than the block.
    fn also(&self, tx: &ReadTx<'_>, height: u64, note: &str) -> Result<Option<Also>, ReadError> {
        let foreign = |error: CheckpointError| {
            ReadError::OutOfRange(format!("a further checkpoint was not signed by this chain: {error}"))
        };
        let (trusted, _) = Checkpoint::open(note, std::slice::from_ref(self.key())).map_err(foreign)?;
        let size = head_row(tx)?.log.size();
        let nodes = LogNodes(tx);
        if trusted.size > size || root_from::<Sha256, _>(&nodes, trusted.size).map_err(proof_error)? != trusted.root {
            let problem =
                format!("this chain of {size} blocks does not extend the further checkpoint of {}", trusted.size);
            return Err(ReadError::OutOfRange(problem));
        }
        if trusted.size <= height {
            return Ok(None);
        }
        let path = inclusion_from::<Sha256, _>(&nodes, height, trusted.size).map_err(proof_error)?;
        Ok(Some(Also { checkpoint: note.to_owned(), path }))
    }
}

#[cfg(test)]
mod tests;
