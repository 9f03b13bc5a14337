//! The beginning of a chain: its name, its first validators, its time. The hash of these is the chain's identity.

use crate::hash::{Hash, sha256};
use crate::note;
use crate::time::Timestamp;
use crate::wire::{DecodeError, Reader};

/// The version of the layout.
const VERSION: u8 = 1;
/// Precedes a genesis where it is hashed.
const DOMAIN: &[u8] = b"lucid.genesis/v1\n";
/// Precedes a validator set where it is hashed.
const VALIDATORS_DOMAIN: &[u8] = b"lucid.validators/v1\n";
/// The most validators; consensus among more is out of reach of a block every 10 s on small boards.
pub const VALIDATORS_MAX: usize = 100;
/// The longest chain name in bytes, as for names of keys.
const NAME_BYTES_MAX: usize = 255;

/// The agreed beginning of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    chain: String,
    validators: Vec<[u8; 32]>,
    time: Timestamp,
}

/// Why a genesis can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The name can't be the origin of checkpoints.
    #[error("`{name}` can't name a chain: a name is not empty, has no space and no plus, and at most 255 bytes")]
    Name {
        /// The name.
        name: String,
    },
    /// No validator, one twice, or too many.
    #[error("a chain has from 1 to {VALIDATORS_MAX} validators, each once; {count} were given")]
    Validators {
        /// How many were given.
        count: usize,
    },
}

impl Genesis {
    /// Begins a chain. The order of the validators does not matter.
    ///
    /// # Errors
    /// [`GenesisError`] if name or validators break a rule.
    pub fn new(chain: &str, mut validators: Vec<[u8; 32]>, time: Timestamp) -> Result<Self, GenesisError> {
        if !note::is_name(chain) {
            return Err(GenesisError::Name { name: chain.chars().take(NAME_BYTES_MAX).collect() });
        }
        let count = validators.len();
        validators.sort_unstable();
        validators.dedup();
        if validators.is_empty() || validators.len() != count || count > VALIDATORS_MAX {
            return Err(GenesisError::Validators { count });
        }
        Ok(Self { chain: chain.to_owned(), validators, time })
    }

    /// The chain's name; checkpoints have it as origin, and the keys that sign them have it as name.
    #[must_use]
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// The validators' public keys in ascending order.
    #[must_use]
    pub fn validators(&self) -> &[[u8; 32]] {
        &self.validators
    }

    /// When the chain began.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The chain's identity, which every header repeats.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(&[DOMAIN, &self.encode()])
    }

    /// The genesis' bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Both casts are exact: `new` bounds name and validators.
        bytes.extend((self.chain.len() as u16).to_be_bytes());
        bytes.extend(self.chain.as_bytes());
        self.time.encode(&mut bytes);
        bytes.extend((self.validators.len() as u16).to_be_bytes());
        bytes.extend(self.validators.concat());
        bytes
    }

    /// Reads a genesis' bytes.
    ///
    /// # Errors
    /// Says where the bytes differ from the layout.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("the genesis", bytes);
        reader.version(VERSION)?;
        let length = reader.count("the bytes of the chain's name", NAME_BYTES_MAX)?;
        let wrong_name = DecodeError::Value { what: "the chain's name", problem: "breaks the rules for names" };
        let chain = std::str::from_utf8(reader.slice(length)?).map_err(|_| wrong_name.clone())?;
        let time = Timestamp::decode(&mut reader)?;
        let count = reader.count("the validators", VALIDATORS_MAX)?;
        let validators = (0..count).map(|_| reader.array()).collect::<Result<Vec<[u8; 32]>, _>>()?;
        reader.finish()?;
        let wrong_order = DecodeError::Value { what: "the validators", problem: "are none or not in ascending order" };
        if !validators.is_sorted_by(|left, right| left < right) {
            return Err(wrong_order);
        }
        Self::new(chain, validators, time).map_err(|error| match error {
            GenesisError::Name { .. } => wrong_name,
            GenesisError::Validators { .. } => wrong_order,
        })
    }
}

/// The hash of a validator set, given in ascending order, as headers refer to it.
#[must_use]
pub fn validators_hash(validators: &[[u8; 32]]) -> Hash {
    // Exact: a set has at most VALIDATORS_MAX members.
    let count = (validators.len() as u16).to_be_bytes();
    sha256(&[VALIDATORS_DOMAIN, &count, &validators.concat()])
}
