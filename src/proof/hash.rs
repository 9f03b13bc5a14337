//! The two hash functions of the trees, with the domain separation of RFC 6962 (section 2.1).
//!
//! A leaf is hashed behind the byte 0x00 and an inner node behind 0x01, so that no leaf can be passed off as a node.
//! BLAKE3 hashes recordings (fast), SHA-256 hashes transactions and the log of blocks (read by public tools).

use sha2::Digest as _;

/// A digest of 32 bytes, as both hash functions give it.
pub type Hash = [u8; 32];

/// The byte hashed before a leaf (RFC 6962).
const LEAF: u8 = 0x00;
/// The byte hashed before the two children of an inner node (RFC 6962).
const NODE: u8 = 0x01;

/// A hash function as a tree uses it.
pub trait TreeHash {
    /// The name that formats give the function.
    const NAME: &'static str;

    /// The root of the tree without leaves: the hash of no bytes.
    fn empty() -> Hash;

    /// The hash of a leaf with this content.
    fn leaf(content: &[u8]) -> Hash;

    /// The hash of an inner node.
    fn node(left: &Hash, right: &Hash) -> Hash;
}

/// BLAKE3 with an output of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blake3;

impl TreeHash for Blake3 {
    const NAME: &'static str = "blake3-rfc6962";

    fn empty() -> Hash {
        *blake3::hash(b"").as_bytes()
    }

    fn leaf(content: &[u8]) -> Hash {
        let mut hasher = LeafHasher::new();
        hasher.update(content);
        hasher.finish()
    }

    fn node(left: &Hash, right: &Hash) -> Hash {
        let mut bytes = [NODE; 65];
        bytes[1..33].copy_from_slice(left);
        bytes[33..].copy_from_slice(right);
        *blake3::hash(&bytes).as_bytes()
    }
}

/// SHA-256 (FIPS 180-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256;

impl TreeHash for Sha256 {
    const NAME: &'static str = "sha256-rfc6962";

    fn empty() -> Hash {
        sha256(&[])
    }

    fn leaf(content: &[u8]) -> Hash {
        sha256(&[&[LEAF], content])
    }

    fn node(left: &Hash, right: &Hash) -> Hash {
        sha256(&[&[NODE], left, right])
    }
}

/// The SHA-256 of the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Hashes a chunk as a BLAKE3 leaf piece by piece, so that a chunk of 8 MiB need not lie in memory.
#[derive(Clone, Debug)]
pub struct LeafHasher(blake3::Hasher);

impl LeafHasher {
    /// A leaf of which nothing was hashed yet.
    #[must_use]
    pub fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[LEAF]);
        Self(hasher)
    }

    /// Takes the next bytes of the leaf.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The leaf's hash; equal to [`Blake3::leaf`] of all pieces joined.
    #[must_use]
    pub fn finish(&self) -> Hash {
        *self.0.finalize().as_bytes()
    }
}

impl Default for LeafHasher {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
