//! The rows of the chain's store: tables, keys and byte layouts.
//!
//! Numbers are big-endian. A block lies in parts: its header, certificate and count under its height, its transactions
//! and receipts under (height, index), so that lists of blocks never read transactions. Of the log of headers only inner
//! nodes are stored: its leaves follow from the headers. Layouts must never change without a new schema version.

use std::{marker::PhantomData, sync::Arc};

use lucid_proof::{
    DecodeError,
    block::{Certificate, HEADER_BYTES, Header, Receipt, SignedTransaction},
    hash::{Hash, Sha256},
    merkle::{Frontier, MerkleError},
};
use lucid_store::{Cause, Codec, Schema, Table};

use crate::state::State;

/// The store's schema.
pub static SCHEMA: Schema =
    Schema { name: "blockchain-engine", version: 1, migrations: &[], readable_by_previous: false };

/// Header, certificate and number of transactions of each block, by height.
pub(crate) const HEADERS: Table<u64, Raw<SealedHeader>> = Table::new("headers");
/// Transactions by height and index.
pub(crate) const TRANSACTIONS: Table<(u64, u32), Raw<SignedTransaction>> = Table::new("transactions");
/// Receipts by height and index.
pub(crate) const RECEIPTS: Table<(u64, u32), Raw<Receipt>> = Table::new("receipts");
/// Where each accepted anchor stands, by session.
pub(crate) const ANCHORS: Table<[u8; 16], Raw<Place>> = Table::new("anchors");
/// Inner nodes of the log of headers, by level (from 1) and index.
pub(crate) const LOG_NODES: Table<(u8, u64), Raw<Hash>> = Table::new("log_nodes");
/// Transactions that wait, in order of arrival. Raw bytes: a damaged row must not keep the others from being read.
pub(crate) const MEMPOOL: Table<u64, Vec<u8>> = Table::new("mempool");
/// The waiting transaction of each session that has one.
pub(crate) const MEMPOOL_SESSIONS: Table<[u8; 16], Raw<u64>> = Table::new("mempool_sessions");
/// The head, under the one key [`ONLY`].
pub(crate) const HEAD: Table<u8, Raw<HeadRow>> = Table::new("head");
/// The genesis, under the one key [`ONLY`].
pub(crate) const GENESIS: Table<u8, Vec<u8>> = Table::new("genesis");
/// The newest signed checkpoint, under the one key [`ONLY`].
pub(crate) const CHECKPOINT: Table<u8, Vec<u8>> = Table::new("checkpoint");
/// A row under [`ONLY`] while the engine runs, or until the chain was validated after an unclean stop.
pub(crate) const UNCLEAN: Table<u8, Vec<u8>> = Table::new("unclean");

/// The key of tables with one row.
pub(crate) const ONLY: u8 = 0;

/// A header as it is final, with the size of its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHeader {
    /// The header.
    pub header: Header,
    /// What makes it final.
    pub certificate: Certificate,
    /// Number of transactions of the block.
    pub transactions: u32,
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Height of the block.
    pub height: u64,
    /// Position in the block, from 0.
    pub index: u32,
}

/// The newest block and the edges of the growing trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadRow {
    /// Its height.
    pub(crate) height: u64,
    /// Hash of its header.
    pub(crate) hash: Hash,
    /// The log of headers, this one included.
    pub(crate) log: Frontier<Sha256>,
    /// The state after it.
    pub(crate) state: State,
}

