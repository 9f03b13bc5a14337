//! The right edge of a growing tree (a compact range): enough to append and to know the root, in O(log n) memory.

use std::marker::PhantomData;

use super::MerkleError;
use crate::hash::{Hash, TreeHash};

/// The complete subtrees that a tree of some size consists of, the largest (leftmost) first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier<H> {
    size: u64,
    peaks: Vec<Hash>,
    hash: PhantomData<H>,
}

impl<H: TreeHash> Frontier<H> {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self { size: 0, peaks: Vec::new(), hash: PhantomData }
    }

    /// A tree from its stored size and peaks. The hashes themselves are believed: compare the root with a known one.
    ///
    /// # Errors
    /// [`MerkleError::Peaks`] if a tree of that size has another number of peaks.
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Result<Self, MerkleError> {
        let expected = size.count_ones();
        if peaks.len() != expected as usize {
            return Err(MerkleError::Peaks { size, expected, found: peaks.len() });
        }
        Ok(Self { size, peaks, hash: PhantomData })
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a size with n trailing ones has at least n peaks");
            hash = H::node(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root over all leaves appended so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => H::empty(),
            Some(last) => peaks.fold(*last, |right, left| H::node(left, &right)),
        }
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The complete subtrees' roots, the largest first; with the size all that is needed to store the tree's edge.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }
}

impl<H: TreeHash> Default for Frontier<H> {
    fn default() -> Self {
        Self::new()
    }
}

/// The complete subtrees that appending `leaf` creates, as (level, index, hash), the leaf itself first.
///
/// Stored under (level, index) they are what [`super::Nodes`] must give back.
#[must_use]
pub fn new_nodes<H: TreeHash>(frontier: &Frontier<H>, leaf: Hash) -> Vec<(u8, u64, Hash)> {
    let mut nodes = vec![(0, frontier.size, leaf)];
    let (mut index, mut hash) = (frontier.size, leaf);
    // At most 64 levels, so the level fits its byte.
    for (level, left) in (1_u8..).zip(frontier.peaks.iter().rev().take(frontier.size.trailing_ones() as usize)) {
        hash = H::node(left, &hash);
        index >>= 1;
        nodes.push((level, index, hash));
    }
    nodes
}
