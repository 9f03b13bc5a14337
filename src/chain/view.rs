//! How blocks and their parts look in JSON and in messages.
//!
//! Hashes and keys are lower-case hexadecimal, as in [`lucid_ports::Head`]. `raw_base64` is the block as `docs/formats.md`
//! lays it out, for those who check it themselves.

use data_encoding::{BASE64, HEXLOWER};
use lucid_ports::{InvalidSessionId, SessionId};
use lucid_proof::{
    DecodeError,
    block::{Anchor, Block, SignedTransaction, Transaction},
    hash::Hash,
    time::{Timestamp, UNIX_MS_MAX},
};
use serde::{Deserialize, Serialize};

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Bytes as base64 (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// A block.
#[derive(Debug, Serialize)]
pub(crate) struct BlockView {
    height: u64,
    hash: String,
    chain_id: String,
    parent: String,
    time: Timestamp,
    tx_root: String,
    receipts_root: String,
    state_root: String,
    validators: String,
    proposer: String,
    signatures: Vec<SignatureView>,
    transactions: Vec<TransactionView>,
    raw_base64: String,
}

#[derive(Debug, Serialize)]
struct SignatureView {
    key: String,
    signature: String,
}

#[derive(Debug, Serialize)]
struct TransactionView {
    id: String,
    sender: String,
    anchor: AnchorView,
}

/// An anchor, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnchorView {
    session: String,
    root: String,
    manifest: String,
    chunks: u64,
    bytes: u64,
    started_ms: u64,
    ended_ms: u64,
}

/// Why a given anchor is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnchorViewError {
    /// The session is no id.
    #[error("`session`: {0}")]
    Session(InvalidSessionId),
    /// A hash is none.
    #[error("`{0}` must be 64 lower-case hexadecimal digits")]
    Hash(&'static str),
    /// A time can't be written down.
    #[error("`{0}` is after the year 9999")]
    Time(&'static str),
    /// The recording ends before it begins.
    #[error("`ended_ms` is before `started_ms`")]
    Order,
}

impl BlockView {
    pub(crate) fn new(block: &Block) -> Result<Self, DecodeError> {
        let header = &block.header;
        let signatures = block.certificate.signatures.iter();
        let signature = |(key, signature): &([u8; 32], [u8; 64])| {
            let (key, signature) = (hex(key), hex(signature));
            SignatureView { key, signature }
        };
        Ok(Self {
            height: header.height,
            hash: hex(&header.hash()),
            chain_id: hex(&header.chain_id),
            parent: hex(&header.parent),
            time: header.time,
            tx_root: hex(&header.tx_root),
            receipts_root: hex(&header.receipts_root),
            state_root: hex(&header.state_root),
            validators: hex(&header.validators),
            proposer: hex(&header.proposer),
            signatures: signatures.map(signature).collect(),
            transactions: block.transactions.iter().map(TransactionView::new).collect(),
            raw_base64: base64(&block.encode()?),
        })
    }
}

impl TransactionView {
    fn new(transaction: &SignedTransaction) -> Self {
        let Transaction::Anchor(anchor) = &transaction.tx;
        let (id, sender) = (hex(&transaction.id()), hex(&transaction.sender));
        Self { id, sender, anchor: AnchorView::new(anchor) }
    }
}

impl AnchorView {
    pub(crate) fn new(anchor: &Anchor) -> Self {
        Self {
            session: SessionId::from_bytes(anchor.session).to_string(),
            root: hex(&anchor.root),
            manifest: hex(&anchor.manifest),
            chunks: anchor.chunks,
            bytes: anchor.bytes,
            started_ms: anchor.started_ms,
            ended_ms: anchor.ended_ms,
        }
    }

    /// The anchor that was meant.
    pub(crate) fn anchor(&self) -> Result<Anchor, AnchorViewError> {
        let session: SessionId = self.session.parse().map_err(AnchorViewError::Session)?;
        let (started_ms, ended_ms) = (time("started_ms", self.started_ms)?, time("ended_ms", self.ended_ms)?);
        if ended_ms < started_ms {
            return Err(AnchorViewError::Order);
        }
        Ok(Anchor {
            session: session.bytes(),
            root: hash("root", &self.root)?,
            manifest: hash("manifest", &self.manifest)?,
            chunks: self.chunks,
            bytes: self.bytes,
            started_ms,
            ended_ms,
        })
    }
}

fn hash(field: &'static str, text: &str) -> Result<Hash, AnchorViewError> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok();
    bytes.and_then(|bytes| Hash::try_from(bytes).ok()).ok_or(AnchorViewError::Hash(field))
}

fn time(field: &'static str, unix_ms: u64) -> Result<u64, AnchorViewError> {
    if unix_ms > UNIX_MS_MAX { Err(AnchorViewError::Time(field)) } else { Ok(unix_ms) }
}
