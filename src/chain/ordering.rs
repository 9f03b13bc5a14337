//! Who makes a block, and what makes it final.
//!
//! Today one appliance orders alone ([`SingleSigner`]): its signature is the whole quorum. Byzantine fault tolerant
//! consensus over four or more appliances will stand behind the same [`Ordering`]: `propose` then makes a proposal of the
//! round's leader, `certify` runs the rounds of votes and returns once more than two thirds have signed, and what is final
//! is checked by [`verify`] all the same, because a certificate already holds any number of signatures. The state machine
//! and the store don't notice.
//!
//! Must never judge transactions, and never certify two headers of one height: the caller commits a header before it asks
//! for the next one.

use ed25519_dalek::SigningKey;
use lucid_proof::{
    block::{Certificate, CertificateError, Genesis, Header, validators_hash},
    hash::Hash,
    time::Timestamp,
};

/// What a proposal is made of, before anybody stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The chain.
    pub chain_id: Hash,
    /// Number of blocks before this one.
    pub height: u64,
    /// Hash of the parent's header; zeros at height 0.
    pub parent: Hash,
    /// When it was made; after its parent's time.
    pub time: Timestamp,
    /// Root over its transactions.
    pub tx_root: Hash,
    /// Root over their receipts.
    pub receipts_root: Hash,
    /// The state after them.
    pub state_root: Hash,
}

/// No certificate came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderingError {
    /// The header is not one that this validator stands behind.
    #[error("block {height} was not proposed by this validator for its own set: not signed")]
    NotOurs {
        /// Its height.
        height: u64,
    },
}

/// Orders blocks and makes them final. Blocking; called by one thread.
pub trait Ordering: Send + Sync {
    /// The validator set, in ascending order.
    fn validators(&self) -> &[[u8; 32]];

    /// A header that this node proposes.
    fn propose(&self, draft: Draft) -> Header;

    /// Makes a header final.
    ///
    /// # Errors
    /// If the validators don't stand behind it.
    fn certify(&self, header: &Header) -> Result<Certificate, OrderingError>;
}

/// Why a header is not final in its chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// The header belongs to another chain.
    #[error("the header belongs to another chain")]
    Chain,
    /// The header names another set of validators.
    #[error("the header names another validator set than the genesis")]
    Validators,
    /// The proposer is no validator.
    #[error("the header was proposed by a key that is not a validator")]
    Proposer,
    /// The certificate does not hold.
    #[error("the certificate does not make the header final")]
    Certificate(#[source] CertificateError),
}

/// Checks that the validators of `genesis` made `header` final. Needs no key, so anybody can.
///
/// # Errors
/// [`FinalityError`] says what is wrong.
pub fn verify(header: &Header, certificate: &Certificate, genesis: &Genesis) -> Result<(), FinalityError> {
    if header.chain_id != genesis.hash() {
        return Err(FinalityError::Chain);
    }
    if header.validators != validators_hash(genesis.validators()) {
        return Err(FinalityError::Validators);
    }
    if !genesis.validators().contains(&header.proposer) {
        return Err(FinalityError::Proposer);
    }
    certificate.verify(&header.hash(), genesis.validators()).map_err(FinalityError::Certificate)
}

/// One appliance that orders alone.
pub struct SingleSigner {
    key: SigningKey,
    validators: [[u8; 32]; 1],
}

impl SingleSigner {
    /// A validator set of this one key. The key wipes itself when dropped.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        let validators = [key.verifying_key().to_bytes()];
        Self { key, validators }
    }
}

impl Ordering for SingleSigner {
    fn validators(&self) -> &[[u8; 32]] {
        &self.validators
    }

    fn propose(&self, draft: Draft) -> Header {
        let Draft { chain_id, height, parent, time, tx_root, receipts_root, state_root } = draft;
        let validators = validators_hash(&self.validators);
        let proposer = self.validators[0];
        Header { chain_id, height, parent, time, tx_root, receipts_root, state_root, validators, proposer }
    }

    fn certify(&self, header: &Header) -> Result<Certificate, OrderingError> {
        if header.proposer != self.validators[0] || header.validators != validators_hash(&self.validators) {
            return Err(OrderingError::NotOurs { height: header.height });
        }
        Ok(Certificate::from_signatures(vec![Certificate::sign(&header.hash(), &self.key)]))
    }
}

#[cfg(test)]
mod tests;
