//! A chain of one validator in memory, whose evidence the real verifier accepts.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use ed25519_dalek::SigningKey;
use lucid_ports::{
    AnchorError, AnchorState, Anchoring, BlockSummary, Chain, ChainError, Evidence, Head, SessionId, Validation,
};
use lucid_proof::{
    block::{
        Anchor, Block, Certificate, Genesis, Header, Outcome, Receipt, SignedTransaction, Transaction, receipts_root,
        transactions_root, validators_hash,
    },
    checkpoint::Checkpoint,
    export::Proof,
    hash::{Hash, Sha256},
    merkle::{self, Frontier, Nodes},
    note::{Signer, VerifierKey},
    time::{TimeTrust, Timestamp},
};

use super::NOON_MS;

/// The chain's name, and that of its key.
const NAME: &str = "lucid-test";

/// Takes anchors, makes blocks when it is told to, and proves what is in them.
pub(crate) struct TestChain(Mutex<State>);

struct State {
    genesis: Genesis,
    headers: Vec<Header>,
    log: Tree,
    frontier: Frontier<Sha256>,
    pending: Vec<Anchor>,
    /// Blocks with the anchors in them.
    blocks: Vec<(Block, Vec<Receipt>)>,
    /// Every anchor that was ever submitted.
    submitted: Vec<Anchor>,
    down: bool,
}

/// Complete subtrees of the log.
#[derive(Default)]
struct Tree(BTreeMap<(u8, u64), Hash>);

impl Nodes for Tree {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[&(level, index)])
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

impl TestChain {
    pub(crate) fn new() -> Self {
        let time = Timestamp { unix_ms: NOON_MS, trust: TimeTrust::Synchronized };
        let genesis = Genesis::new(NAME, vec![key().verifying_key().to_bytes()], time).unwrap();
        let (log, frontier) = (Tree::default(), Frontier::new());
        let (headers, pending, blocks, submitted) = Default::default();
        Self(Mutex::new(State { genesis, headers, log, frontier, pending, blocks, submitted, down: false }))
    }

    /// The appliance's key: it signs manifests, anchors, blocks and checkpoints.
    pub(crate) fn signer(&self) -> Signer {
        Signer::new(NAME, key()).unwrap()
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// All anchors submitted so far, also those submitted again.
    pub(crate) fn submitted(&self) -> Vec<Anchor> {
        self.state().submitted.clone()
    }

    /// Makes a block of the anchors that wait.
    pub(crate) fn produce(&self) {
        self.state().produce();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<MutexGuard<'_, State>, ChainError> {
        let state = self.state();
        if state.down { Err(ChainError::Unavailable) } else { Ok(state) }
    }
}

impl State {
    fn produce(&mut self) {
        let chain_id = self.genesis.hash();
        let sign = |anchor| SignedTransaction::sign(Transaction::Anchor(anchor), &chain_id, &key());
        let transactions: Vec<_> = self.pending.drain(..).map(sign).collect();
        let receipt = |tx: &SignedTransaction| Receipt { transaction: tx.id(), outcome: Outcome::Anchored };
        let receipts: Vec<_> = transactions.iter().map(receipt).collect();
        let height = self.headers.len() as u64;
        let header = Header {
            chain_id,
            height,
            parent: self.headers.last().map(Header::hash).unwrap_or_default(),
            time: Timestamp { unix_ms: NOON_MS + height * 10_000, trust: TimeTrust::Synchronized },
            tx_root: transactions_root(&transactions),
            receipts_root: receipts_root(&receipts),
            state_root: [3; 32],
            validators: validators_hash(self.genesis.validators()),
            proposer: key().verifying_key().to_bytes(),
        };
        for (level, index, hash) in merkle::new_nodes(&self.frontier, header.log_leaf()) {
            self.log.0.insert((level, index), hash);
        }
        self.frontier.push(header.log_leaf());
        self.headers.push(header.clone());
        let certificate = Certificate::from_signatures(vec![Certificate::sign(&header.hash(), &key())]);
        self.blocks.push((Block { header, certificate, transactions }, receipts));
    }

