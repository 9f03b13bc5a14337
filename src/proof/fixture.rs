//! A chain, a recording and an export for tests, made from seeds: the same on every run.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Read};
use std::path::Path;

use ed25519_dalek::SigningKey;

use crate::block::{
    Anchor, Block, Certificate, Genesis, Header, Outcome, Receipt, SignedTransaction, Transaction, receipts_root,
    transactions_root, validators_hash,
};
use crate::checkpoint::Checkpoint;
use crate::export::{Also, CHECKPOINT, Files, LEAVES, MANIFEST, PROOF, Proof, chunk_name, leaf_line};
use crate::hash::{Blake3, Hash, Sha256, TreeHash, sha256};
use crate::manifest::Manifest;
use crate::merkle::{self, Frontier, Nodes};
use crate::note::{self, Signer, VerifierKey};
use crate::time::{TimeTrust, Timestamp};

/// The chain's name in tests.
pub(crate) const CHAIN: &str = "lucid-test";
/// 2026-01-31T12:00:00Z.
pub(crate) const NOON_MS: u64 = 1_769_860_800_000;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

pub(crate) fn signer(name: &str, seed: u8) -> Signer {
    Signer::new(name, key(seed)).unwrap()
}

pub(crate) fn at(unix_ms: u64) -> Timestamp {
    Timestamp { unix_ms, trust: TimeTrust::Synchronized }
}

/// Stored complete subtrees.
#[derive(Clone, Default)]
pub(crate) struct Tree(pub(crate) BTreeMap<(u8, u64), Hash>);

impl Nodes for Tree {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[&(level, index)])
    }
}

/// A chain with all that it needs to prove things.
#[derive(Clone)]
pub(crate) struct Chain {
    /// Seeds of the validators' keys; the first proposes.
    seeds: Vec<u8>,
    pub(crate) genesis: Genesis,
    pub(crate) headers: Vec<Header>,
    pub(crate) log: Tree,
    frontier: Frontier<Sha256>,
}

impl Chain {
    pub(crate) fn new(name: &str, seeds: &[u8]) -> Self {
        let validators = seeds.iter().map(|seed| public(*seed)).collect();
        let genesis = Genesis::new(name, validators, at(NOON_MS)).unwrap();
        let (log, frontier) = (Tree::default(), Frontier::new());
        Self { seeds: seeds.to_vec(), genesis, headers: Vec::new(), log, frontier }
    }

    pub(crate) fn append(&mut self, transactions: Vec<SignedTransaction>, receipts: &[Receipt]) -> Block {
        self.append_bent(transactions, receipts, |_| {})
    }

    /// Appends a block whose header was changed before it was certified.
    fn append_bent(
        &mut self,
        transactions: Vec<SignedTransaction>,
        receipts: &[Receipt],
        bend: fn(&mut Header),
    ) -> Block {
        let height = self.headers.len() as u64;
        let mut header = Header {
            chain_id: self.genesis.hash(),
            height,
            parent: self.headers.last().map(Header::hash).unwrap_or_default(),
            time: at(NOON_MS + height * 10_000),
            tx_root: transactions_root(&transactions),
            receipts_root: receipts_root(receipts),
            state_root: sha256(&[b"state", &height.to_be_bytes()]),
            validators: validators_hash(self.genesis.validators()),
            proposer: public(self.seeds[0]),
        };
        bend(&mut header);
        for (level, index, hash) in merkle::new_nodes(&self.frontier, header.log_leaf()) {
            self.log.0.insert((level, index), hash);
        }
        self.frontier.push(header.log_leaf());
        let signatures = self.seeds.iter().map(|seed| Certificate::sign(&header.hash(), &key(*seed))).collect();
        self.headers.push(header.clone());
        Block { header, certificate: Certificate::from_signatures(signatures), transactions }
    }

    /// Appends empty blocks until the chain has this many.
    pub(crate) fn grow_to(&mut self, blocks: usize) {
        while self.headers.len() < blocks {
            self.append(Vec::new(), &[]);
        }
    }

    pub(crate) fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = merkle::root_from::<Sha256, _>(&self.log, size).unwrap();
        Checkpoint { origin: self.genesis.chain().to_owned(), size, root, extensions: Vec::new() }
    }

    pub(crate) fn sign_checkpoint(&self, size: u64) -> String {
        let signers: Vec<_> = self.seeds.iter().map(|seed| signer(self.genesis.chain(), *seed)).collect();
        self.checkpoint(size).sign(&signers.iter().collect::<Vec<_>>()).unwrap()
    }

    pub(crate) fn verifier(&self) -> VerifierKey {
        signer(self.genesis.chain(), self.seeds[0]).verifier().clone()
    }

    pub(crate) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        merkle::consistency_from::<Sha256, _>(&self.log, old, new).unwrap()
    }
}

/// What an export is made of; every field may be bent before [`Recipe::export`].
pub(crate) struct Recipe {
    pub(crate) chain: Chain,
    /// The seed of the recorder's key.
    pub(crate) sender: u8,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) outcome: Outcome,
    /// How many blocks the chain has before and in all.
    pub(crate) height: usize,
    pub(crate) log_size: u64,
    /// Sizes of further checkpoints.
    pub(crate) also: Vec<u64>,
    /// How many other transactions the block has before and after the anchor.
    pub(crate) others: (u8, u8),
    /// Changes the signed anchor before its block is made, as a validator that breaks the rules could.
    pub(crate) bend_transaction: fn(&mut SignedTransaction),
    /// Changes the header before it is certified.
    pub(crate) bend_header: fn(&mut Header),
}