/// Why bytes are not a row.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    /// Too short or too long.
    #[error("{what} has a wrong length of {bytes} bytes")]
    Length { what: &'static str, bytes: usize },
    /// A part is not in order.
    #[error("a part can't be read")]
    Part(#[from] DecodeError),
    /// Sizes and peaks don't fit.
    #[error("a tree's edge can't be read")]
    Edge(#[from] MerkleError),
}

/// A value with a byte layout of its own.
pub(crate) trait Layout: Sized {
    fn to_bytes(&self) -> Result<Vec<u8>, RowError>;
    fn from_bytes(bytes: &[u8]) -> Result<Self, RowError>;
}

/// Values in their own layout.
pub(crate) struct Raw<T>(PhantomData<fn() -> T>);

impl<T: Layout> Codec for Raw<T> {
    type Item = T;

    fn encode(item: &T) -> Result<Vec<u8>, Cause> {
        item.to_bytes().map_err(|error| Arc::new(error) as Cause)
    }

    fn decode(bytes: &[u8]) -> Result<T, Cause> {
        T::from_bytes(bytes).map_err(|error| Arc::new(error) as Cause)
    }
}

impl Layout for SealedHeader {
    fn to_bytes(&self) -> Result<Vec<u8>, RowError> {
        let mut bytes = self.header.encode();
        bytes.extend(self.transactions.to_be_bytes());
        bytes.extend(self.certificate.encode()?);
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RowError> {
        let short = || RowError::Length { what: "a sealed header", bytes: bytes.len() };
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(short)?;
        let (transactions, certificate) = rest.split_first_chunk().ok_or_else(short)?;
        Ok(Self {
            header: Header::decode(header)?,
            transactions: u32::from_be_bytes(*transactions),
            certificate: Certificate::decode(certificate)?,
        })
    }
}

impl Layout for SignedTransaction {
    fn to_bytes(&self) -> Result<Vec<u8>, RowError> {
        Ok(self.encode())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RowError> {
        Ok(Self::decode(bytes)?)
    }
}

impl Layout for Receipt {
    fn to_bytes(&self) -> Result<Vec<u8>, RowError> {
        Ok(self.encode())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RowError> {
        Ok(Self::decode(bytes)?)
    }
}

impl Layout for Place {
    fn to_bytes(&self) -> Result<Vec<u8>, RowError> {
        Ok([&self.height.to_be_bytes()[..], &self.index.to_be_bytes()].concat())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RowError> {
        let wrong = || RowError::Length { what: "a place", bytes: bytes.len() };
        let (height, index) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let index = <[u8; 4]>::try_from(index).map_err(|_| wrong())?;
        Ok(Self { height: u64::from_be_bytes(*height), index: u32::from_be_bytes(index) })
    }
}

impl Layout for Hash {
    fn to_bytes(&self) -> Result<Vec<u8>, RowError> {
        Ok(self.to_vec())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RowError> {
        Self::try_from(bytes).map_err(|_| RowError::Length { what: "a hash", bytes: bytes.len() })
    }
}

impl Layout for u64 {
    fn to_bytes(&self) -> Result<Vec<u8>, RowError> {
        Ok(self.to_be_bytes().to_vec())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RowError> {
        let number = bytes.try_into().map_err(|_| RowError::Length { what: "a number", bytes: bytes.len() })?;
        Ok(Self::from_be_bytes(number))
    }
}

/// Height, hash, number of anchors, then the peaks of the log and those of the anchors: their numbers follow from the
/// sizes.
impl Layout for HeadRow {
    fn to_bytes(&self) -> Result<Vec<u8>, RowError> {
        let mut bytes = self.height.to_be_bytes().to_vec();
        bytes.extend(self.hash);
        bytes.extend(self.state.anchors().to_be_bytes());
        bytes.extend(self.log.peaks().concat());
        bytes.extend(self.state.anchor_peaks().concat());
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RowError> {
        let wrong = || RowError::Length { what: "the head", bytes: bytes.len() };
        let (height, rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let (hash, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (anchors, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (peaks, []) = rest.as_chunks() else { return Err(wrong()) };
        let height = u64::from_be_bytes(*height);
        let size = height.checked_add(1).ok_or_else(wrong)?;
        let (log, anchor_peaks) = peaks.split_at_checked(size.count_ones() as usize).ok_or_else(wrong)?;
        Ok(Self {
            height,
            hash: *hash,
            log: Frontier::from_parts(size, log.to_vec())?,
            state: State::from_parts(u64::from_be_bytes(*anchors), anchor_peaks.to_vec())?,
        })
    }
}

#[cfg(test)]
mod tests;