    /// The block of a session's anchor, and its index there.
    fn place(&self, session: SessionId) -> Option<(&(Block, Vec<Receipt>), usize)> {
        self.blocks.iter().find_map(|block| {
            let is_it = |tx: &SignedTransaction| {
                let Transaction::Anchor(anchor) = &tx.tx;
                anchor.session == session.bytes()
            };
            Some((block, block.0.transactions.iter().position(is_it)?))
        })
    }

    fn checkpoint(&self) -> String {
        let size = self.headers.len() as u64;
        let root = merkle::root_from::<Sha256, _>(&self.log, size).unwrap();
        let checkpoint = Checkpoint { origin: NAME.to_owned(), size, root, extensions: Vec::new() };
        checkpoint.sign(&[&Signer::new(NAME, key()).unwrap()]).unwrap()
    }
}

#[async_trait]
impl Anchoring for TestChain {
    async fn submit(&self, anchor: Anchor) -> Result<AnchorState, AnchorError> {
        let mut state = self.up().map_err(|_| AnchorError::Unavailable)?;
        state.submitted.push(anchor.clone());
        let id = SessionId::from_bytes(anchor.session);
        let known = state.submitted.iter().find(|former| former.session == anchor.session);
        if known != Some(&anchor) {
            return Err(AnchorError::Conflict(id));
        }
        if let Some(((block, _), _)) = state.place(id) {
            return Ok(AnchorState::Anchored { height: block.header.height });
        }
        if !state.pending.contains(&anchor) {
            state.pending.push(anchor);
        }
        Ok(AnchorState::Pending)
    }

    async fn state(&self, session: SessionId) -> Result<AnchorState, AnchorError> {
        let state = self.up().map_err(|_| AnchorError::Unavailable)?;
        if let Some(((block, _), _)) = state.place(session) {
            return Ok(AnchorState::Anchored { height: block.header.height });
        }
        let pending = state.pending.iter().any(|anchor| anchor.session == session.bytes());
        Ok(if pending { AnchorState::Pending } else { AnchorState::Unknown })
    }
}

/// Only what exports and verification ask for answers.
#[async_trait]
impl Chain for TestChain {
    fn head(&self) -> Option<Head> {
        None
    }

    async fn genesis(&self) -> Result<Genesis, ChainError> {
        Ok(self.up()?.genesis.clone())
    }

    async fn key(&self) -> Result<VerifierKey, ChainError> {
        let _up = self.up()?;
        Ok(self.signer().verifier().clone())
    }

    async fn block(&self, height: u64) -> Result<Option<Block>, ChainError> {
        Ok(self.up()?.blocks.get(height as usize).map(|(block, _)| block.clone()))
    }

    async fn latest(&self, _before: Option<u64>, _limit: usize) -> Result<Vec<BlockSummary>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn anchor(&self, session: SessionId) -> Result<Option<(u64, u32)>, ChainError> {
        let state = self.up()?;
        Ok(state.place(session).map(|((block, _), index)| (block.header.height, index as u32)))
    }

    async fn evidence(&self, session: SessionId, also: &[String]) -> Result<Option<Evidence>, ChainError> {
        if let Some(note) = also.iter().find(|note| !note.starts_with(NAME)) {
            return Err(ChainError::OutOfRange(format!("a further checkpoint was not signed by this chain: {note}")));
        }
        let state = self.up()?;
        let Some(((block, receipts), index)) = state.place(session) else { return Ok(None) };
        let size = state.headers.len() as u64;
        let proof = Proof::assemble(&state.genesis, block, receipts, index, &state.log, size).unwrap();
        Ok(Some(Evidence { proof, checkpoint: state.checkpoint() }))
    }

    async fn checkpoint(&self) -> Result<String, ChainError> {
        Ok(self.up()?.checkpoint())
    }

    async fn consistency(&self, _old: u64, _new: u64) -> Result<Vec<Hash>, ChainError> {
        Err(ChainError::Unavailable)
    }

    fn validation(&self) -> Validation {
        Validation::default()
    }

    async fn validate(&self) -> Result<(), ChainError> {
        Err(ChainError::Unavailable)
    }
}