impl Recipe {
    /// One validator with this seed, five blocks, three chunks, three transactions.
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            chain: Chain::new(CHAIN, &[seed]),
            sender: seed,
            chunks: vec![vec![1; 100], b"a chunk".to_vec(), Vec::new()],
            outcome: Outcome::Anchored,
            height: 2,
            log_size: 5,
            also: vec![3],
            others: (1, 1),
            bend_transaction: |_| {},
            bend_header: |_| {},
        }
    }

    pub(crate) fn manifest(&self) -> Manifest {
        let leaves: Vec<_> = self.chunks.iter().map(|chunk| Blake3::leaf(chunk)).collect();
        Manifest {
            id: *b"\x01\x90\xa1\xb2\xc3\xd4\x7e\xf5\x80a recipe"[..16].first_chunk().unwrap(),
            started_ms: NOON_MS,
            ended_ms: NOON_MS + 12_345,
            time_trust: TimeTrust::Held,
            bytes: 4 * self.chunks.len() as u64,
            chunks: self.chunks.len() as u64,
            root: merkle::root::<Blake3>(&leaves),
        }
    }

    /// The anchor that belongs to a signed manifest.
    pub(crate) fn anchor(manifest: &Manifest, note: &str) -> Anchor {
        Anchor {
            session: manifest.id,
            root: manifest.root,
            manifest: sha256(&[note.as_bytes()]),
            chunks: manifest.chunks,
            bytes: manifest.bytes,
            started_ms: manifest.started_ms,
            ended_ms: manifest.ended_ms,
        }
    }

    pub(crate) fn export(self) -> Export {
        let note = self.manifest().sign(&signer("recorder", self.sender)).unwrap();
        let anchor = Self::anchor(&self.manifest(), &note);
        self.export_with(note, anchor)
    }

    /// An export whose manifest and anchor may contradict each other.
    pub(crate) fn export_with(mut self, note: String, anchor: Anchor) -> Export {
        let chain_id = self.chain.genesis.hash();
        let sign = |anchor| SignedTransaction::sign(Transaction::Anchor(anchor), &chain_id, &key(self.sender));
        let other = |seed: u8| sign(Anchor { session: [seed; 16], ..anchor.clone() });
        let mut transactions: Vec<_> = (0..self.others.0).map(other).collect();
        transactions.push(sign(anchor.clone()));
        (self.bend_transaction)(&mut transactions[usize::from(self.others.0)]);
        transactions.extend((0..self.others.1).map(|seed| other(seed + 100)));
        let receipt = |tx: &SignedTransaction| Receipt { transaction: tx.id(), outcome: self.outcome };
        let receipts: Vec<_> = transactions.iter().map(receipt).collect();

        self.chain.grow_to(self.height);
        let block = self.chain.append_bent(transactions, &receipts, self.bend_header);
        self.chain.grow_to(self.log_size.max(self.also.iter().copied().max().unwrap_or(0)) as usize);
        let (index, log) = (usize::from(self.others.0), &self.chain.log);
        let mut proof = Proof::assemble(&self.chain.genesis, &block, &receipts, index, log, self.log_size).unwrap();
        proof.also = self.also.iter().map(|size| self.also(block.header.height, *size)).collect();
        self.into_files(note, &proof)
    }

    fn also(&self, height: u64, size: u64) -> Also {
        let path = merkle::inclusion_from::<Sha256, _>(&self.chain.log, height, size).unwrap();
        Also { checkpoint: self.chain.sign_checkpoint(size), path }
    }

    fn into_files(self, note: String, proof: &Proof) -> Export {
        let leaves: String = self.chunks.iter().map(|chunk| leaf_line(&Blake3::leaf(chunk))).collect();
        let mut files = BTreeMap::from([
            (MANIFEST.to_owned(), note.into_bytes()),
            (LEAVES.to_owned(), leaves.into_bytes()),
            (PROOF.to_owned(), proof.encode().unwrap().into_bytes()),
            (CHECKPOINT.to_owned(), self.chain.sign_checkpoint(self.log_size).into_bytes()),
        ]);
        files.extend(self.chunks.into_iter().zip(0..).map(|(chunk, index)| (chunk_name(index), chunk)));
        Export { files, chain: self.chain, unreadable: None }
    }
}

/// An export in memory.
#[derive(Clone)]
pub(crate) struct Export {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) chain: Chain,
    /// A file that can't be read.
    pub(crate) unreadable: Option<String>,
}

impl Export {
    pub(crate) fn file(&mut self, name: &str) -> &mut Vec<u8> {
        self.files.get_mut(name).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.files[name].clone()).unwrap()
    }

    pub(crate) fn proof(&self) -> Proof {
        Proof::parse(&self.text(PROOF)).unwrap()
    }

    pub(crate) fn set_proof(&mut self, proof: &Proof) {
        *self.file(PROOF) = proof.encode().unwrap().into_bytes();
    }

    pub(crate) fn write_to(&self, directory: &Path) {
        std::fs::create_dir_all(directory.join("chunks")).unwrap();
        for (name, bytes) in &self.files {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
    }
}

impl Files for Export {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.keys().rev().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        if self.unreadable.as_deref() == Some(name) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(Box::new(io::Cursor::new(self.files[name].clone())))
    }
}

/// Re-signs a note's text with another key, keeping everything else.
pub(crate) fn resign(note: &str, name: &str, seed: u8) -> String {
    note::sign(note::Unverified::parse(note).unwrap().text, &[&signer(name, seed)]).unwrap()
}
